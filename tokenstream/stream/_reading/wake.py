"""Waking a read that blocks in another thread: shutting down its socket does, closing it does not."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self


def shut_down(find: Callable[[], Any] | None) -> bool:
    """Shut down the socket of a source, so that a read blocking there returns; False if it cannot be.

    Never blocks, and may be called from any thread.

    Args:
        find: Returns the socket, or None if no socket carries this body alone.
    """
    found = find() if find is not None else None
    if found is None:
        return False
    import socket

    try:
        if isinstance(found, socket.socket):
            # SSLSocket.shutdown would drop its encryption while the other thread reads.
            socket.socket.shutdown(found, socket.SHUT_RDWR)
        else:
            found.shutdown(socket.SHUT_RDWR)
    except (OSError, TypeError):
        # Closed already, or a uvloop socket, which cannot be shut down.
        return False
    return True


class ReadTimer:
    """Context manager that bounds a blocking read by shutting its socket down after a time.

    Args:
        find: Returns the socket.
        seconds: Longest time for the read.
    """

    def __init__(self, find: Callable[[], Any], seconds: float) -> None:
        self.fired = False
        """True if the time ran out before the read returned."""
        self._find = find
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def _fire(self) -> None:
        self.fired = True
        shut_down(self._find)

    def __enter__(self) -> Self:
        # At interpreter exit no thread can be started; the read stays unbounded then.
        with suppress(RuntimeError):
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._timer.ident is not None:
            self._timer.join()
