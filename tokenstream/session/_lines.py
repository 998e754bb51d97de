"""The base of both kinds of lines; a line takes the steps of a conversation, over its connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError, StreamClosed
from tokenstream.session._steps import Opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._sources.websocket import OpenWebSocket

CLOSED_MEANWHILE = "the session was closed while an answer was in progress"


class Line:
    """A connection that is replaced when it is gone.

    Args:
        opens: The caller's function that opens a connection.
    """

    def __init__(self, opens: Callable[[], Any]) -> None:
        self._opens = opens
        self._is_closed = False
        """True once the session was closed, and opens no other connection."""
        self.opening_failure: Exception | None = None
        """The exception with which the last opening failed."""
        self.asked: tuple[str, None] | None = None
        """The address of the connection that was opened last; None before the first one, or if unknown."""

    def describe(self, socket: OpenWebSocket) -> Opened:
        """Return what a conversation has to know about a connection, and keep its address."""
        self.asked = socket.asked
        path = getattr(getattr(socket.connection, "request", None), "path", None)
        return Opened(path if isinstance(path, str) else None, socket.is_set_up)

    def check_open(self) -> None:
        """Refuse to go on after the session was closed.

        Raises:
            StreamClosed: The session was closed.
        """
        if self._is_closed:
            raise StreamClosed(CLOSED_MEANWHILE)


def not_a_socket_error(opened: object, *, is_async: bool) -> MisuseError:
    """Return the error for an `open` that returned no connection of the right kind."""
    name, library = ("AsyncSession", "asyncio") if is_async else ("Session", "sync")
    return MisuseError(
        f"open returned {type(opened).__name__}, and {name} needs a WebSocket connection, such as that of "
        f"websockets.{library}.client.connect(url)"
    )
