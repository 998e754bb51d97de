"""Routers, and tools that wait for their turn: what the tests of `stream.run` share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
from pydantic import BaseModel

from tests.stream.async_sources import PATIENCE
from tests.stream.bodies import call, chunk
from tests.support.wire import DONE
from tokenstream import AsyncStream
from tokenstream.router import Router, ToolResults


class City(BaseModel):
    city: str


def with_tools() -> Router:
    router = Router()

    @router.tool("get_weather", City)
    def weather(asked: City) -> dict[str, Any]:
        return {"city": asked.city, "degrees": 7}

    @router.tool
    def get_time() -> str:
        return "12:00"

    return router


RESULTS = {"call_a": {"city": "Oslo", "degrees": 7}, "call_b": "12:00"}
CALLS = [chunk(call(number, f"call_{number}", "wait", f'{{"number": {number}}}')) for number in range(4)]
END = [chunk({}, "tool_calls"), DONE]


def given(error: BaseException) -> dict[str, Any]:
    results = getattr(error, "tool_results", None)
    assert isinstance(results, ToolResults)
    return dict(results)


class Bug(Exception): ...


async def run_router(stream: AsyncStream, router: Router) -> ToolResults:
    with anyio.fail_after(PATIENCE):
        return await stream.run(router)


class Gate(AsyncIterator[bytes]):
    """A body that gives each chunk once the test lets it: a chunk, or an event to wait for."""

    def __init__(self, *steps: bytes | anyio.Event | Exception) -> None:
        self._steps: Iterator[Any] = iter(steps)
        self.closed = False

    async def __anext__(self) -> bytes:
        for step in self._steps:
            await anyio.lowlevel.checkpoint()
            if isinstance(step, bytes):
                return step
            if isinstance(step, Exception):
                raise step
            await step.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


class Tools:
    """A tool that waits for its turn, and tells what became of its calls."""

    def __init__(self, router: Router) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.cancelled: list[int] = []
        self.started = anyio.Event()
        self.go = anyio.Event()
        router.tool("wait")(self.wait)

    async def wait(self, number: int) -> int:
        self.begun.append(number)
        self.started.set()
        try:
            await self.go.wait()
            self.done.append(number)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            self.cancelled.append(number)
            raise
        return number * 10
