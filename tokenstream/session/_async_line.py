"""The connections of a session, one after the other: takes the steps of its conversation in an event loop."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from tokenstream._sources import SyncSource
from tokenstream._sources.failures import FunctionFailed
from tokenstream._sources.kinds import do_nothing
from tokenstream._sources.plain import read_at_once
from tokenstream._sources.websocket import OpenWebSocket, close_socket, shorten_farewell, socket_of
from tokenstream.errors import StreamClosed
from tokenstream.session._lines import (
    CLOSED_MEANWHILE,
    Close,
    Line,
    Open,
    Receive,
    RunTools,
    Send,
    Wait,
    not_a_socket_error,
)
from tokenstream.stream import AsyncStream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._log import log
from tokenstream.stream._reading.host import find_host
from tokenstream.stream._reading.read_limit import LEAST_SECONDS
from tokenstream.stream._reading.reader import leave_group

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup, TaskStatus

    from tokenstream.router import ToolResults
    from tokenstream.session._asked import Asked
    from tokenstream.session._exchange import AskedExchange
    from tokenstream.session._lines import Opened, Step, Steps, T

_CLOSING_SECONDS = 0.6
"""Longest time for closing a connection, in seconds."""
_LEAVING_SECONDS = 0.1
"""Longest time for leaving the context manager of a closed connection, in seconds."""


class AsyncLine(Line):
    """Takes steps, with one connection at a time.

    Args:
        opens: The caller's function that opens a connection.
    """

    def __init__(self, opens: Callable[[], Any]) -> None:
        super().__init__(opens)
        self._socket: OpenWebSocket | None = None
        """The current connection; None if there is none."""
        self._leave: Callable[[], Awaitable[Any]] | None = None
        """Leaves the context manager of the current connection; None if it has none."""
        self._tasks: TaskGroup | None = None
        """On trio, the group of the tasks that hold connections; None on asyncio."""

    async def open_tasks(self) -> None:
        """On trio, open a task group: it holds connections that are context managers."""
        host = find_host()
        if host is not None and host.name == "trio":
            from anyio import create_task_group

            tasks = create_task_group()
            await tasks.__aenter__()
            self._tasks = tasks

    async def close_tasks(self) -> None:
        """Leave the task group, if there is one."""
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            await leave_group(tasks)

    async def run(self, steps: Steps[T]) -> T:
        """Take the steps that a generator yields, and return the generator's result.

        Args:
            steps: The generator.
        """
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._take(step)
                except Exception as error:  # noqa: BLE001 - the steps say what follows from it
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            # After a cancellation, the steps have to know at once that they are over.
            steps.close()

    async def _take(self, step: Step) -> object:
        """Take one step, and return its result."""
        match step:
            case Receive(seconds):
                recv: Any = self._open_socket().recv
                # On trio, a limit of 0 would cancel the read before it looks for a message that has arrived.
                return await _await(recv(), None if seconds is None else max(seconds, LEAST_SECONDS))
            case Wait(bell, seconds):
                await _await(bell.wait(), seconds)
            case Send(text):
                await self._open_socket().connection.send(text)
            case Open():
                try:
                    return await self._connect()
                except Exception as error:
                    self.opening_failure = error
                    raise
            case Close():
                await self.disconnect()
            case RunTools():
                try:
                    return await _run_tools(step)
                except Exception as error:
                    raise FunctionFailed(error) from error
        return None

    def _open_socket(self) -> OpenWebSocket:
        """Return the connection.

        Raises:
            StreamClosed: The session was closed while an answer was read.
        """
        if self._socket is None:
            raise StreamClosed(CLOSED_MEANWHILE)
        return self._socket

    async def _connect(self) -> Opened:
        """Open a connection, and return the facts about it."""
        self.check_open()
        opened: Any = self._opens()
        socket = socket_of(opened)
        while socket is None and isawaitable(opened):
            opened = await opened
            socket = socket_of(opened)
        if socket is None and hasattr(opened.__class__, "__aenter__"):
            opened = await self._enter(opened)
            socket = socket_of(opened)
        if socket is None or not socket.is_async:
            # Leaves the context manager, if one was entered.
            await self.disconnect()
            raise not_a_socket_error(opened, is_async=True)
        shorten_farewell(socket)
        self._socket = socket
        if self._is_closed:
            await self.disconnect()
        self.check_open()
        return self.describe(socket)

    async def _enter(self, manager: Any) -> object:  # noqa: ANN401 - a context manager
        """Enter a context manager, and return what it returns; `_leave` leaves it."""
        if self._tasks is None:
            stack = AsyncExitStack()
            entered = await stack.enter_async_context(manager)
            self._leave = stack.aclose
            return entered
        from anyio import CancelScope, Event, move_on_after

        leaving, has_left, scope = Event(), Event(), CancelScope()

        async def hold(*, task_status: TaskStatus[object]) -> None:
            """Hold the connection open: its cancel scopes must be left by the task that entered them."""
            try:
                with scope:
                    async with manager as connection:
                        task_status.started(connection)
                        await leaving.wait()
            finally:
                has_left.set()

        async def leave() -> None:
            """Let the task leave the context manager, and cancel it if that takes long."""
            leaving.set()
            with move_on_after(_LEAVING_SECONDS):
                await has_left.wait()
            scope.cancel()
            with CancelScope(shield=True):
                await has_left.wait()

        connection: object = await self._tasks.start(hold, name="tokenstream connection")
        self._leave = leave
        return connection

    async def close(self) -> None:
        """Close the connection, if there is one, and open no other one."""
        self._is_closed = True
        await self.disconnect()

    async def disconnect(self) -> None:
        """Close the connection, if there is one, without waiting long for the other end."""
        socket, self._socket = self._socket, None
        leave, self._leave = self._leave, None
        if socket is None and leave is None:
            return
        from anyio import move_on_after

        # Shielded, so that a cancelled program leaves no connection open.
        with move_on_after(_CLOSING_SECONDS, shield=True):
            try:
                if socket is not None:
                    await close_socket(socket)
            except Exception as error:  # noqa: BLE001 - it is gone then, too, and another error may be raised
                log("closing the connection failed: %s", type(error).__name__)
        if leave is not None:
            with move_on_after(_CLOSING_SECONDS, shield=True):
                await leave()


class AsyncMessages:
    """Asynchronous iterator over the messages of one answer."""

    __slots__ = ("_asked", "_exchange", "_line")

    def __init__(self, line: AsyncLine, asked: Asked, exchange: AskedExchange) -> None:
        self._line = line
        self._asked = asked
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        message = await self._line.run(self._asked.read(self._exchange, None))
        if message is None:
            raise StopAsyncIteration
        return message


async def _await(awaited: Awaitable[T], seconds: float | None) -> T:
    """Return the result of an awaitable.

    Raises:
        TimeoutError: It is not there within a number of seconds.
    """
    if seconds is None:
        return await awaited
    from anyio import fail_after

    with fail_after(seconds):
        return await awaited


async def _run_tools(step: RunTools) -> ToolResults:
    """Run the tools that an answer calls."""
    # Each message is a whole payload.
    source: Any = replace(read_at_once(SyncSource(iter(step.messages), do_nothing)), messages=True)
    driver: Any = AsyncDriver(source, step.options)
    async with AsyncStream(driver) as stream:
        return await stream.run(step.tools_for(stream))
