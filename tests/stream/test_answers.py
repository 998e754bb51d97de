"""The answer apart from the remarks that a model makes beside it: texts whose phase is "commentary"."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.stream.recipes import ended
from tests.support import wire
from tests.support.chunkings import sized
from tests.support.either import Each, got, in_each_loop, inside
from tokenstream import AsyncStream, Retry, Stream, resilient, testing
from tokenstream.errors import AnswerRejected, InvalidJSON, OutputInvalid

REMARK, JSON = "I'll look it up.", '{"a": 5}'
C, F = "commentary", "final_answer"
Texts = list[tuple[str, str | None]]


class Value(BaseModel):
    a: int


def item(number: int, text: str, phase: str | None, **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "phase": phase,
        "content": content,
        **more,
    }


def said(texts: Texts, *, is_late: bool = False, call: bool = False, last: str = "completed") -> list[Any]:
    """Return the events of an answer of Responses in these texts, each with its phase."""
    events: list[Any] = [{"type": "response.created", "response": {"id": "resp_1", "output": []}}]
    output: list[Any] = []

    def add(begun: dict[str, Any], done: dict[str, Any], *deltas: dict[str, Any]) -> None:
        at = {"output_index": len(output)}
        output.append(done)
        events.append({"type": "response.output_item.added", "item": begun, **at})
        events.extend({**delta, **at} for delta in deltas)
        events.append({"type": "response.output_item.done", "item": done, **at})

    for number, (text, phase) in enumerate(texts):
        delta = {"type": "response.output_text.delta", "item_id": f"msg_{number}", "content_index": 0}
        pieces = [{**delta, "delta": piece} for piece in (text[:5], text[5:])]
        begun = item(number, "", None if is_late else phase, status="in_progress")
        add(begun, item(number, text, phase), *pieces)
    if call:
        done = {"id": "fc", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
        add({**done, "arguments": "", "status": "in_progress"}, {**done, "status": "completed"})
    response = {"id": "resp_1", "status": last, "output": output}
    return [*events, {"type": f"response.{last}", "response": response}]


def groq() -> list[bytes]:
    final = [{"content": piece, "channel": "final"} for piece in ('{"a"', ": 5}")]
    deltas = [{"content": REMARK, "channel": "commentary"}, *final]
    return [*(wire.chat(delta) for delta in deltas), *ended("stop")]


ANSWERS: dict[str, tuple[Any, str]] = {
    "a remark, and the answer": (said([(REMARK, C), (JSON, F)]), JSON),
    "two remarks": (said([(REMARK, C), ("Now.", C), (JSON, F)]), JSON),
    "a remark at the end": (said([(REMARK, C), (JSON, F), ("Done.", C)]), JSON),
    "an answer without a phase": (said([(REMARK, C), (JSON, None)]), JSON),
    "no remark": (said([(JSON, F)]), JSON),
    "no phase": (said([(JSON, None)]), JSON),
    "two texts without a phase": (said([('{"a":', None), (" 5}", None)]), JSON),
    "two answers": (said([('{"a":', F), (" 5}", F)]), JSON),
    "a remark that is such a value": (said([('{"a": 1}', C), (JSON, F)]), JSON),
    "a remark with a brace": (said([("I use {a} here.", C), (JSON, F)]), JSON),
    "channels of Groq": (groq(), JSON),
}


def stream_of(colour: str, source: list[Any]) -> Any:
    async def each() -> AsyncIterator[Any]:
        for chunk in source:
            yield chunk

    return Stream(source) if colour == "sync" else AsyncStream(each())


@pytest.mark.parametrize("name", ANSWERS)
@in_each_loop
async def test_typed_readers_leave_out_remarks(colour: str, name: str) -> None:
    source, answer = ANSWERS[name]
    async with inside(stream_of(colour, source)) as stream:
        drafts = [draft.get("a") async for draft in Each(stream.partials(Value))]
        assert drafts[-1] == 5
        assert await got(stream.result(Value)) == Value(a=5) == await got(stream.choice(0).result(Value))
        assert await got(stream.result(Value, lenient=True)) == Value(a=5)
        assert [5] == [each async for each in Each(stream.items(int))]
        assert stream.message.answer == answer


@pytest.mark.parametrize("name", ANSWERS)
@in_each_loop
async def test_the_answer_is_a_view_of_its_own(colour: str, name: str) -> None:
    source, answer = ANSWERS[name]
    async with inside(stream_of(colour, source)) as stream:
        assert answer == "".join([piece async for piece in Each(stream.answer)])
        assert answer == "".join([piece async for piece in Each(stream.choice(0).answer)])
        assert stream.message.text == "".join([piece async for piece in Each(stream.text)])
        assert answer == [text async for text in Each(stream.answer.accumulate())][-1]


@in_each_loop
async def test_the_answer_is_shaped_as_text_is(colour: str) -> None:
    source = said([(REMARK, C), ("It is 5. It is so.", F)])
    async with inside(stream_of(colour, source)) as stream:
        sentences = [each async for each in Each(stream.answer.sentences())]
        words = [each async for each in Each(stream.answer.words())]
    assert sentences == ["It is 5. ", "It is so."]
    assert words == ["It", " is", " 5.", " It", " is", " so."]


@in_each_loop
async def test_readers_of_a_broadcast_have_it_too(colour: str) -> None:
    source = said([(REMARK, C), (JSON, F)])
    async with inside(stream_of(colour, source)) as stream:
        hub = stream.broadcast()
        async with inside(hub.reader()) as first, inside(hub.reader()) as second:
            assert JSON == "".join([piece async for piece in Each(first.answer)])
            assert JSON == "".join([piece async for piece in Each(second.answer.words())])


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_any_chunking_gives_the_same_answer(size: int) -> None:
    stream = Stream(sized(b"".join(groq()), size), format="openai-chat")

    assert JSON == "".join(stream.answer) == stream.message.answer


def test_a_loop_over_the_answer_begins_with_it() -> None:
    stream = Stream(said([(REMARK, C), ("It is 5.", F)]))
    live = [stream.message.answer for event in stream if type(event).__name__ == "TextDelta"]

    assert live == ["", "", "It is", "It is 5."]


ONLY_REMARKS = "the answer has no text but remarks (phase commentary)"
REFUSED: dict[str, tuple[Any, str]] = {
    "a remark alone": (said([(REMARK, C)]), ONLY_REMARKS),
    "with a call": (
        said([(REMARK, C)], call=True),
        f"{ONLY_REMARKS}, and calls 'f'; pass tool=… to read a call's arguments",
    ),
    "a call alone": (
        said([], call=True),
        "the answer has no text, but calls 'f'; pass tool=… to read a call's arguments",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_of_remarks_alone_is_none(name: str) -> None:
    source, words = REFUSED[name]
    for read in (
        lambda stream: stream.result(Value),
        lambda stream: list(stream.partials(Value)),
        lambda stream: list(stream.items(int, at="a")),
        lambda stream: list(stream.field("a")),
    ):
        stream = Stream(source)
        with pytest.raises(OutputInvalid) as caught:
            read(stream)
        assert (type(caught.value), words) == (OutputInvalid, str(caught.value))
        assert (stream.message.answer, list(stream.answer)) == ("", [])


def test_a_text_in_front_of_the_answer_that_is_not_called_a_remark_belongs_to_it() -> None:
    with pytest.raises(InvalidJSON):
        Stream(said([("Hm.", None), (JSON, F)])).result(Value)


def test_a_phase_that_comes_late_counts_from_then_on() -> None:
    """What was read by then was read: a draft has taken the remark for the answer."""
    source = said([(REMARK, C), (JSON, F)], is_late=True)

    assert Stream(source).result(Value) == Value(a=5)
    assert Stream(source).final().answer == JSON
    with pytest.raises(InvalidJSON):
        list(Stream(source).partials(Value))


def test_a_retry_accepts_the_answer() -> None:
    good, remark = said([(REMARK, C), (JSON, F)]), said([(REMARK, C)], call=True)
    with resilient(lambda: iter(good), Retry(attempts=1, accept=Value)) as stream:
        assert stream.result(Value) == Value(a=5)
    answers = iter([remark, good])
    with testing.VirtualClock(), resilient(lambda: next(answers), Retry(accept=Value)) as stream:
        assert stream.result(Value) == Value(a=5)
    stream = resilient(lambda: iter(remark), Retry(attempts=1, accept=Value))
    with pytest.raises(AnswerRejected) as caught:
        stream.final()
    assert f"{ONLY_REMARKS}, and calls 'f'" in str(caught.value.__cause__)


def test_a_restarted_answer_repeats_what_the_reader_has() -> None:
    """Remarks of the first attempt are not compared: its reader was not given them."""

    def attempt(remark: str) -> list[Any]:
        return said([(remark, C), ("It is 5.", F)])

    def broken() -> Any:
        yield from attempt("I'll look.")[:-3]
        raise ConnectionResetError("reset")

    sources = iter([broken(), iter(attempt("Let me see."))])
    with testing.VirtualClock(), resilient(lambda: next(sources), Retry(again=True)) as stream:
        assert "It is 5." == "".join(stream.answer)
        assert stream.message.text == "Let me see.It is 5."
