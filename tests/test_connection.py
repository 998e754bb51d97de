"""One connection: what the body is, which format it is in, and what its end means."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.stream.bodies import ANSWER, chunk
from tests.support.aws_eventstream import message
from tests.support.wire import DONE
from tokenstream import AsyncStream, Decoder, Limits, Stream, testing
from tokenstream._connection.connection import Connection
from tokenstream.departures import Departures
from tokenstream.errors import (
    LimitExceeded,
    MisuseError,
    NotAStream,
    ProtocolError,
    ProviderError,
    StreamError,
    StreamInterrupted,
    StreamTruncated,
)
from tokenstream.formats._wire.openai_chat import OpenAIChat
from tokenstream.framing import SSEParser
from tokenstream.limits import DEFAULT_LIMITS

PAGE = b"<!doctype html><html><head><title>Please log in</title></head>" + b"<p>.</p>" * 1000


def read(body: bytes, size: int, **options: Any) -> Decoder:
    decoder = Decoder(**options)
    for start in range(0, len(body), size):
        decoder.feed(body[start : start + size])
    decoder.end()
    return decoder


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
    """What it looks like is said, and the formats are named."""
    assert "is a web page, not a stream" in str(read(b"<html></html>", size).error)
    decoder = read(b"\x00\x01\x02binary", size)

    assert isinstance(decoder.error, NotAStream)
    assert "openai-chat" in str(decoder.error)


def test_whoever_names_a_format_knows_better_than_the_first_bytes() -> None:
    """A field that no standard knows may come first."""
    decoder = read(b"x: y\n" + b"".join(ANSWER), 7, format="openai-chat")

    assert decoder.message.text == "Let me see."


@pytest.mark.parametrize("size", [1, 9, 1000])
@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
@pytest.mark.parametrize("size", [1, 1000])
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
def test_events_of_no_known_format_are_told_by_their_names(body: bytes, words: str) -> None:
    """Event types, or else keys: escaped, a few, never a value; and what to do."""
    error = read(body, 1000).error

    assert isinstance(error, NotAStream)
    assert words in str(error)
    assert "private" not in str(error)
    assert "name it with format=" in str(error)
    assert "tokenstream.formats.custom(text=…)" in str(error)
    assert "any other with its SDK" in str(error)


def test_many_event_types_of_no_known_format_are_told_in_part() -> None:
    """The first five."""
    error = read(b"".join(b"event: kind%d\ndata: ok\n\n" % n for n in range(8)), 1000).error

    assert "types seen are 'kind0', 'kind1', 'kind2', 'kind3', 'kind4', ...." in str(error)


def test_a_payload_whose_keys_are_no_text_is_misuse() -> None:
    """It never was JSON, and what came before it is kept."""
    good = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    odd: Any = {1: 2}
    stream = Stream(iter([good, odd]))
    with pytest.raises(MisuseError, match="key that is not text"):
        stream.final()

    assert stream.closed
    assert (stream.message.text, stream.message.ending) == ("Hi", "stopped")


@pytest.mark.parametrize("choices", [[{1: 2}], [{"index": 0, "delta": {"content": "?", None: 1}}]])
def test_an_object_in_a_payload_whose_keys_are_no_text_is_a_fault(choices: Any) -> None:
    """Deep in a payload it is found where it is read."""
    good: Any = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    stream = Stream(iter([good, {"choices": choices}]))
    with pytest.raises(ProtocolError, match=r"frame 2: .* key that is not text") as caught:
        stream.final()

    assert stream.closed
    assert caught.value.partial.text == "Hi"


class Striking(OpenAIChat):
    """Is struck by Ctrl-C at the payload that says so."""

    def fresh(self, *, limits: Limits, pings: bool) -> Striking:
        return Striking(limits=limits, pings=pings)

    def read(self, payload: dict[str, Any], event: str) -> None:
        super().read(payload, event)
        if "strike" in payload:
            raise KeyboardInterrupt


STRIKE: dict[str, Any] = {"strike": True}


@pytest.mark.parametrize(
    "body, ending",
    [
        ([*ANSWER[:-1], chunk({}, **STRIKE), DONE], "complete"),
        ([*ANSWER[:4], chunk({}, **STRIKE), *ANSWER[4:]], "truncated"),
        # The finish reason was read, but never given.
        ([*ANSWER[:4], chunk({}, "stop", **STRIKE), DONE], "truncated"),
    ],
)
def test_decoding_that_is_broken_off_after_the_finish_leaves_the_answer_complete(
    body: list[bytes], ending: str
) -> None:
    """As a transport that breaks then does: with a departure, and no error."""

    async def read_on(stream: AsyncStream) -> None:
        with pytest.raises(KeyboardInterrupt):
            await stream.final()
        if ending == "complete":
            await stream.final()
        else:
            with pytest.raises(StreamInterrupted, match="broken off"):
                await stream.final()

    for kind in (Stream, AsyncStream):
        stream = kind(body, format=Striking())
        if isinstance(stream, AsyncStream):
            anyio.run(read_on, stream)
        else:
            with pytest.raises(KeyboardInterrupt):
                stream.final()
            if ending == "complete":
                stream.final()
            else:
                with pytest.raises(StreamInterrupted, match="broken off"):
                    stream.final()

        assert stream.message.ending == ending
        assert ("broken_after_finish" in stream.departures) is (ending == "complete")


def test_an_object_that_is_none_may_be_bare_text() -> None:
    """The error says how to read it."""
    assert 'format="text"' in str(read(b"data: {\n\n", 100).error)
    assert read(b"data: [\n\ndata: [DONE]\n\n", 100).message.text == "["


def test_a_stream_of_nothing_but_its_end_is_complete() -> None:
    """`[DONE]` counts as the end; nothing is made up."""
    decoder = read(DONE, 3)

    assert (decoder.format, decoder.message.ending, decoder.message.finish_reason) == (
        "openai-chat",
        "complete",
        None,
    )
    assert list(decoder.departures) == ["finish_missing", "answer_empty"]


def test_more_frames_without_a_format_than_can_be_held_are_no_stream() -> None:
    """The bound is 64."""
    odd = b"event: status\ndata: ok\n\n"

    assert read(odd * 64 + b"".join(ANSWER), 1000).message.ending == "complete"
    assert isinstance(read(odd * 65 + b"".join(ANSWER), 1000).error, NotAStream)


def test_a_last_event_without_its_blank_line_is_taken_when_it_is_whole() -> None:
    """Several real servers end that way; its bytes are then no tail."""
    body = chunk({"content": "Hi"}) + chunk({"content": "!"}).rstrip(b"\n")
    decoder = read(body, 10)

    assert decoder.message.text == "Hi!"
    assert "blank_line_missing" in decoder.departures
    assert decoder.error is not None
    assert decoder.error.tail == b""
    cut = read(body[:-1], 10)
    assert cut.message.text == "Hi"
    assert cut.error is not None
    assert cut.error.tail.startswith(b"data: ")


def test_malformed_utf8_is_counted_and_read_on() -> None:
    """It becomes U+FFFD, never an exception."""
    body = b"".join(ANSWER).replace(b"Let ", b"L\xfft ")
    decoder = read(body, 5)

    assert decoder.message.text == "L\ufffdt me see."
    assert decoder.departures["invalid_utf8"].count == 1


def test_narrow_bounds_on_payloads_hold() -> None:
    """Depth and digits below what the decoder itself would take."""
    for limits, name in ((Limits(depth=3), "depth"), (Limits(digits=3), "digits")):
        decoder = read(chunk({"content": "Hi"}, created=12345), 1000, limits=limits)

        assert isinstance(decoder.error, LimitExceeded)
        assert decoder.error.limit == name


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("before, number", [([], 1), ([b"event: ping\ndata: {}\n\n"], 2), (ANSWER[:3], 4)])
@pytest.mark.parametrize("format", [None, "openai-chat"])
def test_malformed_json_is_named_by_its_event_and_offset(
    size: int, before: list[bytes], number: int, format: str | None
) -> None:
    """Events are counted as they came, pings too, before the format is known and after."""
    decoder = read(b"".join([*before, b'data: {"choices": [}\n\n', *ANSWER]), size, format=format)

    assert isinstance(decoder.error, ProtocolError)
    assert (decoder.error.event, decoder.error.offset) == (number, 13)
    assert f"frame {number}:" in str(decoder.error)


def test_frames_before_the_format_was_known_count() -> None:
    """A departure is found at the number of its frame."""
    ping = b"event: ping\ndata: {}\n\n"
    decoder = read(b"".join([ping, ping, chunk({"content": "a"}), b"data: \n\n", *ANSWER]), 9)

    assert decoder.departures["empty_data"].first_event == 4


_BUSY = b"\r\n".join(
    [
        b"{",
        b'  "error": {',
        b'    "code": 503, "message": "busy",',
        b'    "status": "UNAVAILABLE"',
        b"  }",
        b"}",
    ]
)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("finish", [None, "stop"])
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_an_error_that_stands_in_no_field_is_the_providers_error(
    size: int, finish: str | None, end: bytes
) -> None:
    """JSON without `data:` in an event stream is an error, also after the finish reason."""
    body = chunk({"content": "Let me"}, finish) + _BUSY + end
    decoder = read(body, size)

    assert isinstance(decoder.error, ProviderError)
    assert ("503", "overloaded", True) == (decoder.error.code, decoder.error.kind, decoder.error.retryable)
    assert ("failed", "Let me") == (decoder.message.ending, decoder.error.partial.text)
    assert "error_unmarked" in decoder.departures


@pytest.mark.parametrize("stray", [b'{"what": "is this"}', b'{"error": "cut of', b"no JSON", b"{}"])
def test_what_stands_in_no_field_and_is_no_error_changes_nothing(stray: bytes) -> None:
    """The standard ignores lines that are no fields, and so is done with all but errors."""
    decoder = read(b"".join(ANSWER) + stray, 7)

    assert decoder.error is None
    assert decoder.message.complete


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_exception_in_a_binary_stream_is_the_providers_error(size: int) -> None:
    """AWS marks an exception in the message's headers; its type is the error's code."""
    for headers, payload in [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message": "slow down"}',
        ),
        (
            {":message-type": "error", ":error-code": "throttlingException", ":error-message": "slow down"},
            b"",
        ),
    ]:
        decoder = read(message(headers, payload), size)

        assert isinstance(decoder.error, ProviderError)
        assert ("throttlingException", "rate_limited") == (decoder.error.code, decoder.error.kind)
        assert "slow down" in str(decoder.error)


def test_the_message_says_which_format_it_came_in() -> None:
    """From the first event on, also where the format was named."""
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


@pytest.mark.parametrize("deep", [{}, []], ids=["objects", "arrays"])
def test_a_decoded_payload_is_bounded_in_depth_as_a_body_is(deep: Any) -> None:
    """Whoever decoded it may have had no bound; what reads it would not come back up."""
    for _ in range(5_000):
        deep = {"a": deep} if isinstance(deep, dict) else [deep]
    good = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    with pytest.raises(LimitExceeded) as caught:
        Stream(iter([good, {"choices": [{"index": 0, "delta": {"x": deep}}]}])).final()

    assert ("depth", "Hi") == (caught.value.limit, caught.value.partial.text)
    with pytest.raises(LimitExceeded, match="depth"):
        Stream(iter([{"x": deep}])).final()


@pytest.mark.parametrize("left", [b"\x00", b"\x00\x00\x00\x20\x00", b"\x00" * 11])
def test_what_is_left_of_a_binary_message_after_the_finish_is_counted(left: bytes) -> None:
    """The answer is complete, and a message of the stream was cut."""
    headers = {":event-type": "messageStop", ":message-type": "event"}
    body = message(headers, b'{"stopReason":"end_turn"}')
    whole, cut = Stream([body], format="bedrock-converse"), Stream([body + left], format="bedrock-converse")

    assert ("complete", "complete") == (whole.final().ending, cut.final().ending)
    assert ("broken_after_finish" in whole.departures, "broken_after_finish" in cut.departures) == (
        False,
        True,
    )


NAMED = ("anthropic", "cohere", "openai-assistants", "openai-responses")
"""Formats whose events have names on the wire."""


@pytest.mark.parametrize("format", NAMED)
def test_only_an_event_stream_can_lack_the_names_of_its_events(format: str) -> None:
    """JSON lines, a JSON array, a document and messages have none, and so nothing to bend a rule for."""
    events = b"".join(testing.script().text("Hel").text("lo").finish("stop").chunks(format))
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
    return set(stream.departures)


def _connection(found: list[str], format: str | None = None) -> Connection:
    return Connection(
        format,
        content_type=None,
        limits=DEFAULT_LIMITS,
        pings=False,
        departures=Departures(),
        found=found.append,
    )


def test_a_connection_has_a_framing_and_a_format_from_its_first_byte_on() -> None:
    """They hold what comes until it tells the right ones, and give way to those; nothing is lost."""
    found: list[str] = []
    connection = _connection(found)
    steps: list[tuple[str, str, str | None]] = []
    events: list[Any] = []
    for piece in (b"da", DONE[2:], ANSWER[0][:9], ANSWER[0][9:], ANSWER[1]):
        for frame in connection.framing.frames(piece):
            events += connection.format.feed(frame)
        steps.append((type(connection.framing).__name__, type(connection.format).__name__, connection.name))

    assert [
        ("Unframed", "Undetected", None),
        ("SSEParser", "Undetected", None),
        ("SSEParser", "Undetected", None),
        ("SSEParser", "OpenAIChat", "openai-chat"),
        ("SSEParser", "OpenAIChat", "openai-chat"),
    ] == steps
    assert ["openai-chat"] == found
    assert connection.format.frames == 3


def test_a_format_that_was_named_is_there_at_once() -> None:
    """Only the framing is left to be found, unless it reads what has none."""
    found: list[str] = []

    assert "Unframed" == type(_connection(found, "anthropic").framing).__name__
    assert "Payloads" == type(_connection(found, "pieces").framing).__name__
    assert ["anthropic", "pieces"] == found


def test_bytes_before_the_first_payload_are_not_lost() -> None:
    """What was no frame by then is judged at the end, as if nothing had come after it."""
    payload: Any = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    lost, kept = Decoder(), Decoder()
    for decoder, start in ((lost, "neither"), (kept, chunk({"content": "."}).decode().rstrip("\n"))):
        decoder.feed(start)
        decoder.feed(payload)
        decoder.end()

    assert isinstance(lost.error, NotAStream)
    assert ("Hi.", None) == (kept.message.text, kept.error)


@pytest.mark.parametrize("format", [None, "openai-realtime"])
def test_a_websocket_whose_format_is_not_known_waits_for_the_client(format: str | None) -> None:
    """The server may have nothing to say before, and no silence is too long then."""
    connection = _connection([], format)
    before = connection.format.resting
    connection.take_messages()

    assert connection.format.resting
    assert before is (format is not None)
