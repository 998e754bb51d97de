"""Limits how long reads of http.client's responses wait, with the timeout of their socket."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from tokenstream._sources.kinds import SupportsReadLimit


class SocketLimit:
    """Sets the timeout of a socket before each `recv` for a body.

    To limit each read of the body is not enough: one read may call `recv` again and again, if a server
    sends the length of a chunk byte by byte.

    Args:
        file: The file through which http.client reads one response from its socket. This object replaces
            the file's method `readinto` by one of its own, and so keeps only a weak reference to the file.
    """

    __slots__ = ("_file", "_limit", "_own", "_socket")

    def __init__(self, file: object, socket: Any) -> None:  # noqa: ANN401 - of http.client
        self._file = ref(file)
        self._socket = socket
        self._limit: SupportsReadLimit | None = None
        self._own: float | None = None
        """The timeout that the socket had, which is never exceeded."""

    def keep(self, limit: SupportsReadLimit) -> None:
        """Limit how long all reads from now on wait."""
        self._limit = limit
        self._own = self._socket.gettimeout()
        # The file is that of this response alone, even if its connection goes on to other ones.
        file: Any = self._file()
        file.readinto = self._read_into

    def give_back(self) -> None:
        """Set the timeout that the socket had before, because its connection goes on to other responses."""
        if self._limit is not None:
            self._set_timeout(self._own)

    def _read_into(self, buffer: object) -> object:
        """Read bytes into a buffer within the limit; return the number of bytes."""
        if self._limit is not None:
            self._set_timeout(self._limit.seconds(self._own))
        file: Any = self._file()
        return file.__class__.readinto(file, buffer)

    def _set_timeout(self, seconds: float | None) -> None:
        # The socket may be closed; then the next read raises an error.
        with suppress(OSError):
            self._socket.settimeout(seconds)


def find_socket_limit(response: object) -> SocketLimit | None:
    """Return an object that limits the reads of a response; None if the socket cannot be found."""
    file = getattr(getattr(response, "fp", None), "raw", None)
    socket = getattr(file, "_sock", None)
    return None if socket is None else SocketLimit(file, socket)
