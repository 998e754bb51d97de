"""A body that is text without events, where `text` is named."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Decoder, Stream, tap
from tokenstream.errors import NotAStream, StreamInterrupted, StreamTruncated
from tokenstream.events import TextDelta
from tokenstream.formats import text

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
