"""Views: one aspect of a stream, from the start or from wherever it is."""

from __future__ import annotations

import copy
import pickle
import traceback
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import ANSWER, AsyncSource, call, chunk, source_in
from tests.support.either import in_each_loop, inside, stream_in
from tests.support.wire import DONE
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, StreamError, StreamTruncated
from tokenstream.events import ReasoningDelta, ToolCallDone


def test_reasoning_and_tool_calls_have_views_of_their_own() -> None:
    assert list(Stream(ANSWER).reasoning) == ["Hm. ", "Weather."]
    assert [call.arguments for call in Stream(ANSWER).tool_calls] == [{"city": "Oslo"}, {}]


def test_calls_can_wait_for_the_whole_answer() -> None:
    assert [call.id for call in Stream(ANSWER).tool_calls.when_complete()] == ["call_a", "call_b"]
    given_out: list[str] = []
    with pytest.raises(StreamTruncated):
        for call in Stream(ANSWER[:8]).tool_calls.when_complete():
            given_out.append(call.id)
    assert given_out == []
    assert [call.id for call in _until_error(Stream(ANSWER[:8]).tool_calls)] == ["call_a"]


def _until_error(view: Any) -> list[Any]:
    items = []
    with pytest.raises(StreamTruncated):
        for item in view:
            items.append(item)
    return items


def test_a_choice_that_never_came_gives_nothing() -> None:
    stream = Stream(ANSWER)

    assert list(stream.choice(3).text) == []
    assert stream.choice(3).message.parts == ()
    assert len(stream.messages) == 1


@pytest.mark.parametrize(
    "use",
    [bool, len, str, lambda view: "a" in view, lambda view: f"{view}", lambda view: f"{view:>3}"],
    ids=["bool", "len", "str", "in", "f-string", "format"],
)
@pytest.mark.parametrize("name", ["text", "reasoning", "tool_calls"])
@in_each_loop
async def test_a_view_refuses_to_be_taken_for_what_it_gives(colour: str, name: str, use: Any) -> None:
    async with inside(stream_in(colour)(source_in(colour)(ANSWER))) as stream:
        with pytest.raises(MisuseError, match=rf"stream\.message\.{name}"):
            use(getattr(stream, name))


def test_a_view_shows_what_it_is() -> None:
    with Stream(ANSWER) as stream:
        assert repr(stream.text) == "<TextView of stream.message.text>"


TWO_CHOICES = [
    chunk({"role": "assistant", "content": "a1 "}),
    chunk({"reasoning_content": "r2 "}, choice=1),
    chunk({"content": "b1 "}, choice=1),
    chunk({"content": "a2 "}),
    chunk(call(0, "call_b", "book", "{}"), choice=1),
    chunk({"reasoning_content": "r1 "}),
    chunk({"content": "a3"}),
    chunk({"content": "b2"}, choice=1),
    chunk({}, "tool_calls", choice=1),
    chunk({}, "stop"),
    DONE,
]
VIEWS = [(choice, name) for choice in (0, 1) for name in ("text", "reasoning", "tool_calls")]


@given(reads=st.lists(st.integers(0, len(VIEWS)), max_size=30), cut=st.integers(0, len(TWO_CHOICES)))
def test_views_of_several_choices_read_in_turns_agree_with_one_plain_pass(reads: list[int], cut: int) -> None:
    """Cut anywhere: each view gives all there is once, then the error, and the same again for a new view."""
    plain = Stream(TWO_CHOICES[:cut])
    with suppress(StreamError):
        plain.final()
    stream = Stream(TWO_CHOICES[:cut])
    iterators: list[Any] = [getattr(stream.choice(choice), name) for choice, name in VIEWS]
    got: list[list[Any]] = [[] for _ in VIEWS]
    errors: list[StreamError] = []

    def read(number: int) -> bool:
        try:
            item = next(iterators[number] if number < len(VIEWS) else stream, None)
        except StreamError as error:
            errors.append(error)
            return False
        if item is not None and number < len(VIEWS):
            got[number].append(item)
        return item is not None

    for number in reads:
        read(number)
    for number in range(len(VIEWS)):
        while read(number):
            pass

    for (choice, name), items in zip(VIEWS, got, strict=True):
        expected = getattr(plain.choice(choice).message, name)
        if name == "tool_calls":
            expected = tuple(call for call in expected if call.complete)
        assert expected == (tuple(items) if name == "tool_calls" else "".join(items))
    assert stream.messages == plain.messages
    assert len({id(error) for error in errors}) == (0 if plain.message.complete else 1)


@pytest.mark.anyio
async def test_the_same_in_an_async_loop() -> None:
    async with AsyncStream(AsyncSource(ANSWER)) as stream:
        async for event in stream:
            if isinstance(event, ReasoningDelta):
                break
        assert await anext(stream.reasoning) == "Hm. "
        text = stream.text
        assert await anext(text) == "Let "
        assert [piece async for piece in stream.reasoning] == ["Hm. Weather."]
        assert [piece async for piece in text] == ["me see."]
        assert [call.id async for call in stream.tool_calls] == ["call_a", "call_b"]
        assert [call.id async for call in stream.tool_calls.when_complete()] == ["call_a", "call_b"]
        assert [piece async for piece in stream.choice(0).text] == ["Let me see."]


def test_a_call_is_in_the_view_when_its_event_is_out() -> None:
    stream = Stream(ANSWER)
    for event in stream:
        if isinstance(event, ToolCallDone):
            break

    assert next(stream.tool_calls).id == "call_a"
    stream.close()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize(
    "part", [lambda stream: stream, lambda stream: stream.text, lambda stream: stream.responses]
)
@in_each_loop
async def test_what_reads_is_not_copied(colour: str, part: Any, copied: Any) -> None:
    async with inside(stream_in(colour)(source_in(colour)(ANSWER))) as stream:
        with pytest.raises(MisuseError, match=r"cannot be copied or pickled.* stream\.message"):
            copied(part(stream))


@pytest.mark.parametrize("use", [bool, len, str])
def test_the_refusal_has_the_name_that_the_documents_give(use: Any) -> None:
    """A traceback shows a public error, also out of a pickle; `list(view)` needs a TypeError."""
    with Stream(ANSWER) as stream, pytest.raises(MisuseError) as caught:
        use(stream.text)
    shown = "".join(traceback.format_exception_only(caught.value))
    again = pickle.loads(pickle.dumps(caught.value))

    assert shown.startswith("tokenstream.errors.MisuseError: this view ")
    assert isinstance(caught.value, TypeError)
    assert (MisuseError, str(caught.value)) == (type(again), str(again))
    assert list(Stream(ANSWER).text)
