"""One connection: what the body is, and which format it is in."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from tests._connection.support import read
from tests.stream.bodies import ANSWER, chunk
from tests.support.tables import in_one_test
from tokenstream import Decoder, Stream, testing
from tokenstream.errors import (
    LimitExceeded,
    NotAStream,
    ProtocolError,
    ProviderError,
    StreamError,
    StreamTruncated,
)
from tokenstream.events import Event
from tokenstream.framing import SSEParser

PAGE = b"<!doctype html><html><head><title>Please log in</title></head>" + b"<p>.</p>" * 1000


@pytest.mark.parametrize("size", [1, 7, 5000, 100_000])
def test_a_web_page_is_named_by_its_title_wherever_chunks_end(size: int) -> None:
    """The error shows the page's title and its first 4 KiB."""
    for body in (PAGE, PAGE[:200]):
        decoder = read(body, size)

        assert isinstance(decoder.error, NotAStream)
        assert "'Please log in'" in str(decoder.error)
        assert decoder.error.body == body[:4096].decode()


@pytest.mark.parametrize("size", [1, 100])
def test_a_page_without_a_title_and_a_body_of_no_kind(size: int) -> None:
    assert "is a web page, not a stream" in str(read(b"<html></html>", size).error)
    decoder = read(b"\x00\x01\x02binary", size)

    assert isinstance(decoder.error, NotAStream)
    assert "openai-chat" in str(decoder.error)


def test_whoever_names_a_format_knows_better_than_the_first_bytes() -> None:
    """A field that no standard knows may come first."""
    decoder = read(b"x: y\n" + b"".join(ANSWER), 7, format="openai-chat")

    assert decoder.message.text == "Let me see."


@in_one_test("size", [1, 9, 1000])
@in_one_test(
    "body",
    [
        b'[{"error": {"message": "busy", "code": 503}}]',
        b'{"error": {"message": "busy", "code": 503}}',
        b'{\n  "error": {"message": "busy", "code": 503}\n}\n',
        b'data: [{"error": {"message": "busy", "code": 503}}]\n\n',
        b'event: error\ndata: {"message": "busy", "code": 503}\n\n',
        b"event: error\ndata: busy\n\n",
    ],
)
def test_an_error_in_any_form_is_the_providers(body: bytes, size: int) -> None:
    """An object, an indented one, an array of one, an event."""
    decoder = read(body, size)

    assert isinstance(decoder.error, ProviderError)
    assert "busy" in str(decoder.error)
    assert decoder.format is None


@in_one_test(
    "body, error",
    [
        (b"", StreamTruncated),
        (b"  \n", StreamTruncated),
        (b": comment\n\n", StreamTruncated),
        (b'{"id": "x", "choi', StreamTruncated),
        (b'event: ping\ndata: {"type": "ping"}\n\n', StreamTruncated),
        (b"event: status\ndata: ok\n\n", NotAStream),
        (b'data: {"what": "is this"}\n\n', NotAStream),
        (b"data: {not json}\n\n", ProtocolError),
        (b'data: {"a":' + b"[" * 300 + b"\n\n", LimitExceeded),
        (b'data: {"a":' + b"[" * 300, LimitExceeded),
    ],
)
@in_one_test("size", [1, 1000])
def test_a_body_that_never_says_its_format(body: bytes, error: type[StreamError], size: int) -> None:
    """Each way of saying nothing has its error."""
    decoder = read(body, size)

    assert type(decoder.error) is error
    assert decoder.message.ending in ("truncated", "failed")


@pytest.mark.parametrize(
    "body, words",
    [
        (
            b'event: response.created\ndata: {"type": "private"}\n\n',
            "the event types seen are 'response.created'.",
        ),
        (b'data: {"type": "thing.created", "text": "private"}\n\n', "types seen are 'thing.created'."),
        (b'data: {"type": "my private text", "id": "private"}\n\n', "the keys seen are 'type', 'id'."),
        (b'data: {"type": {"private": 1}}\n\n', "the keys seen are 'type'."),
        (b"event: a\ndata: private\n\n" * 2 + b"event: b\ndata: private\n\n", "types seen are 'a', 'b'."),
        (
            b'data: {"a": 1, "b\\n": 1, "\\u20ac": 1, "d": 1, "e": 1, "private": 1}\n\n',
            r"the keys seen are 'a', 'b\n', '\u20ac', 'd', 'e', ....",
        ),
        (b'data: {"%b": 1}\n\n' % (b"x" * 5000), f"the keys seen are '{'x' * 40}...'."),
        (b"data: {}\n\n", "no name was seen."),
    ],
)
def test_events_of_no_known_format_are_reported_by_their_names(body: bytes, words: str) -> None:
    """Event types, or else keys: escaped, a few, never a value; and what to do."""
    error = read(body, 1000).error

    assert isinstance(error, NotAStream)
    assert words in str(error)
    assert "private" not in str(error)
    assert "name it with format=" in str(error)
    assert "tokenstream.formats.custom(text=" in str(error)


def test_many_event_types_of_no_known_format_are_reported_in_part() -> None:
    error = read(b"".join(b"event: kind%d\ndata: ok\n\n" % n for n in range(8)), 1000).error

    assert "types seen are 'kind0', 'kind1', 'kind2', 'kind3', 'kind4', ...." in str(error)


def test_an_object_that_is_none_may_be_bare_text() -> None:
    """The error says how to read it."""
    assert 'format="text"' in str(read(b"data: {\n\n", 100).error)
    assert read(b"data: [\n\ndata: [DONE]\n\n", 100).message.text == "["


def test_more_frames_without_a_format_than_can_be_held_are_no_stream() -> None:
    odd = b"event: status\ndata: ok\n\n"

    assert read(odd * 64 + b"".join(ANSWER), 1000).message.ending == "complete"
    assert isinstance(read(odd * 65 + b"".join(ANSWER), 1000).error, NotAStream)


def test_the_message_says_which_format_it_came_in() -> None:
    stream = Stream(ANSWER)
    before = stream.message
    next(iter(stream))
    after = stream.message
    stream.close()

    assert (None, "openai-chat") == (before.format, after.format)
    assert "openai-chat" == Stream(ANSWER, format="mistral").final().format


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_of_a_session_are_lines_wherever_chunks_end(end: bytes) -> None:
    """A first chunk that is one line without its end looks like a message; its end tells."""
    lines = [
        b'{"type":"session.created","session":{}}',
        b'{"type":"response.created","response":{"id":"r","status":"in_progress"}}',
        b'{"type":"response.done","response":{"id":"r","status":"completed","output":[]}}',
    ]
    body = end.join([*lines, b""])
    for cut in range(len(body) + 1):
        decoder = Decoder()
        decoder.feed(body[:cut])
        decoder.feed(body[cut:])
        decoder.end()

        assert (None, "openai-realtime", "r") == (decoder.error, decoder.format, decoder.message.id)


NAMED = ("anthropic", "cohere", "openai-responses")
"""Formats whose events have names on the wire."""


@pytest.mark.parametrize("format", NAMED)
def test_only_an_event_stream_can_lack_the_names_of_its_events(format: str) -> None:
    """JSON lines, a JSON array, a document and messages have none, and so nothing to bend a rule for."""
    script = testing.script().text("Hel").text("lo").finish("stop")
    events = b"".join(script.chunks(format))
    payloads = [event.payload for event in SSEParser().feed(events) if event.payload != b"[DONE]"]
    nameless = b"".join(b"data: " + payload + b"\n\n" for payload in payloads)
    carried: dict[str, Any] = {
        "lines": b"\n".join([*payloads, b""]),
        "array": b"[" + b",".join(payloads) + b"]",
        "messages": [payload.decode() for payload in payloads],
        "payloads": [json.loads(payload) for payload in payloads],
    }
    assert "event_name_missing" in _departures(nameless, format)
    for name, source in carried.items():
        for known in (None, format):
            assert "event_name_missing" not in _departures(source, known), name


def _departures(source: Any, format: Any) -> set[str]:
    stream = Stream(source, format=format)
    # What says the end in a name alone is cut without it; texts one after the other are no JSON.
    with suppress(StreamTruncated, ProtocolError):
        stream.final()
    return set(stream.departures.details)


def test_a_format_is_known_from_its_first_payload_on() -> None:
    """All before it is held until then, and nothing is lost."""
    decoder, known = Decoder(), list[str | None]()
    events = list[Event]()
    for piece in (b"da", b"ta: \n\n", ANSWER[0][:9], ANSWER[0][9:], ANSWER[1]):
        events += decoder.feed(piece)
        known.append(decoder.format)

    assert [None, None, None, "openai-chat", "openai-chat"] == known
    assert events == Decoder("openai-chat").feed(b"".join(ANSWER[:2]))


@pytest.mark.parametrize("format", ["anthropic", "pieces"])
def test_a_format_that_was_named_is_there_at_once(format: Any) -> None:
    """Only the framing is left to be found, unless it reads what has none."""
    assert format == Decoder(format).format


def test_bytes_before_the_first_payload_are_not_lost() -> None:
    """What was no frame by then is judged at the end, as if nothing had come after it."""
    payload: Any = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    lost, kept = Decoder(), Decoder()
    for decoder, start in ((lost, "neither"), (kept, chunk({"content": "."}).decode().rstrip("\n"))):
        decoder.feed(start)
        decoder.feed(payload)
        decoder.end()

    assert isinstance(lost.error, NotAStream)
    assert "Hi." == kept.message.text
    # The text that it found then stands after a finish reason, and none confirms it.
    assert isinstance(kept.error, StreamTruncated)


@pytest.mark.parametrize("format", [None, "openai-responses"])
def test_messages_of_a_websocket_need_no_line_ends_between_them(format: Any) -> None:
    chunks = testing.script().text("Hello ").text("there").finish("stop").chunks("openai-responses")
    messages = [chunk.partition(b"data: ")[2].strip() for chunk in chunks if b"[DONE]" not in chunk]
    first = [] if format else [b'{"status": "queued"}']
    stream = Stream([*first, *messages], format=format)

    assert "Hello there" == "".join(stream.text)
    assert "complete" == stream.message.ending


def test_a_first_line_that_comes_without_its_line_end_is_a_line() -> None:
    lines = testing.script().text("Hello").finish("stop").chunks("ollama")
    apart = [part for line in lines for part in (line[:-1], line[-1:])]

    assert "Hello" == Stream(apart).final().text == Stream([b'{"ping": 1}', b"\n", *lines]).final().text
