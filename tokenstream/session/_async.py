"""The session for `async for` loops, and its connections, on which an event loop takes the steps."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Self

from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._sources.causes import raise_converted
from tokenstream._sources.failures import opening_error
from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource, do_nothing, open_up_async
from tokenstream._sources.plain import read_at_once
from tokenstream._sources.websocket import OpenWebSocket, close_socket, shorten_farewell, socket_of
from tokenstream.errors import MisuseError
from tokenstream.recovery._open import AsyncOpener, find_async_source
from tokenstream.recovery._resilient import make_stream
from tokenstream.session._base import SessionBase, SessionOpening
from tokenstream.session._lines import (
    CLOSED_MEANWHILE,
    Close,
    Line,
    Open,
    ReceiveText,
    RunTools,
    SendText,
    Wait,
    not_a_socket_error,
)
from tokenstream.stream import AsyncStream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._base import find_driver
from tokenstream.stream._log import log
from tokenstream.stream._reading.host import find_host
from tokenstream.stream._reading.read_limit import LEAST_SECONDS
from tokenstream.stream._reading.reader import enter_group, leave_group

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup, TaskStatus

    from tokenstream._basics.loose import AnyFunction
    from tokenstream._values.steer import Steer
    from tokenstream.recovery import Attempt
    from tokenstream.router import Router, ToolResults
    from tokenstream.session._asked_question import AskedQuestion
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._lines import Flow, IOStep, OpenedConnection, T

_CLOSING_SECONDS = 0.6
"""Longest time for closing a connection, in seconds."""
_LEAVING_SECONDS = 0.1
"""Longest time for leaving the context manager of a closed connection, in seconds."""


class AsyncAnswer(AsyncStream):
    """The answer to a question that was asked in an `AsyncSession`: a stream that can be interrupted."""

    def __init__(self, driver: Any, interrupt: Callable[[float | None], Awaitable[None]]) -> None:  # noqa: ANN401 - inside the library
        super().__init__(driver)
        self._interrupt = interrupt
        """Stops the answer at the server, and shortens it to the milliseconds of audio that were played."""

    async def interrupt(self, *, played_ms: float | None = None) -> None:
        """Stop the answer, because the user has interrupted it; what comes late is dropped.

        The server is asked to stop, and `message` keeps what was read. Another task may call this while the
        answer is read, and also after it has ended, while its audio is still being played.

        The arguments are those of `Answer.interrupt`.
        """
        # First, so that a reader doesn't take the end of what arrives for an answer that was cut off.
        self.stop("interrupted")
        await self._interrupt(played_ms)


class AsyncSession(SessionBase):
    """A conversation over a WebSocket, which is kept open from one question to the next.

    Otherwise like `Session`; on trio, too. `open` returns a connection of `websockets`, an awaitable of it,
    or a context manager, such as those of the openai SDK and google-genai; `fallback` may return an unread
    `aconnect(…)`.

    The other arguments and the errors are those of `Session`.

    Example:
        >>> async def talk(questions: list[str]) -> None:
        ...     async with AsyncSession(lambda: connect(URL), model="gpt-5.1") as session:
        ...         for question in questions:
        ...             async with session.ask(question) as answer:
        ...                 async for piece in answer.text:
        ...                     print(piece, end="")
    """

    _is_async = True
    _line: AsyncLine

    def _make_line(self, open: AnyFunction) -> AsyncLine:  # noqa: A002 - as in `__init__`
        return AsyncLine(open)

    async def __aenter__(self) -> Self:
        """Open the connection; on trio, also a task group."""
        await self._line.open_tasks()
        try:
            await self._line.run(self._conversation.connect())
        except BaseException as error:
            if isinstance(error, Exception) and self._falls_back(error):
                self._is_open = True
                return self
            await self.aclose()
            await self._line.close_tasks()
            if not isinstance(error, Exception):
                raise
            raise_converted(opening_error(error))
        self._is_open = True
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Close the connection."""
        try:
            await self.aclose()
        finally:
            await self._line.close_tasks()

    async def aclose(self) -> None:
        """Close the connection, which ends an answer in progress. Closing twice does no harm."""
        self._is_closed = True
        await self._line.close()
        self._conversation.leave_for_good()

    def ask(
        self,
        content: Any,  # noqa: ANN401 - see `Session.ask`
        *,
        router: Router | None = None,
        lane: str | None = None,
        job: str | None = None,
    ) -> AsyncAnswer:
        """Ask a question, and return its answer as a stream; it is sent at `async with` or the first read.

        The arguments and errors are those of `Session.ask`.
        """
        asked, options = self._make_asked(content, router, lane, job)
        opens = partial(self._open_answer, asked)
        if self._retry is None:

            async def open_source() -> AsyncSource:
                """Send the question, and return the source of its answer."""
                return await open_up_async(await opens(None))

            driver: Any = AsyncDriver(LazySource(open_source), options)
        else:
            opener = _AsyncQuestionOpener(opens, options.format)
            driver = find_driver(make_stream(AsyncStream, opener, self._retry, options))
        asked.be_answered_by(driver)
        return AsyncAnswer(driver, lambda played_ms: self._line.run(asked.interrupt(played_ms)))

    async def steer(self, content: Any, *, lane: str | None = None) -> Steer:  # noqa: ANN401 - see `Session.steer`
        """Say something to the model while it answers, without stopping it (OpenAI Responses).

        Another task may call this while the answer is read. The arguments, the result and the errors are
        those of `Session.steer`.
        """
        return await self._line.run(self._make_steer(content, lane))

    # -- answers -------------------------------------------------------------

    async def _open_answer(self, asked: AskedQuestion, attempt: Attempt | None) -> AsyncSource | LazySource:
        if not self._is_falling_back:
            try:
                exchange = await self._line.run(asked.begin(attempt))
            except Exception as error:
                if not self._falls_back(error):
                    raise
            else:
                return AsyncSource(
                    AsyncMessages(self._line, asked, exchange),
                    partial(self._release, asked, exchange),
                    messages=True,
                    # A read that is cancelled loses no message, but it would cancel a tool.
                    survives=asked.router is None,
                    lent=True,
                    asked=self._line.asked,
                )
        return find_async_source(self._send_post(asked, attempt))

    async def _release(self, asked: AskedQuestion, exchange: AskedExchange) -> None:
        """Stop an answer that is not read any further."""
        if self._is_closed:
            asked.round.let_go()
        else:
            await self._line.run(asked.release(exchange))


class _AsyncQuestionOpener(SessionOpening, AsyncOpener):
    """Sends a question of a session for each attempt at its answer."""


class AsyncLine(Line):
    """Takes steps, with one connection at a time."""

    def __init__(self, opens: AnyFunction) -> None:
        super().__init__(opens)
        self._socket: OpenWebSocket | None = None
        self._leave: Callable[[], Awaitable[Any]] | None = None
        """Leaves the context manager of the current connection; None if it has none."""
        self._tasks: TaskGroup | None = None
        """On trio, the group of the tasks that hold connections; None on asyncio."""

    async def open_tasks(self) -> None:
        """On trio, open a task group: it holds connections that are context managers."""
        self._tasks = await enter_group(find_host())

    async def close_tasks(self) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            await leave_group(tasks)

    async def run(self, steps: Flow[T]) -> T:
        """Take the steps that a generator yields, and return the generator's result."""
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

    async def _take(self, step: IOStep) -> object:
        match step:
            case ReceiveText(seconds):
                recv: Any = self._open_socket().recv
                # On trio, a limit of 0 would cancel the read before it looks for a message that has arrived.
                return await _await(recv(), None if seconds is None else max(seconds, LEAST_SECONDS))
            case Wait(bell, seconds):
                await _await(bell.wait(), seconds)
            case SendText(text):
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
        if self._socket is None:
            raise MisuseError(CLOSED_MEANWHILE, kind="closed")
        return self._socket

    async def _connect(self) -> OpenedConnection:
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

    def __init__(self, line: AsyncLine, asked: AskedQuestion, exchange: AskedExchange) -> None:
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
    if seconds is None:
        return await awaited
    from anyio import move_on_after

    # Not `fail_after`, whose frames would keep those of this session until the garbage collector comes.
    with move_on_after(seconds):
        return await awaited
    raise TimeoutError


async def _run_tools(step: RunTools) -> ToolResults:
    # Each message is a whole payload.
    source: Any = replace(read_at_once(SyncSource(iter(step.messages), do_nothing)), messages=True)
    driver: Any = AsyncDriver(source, step.options)
    async with AsyncStream(driver) as stream:
        return await stream.run(step.tools_for(stream))
