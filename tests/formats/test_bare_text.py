"""Bare text in `data:` lines or as the whole body: what counts as text, as an end and as an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.formats.told import DONE, tell
from tests.support.formats import Text
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Decoder, Stream, tap
from tokenstream.errors import NotAStream, ProtocolError, StreamError, StreamInterrupted, StreamTruncated
from tokenstream.events import MessageStart, TextDelta, Unknown
from tokenstream.formats import text
from tokenstream.framing import ServerSentEvent, SSEParser
from tokenstream.limits import Limits


def test_pieces_are_joined_with_nothing_between_them() -> None:
    """One leading space belongs to SSE and is gone by now; any other is text."""
    pieces = ["Hel", "lo", " ", " world", "\t", "!"]
    told = tell(Text(), *[piece.encode() for piece in pieces], DONE)

    assert (told.texts, told.message.text) == (pieces, "Hello  world\t!")
    assert (told.error, told.departures) == (None, {})


def test_the_answer_begins_with_its_first_piece() -> None:
    told = tell(Text(), b"Hel", b"lo", DONE)

    assert [event for event in told.events if isinstance(event, MessageStart)] == [MessageStart()]


def test_a_joiner_is_between_two_pieces() -> None:
    """Servers that send `data: The`, `data: cat` lose the space between them."""
    assert tell(Text(joiner=" "), b"The", b"cat", b"sat", DONE).message.text == "The cat sat"


def test_a_format_made_for_a_new_connection_keeps_its_joiner() -> None:
    """What `text(joiner=…)` gives is passed as `format=`, and each connection has its own."""
    made = text(joiner=" ")
    made.feed(b"used")
    fresh = made.fresh(limits=Limits(parts=3))

    assert (fresh.joiner, fresh.limits.parts, fresh.frames) == (" ", 3, 0)
    assert text().joiner == ""


def test_several_data_lines_of_one_event_keep_their_line_feed() -> None:
    frames = SSEParser().frames(b"data: one\ndata: two\n\ndata:\ndata:\n\ndata: three\n\ndata: [DONE]\n\n")

    assert tell(Text(), *frames).message.text == "one\ntwo\nthree"


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
    told = tell(Text(), b"Say: ", piece.encode(), DONE)

    assert (told.message.text, told.error) == (f"Say: {piece}", None)


@pytest.mark.parametrize("end", [b"[DONE]", b" [DONE]", b"[DONE] ", ServerSentEvent(b"[DONE]", "end")])
def test_done_is_the_end(end: Any) -> None:
    told = tell(Text(), b"Hello", end, b"late")

    assert (told.message.text, told.format.ended, told.error) == ("Hello", True, None)
    assert told.departures == {"data_after_end": 1}


@pytest.mark.parametrize("frames", [[], [b"Hel"], [b"Hel", b"lo"]])
def test_without_done_the_answer_is_truncated(frames: list[bytes]) -> None:
    """Nothing else tells a whole answer from half of one."""
    told = tell(Text(), *frames)

    assert told.truncated
    assert told.message.text == b"".join(frames).decode()


def test_empty_data_is_a_heartbeat() -> None:
    told = tell(Text(joiner=" "), b"The", b"", b"cat", DONE)

    assert (told.message.text, told.departures) == ("The cat", {"empty_data": 1})


def test_malformed_utf8_becomes_the_replacement_character() -> None:
    assert tell(Text(), b"\xff", b"a\xffb", DONE).message.text == "\ufffda\ufffdb"


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
    told = tell(Text(), b"Hello", frame, b"late")

    assert str(told.failure) == f"the provider reports an error: {message}"
    assert (told.message.text, told.departures) == ("Hello", {})


@pytest.mark.parametrize(
    "payload", [b'{"error": "no room"}', b'{"error": {"message": "no room", "code": 503}}']
)
def test_a_piece_that_is_an_error_object_is_an_error(payload: bytes) -> None:
    """A model that writes such an object writes it in pieces; servers send theirs whole."""
    told = tell(Text(), b"Hello", payload)

    assert str(told.failure) == "the provider reports an error: no room"
    assert told.departures == {"error_unmarked": 1}


def test_events_of_other_names_are_carried() -> None:
    told = tell(Text(), b"Hello", ServerSentEvent(b'{"n": 1}', "usage"), DONE)

    assert Unknown("usage", '{"n": 1}') in told.events
    assert (told.unknown, told.message.text) == (["usage"], "Hello")


def test_an_event_with_an_id_is_text() -> None:
    """Browsers call such an event "message"."""
    assert tell(Text(), ServerSentEvent(b"Hello", "message", "7"), DONE).message.text == "Hello"


def test_decoded_payloads_are_refused() -> None:
    assert isinstance(tell(Text(), {"text": "Hello"}, plain=True).error, ProtocolError)


def test_text_is_never_found_in_a_json_object() -> None:
    assert Text.recognises({"text": "Hello"}, "") is False


@given(pieces=st.lists(st.binary(max_size=8)), joiner=st.sampled_from(["", " "]))
def test_any_pieces_come_out_as_they_went_in(pieces: list[bytes], joiner: str) -> None:
    """The quick way for plain pieces gives what the long way gives, and nothing crashes."""
    quick = tell(Text(joiner=joiner), *pieces)
    slow = tell(Text(joiner=joiner), *map(ServerSentEvent, pieces))

    assert (quick.events, quick.message, quick.departures) == (slow.events, slow.message, slow.departures)
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


BODY = 'Hello, wörld 🌊\n\n{"json": [1]} <b>'


def response(body: str | bytes, content_type: str = "text/plain; charset=utf-8") -> httpx.Response:
    return httpx.Response(200, headers={"content-type": content_type}, content=body)


@in_one_test("cut", range(len(BODY.encode()) + 1))
def test_the_text_is_the_body_wherever_it_is_cut(cut: int) -> None:
    body = BODY.encode()
    stream = Stream([body[:cut], body[cut:]], format="text")
    pieces = list(stream.text)

    assert BODY == "".join(pieces)
    assert (BODY, "complete", "text") == (stream.message.text, stream.message.ending, stream.format)
    assert not stream.departures


@given(st.text(min_size=1), st.integers(1, 7))
def test_any_text_is_read_as_it_is_where_the_server_says_that_it_is_text(body: str, size: int) -> None:
    """Braces, angle brackets and line ends are text; a byte order mark at the start is none."""
    start = body.lstrip("\ufeff \t\r\n")
    assume(start and not start.startswith(("d", "e", "i", "r", ":")))
    written = body.encode()
    decoder = Decoder("text", content_type="text/plain")
    events = [event for at in range(0, len(written), size) for event in decoder.feed(written[at : at + size])]
    events += decoder.end()
    said = "".join(event.text for event in events if isinstance(event, TextDelta))

    assert body.removeprefix("\ufeff") == said == decoder.message.text
    assert "complete" == decoder.message.ending


def test_what_looks_like_json_is_text_where_the_server_says_so() -> None:
    assert '{"a": 1}' == Stream(response('{"a": 1}'), format="text").final().text
    assert "<p>" == Stream(response("<p>"), format="text").final().text


def test_no_joiner_is_between_its_chunks() -> None:
    assert "Hello" == Stream([b"Hel", b"lo"], format=text(joiner=" ")).final().text


@pytest.mark.anyio
async def test_it_is_read_asynchronously_and_beside_another_loop() -> None:
    tapped = tap([b"Hel", b"lo"], format="text")

    assert BODY == (await AsyncStream(response(BODY), format="text").final()).text
    assert [b"Hel", b"lo"] == list(tapped)
    assert ("Hello", "complete") == (tapped.message.text, tapped.message.ending)


def test_a_connection_that_breaks_leaves_it_truncated() -> None:
    def body() -> Iterator[bytes]:
        yield b"Hel"
        raise ConnectionResetError

    with pytest.raises(StreamInterrupted) as met:
        Stream(body(), format="text").final()

    assert ("Hel", "truncated") == (met.value.partial.text, met.value.partial.ending)


def test_an_empty_body_is_no_answer() -> None:
    with pytest.raises(StreamTruncated):
        Stream(response(""), format="text").final()


def test_what_is_no_utf8_is_replaced_and_counted() -> None:
    stream = Stream([b"a\xff", b"b\xe2\x82"], format="text")

    assert "a\ufffdb\ufffd" == stream.final().text
    assert 2 == stream.departures.details["invalid_utf8"]


def test_it_is_refused_where_it_is_not_named() -> None:
    """Proxies say such things with a status of 200, and as plain text."""
    with pytest.raises(NotAStream):
        Stream(response("no healthy upstream\n")).final()


def test_an_event_stream_is_read_as_one_whatever_its_label() -> None:
    assert (
        "Hello" == Stream(response("data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n"), format="text").final().text
    )
