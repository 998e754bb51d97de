"""The opening of a call's markup that a server leaves in the text, beside the call of its API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reasoning_tags.support import decoded, parts_of
from tests.support.chunkings import several
from tests.support.tables import in_one_test
from tokenstream import Stream, Tags, testing
from tokenstream.events import ToolCallStart
from tokenstream.stages._calls.dialects import DIALECTS

OPENINGS = [opening for row in DIALECTS if not row.named_only for opening in row.openings]
FORMATS = ("openai-chat", "anthropic", "bedrock-converse", "gemini", "openai-responses")
BEFORE = "Let me look.\n\n"
CALL = '{"at":"x"}'
READING: dict[str, Any] = {"tags": Tags(calls=True), "tools": ["look"]}


def body(*texts: str, format: Any = "openai-chat", calls: bool = True) -> list[bytes]:
    script = testing.script().text(*texts)
    if calls:
        script = script.tool_call("look", CALL)
    return [*script.finish("tool_calls" if calls else "stop").chunks(format)]


def read(chunks: list[bytes], **options: Any) -> tuple[list[tuple[str, str]], set[str]]:
    decoder, _ = decoded(chunks, **options)
    parts = [
        (kind, said.replace(" ", "") if kind == "tool_call" else said)
        for kind, said in parts_of(decoder.message)
    ]
    return parts, {*decoder.departures.details}


def _is_left_out_or_told(format: Any, opening: str) -> None:
    for left in (opening, opening[:-1], opening + "\n"):
        for pieces in ([BEFORE + left], [BEFORE, *left]):
            sent = body(*pieces, format=format)
            parts, departures = read(sent, **READING)

            assert [("text", BEFORE), ("tool_call", CALL)] == parts
            assert "opening_left" not in departures
            assert "opening_left" in read(sent)[1]


@in_one_test(
    ("format", "opening"), [(each, one) for each in FORMATS for one in OPENINGS[FORMATS.index(each) :: 70]]
)
def test_an_opening_in_front_of_a_call_of_the_api_is_left_out_or_reported(format: str, opening: str) -> None:
    _is_left_out_or_told(format, opening)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_every_opening_is_left_out_or_reported(format: str) -> None:
    for opening in OPENINGS:
        _is_left_out_or_told(format, opening)


@pytest.mark.parametrize("format", FORMATS)
def test_every_cut_gives_the_same(format: Any) -> None:
    sent = b"".join(body(BEFORE, "<tool_", "call>", format=format))
    for chunks in several(sent, format).values():
        assert [("text", BEFORE), ("tool_call", CALL)] == read(chunks, **READING)[0]


@pytest.mark.parametrize("format", FORMATS)
def test_an_opening_without_a_call_of_the_api_stays(format: Any) -> None:
    for text, calls in (
        (BEFORE + "<tool_call>", False),
        ("It begins with <tool_call> and goes on.", True),
        ("```\n<tool_call>\n```", True),
    ):
        parts, departures = read(body(text, format=format, calls=calls), **READING)

        assert ("text", text) == parts[0]
        assert not departures & {"opening_left"}
        assert "opening_left" not in read(body(text, format=format, calls=calls))[1]


@pytest.mark.parametrize("format", FORMATS)
def test_an_answer_that_is_cut_keeps_the_opening(format: Any) -> None:
    """Nobody knows if a call would have followed."""
    sent = body(BEFORE + "<tool_", "call>", format=format, calls=False)
    for count in range(1, len(sent) + 1):
        assert read(sent[:count])[0] == read(sent[:count], **READING)[0]


def test_a_stream_that_is_stopped_keeps_the_opening() -> None:
    sent = body(BEFORE + "<tool_call>", format="anthropic")
    for count in range(1, 9):
        with Stream(iter(sent), **READING) as stream:
            for number, event in enumerate(stream, 1):
                if number == count and not isinstance(event, ToolCallStart):
                    stream.stop()

        assert (BEFORE + "<tool_call>").startswith(stream.message.text)
        assert [part.kind for part in stream.message.parts if part.kind == "text"] in ([], ["text"])
