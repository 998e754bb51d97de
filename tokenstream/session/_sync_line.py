"""The connections of a session, one after the other: takes the steps of its conversation in a thread."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tokenstream._sources import SyncSource
from tokenstream._sources.failures import FunctionFailed
from tokenstream._sources.kinds import do_nothing
from tokenstream._sources.websocket import OpenWebSocket, close_socket, shorten_farewell, socket_of
from tokenstream.errors import StreamClosed
from tokenstream.session._lines import CLOSED_MEANWHILE, Line, not_a_socket_error, path_of
from tokenstream.session._steps import Close, Open, Receive, RunTools, Send
from tokenstream.stream import Stream
from tokenstream.stream._log import log
from tokenstream.stream._read_errors import concurrent_read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.router import Router, ToolResults
    from tokenstream.session._asked import Asked
    from tokenstream.session._exchange import Exchange
    from tokenstream.session._steps import Step, Steps, T


class SyncLine(Line):
    """Takes steps, with one connection at a time.

    Args:
        opens: The caller's function that opens a connection.
    """

    def __init__(self, opens: Callable[[], Any]) -> None:
        super().__init__(opens)
        self._stack = ExitStack()
        """Leaves the context manager of the current connection, if it has one."""
        self._lock = threading.Lock()
        """Held while a thread reads the connection or asks a question."""

    def run(self, steps: Steps[T], *, reads: bool = True) -> T:
        """Take the steps that a generator yields, and return the generator's result.

        Args:
            steps: The generator.
            reads: True if the steps may read, which only one thread may do at a time.
        """
        if reads and not self._lock.acquire(blocking=False):
            raise concurrent_read_error()
        try:
            return self._take_all(steps)
        finally:
            if reads:
                self._lock.release()

    def _take_all(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    result = self._take(step)
                except Exception as error:  # noqa: BLE001 - the steps say what follows from it
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            # After Ctrl-C, the steps have to know at once that they are over.
            steps.close()

    def _take(self, step: Step) -> object:
        """Take one step, and return its result."""
        match step:
            case Receive(seconds):
                recv: Any = self._open_socket().recv
                return recv(timeout=seconds)
            case Send(text):
                self._open_socket().connection.send(text)
            case Open():
                try:
                    return self._connect()
                except Exception as error:
                    self.opening_failure = error
                    raise
            case Close():
                self.disconnect()
            case RunTools(router, messages, format):
                try:
                    return _run_tools(router, messages, format)
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

    def _connect(self) -> str | None:
        """Open a connection, and return the path of its URL."""
        opened: Any = self._opens()
        socket = _find_socket(opened)
        if socket is None and hasattr(opened.__class__, "__enter__"):
            stack = ExitStack()
            opened = stack.enter_context(opened)
            self._stack = stack
            socket = _find_socket(opened)
        if socket is None or socket.is_async:
            raise not_a_socket_error(opened, is_async=False)
        shorten_farewell(socket)
        self._socket = socket
        return path_of(socket.connection)

    def disconnect(self) -> None:
        """Close the connection, if there is one, without waiting long for the other end."""
        socket, self._socket = self._socket, None
        stack, self._stack = self._stack, ExitStack()
        try:
            with stack:
                if socket is not None:
                    close_socket(socket)
        except Exception as error:  # noqa: BLE001 - it is gone then, too, and another error may be raised
            log("closing the connection failed: %s", type(error).__name__)


class Messages:
    """Iterator over the messages of one answer."""

    __slots__ = ("_asked", "_exchange", "_line", "_seconds")

    def __init__(self, line: SyncLine, asked: Asked, exchange: Exchange) -> None:
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


def _run_tools(router: Router, messages: list[bytes], format: str) -> ToolResults:
    """Run the tools that an answer calls."""
    source: Any = SyncSource(iter(messages), do_nothing, messages=True)
    with Stream(source, format=format) as stream:  # type: ignore[arg-type]
        return stream.run(router.tools_only())
