"""The steps of a conversation that only a driver can take, and the base of the lines that take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from tokenstream.errors import MisuseError
from tokenstream.events import ToolProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream._basics.loose import AnyFunction
    from tokenstream._sources.websocket import OpenWebSocket
    from tokenstream.router import Router
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.stream._options import Options

T = TypeVar("T")


class Open(NamedTuple):
    """Open a connection with the caller's function; the result is an `OpenedConnection`."""


class OpenedConnection(NamedTuple):
    path: str | None
    is_set_up: bool


class SendText(NamedTuple):
    """Write a message to the connection."""

    text: str


class ReceiveText(NamedTuple):
    """Read a message from the connection; the result is the message.

    The driver raises TimeoutError if no message has arrived in time.
    """

    seconds: float | None
    """The longest wait; None for no limit, 0 to take only what has arrived."""


class Wait(NamedTuple):
    """Wait until another run of steps sets an event.

    The driver raises TimeoutError if it was not set in time.
    """

    bell: Any
    """The event, of the kind that the driver makes."""
    seconds: float | None
    """The longest wait; None for no limit."""


class Close(NamedTuple):
    """Close the connection, without waiting long for the other end."""


class RunTools(NamedTuple):
    """Run the tools that an answer calls; the result is a `ToolResults`."""

    router: Router
    messages: list[bytes]
    """The messages of the answer, at least those that contain its calls and its end."""
    options: Options
    is_stopped: Callable[[], bool]
    """Returns True once the application has stopped the answer; generators are then closed."""

    def tools_for(self, stream: Stream | AsyncStream) -> Router:
        """Return the tools, and handlers of their progress, for a stream that is stopped with the answer."""
        tools = self.router.tools_only(ToolProgress)

        def stop_early(_: ToolProgress) -> None:
            if self.is_stopped():
                stream.stop()

        tools.on(ToolProgress)(stop_early)
        return tools


IOStep: TypeAlias = Open | SendText | ReceiveText | Wait | Close | RunTools
Flow: TypeAlias = "Generator[IOStep, Any, T]"


CLOSED_MEANWHILE = "the session was closed while an answer was in progress"


class Line:
    """A connection that is replaced when it is gone."""

    def __init__(self, opens: AnyFunction) -> None:
        self._opens = opens
        self._is_closed = False
        """True once the session was closed, and opens no other connection."""
        self.opening_failure: Exception | None = None
        """The exception with which the last opening failed."""
        self.asked: tuple[str, None] | None = None
        """The address of the connection that was opened last; None before the first one, or if unknown."""

    def describe(self, socket: OpenWebSocket) -> OpenedConnection:
        """Return what a conversation has to know about a connection, and keep its address."""
        self.asked = socket.asked
        path = getattr(getattr(socket.connection, "request", None), "path", None)
        return OpenedConnection(path if isinstance(path, str) else None, socket.is_set_up)

    def check_open(self) -> None:
        if self._is_closed:
            raise MisuseError(CLOSED_MEANWHILE, kind="closed")


def not_a_socket_error(opened: object, *, is_async: bool) -> MisuseError:
    """Return the error for an `open` that returned no connection of the right kind."""
    name, library = ("AsyncSession", "asyncio") if is_async else ("Session", "sync")
    return MisuseError(
        f"open returned {type(opened).__name__}, and {name} needs a WebSocket connection, such as that of "
        f"websockets.{library}.client.connect(url)"
    )
