"""How a stream ends: by itself, by its reader, or by neither."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from tests.stream.async_sources import cancelled_when
from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, Source, call, chunk, source_in
from tests.support.either import got, in_each_loop, inside, stream_in
from tests.support.formats import Text
from tests.support.raised import misuse
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError
from tokenstream.events import Event, TextDelta

ERROR = sse('{"error": {"message": "busy", "type": "overloaded_error"}}')


def test_stop_keeps_what_was_read_and_drops_what_was_not_decoded() -> None:
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
    with misuse("consumed"):
        iter(stream)
    assert list(stream.text) == ["Let "]
    assert stream.final().ending == "stopped"


def test_a_read_within_a_read_is_refused() -> None:
    def body() -> Any:
        yield ANSWER[0]
        with misuse("concurrent"):
            next(stream)
        yield from ANSWER[1:]

    stream = Stream(body())

    assert stream.final().text == "Let me see."


@pytest.mark.anyio
async def test_a_block_that_is_entered_while_a_task_opens_the_stream_is_refused() -> None:
    gate = anyio.Event()

    @asynccontextmanager
    async def opened() -> AsyncGenerator[list[bytes], None]:
        await gate.wait()
        yield ANSWER

    texts: list[str] = []
    stream = AsyncStream(opened())

    async def read() -> None:
        texts.append((await stream.final()).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        with misuse("concurrent"):
            async with stream:
                pytest.fail("it was entered")
        gate.set()
    assert texts == ["Let me see."]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_cancelled_read_of_a_generator_never_looks_like_the_end() -> None:
    """On trio outside a block the generator is over after a cancellation; the next read says so."""

    async def body() -> Any:
        yield chunk({"role": "assistant", "content": "Let me see."}) + chunk({}, "stop")
        await anyio.sleep_forever()

    stream = AsyncStream(body())
    await cancelled_when(lambda: stream.message.finish_reason, stream.final)
    assert stream.message.text == "Let me see."
    # The finish reason was seen, so even this is no error.
    assert (await stream.final()).ending == "complete"
    assert list(stream.departures.details) == ["broken_after_finish"]


@pytest.mark.parametrize(
    "again, most",
    [
        pytest.param(b": keep-alive\n\n", 2, id="comments"),
        pytest.param(b"\n" * 1024, 66, id="blank lines, up to 64 KiB"),
        pytest.param(chunk({"content": "more"}), 9999, id="content"),
    ],
)
def test_what_a_server_sends_after_the_end_does_not_hold_the_loop(again: bytes, most: int) -> None:
    """A server that keeps a finished stream open with heartbeats is left: each has a bound of its own."""
    asked_for = 0

    def body() -> Any:
        nonlocal asked_for
        yield from ANSWER
        while True:
            asked_for += 1
            yield again

    stream = Stream(body())

    assert stream.final().ending == "complete"
    assert asked_for <= most


def test_data_after_the_end_is_ignored_and_counted() -> None:
    stream = Stream([*ANSWER, chunk({"content": "more"})])

    assert stream.final().text == "Let me see."
    assert stream.departures.details["data_after_end"] == 1


class Nosy(Text):
    """A format that reads the stream that it is read by."""

    def __init__(self, read: Callable[[], object], **options: Any) -> None:
        super().__init__(**options)
        self._read = read

    def fresh(self, **options: Any) -> Nosy:
        return Nosy(self._read, **options)

    def feed(self, frame: Any, *, now: float = 0.0) -> list[Event]:
        self._read()
        return super().feed(frame, now=now)


@pytest.mark.anyio
async def test_reading_the_stream_while_an_event_is_decoded_is_refused() -> None:
    """Two reads would have to share one place."""
    streams: list[Any] = []
    stream = Stream(TOKENS, format=Nosy(lambda: next(streams[0])))
    streams.append(stream)
    with misuse("concurrent"):
        stream.final()
    stream.close()
    async with AsyncStream(AsyncSource(TOKENS), format=Nosy(lambda: drive(streams[1]))) as other:
        streams.append(other)
        with misuse("concurrent"):
            await other.final()


def drive(stream: AsyncStream) -> None:
    """Begin an asynchronous read from code that is not asynchronous."""
    read = anext(stream).__await__()
    read.send(None)


def test_a_fault_in_a_format_of_ones_own_is_not_taken_for_something_else() -> None:
    def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"), Stream(TOKENS, format=Nosy(fail)) as stream:
        stream.final()


@in_each_loop
async def test_misuse_within_a_source_passes_unchanged(colour: str) -> None:
    source = source_in(colour)([ANSWER[2]], MisuseError("wrong"))
    with pytest.raises(MisuseError, match="wrong"):
        async with inside(stream_in(colour)(source)) as stream:
            await got(stream.final())


class Bug(Exception): ...


@pytest.mark.parametrize("error", [Bug("x"), KeyError("x")], ids=repr)
@in_each_loop
async def test_a_bug_of_the_applications_own_source_is_raised_after_the_answer_too(
    colour: str, error: Exception
) -> None:
    """Nothing of the answer is missing, as where a transport breaks then; but no transport broke."""
    # The calls wait for nothing at the finish reason.
    answer = [*ANSWER[:7], chunk(call(1, "call_b", "get_time", '{"zone": "CET"}')), ANSWER[8]]
    with pytest.raises(type(error)) as caught:
        async with inside(stream_in(colour)(source_in(colour)(answer, error))) as stream:
            await got(stream.final())

    assert error is caught.value
    assert ("Let me see.", "complete") == (stream.message.text, stream.message.ending)
    assert [] == list(stream.departures.details)
