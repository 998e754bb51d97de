"""Reading a source in the loop's own task, where no task can be had or none is needed.

It does what a `Reader` does, a chunk at a time. A read that is cancelled ends most
sources for good, and silently: such an end is told from a clean one.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenstream.sources import AsyncSource, Deferred
from tokenstream.stream._items import END, LOST, NOTABLE_SECONDS, Away, Failed, Opened
from tokenstream.stream._reader import CLOSING_SECONDS, closed
from tokenstream.stream._said import homeless
from tokenstream.stream._wake import shut_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import CancelScope

    from tokenstream.stream._host import Host

__all__ = ["Direct"]


class Direct:
    """Reads a source whenever it is waited for.

    Args:
        source: The source, opened or not.
        clock: Where the time comes from, in seconds.
        host: The event loop, where there is one.
    """

    __slots__ = (
        "_clock",
        "_host",
        "_items",
        "_last",
        "_lost",
        "_opening",
        "_reading",
        "_scope",
        "closing_error",
        "over",
        "since",
        "source",
        "stopped",
    )

    def __init__(self, source: AsyncSource | Deferred, clock: Callable[[], float], host: Host | None) -> None:
        self.source = source
        self.since: float | None = None
        """The clock when the next read is asked for, or the last one was."""
        self.over = False
        """Whether the source is closed, or about to be."""
        self.closing_error: Exception | None = None
        self.stopped = False
        """Whether a read that is in progress was told to end."""
        self._clock = clock
        self._host = host
        self._items: list[tuple[float, Any]] = []
        self._last = clock()
        self._lost = False
        self._opening = False
        self._reading = False
        self._scope: CancelScope | None = None

    def take(self) -> list[tuple[float, Any]]:
        """Return what has come, each with the clock at its arrival."""
        items, self._items = self._items, []
        if not items:
            now = self.since = self._clock()
            away, self._last = now - self._last, now
            if away > NOTABLE_SECONDS:
                items.append((now, Away(away)))
        return items

    @property
    def intact(self) -> bool:
        """Whether another may go on reading where this has come to."""
        opened = isinstance(self.source, AsyncSource)
        return opened and not (self._lost or self._reading or self._items or self.over)

    @property
    def _instant(self) -> bool:
        """Whether nothing here ever waits, so that no event loop is needed."""
        return isinstance(self.source, AsyncSource) and self.source.instant

    @property
    def _survives(self) -> bool:
        """Whether a read that is cancelled loses nothing."""
        return isinstance(self.source, AsyncSource) and self.source.survives

    @property
    def homeless(self) -> bool:
        """Whether the event loop that the source needs is over."""
        return self._host is not None and not self._instant and self._host.is_over()

    def stay_at_home(self) -> None:
        """Refuse to be read in another event loop than before; where that is over, nothing more comes."""
        if self._host is not None and not self._instant and not self._host.stay():
            self._put(Failed(homeless()))

    async def wait(self, seconds: float | None) -> bool:
        """Read once, and tell whether something came in time; the end of the source counts too.

        Args:
            seconds: How long to wait; None for ever.
        """
        source, self._reading = self.source, True
        try:
            if isinstance(source, AsyncSource) and source.instant:
                await self._read_at_once(source, seconds)
            else:
                await self._read_in_time(source, seconds)
        except StopAsyncIteration:
            self._put(LOST if self._lost else END)
        except Exception as error:  # noqa: BLE001 - it is raised by the stream, in its place
            self._put(Failed(error))
        except BaseException:
            self._lost = not self._survives
            raise
        finally:
            self._reading = False
            if self.stopped:
                await self.close(failed=True)
        return bool(self._items) or self.over

    def stop(self) -> None:
        """End a read that is in progress; it closes the source."""
        self.stopped = self._reading
        if self._scope is not None:
            self._scope.cancel()

    def wake(self) -> None:
        """Have whoever waits come back without anything."""
        if self._scope is not None and self._survives:
            self._scope.cancel()

    async def close(self, *, failed: bool = False) -> None:
        """Close the source, or have the read that is in progress do so.

        Args:
            failed: Whether an error or a cancellation is on its way, which must not wait for ever.
        """
        self.stop()
        if self._reading or self.over:
            return
        self.over = True
        if self.homeless:
            self.abandon()
            return
        if self._host is None or self._instant:
            await self._close()
            return
        from anyio import current_effective_deadline, move_on_after

        if isinstance(self.source, AsyncSource) and self.source.entered:
            # What was entered is left as it would be by its own block: it may hold a scope.
            await self._close()
            return
        if not failed and current_effective_deadline() > -math.inf:
            await self._close()
            return
        with move_on_after(CLOSING_SECONDS, shield=True):
            await self._close()

    def abandon(self) -> None:
        """Leave the source to whoever collects it: there is nobody to close it without waiting."""
        if isinstance(self.source, AsyncSource):
            shut_down(self.source.socket)

    # -- within ------------------------------------------------------------

    async def _read_at_once(self, source: AsyncSource, seconds: float | None) -> None:
        if source.bound is None:
            self._put(await source.next_chunk())
            return
        source.bound(seconds)
        # By a clock of its own, the time has passed then.
        with suppress(TimeoutError):
            self._put(await source.next_chunk())
        self._last = self._clock()

    async def _read_in_time(self, source: AsyncSource | Deferred, seconds: float | None) -> None:
        from anyio import CancelScope, current_time

        if isinstance(source, Deferred) and source.enters and not self._opening:
            # What is entered may hold a scope of its own, and scopes are left in their order.
            await self._open(source)
            return
        deadline = math.inf if seconds is None else current_time() + seconds
        try:
            with CancelScope(deadline=deadline) as self._scope:
                if isinstance(source, AsyncSource):
                    self._put(await source.next_chunk())
                elif self._opening:
                    # The request went out, and whoever waited for its answer was broken off.
                    self._put(LOST)
                else:
                    await self._open(source)
            self._lost = self._lost or (self._scope.cancelled_caught and not self._survives)
        finally:
            self._scope = None
            self._last = self._clock()

    async def _open(self, source: Deferred) -> None:
        self._opening = True
        opened: AsyncSource = await source.open()
        self.source = opened
        self._put(Opened(opened))

    async def _close(self) -> None:
        source = self.source
        if isinstance(source, Deferred):
            if not self._opening:
                source.discard()
            return
        try:
            await closed(source)
        except Exception as error:  # noqa: BLE001 - whoever closes the stream is told
            self.closing_error = error

    def _put(self, item: object) -> None:
        self._last = self._clock()
        self._items.append((self._last, item))
        if item.__class__ is bytes:
            self._lost = False
