"""Asynchronous sources of every kind that end at one server, and what can be told of them from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import httpx
import httpx2
import pytest
import trio

from tests.support import wire
from tests.support.loopback import Act, Loopback, Script, until_close
from tokenstream import AsyncStream, aconnect
from tokenstream.events import TextDelta

PATIENCE = 30.0
"""Seconds after which what a test waits for does not come; a busy machine is slow."""

HEL = wire.chat({"role": "assistant", "content": "Hel"})
LO = wire.chat({"content": "lo"})
END = wire.chat({}, "stop") + wire.DONE
HELLO = [HEL, LO, END]

KINDS = ["aconnect", "aconnect with a client", "httpx", "httpx2", "generator", "class"]
every_kind = pytest.mark.parametrize("kind", KINDS)
"""Runs a test with each kind of source."""


def serving(*steps: Any, tls: bool = False) -> Loopback:
    """Return a server that sends a body by a script, without any framing of the body."""
    script: Script = [*until_close(), *steps]
    return Loopback(script, tls=tls)


def open_after(*pieces: bytes) -> Loopback:
    return serving(*pieces, Act.OPEN)


async def begin(kind: str, server: Loopback, stack: AsyncExitStack, **options: Any) -> AsyncStream:
    """Return a stream that nobody has read yet."""
    if kind == "aconnect":
        return aconnect(server.url, json={}, **options)
    if kind == "generator":
        return AsyncStream(received(server), **options)
    if kind == "class":
        return AsyncStream(Plain(server), **options)
    library = httpx2 if kind == "httpx2" else httpx
    client: Any = await stack.enter_async_context(library.AsyncClient(timeout=None, trust_env=False))
    if kind == "aconnect with a client":
        return aconnect(server.url, client=client, json={}, **options)
    return AsyncStream(await client.send(client.build_request("POST", server.url), stream=True), **options)


@asynccontextmanager
async def begun(kind: str, server: Loopback) -> AsyncGenerator[tuple[AsyncStream, Loopback]]:
    """Start a server, and give a stream of its answer that nobody has read yet; who reads it closes it."""
    async with AsyncExitStack() as stack:
        with server:
            yield await begin(kind, server, stack), server


async def dial(server: Loopback) -> anyio.abc.ByteStream:
    """Send a request over a bare socket, and read the head of its answer."""
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", server.port))
        await stream.send(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await stream.receive(1)
        # Nobody else can close what a cancelled call has not returned.
        stack.pop_all()
    return stream


async def received(server: Loopback) -> AsyncGenerator[bytes, None]:
    """Give the bytes of a body: a generator, which is over once it was cancelled."""
    async with await dial(server) as stream:
        async for data in stream:
            yield data


class Plain:
    """Gives the same, and survives a cancelled read."""

    def __init__(self, server: Loopback) -> None:
        self._server = server
        self._stream: anyio.abc.ByteStream | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._stream is None:
            self._stream = await dial(self._server)
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


class Scripted:
    """Gives items by a script of chunks, pauses in seconds, events to wait for, and errors.

    It tells how many it gave, and how often it was closed.
    """

    def __init__(self, *steps: Any, survives: bool = True) -> None:
        self.given = 0
        self.closed = 0
        self._steps = list(steps)
        self._survives = survives

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            while self._steps:
                step = self._steps[0]
                if isinstance(step, float):
                    await anyio.sleep(step)
                elif isinstance(step, anyio.Event):
                    await step.wait()
                del self._steps[0]
                if isinstance(step, BaseException):
                    raise step
                if not isinstance(step, float | anyio.Event):
                    self.given += 1
                    return step
        except anyio.get_cancelled_exc_class():
            if not self._survives:
                self._steps.clear()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


async def texts_of(stream: AsyncStream) -> list[str]:
    return [piece async for piece in stream.text]


async def first_text(stream: AsyncStream) -> str:
    async for event in stream:
        if isinstance(event, TextDelta):
            return event.text
    raise LookupError


async def seen_closed(server: Loopback) -> bool:
    """Wait until the server's side sees the connection closed, while the loop goes on."""
    await until(lambda: server.connections and server.connections[-1].closed.is_set())
    return True


def is_closed(server: Loopback) -> bool:
    """Tell whether the connection is closed, without the loop doing anything more."""
    return server.connection().closed_within(PATIENCE)


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - another thread's condition
            await anyio.sleep(0.002)


async def when(condition: Callable[[], object], act: Callable[[], object]) -> None:
    """Do something once something is so; who reads has come to wait for more by then."""
    await until(condition)
    await anyio.wait_all_tasks_blocked()
    act()


async def cancelled_when(condition: Callable[[], object], read: Callable[[], Awaitable[object]]) -> None:
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        with scope:
            tasks.start_soon(when, condition, scope.cancel)
            await read()
        tasks.cancel_scope.cancel()
    assert scope.cancelled_caught


async def read_in_a_block(stream: AsyncStream) -> None:
    """Read to the end, and close whatever comes."""
    async with stream:
        await stream.final()


def readers() -> list[Any]:
    """Return the tasks that read streams in this event loop."""
    if _runs_asyncio():
        return [task for task in asyncio.all_tasks() if task.get_name() == "tokenstream reader"]
    nurseries = trio.lowlevel.current_task().child_nurseries
    return [
        task for nursery in nurseries for task in nursery.child_tasks if task.name == "tokenstream reader"
    ]


def _runs_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
