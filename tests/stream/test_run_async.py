"""`stream.run(router)` where tools run beside the reading."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from tests.stream.async_sources import PATIENCE
from tests.stream.bodies import ANSWER, AsyncSource, call, chunk
from tests.stream.routers import CALLS, END, City, Gate, Tools, run_router
from tokenstream import AsyncStream
from tokenstream.events import Finish, TextDelta, ToolCallStart
from tokenstream.router import Router, ToolResults


@pytest.mark.anyio
async def test_tools_run_while_the_stream_is_read_on() -> None:
    router = Router()
    tools = Tools(router)
    # The body goes on once the first tool runs, and the tool ends once the body has.
    source = Gate(*CALLS[:2], tools.started, *END)

    @router.on(Finish)
    async def finished(_: Finish) -> None:
        await anyio.lowlevel.checkpoint()
        tools.go.set()

    results = await run_router(AsyncStream(source), router)

    assert {"call_0": 0, "call_1": 10} == dict(results)
    assert results.message.complete


@pytest.mark.anyio
async def test_a_tool_begins_at_once_also_where_the_rest_is_at_hand() -> None:
    """A body that never has to be waited for does not keep it."""
    router = Router()
    tools = Tools(router)
    seen: list[list[int]] = []
    router.on(ToolCallStart, Finish)(lambda _: seen.append(list(tools.begun)))

    @router.on(Finish)
    def finished(_: Finish) -> None:
        tools.go.set()

    results = await run_router(AsyncStream(b"".join([*CALLS, *END])), router)

    assert [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]] == seen
    assert {f"call_{number}": number * 10 for number in range(4)} == dict(results)


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_so_many_tools_run_at_once_and_no_more(concurrency: int) -> None:
    router = Router(concurrency=concurrency)
    running: list[int] = []
    most: list[int] = []
    begun: list[int] = []
    full = anyio.Event()

    @router.tool("wait")
    async def wait(number: int) -> str:
        begun.append(number)
        running.append(number)
        most.append(len(running))
        if len(running) == concurrency:
            full.set()
        await full.wait()
        await anyio.lowlevel.checkpoint()
        running.remove(number)
        return "done"

    results = await run_router(AsyncStream(AsyncSource([*CALLS, *END])), router)

    assert concurrency == max(most)
    assert list(range(4)) == begun
    assert ["done"] * 4 == list(results.values())


@pytest.mark.anyio
async def test_a_place_that_is_free_again_is_taken_by_a_later_call() -> None:
    router = Router(concurrency=1)
    done = [anyio.Event(), anyio.Event(), anyio.Event()]

    @router.tool
    async def wait(number: int) -> int:
        done[number].set()
        return number

    source = Gate(CALLS[0], CALLS[1], done[0], CALLS[2], done[1], *END, done[2])
    results = await run_router(AsyncStream(source), router)

    assert {"call_0": 0, "call_1": 1, "call_2": 2} == dict(results)


@pytest.mark.anyio
async def test_plain_tools_run_in_threads_as_many_at_once_as_may() -> None:
    count = 41
    router = Router(concurrency=count)
    full = threading.Barrier(count, timeout=PATIENCE)
    finished = threading.Event()
    asked_by: ContextVar[str] = ContextVar("asked_by")
    asked_by.set("Ada")

    @router.tool
    def wait(number: int) -> str:
        full.wait()
        return f"{number} {finished.wait(PATIENCE)} {asked_by.get()}"

    router.on(Finish)(lambda _: finished.set())
    calls = [chunk(call(number, f"c{number}", "wait", f'{{"number": {number}}}')) for number in range(count)]
    results = await run_router(AsyncStream(AsyncSource([*calls, *END])), router)

    assert {f"c{number}": f"{number} True Ada" for number in range(count)} == dict(results)


@pytest.mark.anyio
async def test_a_plain_tool_that_returns_something_to_await_is_awaited() -> None:
    router = Router()

    async def later(city: str) -> str:
        await anyio.lowlevel.checkpoint()
        return city

    router.tool("get_weather", City)(lambda asked: later(asked.city))
    router.tool("get_time")(lambda: None)

    assert {"call_a": "Oslo", "call_b": None} == dict(
        await run_router(AsyncStream(AsyncSource(ANSWER)), router)
    )


@pytest.mark.anyio
async def test_results_have_the_order_of_the_calls() -> None:
    router = Router()
    done = anyio.Event()

    @router.tool
    async def wait(number: int) -> int:
        if number:
            done.set()
        else:
            await done.wait()
        return number

    results = await run_router(AsyncStream(AsyncSource([*CALLS[:2], *END])), router)

    assert ["call_0", "call_1"] == list(results)


@pytest.mark.anyio
async def test_other_handlers_are_awaited_before_the_stream_is_read_on() -> None:
    router = Router()
    told: list[str] = []

    @router.on(TextDelta)
    async def slowly(event: TextDelta) -> None:
        await anyio.sleep(0.001)
        told.append(f"slowly {event.text}")

    router.on(TextDelta)(lambda event: told.append(f"plainly {event.text}"))
    await run_router(AsyncStream(AsyncSource(ANSWER)), router)

    assert [f"{how} {text}" for text in ("Let ", "me ", "see.") for how in ("slowly", "plainly")] == told


@pytest.mark.anyio
async def test_a_router_may_be_run_with_many_streams_at_once() -> None:
    router = Router()
    tools = Tools(router)
    found: dict[int, ToolResults] = {}

    async def run(number: int) -> None:
        found[number] = await run_router(AsyncStream(AsyncSource([CALLS[number], *END])), router)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(run, number)
        while len(tools.begun) < 3:
            await anyio.lowlevel.checkpoint()
        tools.go.set()

    assert {number: {f"call_{number}": number * 10} for number in range(3)} == {
        number: dict(results) for number, results in found.items()
    }
