"""Waking a read that blocks in another thread: closing does not, shutting down its socket does."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

__all__ = ["Watch", "shut_down"]


def shut_down(find: Callable[[], Any] | None) -> bool:
    """Shut down the socket that a source is read from; the read that blocks there comes back.

    It never blocks, and may be called from any thread.

    Args:
        find: Finds the socket, or None where there is none that carries this body alone.
    """
    found = find() if find is not None else None
    if found is None:
        return False
    import socket

    try:
        if isinstance(found, socket.socket):
            # An SSLSocket's own `shutdown` takes its encryption away while the other thread reads.
            socket.socket.shutdown(found, socket.SHUT_RDWR)
        else:
            found.shutdown(socket.SHUT_RDWR)
    except (OSError, TypeError):
        # It is closed already, or one of uvloop's, which cannot be shut down.
        return False
    return True


class Watch:
    """Bounds a read that blocks: after a time its socket is shut down.

    Args:
        find: Finds the socket.
        seconds: How long the read may take.
    """

    def __init__(self, find: Callable[[], Any], seconds: float) -> None:
        self.fired = False
        """Whether the time was over before the read was."""
        self._find = find
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def _fire(self) -> None:
        self.fired = True
        shut_down(self._find)

    def __enter__(self) -> Self:
        # At the interpreter's exit no thread can be started: the read is then not bounded.
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
