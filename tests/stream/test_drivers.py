"""`Stream` and `AsyncStream` differ in their waiting and in nothing else."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import anyio
import pytest

from tests.stream.bodies import ANSWER, DONE, TOKENS, USAGE, AsyncSource, Source, chunk
from tests.stream.drivers import read_async, read_sync
from tokenstream import AsyncStream, Deadlines, Limits, Stream
from tokenstream.errors import (
    ConcurrentRead,
    LimitExceeded,
    MisuseError,
    ProtocolError,
    ProviderError,
    StreamClosed,
    StreamConsumed,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import Finish, Ping, TextDelta, ToolCallDone

ERROR = b'data: {"error": {"message": "busy", "type": "overloaded_error"}}\n\n'
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
    "malformed": [*ANSWER[:4], b'data: {"choices": [}\n\n', *ANSWER[4:]],
    "text": TOKENS,
    "empty": [],
    "html": [b"<html><title>Log in</title>"],
}


class Transport(Exception):
    """What a transport raises."""


@pytest.mark.parametrize("cause", [None, Transport("reset")], ids=["ends", "breaks"])
@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_both_drivers_give_the_same(body: str, view: str, cause: Exception | None) -> None:
    """Items, error, message, departures and closing are the same, on asyncio and on trio."""
    expected = read_sync(BODIES[body], VIEWS[view], cause)

    assert expected["closed"] == 1
    assert read_async(BODIES[body], VIEWS[view], cause) == expected
    assert read_async(BODIES[body], VIEWS[view], cause, backend="trio") == expected


def test_both_drivers_have_the_same_methods() -> None:
    """Every public name of one exists in the other, with the same arguments."""

    def signatures(kind: type) -> dict[str, str]:
        names = {name for name in dir(kind) if not name.startswith("_")} | {"__init__"}
        found = {}
        for name in names:
            member = inspect.getattr_static(kind, name)
            parameters = str(inspect.signature(member).parameters) if inspect.isfunction(member) else ""
            found["close" if name == "aclose" else name] = parameters
        return found

    assert signatures(Stream) == signatures(AsyncStream)


def test_the_message_never_runs_ahead_of_the_loop() -> None:
    """A chunk with three events is decoded as the loop asks for them."""
    stream = Stream([b"".join(ANSWER)])
    seen = [(event.text, stream.message.text) for event in stream if isinstance(event, TextDelta)]

    assert seen == [("Let ", "Let "), ("me ", "Let me "), ("see.", "Let me see.")]


def test_a_fault_does_not_swallow_what_came_before_in_its_chunk() -> None:
    """Errors keep their place in line, and the error carries what had arrived."""
    body = b"".join(
        [chunk({"content": "Hel"}), chunk({"content": "lo"}), b"data: {]\n\n", chunk({"content": "!"})]
    )
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
    """After it the stream is closed; a new loop over events is refused, and views give the error again."""
    source = Source([*ANSWER[:4], ERROR])
    stream = Stream(source)
    with pytest.raises(ProviderError) as first:
        list(stream)
    with pytest.raises(StreamConsumed):
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
    """`final()` reads to the end, before, during and after other reading."""
    stream = Stream(ANSWER)
    next(stream)

    assert stream.final().text == "Let me see."
    assert stream.final() is stream.final()
    with pytest.raises(StreamTruncated) as caught:
        Stream(ANSWER[:5]).final()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Let me see."


def test_break_leaves_the_stream_open_and_reading_goes_on() -> None:
    """`break` by itself closes nothing."""
    source = Source(ANSWER)
    stream = Stream(source)
    for event in stream:
        if isinstance(event, TextDelta):
            break
    rest = [event.text for event in stream if isinstance(event, TextDelta)]

    assert rest == ["me ", "see."]
    assert source.closed == 1


def test_stop_keeps_what_was_read_and_drops_what_was_not_decoded() -> None:
    """The loop that meets a stop ends normally; the ending is `stopped`."""
    source = Source([b"".join(ANSWER)])
    stream = Stream(source)
    texts = []
    for event in stream:
        if isinstance(event, TextDelta):
            texts.append(event.text)
            stream.stop("enough")

    assert texts == ["Let "]
    assert stream.message.text == "Let "
    assert stream.message.ending == "stopped"
    assert source.closed == 1
    with pytest.raises(StreamConsumed):
        iter(stream)
    assert list(stream.text) == ["Let "]
    assert stream.final().ending == "stopped"


def test_a_stop_after_the_finish_reason_leaves_the_answer_complete() -> None:
    """The finish reason was seen: the answer is whole, whatever is not read of the rest."""
    stream = Stream(ANSWER)
    for event in stream:
        if isinstance(event, Finish):
            stream.stop()

    assert stream.message.ending == "complete"


def test_after_close_events_are_refused_and_views_give_what_there_is() -> None:
    """Reading on is `StreamClosed` at once; nothing that had arrived is lost."""
    source = Source(ANSWER)
    with Stream(source) as stream:
        for event in stream:
            if isinstance(event, TextDelta):
                break
    stream.close()
    with pytest.raises(StreamClosed):
        iter(stream)

    assert list(stream.text) == ["Let "]
    assert stream.message.ending == "stopped"
    assert source.closed == 1
    assert stream.closed


def test_an_exception_in_the_loop_closes_the_source_and_passes() -> None:
    """The consumer's own exception leaves `with` unchanged."""
    source = Source(ANSWER)
    with pytest.raises(ZeroDivisionError), Stream(source) as stream:
        for _ in stream:
            raise ZeroDivisionError

    assert source.closed == 1
    assert stream.message.ending == "stopped"


def test_a_stream_that_nobody_closed_warns_and_closes() -> None:
    """An open source never leaks in silence."""
    source = Source(ANSWER)
    stream = Stream(source)
    next(stream)
    with pytest.warns(ResourceWarning, match="never closed"):
        del stream

    assert source.closed == 1


def test_an_asynchronous_stream_that_nobody_closed_warns() -> None:
    """The same for `AsyncStream`."""

    async def main() -> None:
        stream = AsyncStream(AsyncSource(ANSWER))
        await anext(stream)
        with pytest.warns(ResourceWarning, match="never closed"):
            del stream

    anyio.run(main)


def test_the_transport_breaking_is_told_from_the_input_ending() -> None:
    """The transport's own error is the cause."""
    cause = Transport("reset")
    with pytest.raises(StreamInterrupted, match="Transport: reset") as caught:
        Stream(Source(ANSWER[:4], cause)).final()

    assert caught.value.__cause__ is cause
    assert caught.value.retryable
    assert caught.value.kind == "network"
    assert caught.value.partial is not None
    assert caught.value.partial.ending == "truncated"


@pytest.mark.parametrize("cause", [None, Transport("reset")], ids=["ends", "breaks"])
def test_a_broken_end_after_the_finish_reason_is_complete(cause: Exception | None) -> None:
    """No error, but a departure tells that the end was not the documented one."""
    stream = Stream(Source(ANSWER[:9], cause))
    message = stream.final()

    assert message.ending == "complete"
    assert list(stream.departures) == ["done_missing" if cause is None else "broken_after_finish"]


def test_tool_calls_that_were_handed_out_are_named_by_a_later_error() -> None:
    """A later failure does not recall a call; the application may have run it."""
    stream = Stream([*ANSWER[:8], ERROR])
    with pytest.raises(ProviderError) as caught:
        list(stream)

    assert caught.value.tool_calls_delivered == ("call_a",)


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


def test_a_read_within_a_read_is_refused() -> None:
    """A source that reads its own stream meets `ConcurrentRead` at once."""

    def body() -> Any:
        yield ANSWER[0]
        with pytest.raises(ConcurrentRead):
            next(stream)
        yield from ANSWER[1:]

    stream = Stream(body())

    assert stream.final().text == "Let me see."


def test_a_second_task_is_refused_while_one_reads() -> None:
    """Two tasks on one stream: the second meets `ConcurrentRead`, the first goes on."""

    async def main() -> str:
        gate = anyio.Event()

        async def body() -> Any:
            yield ANSWER[0]
            await gate.wait()
            for item in ANSWER[1:]:
                yield item

        texts: list[str] = []
        async with AsyncStream(body()) as stream, anyio.create_task_group() as tasks:

            async def read() -> None:
                texts.append((await stream.final()).text)

            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ConcurrentRead):
                await stream.final()
            gate.set()
        return texts[0]

    assert anyio.run(main) == "Let me see."


def test_a_cancelled_read_of_a_generator_never_looks_like_the_end() -> None:
    """The generator is over after a cancellation; the next read says so."""

    async def body() -> Any:
        yield b"".join(ANSWER[:9])
        await anyio.sleep_forever()

    async def main() -> None:
        async with AsyncStream(body()) as stream:
            with anyio.move_on_after(0.05):
                await stream.final()
            assert stream.message.text == "Let me see."
            # The finish reason was seen, so even this is no error.
            assert (await stream.final()).ending == "complete"
            assert list(stream.departures) == ["broken_after_finish"]

    anyio.run(main)


def test_a_cancelled_read_before_the_end_is_an_interruption() -> None:
    """A silent end of a cancelled generator is never a clean one."""

    async def body() -> Any:
        yield ANSWER[2]
        await anyio.sleep_forever()

    async def main() -> None:
        async with AsyncStream(body()) as stream:
            with anyio.move_on_after(0.05):
                await stream.final()
            with pytest.raises(StreamInterrupted, match="cancelled"):
                await stream.final()

    anyio.run(main)


def test_heartbeats_after_the_end_do_not_hold_the_loop() -> None:
    """A server that keeps a finished stream open with comments is left."""

    def body() -> Any:
        yield from ANSWER
        while True:
            yield b": keep-alive\n\n"

    stream = Stream(body())

    assert stream.final().ending == "complete"


def test_data_after_the_end_is_ignored_and_counted() -> None:
    """Text after `[DONE]` belongs to nothing."""
    stream = Stream([*ANSWER, chunk({"content": "more"})])

    assert stream.final().text == "Let me see."
    assert stream.departures["data_after_end"].count == 1


def test_endless_data_after_the_end_is_not_read_for_ever() -> None:
    """The rest of a body is read for the connection's sake, within a bound."""

    def body() -> Any:
        yield from ANSWER
        while True:
            yield chunk({"content": "more"})

    assert Stream(body()).final().text == "Let me see."


def test_bounds_end_the_stream_with_the_partial_kept() -> None:
    """`Limits.body` and `Limits.text` are met wherever the chunks were cut."""
    body = b"".join(TOKENS)
    for size in (1, 5, len(body)):
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        with pytest.raises(LimitExceeded) as caught:
            Stream(chunks, format="text", limits=Limits(text=4)).final()
        assert caught.value.limit == "text"
        assert caught.value.partial is not None
        assert caught.value.partial.text == "Hello"
        with pytest.raises(LimitExceeded) as caught:
            Stream(chunks, format="text", limits=Limits(body=len(body) - 1)).final()
        assert caught.value.limit == "body"
        Stream(chunks, format="text", limits=Limits(body=len(body), text=9)).final()


class Clock:
    """A clock that a source moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def body(self, *steps: tuple[float, bytes]) -> Any:
        for seconds, item in steps:
            self.now += seconds
            yield item


@pytest.mark.parametrize(
    "deadlines, steps, limit",
    [
        (Deadlines(first_event=5.0), [(3.0, b": a\n\n"), (3.0, b": b\n\n"), (0.0, ANSWER[2])], "first_event"),
        (Deadlines(total=9.0), [(5.0, ANSWER[2]), (5.0, ANSWER[3]), (0.0, ANSWER[4])], "total"),
        (
            Deadlines(idle_content=5.0),
            [(1.0, ANSWER[2]), (3.0, b": a\n\n"), (3.0, b": b\n\n"), (0.0, ANSWER[3])],
            "idle_content",
        ),
    ],
)
def test_deadlines_are_looked_at_whenever_bytes_arrive(deadlines: Deadlines, steps: Any, limit: str) -> None:
    """Comments prove that the socket lives, not that the model does."""
    clock = Clock()
    with pytest.raises(StreamStalled, match=limit) as caught:
        Stream(clock.body(*steps), deadlines=deadlines, clock=clock).final()

    assert caught.value.limit == limit
    assert caught.value.partial is not None


def test_content_in_time_meets_no_deadline() -> None:
    """A slow answer that goes on is no stall."""
    clock = Clock()
    steps = [(4.0, item) for item in ANSWER]
    stream = Stream(clock.body(*steps), deadlines=Deadlines(first_event=5.0, idle_content=30.0), clock=clock)

    assert stream.final().ending == "complete"


def test_metrics_count_from_the_clock_that_was_given() -> None:
    """The four marks, the gaps, and tokens per second from the reported usage."""
    clock = Clock()
    steps = [(0.5, b": hello\n\n"), *[(0.25, item) for item in ANSWER]]
    stream = Stream(clock.body(*steps), clock=clock, started_at=99.0)
    stream.final()
    metrics = stream.metrics

    assert metrics.started == "request"
    assert metrics.first_byte == 1.5
    assert metrics.first_event == 1.75
    assert metrics.ttft == 1.75
    assert metrics.first_text == 2.25
    assert metrics.output_tokens == 21
    assert metrics.longest_gap == 0.25
    assert metrics.stalls == 0
    assert metrics.tokens_per_second == pytest.approx(20 / 1.75)
    assert metrics.duration == 1.5 + 0.25 * len(ANSWER)


def test_signs_of_life_are_events_only_when_asked_for() -> None:
    """Comments and pings come in their place, at every chunking."""
    body = b": a\n\n" + ANSWER[2] + b": b\n" + ANSWER[3] + b": c\n\n" + ANSWER[8] + DONE
    for size in (1, 7, len(body)):
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        kinds = [type(event) for event in Stream(chunks, pings=True)]
        plain = [kind for kind in kinds if kind is not Ping]

        assert kinds.index(Ping) == 0
        assert kinds.count(Ping) == 3
        assert [type(event) for event in Stream(chunks)] == plain


def test_a_choice_that_finished_before_the_cut_is_complete() -> None:
    """Each choice has its ending."""
    body = [chunk({"content": "a"}, choice=1), chunk({"content": "b"}), chunk({}, "stop", choice=1)]
    stream = Stream(body)
    with pytest.raises(StreamTruncated):
        stream.final()

    assert [message.ending for message in stream.messages] == ["truncated", "complete"]
    assert [message.text for message in stream.messages] == ["b", "a"]


@pytest.mark.parametrize("source", [42, None, "data: a\n\n", {"a": 1}, object()])
def test_what_cannot_be_read_is_refused_with_a_way_out(source: object) -> None:
    """The error names what can be read."""
    with pytest.raises(MisuseError, match="httpx"):
        Stream(source)
    with pytest.raises(MisuseError, match="httpx"):
        AsyncStream(source)


def test_the_wrong_colour_is_refused_with_the_right_class() -> None:
    """An asynchronous source is for `AsyncStream`, the other for `Stream`."""
    with pytest.raises(MisuseError, match="AsyncStream"):
        Stream(AsyncSource(ANSWER))
    with pytest.raises(MisuseError, match="with Stream"):
        AsyncStream(Source(ANSWER))


def test_a_source_of_something_else_than_bytes_is_refused() -> None:
    """The first wrong item is named."""
    with pytest.raises(MisuseError, match="int"), Stream([1, 2]) as stream:
        next(stream)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda item: item.decode()])
def test_bytes_may_come_in_any_form(kind: Any) -> None:
    """Chunks may be bytes, bytearray, memoryview, or wire text."""
    assert Stream([kind(item) for item in ANSWER]).final().text == "Let me see."


def test_the_log_tells_of_opening_and_ending_and_holds_no_payload(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG on the logger "tokenstream"."""
    with caplog.at_level(logging.DEBUG, logger="tokenstream"):
        Stream(ANSWER).final()

    assert [record.message for record in caplog.records] == [
        "stream opened, status None",
        "stream ended, complete",
    ]
    assert "Let" not in caplog.text


def test_every_error_pickles_with_what_had_arrived() -> None:
    """Errors cross process borders."""
    import pickle

    for body in ([*ANSWER[:5], ERROR], ANSWER[:5], [b"<html>"], [b"data: {]\n\n"]):
        with pytest.raises(StreamError) as caught:
            Stream(body).final()
        copy = pickle.loads(pickle.dumps(caught.value))

        assert type(copy) is type(caught.value)
        assert str(copy) == str(caught.value)
        assert copy.partial == caught.value.partial
        assert copy.__dict__.keys() == caught.value.__dict__.keys()


def test_usage_that_comes_last_is_in_the_message() -> None:
    """Usage after the finish reason counts."""
    usage = Stream([ANSWER[4], ANSWER[8], USAGE, DONE]).final().usage

    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.source) == (7, 21, "reported")


def test_each_tool_call_is_handed_out_once_when_it_is_whole() -> None:
    """The first when the second begins, the second at the finish reason."""
    order = [
        event.call.id if isinstance(event, ToolCallDone) else type(event).__name__
        for event in Stream(ANSWER)
        if isinstance(event, ToolCallDone | Finish)
    ]

    assert order == ["call_a", "call_b", "Finish"]
