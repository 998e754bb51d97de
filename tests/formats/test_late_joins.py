"""An answer that is read from somewhere in its middle: what its end repeats whole is taken from there."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tokenstream import Stream, testing
from tokenstream.departures import Departures
from tokenstream.errors import ProtocolError, StreamError
from tokenstream.formats import FormatName

TEXT = "Hello there you all"


def script(format: Any) -> list[bytes]:
    """Return an answer with a text in several pieces, and a call, one event in each chunk."""
    made = testing.script().text("Hello ").text("there ").text("you ").text("all")
    return made.tool_call("ring", {"bird": "tern"}).finish("tool_calls").chunks(format)


def told(chunks: list[bytes], format: FormatName) -> tuple[bool, Departures]:
    """Return whether the answer in these chunks is complete, and its departures."""
    stream = Stream(chunks, format=format)
    with suppress(StreamError):
        stream.final()
    return stream.message.complete, stream.departures


@pytest.mark.parametrize("format", ["openai-responses", "openai-realtime"])
def test_an_answer_that_is_joined_anywhere_is_whole_at_its_end(format: FormatName) -> None:
    chunks = script(format)
    for place in range(1, len(chunks) - 1):
        stream = Stream(chunks[place:], format=format)
        calls = [call.arguments for call in stream.tool_calls]

        assert (TEXT, [{"bird": "tern"}]) == (stream.message.text, calls), place
        if b"Hello" in b"".join(chunks[:place]):
            assert "start_missing" in stream.departures.details, place


def test_the_pieces_are_those_that_came() -> None:
    """What was not there cannot be shown in the loop."""
    chunks = script("openai-responses")
    place = next(index for index, chunk in enumerate(chunks) if b"delta" in chunk and b"there" in chunk)
    stream = Stream(chunks[place:], format="openai-responses")

    assert "there you all" == "".join(stream.text).strip()
    assert TEXT == stream.message.text


def test_a_text_that_does_not_end_with_what_came_is_an_error() -> None:
    chunks = script("openai-responses")
    place = next(index for index, chunk in enumerate(chunks) if b"delta" in chunk and b"there" in chunk)
    del chunks[place + 1]

    with pytest.raises(ProtocolError, match="differs from its deltas"):
        Stream(chunks[place:], format="openai-responses").final()


@pytest.mark.parametrize(
    "format", ["anthropic", "ag-ui", "bedrock-converse", "cohere", "gemini-interactions"]
)
def test_a_start_that_is_lost_is_reported_as_lost_content(format: FormatName) -> None:
    """A delta or an end without it may stand behind more that nothing repeats; a whole answer lacks none."""
    chunks = script(format)
    begun = next(place for place, chunk in enumerate(chunks) if b"Hello" in chunk) + 1

    assert "start_lost" not in told(chunks, format)[1]
    for place in range(begun, len(chunks)):
        is_complete, departures = told(chunks[place:], format)

        assert not is_complete or "content" == departures["start_lost"].affects, place
    assert told(chunks[begun:], format)[0]


def test_a_lost_role_is_a_matter_of_form() -> None:
    """Chat's first chunk says nothing else, and many servers leave it out."""
    chunks = script("openai-chat")
    without = [chunk.replace(b'"role":"assistant",', b"") for chunk in chunks]

    assert "form" == told(without, "openai-chat")[1]["start_unmarked"].affects
    assert "start_lost" not in told(without, "openai-chat")[1]
