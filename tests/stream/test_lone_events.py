"""Events that arrive one by one, each in a turn of the loop of its own, as on a slow socket."""

from __future__ import annotations

import asyncio
import gc
import importlib
import random
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import anyio
import pytest

from tests.stream.bodies import chunk
from tests.support.timing import PATIENCE
from tests.support.wire import DONE
from tokenstream import AsyncStream, Deadlines, Retry, aresilient, merge, testing
from tokenstream.errors import MisuseError, ProtocolError, StreamStalled
from tokenstream.events import TextDelta
from tokenstream.stages import Reorder

Run = Callable[[Coroutine[Any, Any, Any]], Any]

PIECES = [f"{number} " for number in range(60)]
BODY = [*(chunk({"content": piece}) for piece in PIECES), chunk({}, "stop"), DONE]


def run_on_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    if sys.platform == "win32":
        main.close()
        pytest.skip("there is no uvloop for Windows")
    return importlib.import_module("uvloop").run(main)


on_both_loops = pytest.mark.parametrize(
    "run", [pytest.param(asyncio.run, id="asyncio"), pytest.param(run_on_uvloop, id="uvloop")]
)


async def one_by_one(body: list[bytes], then: Callable[[], Any] | None = None) -> AsyncGenerator[bytes, None]:
    """Yield each chunk in a turn of its own, then call a function, or wait for ever without one."""
    loop = asyncio.get_running_loop()
    for each in body:
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
        yield each
    if then is None:
        await loop.create_future()
    else:
        then()


def end() -> None:
    """Let a source end."""


async def read_text(stream: AsyncStream, pieces: int) -> str:
    text: list[str] = []
    while len(text) < pieces:
        event = await anext(stream)
        if isinstance(event, TextDelta):
            text.append(event.text)
    return "".join(text)


@pytest.mark.parametrize("is_merged", [False, True])
def test_one_timer_serves_a_whole_answer(monkeypatch: pytest.MonkeyPatch, is_merged: bool) -> None:
    timers = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def counted(*args: Any, **options: Any) -> asyncio.TimerHandle:
            timers.append(args)
            return call_at(*args, **options)

        monkeypatch.setattr(loop, "call_at", counted)
        # By a real clock, a later reading may come to an earlier time for the same deadline.
        with testing.VirtualClock():
            stream = AsyncStream(one_by_one(BODY, end))
        async with merge({"only": stream}) if is_merged else stream as events:
            async for _ in events:
                pass
        assert stream.message.text == "".join(PIECES)

    asyncio.run(main())
    assert len(timers) <= 3


@pytest.mark.slow
@on_both_loops
def test_a_silence_after_lone_events_is_a_stall_and_never_too_early(run: Run) -> None:
    """The deadline counts from the last event, although the timer was set for an earlier one."""

    async def slow() -> AsyncGenerator[bytes, None]:
        for each in BODY[:10]:
            await asyncio.sleep(0.03)
            yield each
        last.append(time.monotonic())
        await asyncio.get_running_loop().create_future()

    async def main() -> float:
        deadlines = Deadlines(first_event=9.0, idle_bytes=0.2, idle_content=9.0)
        async with AsyncStream(slow(), deadlines=deadlines) as stream:
            with pytest.raises(StreamStalled, match=r"idle_bytes"):
                async for _ in stream:
                    pass
            assert stream.message.text == "".join(PIECES[:10])
        return time.monotonic()

    last: list[float] = []
    assert run(main()) - last[0] >= 0.2


async def _read_with_wait_for(stream: AsyncStream) -> Any:
    return await asyncio.wait_for(anext(stream), 0.0001)


async def _read_with_timeout(stream: AsyncStream) -> Any:
    async with asyncio.timeout(0.0001):
        return await anext(stream)


async def _read_with_scope(stream: AsyncStream) -> Any:
    with anyio.fail_after(0.0001):
        return await anext(stream)


async def _read_in_a_cancelled_task(stream: AsyncStream) -> Any:
    reading = asyncio.ensure_future(anext(stream))
    for _ in range(random.randrange(4)):
        await asyncio.sleep(0)
    reading.cancel()
    try:
        return await reading
    except asyncio.CancelledError:
        raise TimeoutError from None


READS = [_read_with_wait_for, _read_with_timeout, _read_with_scope, _read_in_a_cancelled_task]


async def read_in_bits(read: Callable[[AsyncStream], Any], seed: int) -> tuple[str, int]:
    """Read an answer with reads that are often cancelled; return its text and how many were."""
    random.seed(seed)
    pauses = random.Random(seed)

    async def body() -> AsyncGenerator[bytes, None]:
        for each in BODY:
            for _ in range(pauses.randrange(5)):
                await asyncio.sleep(0)
            if pauses.random() < 0.1:
                await asyncio.sleep(0.002)
            yield each

    text, cancelled = "", 0
    async with AsyncStream(body()) as stream:
        while True:
            try:
                event = await read(stream)
            except TimeoutError:
                cancelled += 1
            except StopAsyncIteration:
                break
            else:
                text += event.text if isinstance(event, TextDelta) else ""
    assert stream.message.text == text
    return text, cancelled


@on_both_loops
@pytest.mark.parametrize("read", READS)
def test_a_cancelled_read_loses_nothing(run: Run, read: Callable[[AsyncStream], Any]) -> None:
    async def main() -> int:
        cancelled = 0
        for seed in range(5):
            text, count = await read_in_bits(read, seed)
            assert text == "".join(PIECES)
            cancelled += count
        return cancelled

    assert run(main()) >= 5


@on_both_loops
def test_a_cancelled_read_of_a_merge_loses_nothing(run: Run) -> None:
    async def main() -> None:
        streams = {name: AsyncStream(one_by_one(BODY, end)) for name in "ab"}
        texts, cancelled = dict.fromkeys(streams, ""), 0
        async with merge(streams) as merged:
            while True:
                reading = asyncio.ensure_future(anext(merged))
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
                reading.cancel()
                try:
                    label, event = await reading
                except asyncio.CancelledError:
                    cancelled += 1
                except StopAsyncIteration:
                    break
                else:
                    texts[label] += event.text if isinstance(event, TextDelta) else ""
        assert texts == dict.fromkeys(streams, "".join(PIECES))
        assert cancelled

    run(main())


@on_both_loops
def test_a_dropped_stream_is_collected_although_its_timer_is_far_away(run: Run) -> None:
    async def main() -> None:
        others = asyncio.all_tasks()
        stream = AsyncStream(one_by_one(BODY), deadlines=Deadlines(total=600.0))
        await read_text(stream, 30)
        dropped = weakref.ref(stream)
        with pytest.warns(ResourceWarning, match="never closed"):
            del stream
            gc.collect()
        assert dropped() is None
        with anyio.fail_after(PATIENCE):
            await asyncio.gather(*(asyncio.all_tasks() - others), return_exceptions=True)

    run(main())


@pytest.mark.slow
@on_both_loops
def test_a_waiting_stream_keeps_no_chunk_that_was_read(run: Run) -> None:
    async def at_once(body: list[bytes]) -> AsyncGenerator[bytes, None]:
        for each in body:
            yield each
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        for source in (one_by_one, at_once):
            body = [bytes(bytearray(each)) for each in BODY[:60]]
            counts = [sys.getrefcount(each) for each in body]
            async with AsyncStream(source(body)) as stream:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5):
                        async for _ in stream:
                            pass
                assert stream.message.text == "".join(PIECES)
                assert [sys.getrefcount(each) for each in body][:-1] == counts[:-1]

    run(main())


@on_both_loops
@pytest.mark.parametrize("is_merged", [False, True])
def test_a_gap_that_opens_after_a_long_wait_began_is_given_up_in_time(run: Run, is_merged: bool) -> None:
    """The timer of the frames in order, set for much later, does not serve the wait for a missing one."""
    words = testing.script().text("Hello wonderful world").chunks("openai-responses")

    async def main() -> float:
        lacking = [*words[:6], *words[7:9]]
        deadlines = Deadlines(idle_bytes=30.0, idle_content=30.0)
        stream = AsyncStream(one_by_one(lacking), reorder=Reorder(timeout=0.1), deadlines=deadlines)
        begun = time.monotonic()
        async with merge({"only": stream}) if is_merged else stream as events:
            with anyio.fail_after(PATIENCE), pytest.raises(ProtocolError, match="never came"):
                async for _ in events:
                    pass
        return time.monotonic() - begun

    assert 0.1 <= run(main()) < 5


@on_both_loops
def test_another_loop_is_refused_while_the_first_one_runs(run: Run) -> None:
    async def main() -> None:
        stream = AsyncStream(one_by_one(BODY))
        await read_text(stream, len(PIECES))
        errors: list[BaseException] = []

        def read_elsewhere() -> None:
            with pytest.raises(MisuseError, match="cannot be read in") as caught:
                asyncio.run(_next(stream))
            errors.append(caught.value)

        thread = threading.Thread(target=read_elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert errors
        await stream.aclose()

    run(main())


async def _next(stream: AsyncStream) -> object:
    while True:
        await anext(stream)


@on_both_loops
def test_stop_from_a_thread_ends_a_wait_between_lone_events(run: Run) -> None:
    all_read = threading.Event()

    async def main() -> None:
        read = list[str]()
        async with AsyncStream(one_by_one(BODY[:50])) as stream:
            stopping = asyncio.get_running_loop().run_in_executor(None, stop_in_a_wait, stream)
            with anyio.fail_after(PATIENCE):
                async for piece in stream.text:
                    read.append(piece)
                    if len(read) == 50:
                        all_read.set()
            assert (read, stream.message.ending) == (PIECES[:50], "stopped")
            await stopping

    def stop_in_a_wait(stream: AsyncStream) -> None:
        assert all_read.wait(PATIENCE)
        stream.stop()

    run(main())


@pytest.mark.slow
@on_both_loops
def test_a_second_attempt_waits_by_its_own_deadlines(run: Run) -> None:
    """The timer of the first connection, set for much later, does not serve the second."""
    opened: list[str] = []

    async def open_source() -> AsyncGenerator[bytes, None]:
        opened.append("again" if opened else "first")
        return one_by_one(BODY[:30], break_off) if opened == ["first"] else one_by_one([])

    def break_off() -> None:
        raise ConnectionResetError("the connection broke")

    async def main() -> None:
        deadlines = Deadlines(first_event=0.2, idle_bytes=30.0, idle_content=30.0)
        retry = Retry(attempts=2, again=True, wait=0.0)
        async with aresilient(open_source, retry=retry, deadlines=deadlines) as stream:
            with anyio.fail_after(PATIENCE), pytest.raises(StreamStalled, match="first_event"):
                async for _ in stream:
                    pass

    run(main())
    assert opened == ["first", "again"]
