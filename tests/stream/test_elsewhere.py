"""What other threads, signals and failing sources may do to a stream."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import chain
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.stream.async_sources import cancelled_when
from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, Source, chunk
from tests.stream.test_ending import Nosy
from tests.support.loopback import Loopback, until_close
from tokenstream import AsyncStream, Stream, aconnect
from tokenstream.errors import (
    ConcurrentRead,
    MisuseError,
    NotAStream,
    StreamError,
    StreamInterrupted,
    StreamTruncated,
)


class Waiting:
    """A source that gives its first chunks and then waits, until it is told to go on."""

    def __init__(self, first: list[bytes], rest: list[bytes]) -> None:
        self.waits = threading.Event()
        self.go_on = threading.Event()
        self.ended = False
        self._first, self._rest = first, rest

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._first
            self.waits.set()
            self.go_on.wait(4)
            yield from self._rest
        finally:
            self.ended = True


def test_stop_from_another_thread_ends_the_loop_with_the_next_chunk() -> None:
    """A blocked iterable cannot be woken; its loop ends normally, keeps what came, and closes the source."""
    source = Waiting(ANSWER[:4], ANSWER[4:])
    stream = Stream(source)
    texts: list[str] = []
    reader = threading.Thread(target=lambda: texts.extend(stream.text))
    reader.start()
    assert source.waits.wait(4)
    stream.stop("enough")
    message = stream.message
    source.go_on.set()
    reader.join(4)

    assert not reader.is_alive()
    assert texts == ["Let ", "me "]
    assert (message.text, message.ending) == ("Let me ", "stopped")
    assert source.ended
    assert stream.message == message


def test_message_and_metrics_may_be_asked_for_from_another_thread() -> None:
    """While the stream is read."""
    source = Waiting(ANSWER[:5], ANSWER[5:])
    stream = Stream(source)
    reader = threading.Thread(target=stream.final)
    reader.start()
    assert source.waits.wait(4)

    assert stream.message.text == "Let me see."
    assert stream.metrics.chunks == 5
    source.go_on.set()
    reader.join(4)
    assert (stream.message.text, stream.message.ending) == ("Let me see.", "complete")


def test_a_stop_within_the_source_closes_it_when_it_comes_back() -> None:
    """The read in progress is the one to close."""
    ended: list[bool] = []

    def body() -> Iterator[bytes]:
        try:
            yield ANSWER[2]
            stream.stop()
            yield ANSWER[3]
        finally:
            ended.append(True)

    stream = Stream(body())

    assert list(stream.text) == ["Let "]
    assert ended == [True]


def test_an_async_close_during_a_read_leaves_closing_to_the_read() -> None:
    """An asynchronous generator cannot be closed while it runs."""

    async def main() -> None:
        gate, ended = anyio.Event(), anyio.Event()

        async def body() -> AsyncIterator[bytes]:
            try:
                yield ANSWER[2]
                await gate.wait()
                yield ANSWER[3]
            finally:
                ended.set()

        stream = AsyncStream(body())
        texts: list[str] = []

        async def read() -> None:
            texts.extend([piece async for piece in stream.text])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
            gate.set()
        assert texts == ["Let "]
        assert ended.is_set()
        assert stream.message.ending == "stopped"

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_an_event_is_decoded_never_looks_like_the_end() -> None:
    """It passes; reading on says that the stream was broken off, and the source is closed."""
    source = Source(TOKENS)
    stream = Stream(source, format=Nosy(interrupt))
    with pytest.raises(KeyboardInterrupt):
        stream.final()
    with pytest.raises(StreamInterrupted, match="broken off") as caught:
        list(stream)

    assert caught.value.partial.ending != "streaming"
    assert stream.message.ending == "truncated"
    assert source.closed == 1


def test_the_same_in_an_async_loop() -> None:
    """No RuntimeError of a coroutine."""

    async def main() -> None:
        source = AsyncSource(TOKENS)
        stream = AsyncStream(source, format=Nosy(interrupt))
        with pytest.raises(KeyboardInterrupt):
            await anext(stream)
        with pytest.raises(StreamInterrupted, match="broken off"):
            await stream.final()
        assert source.closed == 1

    anyio.run(main)


class Stubborn(Source):
    """A source that fails to close."""

    def close(self) -> None:
        super().close()
        raise OSError("cannot close")


class AsyncStubborn(AsyncSource):
    """The same, asynchronous."""

    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("cannot close")


def test_closing_never_raises_over_another_error() -> None:
    """The caller's own error, and the stream's, are what the caller sees."""
    with pytest.raises(KeyError), Stream(Stubborn(ANSWER)) as stream:
        raise KeyError
    with pytest.raises(StreamInterrupted):
        Stream(Stubborn(ANSWER[:3], OSError("reset"))).final()
    with pytest.raises(OSError, match="cannot close"), Stream(Stubborn(ANSWER)):
        pass

    async def main() -> None:
        with pytest.raises(KeyError):
            async with AsyncStream(AsyncStubborn(ANSWER)):
                raise KeyError
        with pytest.raises(OSError, match="cannot close"):
            async with AsyncStream(AsyncStubborn(ANSWER)):
                pass

    anyio.run(main)
    assert stream.closed


def test_none_from_a_source_is_no_end() -> None:
    """A source that gives something else than bytes is the calling code's mistake."""
    items: list[Any] = [ANSWER[2], None]
    with pytest.raises(MisuseError, match="NoneType"), Stream(items) as stream:
        stream.final()


def test_the_message_that_another_thread_asks_for_is_never_wrong() -> None:
    """Each is a beginning of the answer, and what is asked for at the end has all of it."""
    body = [
        ANSWER[2],
        *[chunk({"content": str(number % 10)}) for number in range(3000)],
        ANSWER[8],
        ANSWER[-1],
    ]
    whole = "Let " + "".join(str(number % 10) for number in range(3000))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            stream = Stream(body)
            reader = threading.Thread(target=stream.final)
            reader.start()
            while reader.is_alive():
                assert whole.startswith(stream.message.text)
            reader.join()

            assert (stream.message.text, stream.message.ending) == (whole, "complete")
    finally:
        sys.setswitchinterval(interval)


def test_a_request_is_sent_once_however_its_answer_is_waited_for() -> None:
    """A second reader is refused; a wait that was broken off costs no second request."""
    gate = threading.Event()

    async def main(server: Loopback, error: type[StreamError], words: str) -> None:
        gate.clear()
        before = len(server.requests)
        async with AsyncExitStack() as stack:
            stream = aconnect(server.url)
            stack.push_async_callback(stream.aclose)
            await cancelled_when(lambda: len(server.requests) > before, stream.__anext__)
            gate.set()
            with pytest.raises(error, match=words):
                await stream.final()

        gate.clear()
        both = aconnect(server.url)
        refused: list[BaseException] = []

        async def read() -> None:
            try:
                await anext(both)
            except ConcurrentRead as caught:
                refused.append(caught)
                gate.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
        await both.aclose()
        assert len(refused) == 1

    with Loopback([gate, *until_close(ANSWER[0])]) as server:
        # On asyncio the wait goes on in a task; on trio, outside a block, it cannot.
        anyio.run(main, server, StreamTruncated, "ended after 1 frame,")
        anyio.run(main, server, StreamInterrupted, "broken off", backend="trio")
        assert len(server.requests) == 4


def test_a_read_that_is_cancelled_after_the_stream_was_closed_closes_the_source() -> None:
    """Whoever comes last closes, although a cancellation is on its way."""

    async def main() -> None:
        closed = anyio.Event()

        class Slow(AsyncSource):
            async def __anext__(self) -> bytes:
                await anyio.sleep_forever()
                return b""

            async def aclose(self) -> None:
                await anyio.lowlevel.checkpoint()
                closed.set()

        stream = AsyncStream(Slow([]))
        async with anyio.create_task_group() as tasks:
            async with stream:
                tasks.start_soon(stream.final)
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert closed.is_set()
        assert stream.closed

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


def test_a_read_that_ctrl_c_broke_off_never_looks_like_the_end() -> None:
    """A generator is over then, and ends silently."""

    def body() -> Iterator[str]:
        yield "Hel"
        raise KeyboardInterrupt

    stream = Stream(body(), format="pieces")
    with pytest.raises(KeyboardInterrupt):
        stream.final()
    with pytest.raises(StreamInterrupted, match="broken off"):
        stream.final()
    assert stream.message.text == "Hel"


def test_a_source_that_survives_a_cancelled_read_goes_on() -> None:
    """Only a silent end after it is suspicious."""

    async def main() -> None:
        class Queue:
            def __init__(self) -> None:
                self.items = [*ANSWER]
                self.waits = False

            def __aiter__(self) -> Queue:
                return self

            async def __anext__(self) -> bytes:
                if not self.waits:
                    self.waits = True
                    await anyio.sleep_forever()
                if not self.items:
                    raise StopAsyncIteration
                return self.items.pop(0)

        source = Queue()
        stream = AsyncStream(source)
        await cancelled_when(lambda: source.waits, stream.final)
        assert (await stream.final()).text == "Let me see."

    # Outside a block, where trio has no task to read it.
    anyio.run(main, backend="trio")


def test_misuse_closes_the_source() -> None:
    """A bad item ends the stream; nothing is left open."""
    source = Source([ANSWER[2]])
    items: Any = chain(source, [None])
    stream = Stream(items)
    with pytest.raises(MisuseError):
        stream.final()

    assert stream.closed
    assert stream.message.ending == "stopped"


def test_reading_a_failed_view_again_does_not_make_its_error_grow() -> None:
    """The traceback is that of the last read."""
    stream = Stream(ANSWER[:4])
    depths = []
    for _ in range(20):
        with pytest.raises(StreamTruncated) as caught:
            list(stream.text)
        depths.append(len(list(traceback.walk_tb(caught.value.__traceback__))))

    assert max(depths[1:]) == min(depths[1:])


def test_a_bug_in_a_source_is_not_blamed_on_the_network() -> None:
    """Asking again would meet it again."""

    def body() -> Iterator[bytes]:
        yield ANSWER[2]
        raise KeyError("a bug")

    with pytest.raises(StreamInterrupted, match="source broke") as caught:
        Stream(body()).final()

    assert (caught.value.kind, caught.value.retryable) == ("unknown", False)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_a_stream_says_of_itself_holds_no_key() -> None:
    """An address may carry a password or a key; a log that shows the stream must not."""
    request = httpx.Request("POST", "https://user:secret@api.example/v1/models?key=secret")
    stream = Stream(httpx.Response(200, content=b"".join(ANSWER), request=request))

    assert repr(stream) == "<Stream of https://api.example/v1/models: unknown format, streaming>"
    assert stream.response is not None
    assert "secret" not in repr(stream.response)
    stream.close()


def test_a_source_that_cannot_be_closed_spoils_no_answer() -> None:
    """Whoever has the whole answer has it, although closing fails; a stop raises nothing either."""
    assert Stream(Stubborn(ANSWER)).final().text == "Let me see."
    stream = Stream(Stubborn(ANSWER))
    stream.stop()
    assert stream.message.ending == "stopped"

    async def main() -> None:
        assert (await AsyncStream(AsyncStubborn(ANSWER)).final()).text == "Let me see."

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


def test_a_stream_that_nobody_holds_is_closed_where_warnings_are_errors() -> None:
    """The warning is raised where nobody can catch it, and the source is closed all the same."""
    source = Source(ANSWER)
    with catch_unraisable() as caught:
        stream = Stream(source)
        next(stream)
        del stream
        gc.collect()

    assert [ResourceWarning] == caught
    assert source.closed == 1


def test_the_same_in_an_event_loop() -> None:
    """The task that reads ends, and closes its source."""

    async def main() -> None:
        source = AsyncSource(ANSWER[:2] * 500)
        with catch_unraisable() as caught:
            stream = AsyncStream(source)
            await anext(stream)
            del stream
            gc.collect()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()

        assert [ResourceWarning] == caught
        assert source.closed == 1

    anyio.run(main)


@contextmanager
def catch_unraisable() -> Generator[list[type[BaseException] | None]]:
    """Collect what is raised where nobody can catch it."""
    caught: list[type[BaseException] | None] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda raised: caught.append(raised.exc_type)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            yield caught
    finally:
        sys.unraisablehook = before


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("block", [True, False], ids=["in a block", "bare"])
@pytest.mark.parametrize("how", ["fail_after", "task group"])
def test_a_manager_may_hold_a_cancel_scope_while_it_is_entered(how: str, block: bool, backend: str) -> None:
    """Scopes are left in their order, whichever task opens and closes the source."""

    @asynccontextmanager
    async def gateway() -> AsyncGenerator[AsyncSource]:
        if how == "fail_after":
            with anyio.fail_after(4):
                yield AsyncSource(ANSWER)
        else:
            async with anyio.create_task_group():
                yield AsyncSource(ANSWER)

    async def main() -> str:
        stream = AsyncStream(gateway())
        if block:
            async with stream:
                return (await stream.final()).text
        return (await stream.final()).text

    assert anyio.run(main, backend=backend) == "Let me see."


def lines_of(body: list[bytes]) -> list[bytes]:
    return b"".join(body).splitlines()


@pytest.mark.parametrize("body", [ANSWER, TOKENS], ids=["openai-chat", "text"])
@pytest.mark.parametrize("format", [None, "openai-chat"])
def test_lines_without_their_ends_are_told_from_a_cut_answer(body: list[bytes], format: Any) -> None:
    """`iter_lines` takes off what ends an event; asking again would give the same."""
    with pytest.raises(NotAStream, match="not its lines") as caught:
        Stream(lines_of(body), format=format).final()

    assert not caught.value.retryable


def test_an_answer_in_one_document_has_its_times() -> None:
    """It is whole only at its end, and that is when its first text came."""
    body = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    body += b'"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
    stream = Stream([body], clock=iter(range(100)).__next__)

    assert stream.final().text == "Hello"
    metrics = stream.metrics
    assert metrics.content_chunks == 1
    assert metrics.first_event is not None
    assert metrics.ttft == metrics.first_text == metrics.last_content
    assert metrics.ttft is not None
    assert metrics.ttft > 0


def test_a_document_that_is_no_object_is_no_text() -> None:
    """An array of numbers is no answer in any format."""
    with pytest.raises(NotAStream):
        Stream(["[1,2,3]"]).final()


@pytest.mark.parametrize(
    "options", [{"format": int}, {"format": 3}, {"limits": 3}, {"deadlines": 3}], ids=repr
)
def test_an_option_of_the_wrong_kind_is_refused_where_it_is_given(options: dict[str, Any]) -> None:
    """The message names the option."""
    (name,) = options
    with pytest.raises(MisuseError, match=f"{name}="):
        Stream(Source(ANSWER), **options)
    with pytest.raises(MisuseError, match=f"{name}="):
        AsyncStream(AsyncSource(ANSWER), **options)


@pytest.mark.parametrize("place", ["answer.sse", "recordings/a.json", "https://api.example/v1"])
def test_a_place_is_not_read_as_a_body(place: str) -> None:
    """A str is a body; who means a file or an address is told how to say so."""
    for kind in (Stream, AsyncStream):
        with pytest.raises(MisuseError, match=r"pathlib\.Path for a file"):
            kind(place)
