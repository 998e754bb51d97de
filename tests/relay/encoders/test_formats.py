"""What every encoder owes: recordings, finish reasons, errors, one head, linear work."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, get_args

import pytest

from tests.made_tables import script_places
from tests.relay.encoders.support import each_format
from tests.support.encoders import create, load
from tests.support.recordings import ours
from tests.support.sampling import sampled
from tests.support.sent import decoded, relayed, text_in
from tests.support.tables import in_one_test
from tokenstream import Decoder
from tokenstream.errors import ErrorKind, NotExpressible, ProviderError
from tokenstream.events import CitationAdded, Event, Finish, MessageStart, TextDelta
from tokenstream.message import Citation, FinishReason, Message
from tokenstream.testing import all_formats

REASONS: list[FinishReason] = [reason for reason in get_args(FinishReason) if reason != "tool_calls"]


# -- streams of other formats ----------------------------------------------------------


@cache
def _recorded() -> list[tuple[str, list[Event], Message]]:
    """Return the name, the events and the message of each recording, read once for all formats."""
    found: list[tuple[str, list[Event], Message]] = []
    for each in ours():
        if each.format == "custom":
            continue
        decoder = Decoder(each.format)
        events = [*decoder.feed(each.body), *decoder.end()]
        found.append((each.name, events, decoder.message))
    return found


def _kept(message: Message, format: str) -> dict[str, Any]:
    encoder = load(format)
    calls = [
        (call.name, arguments)
        for call in message.tool_calls
        if call.complete and call.type != "custom" and "tool_call" in encoder.expresses
        # The input of a custom tool is free text, which some protocols send as a JSON string.
        if not isinstance(arguments := json.loads(call.arguments_text or "{}"), str)
    ]
    return {
        "text": text_in(format, message),
        "reasoning": message.reasoning if "reasoning" in encoder.expresses else "",
        "refusal": message.refusal if "refusal" in encoder.expresses else "",
        "calls": calls,
    }


@pytest.mark.slow
@pytest.mark.parametrize("format", sampled(all_formats, one_in=4))
def test_recordings_of_all_formats_are_sent_on(format: str) -> None:
    for name, events, message in _recorded():
        again = decoded(relayed(format, *events, lossy=True), format).message
        finished = any(isinstance(event, Finish) for event in events)

        assert _kept(message, format) == _kept(again, format), name
        assert ("complete" if finished else "truncated") == again.ending, name


# -- finish reasons ----------------------------------------------------------------------


@each_format
@in_one_test("reason", REASONS)
def test_a_finish_reason_without_a_word_is_refused_or_replaced(format: str, reason: FinishReason) -> None:
    events = MessageStart(), TextDelta("Hi"), Finish(reason)
    words = load(format).words
    if reason not in words:
        with pytest.raises(NotExpressible, match=f"the finish reason '{reason}'"):
            relayed(format, *events)
    message = decoded(relayed(format, *events, lossy=True), format).message
    told = reason if reason in words else "stop"
    if reason in ("content_filter", "refusal") and format not in ("text", "ag-ui"):
        assert message.finish_reason not in ("stop", "stop_sequence", "tool_calls", None)
        told = message.finish_reason if reason not in words else reason

    # Bare text ends without a word.
    assert (told if words.get(told, told) else None, "complete") == (message.finish_reason, message.ending)


# -- errors -------------------------------------------------------------------------------


NEAREST: dict[str, dict[ErrorKind, ErrorKind]] = {
    "anthropic": {"unknown": "server"},
    "gemini": {"unknown": "server"},
    "bedrock-converse": {"unknown": "server"},
    "bedrock-invoke": {"unknown": "server"},
    "cohere": {"unknown": "server"},
    "tgi": {"rate_limited": "overloaded", "authentication": "server", "unknown": "server"},
}
"""What stands for a kind of error without a code; for "network" and "shutdown" it is "server"."""


@each_format
@in_one_test("kind", script_places.KINDS)
def test_an_error_is_read_as_its_kind_or_the_nearest(format: str, kind: ErrorKind) -> None:
    """Without words of its own, too: those of its kind are sent."""
    nearest = {"network": "server", "shutdown": "server", **NEAREST.get(format, {})}
    expected = kind if format == "tokenstream" else nearest.get(kind, kind)

    assert (None if format == "gemini-live" else expected) == script_places.read_kind(format, kind)


@in_one_test("format", [format for format in all_formats if format != "gemini-live"])
def test_nothing_is_sent_after_an_error(format: str) -> None:
    """The error is the end of an answer, also of one that had finished."""
    encoder = create(format)
    chunks = [chunk for event in (TextDelta("Hi"), Finish("stop")) for chunk in encoder.feed(event)]
    chunks += encoder.failure("server")

    assert [] == encoder.end()
    assert isinstance(decoded(chunks, format).error, ProviderError)


# -- what an answer is called ----------------------------------------------------------------


@pytest.mark.parametrize(
    "format", ["openai-chat", "openai-responses", "anthropic", "gemini", "cohere", "ag-ui"]
)
@in_one_test("head", [(), (MessageStart(id="first"),), (MessageStart(id="first", model="one"),)], ids=len)
@in_one_test("another", [False, True])
def test_an_answer_keeps_the_id_that_it_was_sent_with(
    format: str, head: tuple[Event, ...], another: bool
) -> None:
    """The model stays, too, also where the encoder has made them up."""
    late = MessageStart(id="second", model="two", another=another)
    text = TextDelta("a"), TextDelta("b"), Finish("stop")

    assert relayed(format, *head, *text) == relayed(format, *head, text[0], late, *text[1:])
    if head and format == "openai-chat":
        assert relayed(format, *head, *text) == relayed(format, *head, late, *text)


# -- costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [format for format in all_formats if "citation" in load(format).expresses])
def test_what_is_sent_for_a_source_does_not_grow(format: str) -> None:
    def size(count: int) -> int:
        events: list[Event] = []
        for index in range(count):
            page = Citation(url="https://example.org", title="Example", cites=0)
            events += [TextDelta("some words "), CitationAdded(page, part=1 + index)]
        return len(b"".join(relayed(format, *events, Finish("stop"))))

    assert 2.5 * size(100) > size(200)
