"""Waking a read that blocks in another thread, by shutting down its socket.

Closing the socket would not end the read.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.stream._reading.timer_thread import TimedCall, timers

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self


def shut_down(find_socket: Callable[[], Any] | None) -> bool:
    """Shut down the socket of a source, so that a blocking read returns; return False if that fails.

    This function never blocks, and may be called from any thread.

    Args:
        find_socket: Returns the socket, or None if no socket is used for this body alone.
    """
    source_socket = find_socket() if find_socket is not None else None
    if source_socket is None:
        return False
    import socket

    try:
        if isinstance(source_socket, socket.socket):
            # SSLSocket.shutdown would switch off the encryption while the other thread reads.
            socket.socket.shutdown(source_socket, socket.SHUT_RDWR)
        else:
            source_socket.shutdown(socket.SHUT_RDWR)
    except (OSError, TypeError):
        # The socket is already closed, or is a uvloop socket, which cannot be shut down.
        return False
    return True


class ReadTimer:
    """Context manager that limits a blocking read by shutting down its socket after a time.

    Args:
        seconds: Longest time for the read.
    """

    __slots__ = ("_find_socket", "_seconds", "_timer")

    def __init__(self, find_socket: Callable[[], Any], seconds: float) -> None:
        self._find_socket = find_socket
        self._seconds = seconds
        self._timer: TimedCall | None = None
        """Ends the read when its time is over: it returns when its socket is shut down."""

    @property
    def fired(self) -> bool:
        """True if the time passed before the read returned."""
        return self._timer is not None and self._timer.was_made

    def __enter__(self) -> Self:
        # While the interpreter exits, no thread can be started, and the read has no time limit.
        with suppress(RuntimeError):
            self._timer = timers.set(self._seconds, partial(shut_down, self._find_socket))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
