"""Bare text in `data:` lines: what counts as text, as an end and as an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.formats import Text
from tests.support.tables import in_one_test
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import ProtocolError, ProviderError, StreamError, StreamTruncated
from tokenstream.events import MessageStart, TextDelta, Unknown
from tokenstream.formats import text
from tokenstream.framing import ServerSentEvent, SSEParser
from tokenstream.limits import Limits

if TYPE_CHECKING:
    from tokenstream.events import Event

DONE = b"[DONE]"


def read(format: Text, *frames: Any) -> tuple[list[Event], str]:
    """Read frames to the end of the input, and return the events and the message's text."""
    events = [event for frame in frames for event in format.feed(frame)] + format.end()
    accumulator = Accumulator()
    for event in events:
        accumulator.take(event)
    return events, accumulator.message.text


def departures(format: Text) -> dict[str, int]:
    return format.departures.details


def test_pieces_are_joined_with_nothing_between_them() -> None:
    """One leading space belongs to SSE and is gone by now; any other is text."""
    format = Text()
    events, whole = read(format, b"Hel", b"lo", b" ", b" world", b"\t", b"!", DONE)

    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        "Hel",
        "lo",
        " ",
        " world",
        "\t",
        "!",
    ]
    assert whole == "Hello  world\t!"
    assert (format.error, departures(format)) == (None, {})


def test_the_answer_begins_with_its_first_piece() -> None:
    events, _ = read(Text(), b"Hel", b"lo", DONE)

    assert [event for event in events if isinstance(event, MessageStart)] == [MessageStart()]


def test_a_joiner_is_between_two_pieces() -> None:
    """Servers that send `data: The`, `data: cat` lose the space between them."""
    _, whole = read(Text(joiner=" "), b"The", b"cat", b"sat", DONE)

    assert whole == "The cat sat"


def test_a_format_made_for_a_new_connection_keeps_its_joiner() -> None:
    """What `text(joiner=…)` gives is passed as `format=`, and each connection has its own."""
    made = text(joiner=" ")
    made.feed(b"used")
    fresh = made.fresh(limits=Limits(parts=3))

    assert (fresh.joiner, fresh.limits.parts, fresh.frames) == (" ", 3, 0)
    assert text().joiner == ""


def test_several_data_lines_of_one_event_keep_their_line_feed() -> None:
    frames = SSEParser().frames(b"data: one\ndata: two\n\ndata:\ndata:\n\ndata: three\n\ndata: [DONE]\n\n")

    assert read(Text(), *frames)[1] == "one\ntwo\nthree"


@in_one_test(
    "piece",
    [
        "{",
        "{}",
        "[1]",
        "42",
        "null",
        "[DONE",
        '{"error"',
        '{"error": null}',
        '{"answer": "error"}',
        "{" * 300,
    ],
)
def test_json_is_text(piece: str) -> None:
    format = Text()

    assert read(format, b"Say: ", piece.encode(), DONE)[1] == f"Say: {piece}"
    assert format.error is None


@pytest.mark.parametrize("end", [b"[DONE]", b" [DONE]", b"[DONE] ", ServerSentEvent(b"[DONE]", "end")])
def test_done_is_the_end(end: Any) -> None:
    format = Text()
    _, whole = read(format, b"Hello", end, b"late")

    assert (whole, format.ended, format.error) == ("Hello", True, None)
    assert departures(format) == {"data_after_end": 1}


@pytest.mark.parametrize("frames", [[], [b"Hel"], [b"Hel", b"lo"]])
def test_without_done_the_answer_is_truncated(frames: list[bytes]) -> None:
    """Nothing else tells a whole answer from half of one."""
    format = Text()
    _, whole = read(format, *frames)

    assert isinstance(format.error, StreamTruncated)
    assert whole == b"".join(frames).decode()


def test_empty_data_is_a_heartbeat() -> None:
    format = Text(joiner=" ")
    _, whole = read(format, b"The", b"", b"cat", DONE)

    assert whole == "The cat"
    assert departures(format) == {"empty_data": 1}


def test_malformed_utf8_becomes_the_replacement_character() -> None:
    assert read(Text(), b"\xff", b"a\xffb", DONE)[1] == "\ufffda\ufffdb"


@pytest.mark.parametrize(
    "frame, message",
    [
        (ServerSentEvent(b"no room", "error"), "no room"),
        (ServerSentEvent(b" ", "error"), " "),
        (ServerSentEvent(b'{"message": "no room"}', "error"), "no room"),
        (ServerSentEvent(b'{"error": {"message": "no room"}}', "error"), "no room"),
        (ServerSentEvent(b"{no room}", "error"), "{no room}"),
    ],
)
def test_an_event_named_error_is_an_error(frame: ServerSentEvent, message: str) -> None:
    format = Text()
    _, whole = read(format, b"Hello", frame, b"late")

    assert isinstance(format.error, ProviderError)
    assert str(format.error) == f"the provider reports an error: {message}"
    assert (whole, departures(format)) == ("Hello", {})


@pytest.mark.parametrize(
    "payload", [b'{"error": "no room"}', b'{"error": {"message": "no room", "code": 503}}']
)
def test_a_piece_that_is_an_error_object_is_an_error(payload: bytes) -> None:
    """A model that writes such an object writes it in pieces; servers send theirs whole."""
    format = Text()
    read(format, b"Hello", payload)

    assert isinstance(format.error, ProviderError)
    assert str(format.error) == "the provider reports an error: no room"
    assert departures(format) == {"error_unmarked": 1}


def test_events_of_other_names_are_carried() -> None:
    events, whole = read(Text(), b"Hello", ServerSentEvent(b'{"n": 1}', "usage"), DONE)

    assert [event for event in events if isinstance(event, Unknown)] == [Unknown("usage", '{"n": 1}')]
    assert whole == "Hello"


def test_an_event_with_an_id_is_text() -> None:
    """Browsers call such an event "message"."""
    assert read(Text(), ServerSentEvent(b"Hello", "message", "7"), DONE)[1] == "Hello"


def test_decoded_payloads_are_refused() -> None:
    format = Text()
    read(format, {"text": "Hello"})

    assert isinstance(format.error, ProtocolError)


def test_text_is_never_found_in_a_json_object() -> None:
    assert Text.recognises({"text": "Hello"}, "") is False


@given(pieces=st.lists(st.binary(max_size=8)), joiner=st.sampled_from(["", " "]))
def test_any_pieces_come_out_as_they_went_in(pieces: list[bytes], joiner: str) -> None:
    """The quick way for plain pieces gives what the long way gives, and nothing crashes."""
    quick, slow = Text(joiner=joiner), Text(joiner=joiner)
    given_quickly = read(quick, *pieces)
    given_slowly = read(slow, *map(ServerSentEvent, pieces))

    assert given_quickly == given_slowly
    assert departures(quick) == departures(slow)
    assert quick.error is None or isinstance(quick.error, StreamError)


def test_a_chunk_that_is_one_piece_is_read_at_a_glance() -> None:
    format = Text()
    assert format.shortcut("event", 100) is None
    format.feed(b"Hel")
    read_chunk = format.shortcut("event", 100)

    assert read_chunk is not None
    assert read_chunk(b"data: lo\n\n") == TextDelta("lo")
    assert read_chunk(b"data: %b\n\n" % (b"a" * 100)) is None
    assert 2 == format.frames
