"""Structured output by the quick way of most events, and of recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.stream.recipes import BROKEN, TEXT, WRONG, Recipe, ended
from tests.support import wire
from tests.support.beside import needs_recordings
from tests.support.chunkings import several
from tests.support.effort import examples
from tests.support.either import Each, inside, run_in, stream_in
from tests.support.in_turns import decoded
from tests.support.recordings import Recorded, folders, ours, shared
from tests.support.texts import is_json, pieces_of
from tokenstream import Stream
from tokenstream.errors import StreamError, TokenStreamError
from tokenstream.events import TextDelta, ToolCallDelta
from tokenstream.message import Message, ToolCall
from tokenstream.stages._objects.partials import Partials

_WIDE = json.dumps(json.loads(TEXT) | {"title": "Crêpes 🥞 \\ \n"}, ensure_ascii=False)
_TEXTS = (TEXT, WRONG, BROKEN, _WIDE)
_Told = list[tuple[str, str]]


def _body(texts: list[str], order: list[int], size: int) -> list[bytes]:
    """Return an answer: two choices, reasoning and the arguments of a call, whose pieces come in turns."""
    begin = wire.chat(wire.chat_call(0, "", id="call_1", name="recipe"))
    lanes = [
        [wire.chat({"content": piece}) for piece in pieces_of(texts[0], size)],
        [wire.chat({"content": piece}, index=1) for piece in pieces_of(texts[1], size)],
        [wire.chat({"reasoning_content": piece}) for piece in pieces_of(texts[2], size)],
        [begin, *(wire.chat(wire.chat_call(0, piece)) for piece in pieces_of(texts[3], size))],
    ]
    body: list[bytes] = []
    for lane in order:
        # A run of each, because what comes like the one before is read in another way.
        body += lanes[lane][:3]
        del lanes[lane][:3]
    body += [chunk for lane in lanes for chunk in lane]
    return [*body, *ended(), *ended("stop", choice=1)[:1]]


def _said(event: Any, choice: int, tool: str | None) -> str | None:
    if event.choice != choice:
        return None
    if tool is not None:
        return event.fragment if isinstance(event, ToolCallDelta) else None
    return event.text if isinstance(event, TextDelta) else None


def _expected(body: list[bytes], choice: int, tool: str | None) -> tuple[_Told, str]:
    """Return the drafts of a stage that is fed event by event, each with the text at that moment."""
    stage, text, told = Partials(Recipe), "", _Told()
    for event, _ in decoded("openai-chat", body, shortcuts=False)[0]:
        text += _said(event, 0, None) or ""
        piece = _said(event, choice, tool)
        told += [(repr(draft), text) for draft in (stage.feed(piece) if piece else ())]
    stage.end()
    return told, type(stage.error).__name__


async def _watched(open_stream: Any, chunks: list[bytes], choice: int, tool: str | None) -> tuple[_Told, str]:
    told, error = _Told(), type(None).__name__
    async with inside(open_stream(chunks, format="openai-chat")) as stream:
        try:
            async for draft in Each(stream.choice(choice).partials(Recipe, tool=tool)):
                told.append((repr(draft), stream.message.text))
        except TokenStreamError as raised:
            error = type(raised).__name__
    return told, error


_ANSWERS = st.tuples(
    st.lists(st.sampled_from(_TEXTS), min_size=4, max_size=4),
    st.lists(st.integers(0, 3), max_size=40),
    st.integers(1, 9),
)
_ASKED: list[tuple[int, str | None]] = [(0, None), (1, None), (0, "recipe")]


@pytest.mark.slow
@examples(12)
@example(([TEXT, WRONG, TEXT, BROKEN], [0, 0, 0, 0, 1, 0, 2, 0, 3, 3, 0], 3), (0, None), "per event")
@example(([TEXT, WRONG, TEXT, BROKEN], [3, 3, 3, 0, 0, 3, 3, 3], 3), (0, "recipe"), "per event")
@given(_ANSWERS, st.sampled_from(_ASKED), st.sampled_from(["per event", "random", "sevens"]))
def test_drafts_are_those_of_a_stage_that_is_fed_each_event(
    answer: tuple[Any, ...], asked: tuple[int, str | None], cut: str
) -> None:
    body = _body(*answer)
    chunks = several(b"".join(body), answer)[cut]
    expected = _expected(body, *asked)

    for colour in ("sync", "asyncio"):
        assert expected == run_in(colour, _watched, stream_in(colour), chunks, *asked)


@examples(30)
@example((["abc"] * 20, [0, 1, 2] * 20))
@given(
    st.tuples(
        st.lists(st.text(max_size=5) | st.sampled_from(["\ud83e", "\udd5e", "", "é"]), max_size=40),
        st.lists(st.integers(0, 2), min_size=1, max_size=60),
    )
)
def test_views_of_pieces_may_be_read_in_turns(drawn: tuple[list[str], list[int]]) -> None:
    pieces, order = drawn
    told = decoded("pieces", pieces, shortcuts=False)

    assert told == decoded("pieces", pieces, shortcuts=True)
    stream = Stream(iter(pieces), format="pieces")
    events, text, late = iter(stream), stream.text, stream.text
    seen: list[list[Any]] = [[], [], []]
    for turn in order:
        seen[turn] += [item for item in [next((events, text, late)[turn], None)] if item is not None]
        assert stream.message.text.startswith("".join(seen[1]))
    seen[1] += [*text]
    seen[2] += [*late]
    whole = told[1][0].text if told[1] else ""
    given = [event for event, _ in told[0]]

    assert (whole, whole) == ("".join(seen[1]), "".join(seen[2]))
    assert all(event in given for event in seen[0])
    assert stream.message == (told[1] or [stream.message])[0]


ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


def _check(recorded: Recorded) -> int:
    """Compare all that is JSON in an answer, and return how much there was."""

    def stream() -> Stream:
        return Stream([recorded.body], format=recorded.format)

    try:
        message = stream().final()
    except StreamError:
        return 0
    found = 0
    if is_json(message.text):
        _compare(stream, message.text, None)
        found += 1
    for name in {call.name for call in message.tool_calls}:
        found += _check_tool(stream, message, name)
    return found


def _check_tool(stream: Callable[[], Stream], message: Message, name: str) -> bool:
    calls = [call for call in message.tool_calls if call.name == name]
    with_arguments = [call for call in calls if call.arguments_text.strip(" \n{}")] or calls
    first: ToolCall = with_arguments[0]
    if not first.complete or first.type == "custom" or not is_json(first.arguments_text):
        return False
    _compare(stream, first.arguments_text, name)
    return True


def _compare(stream: Callable[[], Stream], text: str, tool: str | None) -> None:
    expected = json.loads(text)
    drafts = list(stream().partials(ANYTHING, tool=tool))

    assert expected == stream().result(ANYTHING, tool=tool)
    assert expected == drafts[-1].final() == drafts[-1].value
    if isinstance(expected, dict):
        for key in expected:
            if isinstance(expected[key], str):
                assert expected[key] == "".join(stream().field((key,), tool=tool))


@pytest.mark.slow
def test_our_recordings_have_the_output_that_their_text_says() -> None:
    assert sum(map(_check, ours())) > 20


@needs_recordings
@pytest.mark.parametrize("folder", folders())
def test_recordings_have_the_output_that_their_text_says(folder: str) -> None:
    for recorded in shared(folder):
        if recorded.format != "custom":
            _check(recorded)
