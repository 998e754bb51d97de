"""The limit of a source's reads, kept as the timeout of its socket."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream._sources.kinds import ReadLimit


class SocketLimit:
    """Sets the timeout of a socket before each read of a body.

    Args:
        socket: The socket.
    """

    __slots__ = ("_limit", "_own", "_socket")

    def __init__(self, socket: Any) -> None:  # noqa: ANN401 - of a library
        self._socket = socket
        self._limit: ReadLimit | None = None
        self._own: float | None = None
        """The timeout that the socket had, which is never exceeded."""

    def keep(self, limit: ReadLimit) -> None:
        """Have all reads from now on keep a limit."""
        self._limit = limit
        self._own = self._socket.gettimeout()

    def apply(self) -> None:
        """Set the timeout for the next read."""
        if self._limit is not None:
            self._set(self._limit.seconds(self._own))

    def give_back(self) -> None:
        """Set the timeout that the socket had before."""
        if self._limit is not None:
            self._limit = None
            self._set(self._own)

    def _set(self, seconds: float | None) -> None:
        # The socket may be closed; then the next read tells.
        with suppress(OSError):
            self._socket.settimeout(seconds)
