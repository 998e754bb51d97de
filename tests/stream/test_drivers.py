"""`Stream` and `AsyncStream` differ in their waiting and in nothing else."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, Source, call, chunk
from tests.stream.drivers import read_async, read_sync
from tests.support import wire
from tests.support.logged import words_of
from tests.support.raised import misuse
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import (
    MisuseError,
    ProtocolError,
    ProviderError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import Finish, TextDelta, ToolCallDone
from tokenstream.stream._fan_out.broadcast import Broadcast, BroadcastReader
from tokenstream.stream._fan_out.broadcast_async import AsyncBroadcast, AsyncBroadcastReader

ERROR = sse('{"error": {"message": "busy", "type": "overloaded_error"}}')


VIEWS: dict[str, Any] = {
    "events": lambda stream: stream,
    "text": lambda stream: stream.text,
    "reasoning": lambda stream: stream.reasoning,
    "tool calls": lambda stream: stream.tool_calls,
    "tool calls when complete": lambda stream: stream.tool_calls.when_complete(),
}


BODIES: dict[str, list[bytes]] = {
    "whole": ANSWER,
    "cut": ANSWER[:6],
    "provider error": [*ANSWER[:4], ERROR],
    "malformed": [*ANSWER[:4], sse('{"choices": [}'), *ANSWER[4:]],
    "text": TOKENS,
    "empty": [],
    "html": [b"<html><title>Log in</title>"],
}


class Transport(ConnectionError): ...


@pytest.mark.parametrize("cause", [None, Transport("reset")], ids=["ends", "breaks"])
@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_both_drivers_give_the_same(body: str, view: str, cause: Exception | None) -> None:
    expected = read_sync(BODIES[body], VIEWS[view], cause)

    assert expected["closed"] == 1
    assert read_async(BODIES[body], VIEWS[view], cause) == expected
    assert read_async(BODIES[body], VIEWS[view], cause, backend="trio") == expected


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [(Stream, AsyncStream), (Broadcast, AsyncBroadcast), (BroadcastReader, AsyncBroadcastReader)],
)
def test_both_drivers_have_the_same_methods(sync: type, asynchronous: type) -> None:
    def signatures(kind: type) -> dict[str, str]:
        names = {name for name in dir(kind) if not name.startswith("_")} | {"__init__"}
        found = {}
        for name in names:
            member = inspect.getattr_static(kind, name)
            parameters = str(inspect.signature(member).parameters) if inspect.isfunction(member) else ""
            # What is read has a colour, and so has what a guard returns; all else is the same.
            parameters = parameters.replace("Async", "Sync").replace("GuardAnswer", "str | None")
            found["close" if name == "aclose" else name] = parameters
        return found

    assert signatures(sync) == signatures(asynchronous)


def test_the_message_never_runs_ahead_of_the_loop() -> None:
    """A chunk with three events is decoded as the loop asks for them."""
    stream = Stream([b"".join(ANSWER)])
    seen = [(event.text, stream.message.text) for event in stream if isinstance(event, TextDelta)]

    assert seen == [("Let ", "Let "), ("me ", "Let me "), ("see.", "Let me see.")]


def test_a_fault_does_not_swallow_what_came_before_in_its_chunk() -> None:
    body = b"".join([chunk({"content": "Hel"}), chunk({"content": "lo"}), sse("{]"), chunk({"content": "!"})])
    texts = []
    stream = Stream([body])
    with pytest.raises(ProtocolError, match="frame 3") as caught:
        for event in stream:
            if isinstance(event, TextDelta):
                texts.append(event.text)

    assert texts == ["Hel", "lo"]
    assert caught.value.partial == stream.message
    assert stream.message.text == "Hello"
    assert stream.message.ending == "failed"
    assert (caught.value.event, caught.value.offset) == (3, 1)
    assert caught.value.bytes_seen == len(body)


def test_an_error_is_raised_once_and_then_the_events_are_over() -> None:
    source = Source([*ANSWER[:4], ERROR])
    stream = Stream(source)
    with pytest.raises(ProviderError) as first:
        list(stream)
    with misuse("consumed"):
        iter(stream)
    with pytest.raises(StopIteration):
        next(stream)
    pieces = []
    with pytest.raises(ProviderError) as again:
        for piece in stream.text:
            pieces.append(piece)

    assert again.value is first.value
    assert pieces == ["Let me "]
    assert source.closed == 1
    assert first.value.kind == "overloaded"
    assert first.value.retryable


def test_final_returns_the_answer_or_raises_what_broke_it() -> None:
    stream = Stream(ANSWER)
    next(stream)

    assert stream.final().text == "Let me see."
    assert stream.final() is stream.final()
    with pytest.raises(StreamTruncated) as caught:
        Stream(ANSWER[:5]).final()
    assert caught.value.partial.text == "Let me see."


def test_the_transport_breaking_is_distinguished_from_the_input_ending() -> None:
    cause = Transport("reset")
    with pytest.raises(StreamInterrupted, match="Transport: reset") as caught:
        Stream(Source(ANSWER[:4], cause)).final()

    assert caught.value.__cause__ is cause
    assert caught.value.retryable
    assert caught.value.kind == "network"
    assert caught.value.partial.ending == "truncated"


@pytest.mark.parametrize("cause", [None, Transport("reset")], ids=["ends", "breaks"])
def test_a_broken_end_after_the_finish_reason_is_complete(cause: Exception | None) -> None:
    whole = chunk(call(1, "call_b", "get_time", '{"zone": "CET"}'))
    stream = Stream(Source([*ANSWER[:7], whole, ANSWER[8]], cause))
    message = stream.final()

    assert message.ending == "complete"
    assert list(stream.departures.details) == ["done_missing" if cause is None else "broken_after_finish"]
    assert [True, True] == [call.complete for call in message.tool_calls]


def test_a_timeout_of_the_clients_own_is_a_stall() -> None:
    """Known by the name of the class, whatever library it is from."""

    class ReadTimeout(Transport):
        pass

    class TimeoutException(ReadTimeout):
        pass

    with pytest.raises(StreamStalled) as caught:
        Stream(Source(ANSWER[:3], TimeoutException())).final()

    assert caught.value.limit == "transport"
    assert caught.value.retryable


def test_broken_compression_is_no_interruption() -> None:
    """Asking again would meet the same."""

    class DecodingError(Transport):
        pass

    with pytest.raises(ProtocolError, match="compression") as caught:
        Stream(Source(ANSWER[:3], DecodingError("bad"))).final()

    assert not caught.value.retryable


@pytest.mark.parametrize("source", [42, None, {"a": 1}, object()])
def test_what_cannot_be_read_is_refused_with_a_way_out(source: Any) -> None:
    with pytest.raises(MisuseError, match="httpx"):
        Stream(source)
    with pytest.raises(MisuseError, match="httpx"):
        AsyncStream(source)


@pytest.mark.anyio
async def test_the_wrong_colour_is_refused_with_the_right_class() -> None:
    asynchronous: Any = AsyncSource(ANSWER)
    synchronous: Any = Source(ANSWER)
    with pytest.raises(MisuseError, match="AsyncStream"):
        Stream(asynchronous)
    with pytest.raises(MisuseError, match="with Stream"):
        AsyncStream(synchronous)


def test_a_source_of_something_else_than_bytes_is_refused() -> None:
    numbers: Any = [1, 2]
    with pytest.raises(MisuseError, match="int"), Stream(numbers) as stream:
        next(stream)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda item: item.decode()])
def test_bytes_may_come_in_any_form(kind: Any) -> None:
    assert Stream([kind(item) for item in ANSWER]).final().text == "Let me see."


def test_the_log_tells_of_opening_and_ending_and_holds_no_payload(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="tokenstream"):
        Stream(ANSWER).final()

    assert words_of(caplog.records) == ["stream opened, status None", "stream ended, complete"]
    assert "Let" not in caplog.text


WHOLE = b"""{"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
    "message": {"role": "assistant", "content": "Hello"}}]}"""


@pytest.mark.parametrize("read", [read_sync, read_async])
def test_an_answer_that_nobody_asked_to_stream_says_so(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tokenstream"):
        seen = read([WHOLE[:20], WHOLE[20:]], lambda stream: stream.text)

    assert (["Hello"], "complete") == (seen["items"], seen["message"].ending)
    assert "not_streamed" in seen["departures"]
    [record] = caplog.records
    assert '"stream": true' in record.message
    assert "Hello" not in record.message


@pytest.mark.parametrize(
    "body",
    [
        ANSWER,
        [b"[" + WHOLE + b"]"],
        [WHOLE.replace(b'"stop"', b"null").replace(b"\n", b"") + b"\n" + WHOLE.replace(b"\n", b"")],
    ],
)
def test_an_answer_that_was_streamed_does_not(body: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tokenstream"):
        stream = Stream(body, format="openai-chat")
        stream.final()

    assert ([], False) == (caplog.records, "not_streamed" in stream.departures.details)


def test_each_tool_call_is_handed_out_once_when_it_is_whole() -> None:
    order = [
        event.call.id if isinstance(event, ToolCallDone) else type(event).__name__
        for event in Stream(ANSWER)
        if isinstance(event, ToolCallDone | Finish)
    ]

    assert order == ["call_a", "call_b", "Finish"]


class _Added:
    """An event that a helper of an SDK has added to those that came."""

    type = "content.delta"

    def model_dump(self) -> dict[str, Any]:
        return {}


_Added.__module__ = "openai.lib"


@pytest.mark.anyio
async def test_bytes_after_an_event_that_adds_nothing_give_their_events() -> None:
    pieces = ["a", "b", "c", "d", "e", "f"]
    body: list[Any] = [wire.chat({"content": piece}) for piece in pieces]
    for place in (5, 4, 4, 3, 1):
        body.insert(place, _Added())
    body.append(wire.chat({}, "stop") + wire.DONE)

    async def given() -> AsyncIterator[Any]:
        for item in body:
            yield item

    texts = [event.text for event in Stream(iter(body)) if isinstance(event, TextDelta)]
    late = [event.text async for event in AsyncStream(given()) if isinstance(event, TextDelta)]

    assert pieces == texts == late
