"""The connections of a session, one after the other: takes the steps of its conversation in a thread."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._sources import SyncSource
from tokenstream._sources.failures import FunctionFailed
from tokenstream._sources.kinds import do_nothing
from tokenstream._sources.websocket import OpenWebSocket, close_socket, shorten_farewell, socket_of
from tokenstream.errors import StreamClosed
from tokenstream.session._lines import (
    CLOSED_MEANWHILE,
    Close,
    Line,
    Open,
    Opened,
    Receive,
    RunTools,
    Send,
    Wait,
    not_a_socket_error,
)
from tokenstream.stream import Stream
from tokenstream.stream._log import log
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.router import ToolResults
    from tokenstream.session._asked import Asked
    from tokenstream.session._exchange import AskedExchange
    from tokenstream.session._lines import Step, Steps, T


class _Current(NamedTuple):
    """The connection that is open."""

    socket: OpenWebSocket
    stack: ExitStack
    """Leaves the context manager of the connection, if it has one."""


class SyncLine(Line):
    """Takes steps, with one connection at a time; each thread takes its own steps.

    Args:
        opens: The caller's function that opens a connection.
    """

    def __init__(self, opens: Callable[[], Any]) -> None:
        super().__init__(opens)
        self._current: _Current | None = None
        """The current connection; None if there is none."""
        self._lock = threading.RLock()
        """Held while steps run, but not while one is taken: they all change the same conversation."""

    def run(self, steps: Steps[T]) -> T:
        """Take the steps that a generator yields, and return the generator's result.

        Args:
            steps: The generator.
        """
        advance: Callable[[], Step] = partial(next, steps)
        try:
            while True:
                with self._lock:
                    step = advance()
                    # The step is about this connection, even if another thread opens another one meanwhile.
                    current = self._current
                    if isinstance(step, Close):
                        self._current = None
                try:
                    result = self._take(step, current)
                except Exception as error:  # noqa: BLE001 - the steps say what follows from it
                    advance = partial(steps.throw, error)
                else:
                    advance = partial(steps.send, result)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            # After Ctrl-C, the steps have to know at once that they are over.
            with self._lock:
                steps.close()

    def _take(self, step: Step, current: _Current | None) -> object:
        """Take one step, and return its result.

        Args:
            step: The step.
            current: The connection; None if there is none.
        """
        match step:
            case Receive(seconds):
                recv: Any = _find_open(current).recv
                return recv(timeout=seconds)
            case Send(text):
                _find_open(current).connection.send(text)
            case Wait(bell, seconds):
                if not bell.wait(seconds):
                    raise TimeoutError
            case Open():
                try:
                    return self._connect()
                except Exception as error:
                    self.opening_failure = error
                    raise
            case Close():
                _close(current)
            case RunTools():
                try:
                    return _run_tools(step)
                except Exception as error:
                    raise FunctionFailed(error) from error
        return None

    def _connect(self) -> Opened:
        """Open a connection, and return the facts about it."""
        self.check_open()
        given: Any = self._opens()
        socket, stack = _find_socket(given), ExitStack()
        try:
            if socket is None and hasattr(given.__class__, "__enter__"):
                given = stack.enter_context(given)
                socket = _find_socket(given)
            if socket is None or socket.is_async:
                raise not_a_socket_error(given, is_async=False)
        except BaseException:
            stack.close()
            raise
        shorten_farewell(socket)
        self._current = _Current(socket, stack)
        if self._is_closed:
            self.disconnect()
        self.check_open()
        return self.describe(socket)

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            current, self._current = self._current, None
        _close(current)

    def close(self) -> None:
        """Close the connection, if there is one, and open no other one."""
        self._is_closed = True
        self.disconnect()


def _find_open(current: _Current | None) -> OpenWebSocket:
    """Return the connection.

    Raises:
        StreamClosed: The session was closed while an answer was read.
    """
    if current is None:
        raise StreamClosed(CLOSED_MEANWHILE)
    return current.socket


def _close(current: _Current | None) -> None:
    """Close a connection, if there is one, without waiting long for the other end."""
    if current is None:
        return
    try:
        with current.stack:
            close_socket(current.socket)
    except Exception as error:  # noqa: BLE001 - it is gone then, too, and another error may be raised
        log("closing the connection failed: %s", type(error).__name__)


class Messages:
    """Iterator over the messages of one answer."""

    __slots__ = ("_asked", "_exchange", "_line", "_seconds")

    def __init__(self, line: SyncLine, asked: Asked, exchange: AskedExchange) -> None:
        self._line = line
        self._asked = asked
        self._exchange = exchange
        self._seconds: float | None = None
        """The limit of the wait for the next message; None for no limit."""

    def limit_read(self, seconds: float | None) -> None:
        """Limit the wait for the next message to a number of seconds; None for no limit."""
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        message = self._line.run(self._asked.read(self._exchange, self._seconds))
        if message is None:
            raise StopIteration
        return message


def _find_socket(opened: Any) -> OpenWebSocket | None:  # noqa: ANN401 - whatever the caller's function returned
    """Return the WebSocket that an object is or wraps; None for any other object."""
    socket = socket_of(opened)
    if socket is not None:
        enter = getattr(socket.connection, "__enter__", None)
        if enter is not None:
            # Without this, websockets warns about a connection without `with`.
            enter()
    return socket


def _run_tools(step: RunTools) -> ToolResults:
    """Run the tools that an answer calls."""
    driver: Any = SyncDriver(SyncSource(iter(step.messages), do_nothing, messages=True), step.options)
    with Stream(driver) as stream:
        return stream.run(step.tools_for(stream))
