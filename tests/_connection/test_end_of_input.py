"""One connection: what its end means, and errors that stand where no event does."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests._connection.support import read
from tests.stream.bodies import ANSWER, chunk
from tests.support.aws_eventstream import message
from tests.support.formats import OpenAIChat
from tests.support.tables import in_one_test
from tests.support.wire import DONE
from tokenstream import AsyncStream, Limits, Stream, Tags, testing
from tokenstream._connection.connection import Connection
from tokenstream.errors import ProtocolError, ProviderError, StreamError, StreamInterrupted, StreamTruncated


class Striking(OpenAIChat):
    """Is struck by Ctrl-C at the payload that says so."""

    def fresh(self, *, limits: Limits) -> Striking:
        return Striking(limits=limits)

    def read(self, payload: dict[str, Any], event: str) -> None:
        super().read(payload, event)
        if "strike" in payload:
            raise KeyboardInterrupt


STRIKE: dict[str, Any] = {"strike": True}


@pytest.mark.parametrize(
    "body, ending",
    [
        ([*ANSWER[:4], chunk({}, "stop"), chunk({}, **STRIKE), DONE], "complete"),
        ([*ANSWER[:4], chunk({}, **STRIKE), *ANSWER[4:]], "truncated"),
        # The finish reason was read, but never given.
        ([*ANSWER[:4], chunk({}, "stop", **STRIKE), DONE], "truncated"),
    ],
)
def test_decoding_that_is_broken_off_after_the_finish_leaves_the_answer_complete(
    body: list[bytes], ending: str
) -> None:
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
        assert ("broken_after_finish" in stream.departures.details) is (ending == "complete")


def test_a_stream_of_nothing_but_its_end_is_truncated() -> None:
    """`[DONE]` ends an answer, and there is none."""
    decoder = read(DONE, 3)

    assert (decoder.format, decoder.message.ending, decoder.message.finish_reason) == (
        "openai-chat",
        "truncated",
        None,
    )
    assert isinstance(decoder.error, StreamTruncated)
    assert list(decoder.departures.details) == ["finish_missing"]


def test_a_last_event_without_its_blank_line_is_taken_when_it_is_whole() -> None:
    """Several real servers end that way; its bytes are then no tail."""
    body = chunk({"content": "Hi"}) + chunk({"content": "!"}).rstrip(b"\n")
    decoder = read(body, 10)

    assert decoder.message.text == "Hi!"
    assert "blank_line_missing" in decoder.departures.details
    assert decoder.error is not None
    assert decoder.error.tail == b""
    cut = read(body[:-1], 10)
    assert cut.message.text == "Hi"
    assert cut.error is not None
    assert cut.error.tail.startswith(b"data: ")


def test_malformed_utf8_is_counted_and_read_on() -> None:
    body = b"".join(ANSWER).replace(b"Let ", b"L\xfft ")
    decoder = read(body, 5)

    assert decoder.message.text == "L\ufffdt me see."
    assert decoder.departures.details["invalid_utf8"] == 1


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


@in_one_test("size", [1, 7, 100_000])
@in_one_test("end", [b"", b"\r\n\r\n"])
def test_an_error_that_is_in_no_field_is_the_providers_error(size: int, end: bytes) -> None:
    """JSON without `data:` in an event stream is an error."""
    body = chunk({"content": "Let me"}) + _BUSY + end
    decoder = read(body, size)

    assert isinstance(decoder.error, ProviderError)
    assert ("503", "overloaded", True) == (decoder.error.code, decoder.error.kind, decoder.error.retryable)
    assert ("failed", "Let me") == (decoder.message.ending, decoder.error.partial.text)
    assert "error_unmarked" in decoder.departures.details


@in_one_test("size", [1, 7, 100_000])
@in_one_test("end", [b"", b"\r\n\r\n"])
def test_an_error_that_is_in_no_field_after_the_finish_reason_is_counted(size: int, end: bytes) -> None:
    decoder = read(chunk({"content": "Let me"}, "stop") + _BUSY + end, size)

    assert (None, "complete", "Let me") == (decoder.error, decoder.message.ending, decoder.message.text)
    assert "error_after_finish" in decoder.departures.details


@pytest.mark.parametrize("stray", [b'{"what": "is this"}', b'{"error": "cut of', b"no JSON", b"{}"])
def test_what_is_in_no_field_and_is_no_error_changes_nothing(stray: bytes) -> None:
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


@pytest.mark.parametrize("left", [b"\x00", b"\x00\x00\x00\x20\x00", b"\x00" * 11])
def test_what_is_left_of_a_binary_message_after_the_finish_is_counted(left: bytes) -> None:
    """The answer is complete, and a message of the stream was cut."""
    headers = {":event-type": "messageStop", ":message-type": "event"}
    body = message(headers, b'{"stopReason":"end_turn"}')
    whole, cut = Stream([body], format="bedrock-converse"), Stream([body + left], format="bedrock-converse")

    assert ("complete", "complete") == (whole.final().ending, cut.final().ending)
    assert (
        "broken_after_finish" in whole.departures.details,
        "broken_after_finish" in cut.departures.details,
    ) == (False, True)


@pytest.mark.parametrize("size", [1, 7, 60, 10_000])
def test_a_faulty_payload_after_geminis_finish_reason_is_not_passed_over(size: int) -> None:
    """Vertex AI has sent "STOP" with every piece: the faulty payload, and those after it, may hold text."""
    piece = '{"candidates":[{"content":{"role":"model","parts":[{"text":"%s"}]},"finishReason":"STOP"}]}'
    bodies = [piece % "Hel", (piece % "lo").replace("STOP", "ST\x1fOP"), piece % ", world"]
    decoder = read("".join(f"data: {body}\n\n" for body in bodies).encode(), size)

    assert isinstance(decoder.error, ProtocolError)
    assert ("Hel", "failed") == (decoder.message.text, decoder.message.ending)
    assert "broken_after_finish" not in decoder.departures.details


AFTER_THE_END = {
    "nothing": b"",
    "a comment": b": bye\n\n",
    "a blank line": b"\n",
    "half an event": b"data: {",
    "an event without its blank line": b'data: {"type": "ping"}',
    "another event": b'data: {"type": "ping"}\n\n',
    "another answer": b"".join(ANSWER),
    "an error without a field": b'{"error": {"message": "overloaded"}}\n',
    "malformed UTF-8": b"data: \xff\n\n",
}
"""What a server may send behind the terminal event."""


@pytest.mark.parametrize(
    "name",
    [
        "openai-chat",
        "anthropic",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("openai-responses", "gemini")),
    ],
)
def test_an_end_that_tells_nothing_more_is_left_out_without_a_difference(name: Any) -> None:
    """A connection that asks for all that an end may tell, instead, gives the same answer."""

    def play(body: list[bytes], *, tags: bool) -> tuple[Any, ...]:
        stream = Stream(iter(body), tags=Tags(reasoning=tags))
        events, error = [], None
        try:
            events = [repr(event) for event in stream]
        except StreamError as raised:
            error = repr(raised)
        departures = dict(stream.departures)
        return events, error, stream.message, departures, stream.metrics.chunks, stream.metrics.bytes

    whole = testing.script().text("Hel", "lo \u00e9").tool_call("now", "{}").finish("tool_calls").chunks(name)
    bodies = [[*whole, more] for more in AFTER_THE_END.values()]
    bodies += [whole[:-1], [*whole[:-1], whole[-1][:-1]], [b"".join(whole)], [b"\xef\xbb\xbf", *whole]]
    for body, tags in [*((body, False) for body in bodies), (whole, True)]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "_is_over", False)
            asked = play(body, tags=tags)
        assert asked == play(body, tags=tags)
