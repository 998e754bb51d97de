"""The pump of a stream that is shared in threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.stream._reading.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class SharedPump(Pump):
    """A pump that releases a broadcast's lock while it waits, so that other threads can read the message.

    Args:
        pump: The pump that has read the source so far.
        lock: The broadcast's lock, held by the thread that reads the stream or looks at the message.
    """

    __slots__ = ("_lock",)

    def __init__(self, pump: Pump, lock: Any) -> None:  # noqa: ANN401 - an RLock, whose class is not public
        # This pump replaces the given pump, and takes over its state.
        for name in Pump.__slots__:
            setattr(self, name, getattr(pump, name))
        self._lock = lock
        # With `direct`, the driver would read without releasing the lock.
        self.direct = None

    def replace(self, source: Any) -> None:  # noqa: ANN401 - a source, opened or not
        super().replace(source)
        # With `direct`, the driver would read without releasing the lock.
        self.direct = None

    def put_back(self, items: Iterable[Any]) -> None:
        """Put items back, so that the next reads return them before all other items."""
        super().put_back(items)
        # With `direct`, the driver would read without releasing the lock.
        self.direct = None

    def end_sharing(self) -> None:
        """Read without the lock from now on: the broadcast is gone, so that nobody holds its lock."""
        self._lock = None

    def read(self, until: float | None) -> object:
        """Read the next item until a time, as the base class does, without holding the lock."""
        return self._wait_unlocked(super().read, until)

    def wait_for_retry(self, until: float | None) -> object:
        """Wait, without holding the lock, until the next attempt may begin; return `WAITED`."""
        return self._wait_unlocked(super().wait_for_retry, until)

    def _wait_unlocked(self, wait: Callable[[float | None], object], until: float | None) -> object:
        """Wait without holding the lock, which nobody else needs once the sharing has ended."""
        lock = self._lock
        if lock is None:
            return wait(until)
        lock.release()
        try:
            return wait(until)
        finally:
            lock.acquire()
