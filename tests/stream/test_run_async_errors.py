"""`stream.run(router)` where what runs beside the reading fails, or is cancelled."""

from __future__ import annotations

import asyncio
import signal
import threading

import anyio
import pytest

from tests.stream.async_sources import PATIENCE
from tests.stream.bodies import ANSWER, AsyncSource, call, chunk
from tests.stream.routers import CALLS, END, Bug, City, Gate, Tools, given, run_router, with_tools
from tests.support.raised import misuse
from tokenstream import AsyncStream
from tokenstream.errors import StreamTruncated
from tokenstream.events import Finish, TextDelta, ToolCallDone
from tokenstream.router import Router


class _Abort(BaseException): ...


@pytest.mark.anyio
@pytest.mark.parametrize("error", [Bug("oops"), _Abort(), StreamTruncated("another stream")])
async def test_an_error_of_a_tool_ends_the_others_the_reading_and_the_stream(error: BaseException) -> None:
    router = Router()
    tools = Tools(router)

    @router.tool("fail")
    async def fail(why: str) -> None:
        assert why
        await tools.started.wait()
        raise error

    source = Gate(CALLS[0], chunk(call(1, "c9", "fail", '{"why": "so"}')), CALLS[2], anyio.Event())
    stream = AsyncStream(source)
    with pytest.raises(type(error)) as caught:
        async with stream:
            await run_router(stream, router)

    assert caught.value is error
    [note] = caught.value.__notes__
    assert note.endswith("fail' for tool 'fail', call 'c9'")
    assert ([0], []) == (tools.cancelled, tools.done)
    assert ["call_0", "c9"] == [each.id for each in stream.message.tool_calls][:2]
    assert ("stopped", True) == (stream.message.ending, source.closed)
    del error.__notes__


@pytest.mark.anyio
@pytest.mark.parametrize("awaits", [False, True])
async def test_an_error_of_another_handler_ends_the_tools(awaits: bool) -> None:
    router = Router(concurrency=1)
    tools = Tools(router)
    told: list[str] = []

    @router.on(Finish)
    async def finished(_: Finish) -> None:
        if awaits:
            await anyio.sleep(0.001)
        raise Bug

    router.on(Finish)(lambda _: told.append("not this"))
    source = AsyncSource([*CALLS, *END])
    stream = AsyncStream(source)
    with pytest.raises(Bug) as caught:
        await run_router(stream, router)

    [note] = caught.value.__notes__
    assert "finished' for Finish" in note
    assert ([0], [0], []) == (tools.begun, tools.cancelled, told)
    assert (1, False) == (source.closed, isinstance(caught.value.__cause__, BaseExceptionGroup))


@pytest.mark.anyio
async def test_of_several_tools_that_fail_at_once_the_first_is_raised() -> None:
    router = Router()
    begun: list[int] = []
    all_run = anyio.Event()

    @router.tool
    async def wait(number: int) -> None:
        begun.append(number)
        await all_run.wait()
        raise Bug

    @router.tool
    async def fail(why: str) -> None:
        assert why
        begun.append(-1)
        if len(begun) == 3:
            all_run.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError

    calls = [chunk(call(number, f"c{number}", "fail", '{"why": "so"}')) for number in (1, 2, 3)]
    async with AsyncStream(Gate(CALLS[0], *calls, anyio.Event())) as stream:
        with pytest.raises(Bug) as caught:
            await run_router(stream, router)

    blamed, *others = caught.value.__notes__
    assert [0, -1, -1] == begun
    assert blamed.endswith("call 'call_0'")
    assert ["beside it, LookupError was raised"] * 2 == others


@pytest.mark.anyio
async def test_no_tool_begins_once_the_run_has_failed() -> None:
    router = Router(concurrency=1)
    begun: list[int] = []

    @router.tool
    async def wait(number: int) -> None:
        begun.append(number)
        with anyio.CancelScope(shield=True):
            await failed.wait()

    failed = anyio.Event()

    @router.on(Finish)
    def finished(_: Finish) -> None:
        failed.set()
        raise Bug

    with pytest.raises(Bug):
        await run_router(AsyncStream(AsyncSource([*CALLS, *END])), router)

    assert [0] == begun


@pytest.mark.anyio
async def test_a_plain_tool_is_waited_for_where_another_one_fails() -> None:
    """A thread cannot be cancelled, and none outlives the run."""
    router = Router()
    running, told = threading.Event(), anyio.Event()
    done: list[int] = []

    @router.tool
    def wait(number: int) -> None:
        running.set()
        threading.Event().wait(0.02)
        done.append(number)

    @router.tool
    async def fail(why: str) -> None:
        assert why
        while not running.is_set():  # noqa: ASYNC110 - a thread sets it
            await anyio.sleep(0.001)
        raise Bug

    source = Gate(CALLS[0], chunk(call(1, "c9", "fail", '{"why": "so"}')), CALLS[2], told)
    async with AsyncStream(source) as stream:
        with pytest.raises(Bug):
            await run_router(stream, router)

    assert [0] == done


@pytest.mark.anyio
async def test_tools_that_run_when_the_stream_fails_are_waited_for() -> None:
    """What was handed out is not recalled: also the calls that had to wait are run."""
    router = Router(concurrency=1)
    tools = Tools(router)
    source = AsyncSource([*CALLS[:3], chunk({"content": "a"})])
    async with anyio.create_task_group() as group:
        group.start_soon(_set_when_closed, tools.go, source)
        with pytest.raises(StreamTruncated) as caught:
            await run_router(AsyncStream(source), router)

        assert {"call_0": 0, "call_1": 10} == given(caught.value)
        assert ("call_0", "call_1") == caught.value.tool_calls_delivered


@pytest.mark.anyio
async def test_a_tool_that_fails_after_the_stream_is_noted_on_the_streams_error() -> None:
    """What came first is what is raised."""
    router = Router()
    failed = anyio.Event()

    @router.tool("wait", dict[str, int])
    async def wait(_: dict[str, int]) -> None:
        await failed.wait()
        raise Bug

    source = AsyncSource([*CALLS[:2], chunk({"content": "a"})])
    async with anyio.create_task_group() as group:
        group.start_soon(_set_when_closed, failed, source)
        with pytest.raises(StreamTruncated) as caught:
            await run_router(AsyncStream(source), router)

        assert ["beside it, Bug was raised"] == caught.value.__notes__
        assert {} == given(caught.value)


async def _set_when_closed(event: anyio.Event, source: AsyncSource) -> None:
    """Let tools end once the stream has failed."""
    with anyio.fail_after(PATIENCE):
        while not source.closed:  # noqa: ASYNC110 - it tells nobody
            await anyio.sleep(0.001)
    await anyio.wait_all_tasks_blocked()
    event.set()


@pytest.mark.anyio
async def test_cancelling_a_run_cancels_its_tools_and_leaves_the_stream_to_its_block() -> None:
    router = Router()
    tools = Tools(router)
    goes_on = anyio.Event()
    async with AsyncStream(Gate(*CALLS[:2], goes_on, *END)) as stream:
        with anyio.CancelScope() as scope:
            router.on(ToolCallDone)(lambda _: scope.cancel())
            await run_router(stream, router)
        assert ([0], "streaming") == (tools.cancelled, stream.message.ending)
        goes_on.set()
        message = await stream.final()

    assert ("complete", 2) == (message.ending, len(message.tool_calls))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("tool", [False, True])
@pytest.mark.anyio
async def test_a_cancellation_that_a_handler_meets_elsewhere_is_no_result(tool: bool) -> None:
    """The run ends with it, as any coroutine would."""
    router = Router()

    async def meet(*_: object) -> None:
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other

    (router.tool("get_weather", City) if tool else router.on(TextDelta))(meet)
    stream = AsyncStream(AsyncSource(ANSWER))
    with pytest.raises(asyncio.CancelledError):
        await run_router(stream, router)
    await stream.aclose()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("plain", [False, True])
def test_ctrl_c_comes_out_as_it_is(backend: str, plain: bool) -> None:
    router = Router()
    source = Gate(*CALLS[:2], *END)
    over: list[int] = []
    read = threading.Event()
    router.on(Finish)(lambda _: read.set())

    def interrupt(number: int) -> None:
        if number == 0:
            read.wait(PATIENCE)
            threading.Event().wait(0.05)
            signal.raise_signal(signal.SIGINT)
        threading.Event().wait(0.02)
        over.append(number)

    async def interrupted(number: int) -> None:
        try:
            if number == 0:
                signal.raise_signal(signal.SIGINT)
            await anyio.sleep(PATIENCE)
        finally:
            over.append(number)

    router.tool("wait")(interrupt if plain else interrupted)

    async def main() -> None:
        async with AsyncStream(source) as stream:
            await stream.run(router)

    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=backend)
    assert (0 in over, source.closed) == (True, True)


@pytest.mark.anyio
async def test_a_run_beside_another_read_is_refused() -> None:
    never = anyio.Event()
    async with AsyncStream(Gate(never)) as stream, anyio.create_task_group() as group:
        group.start_soon(stream.final)
        await anyio.wait_all_tasks_blocked()
        with misuse("concurrent"):
            await stream.run(with_tools())
        assert not stream.closed
        group.cancel_scope.cancel()
