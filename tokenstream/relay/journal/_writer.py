"""The writing of one answer's records to the storage of a journal, from a queue.

The first record is written at once, later ones every 20 ms, together with those of all other answers. A
storage in memory takes each record from the task that reads the answer, until it refuses one.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from anyio import current_time, move_on_after, sleep

from tokenstream.relay.journal._changes import Changes
from tokenstream.relay.journal._errors import JournalError
from tokenstream.relay.journal._storage import Storage, retry

if TYPE_CHECKING:
    from collections.abc import Sequence


_MAX_BATCH = 1_000
_GATHER_SECONDS = 0.02
"""The time between two writes. All writers of a process write at the same times, the multiples of this,
so that the storage can send their records together.
"""
_AT_ONCE = 3
"""The number of first records that do not wait for others: the start of an answer, of a text, and a token."""
_MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""The size in bytes of the queued records above which the provider's stream is not read further."""
ALIVE_SHARE = 0.75
"""Share of a lease for which a producer counts as alive after a heartbeat or a write. The rest of the lease
is left to readers: they look a second time before they declare the producer dead."""


class TellWritten(Protocol):
    """The type of the function that a producer calls after each write to the storage."""

    def __call__(self, first: int, records: Sequence[bytes], size: int, /, *, is_last: bool) -> None:
        """Receive records that are in the storage now, for example to pass them on to followers."""


class WriteTimer:
    """Wakes all writers of a journal that have records to write at the same times."""

    def __init__(self) -> None:
        self._ringing: dict[Changes, None] = {}
        """The changes to notify at the next time, in order."""
        self._has_work = Changes()
        """Wakes `run`."""

    def ring_for(self, changes: Changes) -> None:
        self._ringing[changes] = None
        self._has_work.notify()

    async def run(self) -> None:
        while True:
            if not self._ringing:
                await self._has_work.wait()
            await sleep(_GATHER_SECONDS - current_time() % _GATHER_SECONDS)
            ringing, self._ringing = self._ringing, {}
            for changes in ringing:
                changes.notify()


class RecordWriter:
    """Queues the records of one answer, and writes them to a storage until it refuses them."""

    def __init__(
        self,
        storage: Storage,
        id: str,
        token: str,
        tell_written: TellWritten,
        *,
        timer: WriteTimer,
        lease: float,
        alive: float,
        last_written: int,
    ) -> None:
        # Given by the journal.
        self._storage, self._id = storage, id
        self._tell_written = tell_written
        self._timer = timer
        self._lease = lease
        self._append = partial(storage.append, id, token, lease=alive)
        # The queue.
        self._queued: list[bytes] = []
        self._queued_bytes = 0
        self._last_written = last_written
        """The last position that is certainly in the storage."""
        self.has_end = False
        """True once the last records have been queued."""
        self.is_left = False
        """True once the answer is left to another producer: what is queued is written, and no end."""
        self.is_cut_off = False
        """True once no more records are written, as the storage does not accept them."""
        self._is_claimed = False
        """True once a task was begun that writes: for a storage that never waits, only if it has refused a
        record."""
        # The changes for which the tasks wait.
        self._must_write = Changes()
        self._has_room = Changes()
        """Wakes the task that reads when queued records have been written."""

    def claim(self) -> bool:
        """Note that a task is to write from now on; return False if another one does already."""
        was_claimed, self._is_claimed = self._is_claimed, True
        return not was_claimed

    # -- queueing ------------------------------------------------------------

    def queue(self, record: bytes) -> None:
        self._queued.append(record)
        self._queued_bytes += len(record)

    def queue_end(self, records: Sequence[bytes]) -> None:
        for record in records:
            self.queue(record)
        self.has_end = True
        self._must_write.notify()

    def leave(self) -> None:
        """Write what is queued and no end, because another producer goes on with the answer."""
        self.is_left = True
        self.queue_end([])

    @property
    def last_queued(self) -> int:
        """The position of the last record."""
        return self._last_written + len(self._queued)

    async def wait_for_room(self) -> None:
        while self._queued_bytes > _MAX_QUEUED_BYTES and not self.is_cut_off:
            await self._has_room.wait()

    def cut_off(self) -> None:
        self.is_cut_off = True
        self._has_room.notify()
        self._must_write.notify()

    # -- writing -------------------------------------------------------------

    async def run(self) -> None:
        """Write queued records until the last one is written; raise the error of a storage that refuses."""
        while not self.is_cut_off and (self._queued or not self.has_end):
            # Neither the first token waits for others, nor the end.
            if not self._queued or (self._last_written >= _AT_ONCE and not self.has_end):
                if self._queued:
                    self._timer.ring_for(self._must_write)
                await self._must_write.wait()
            await self._flush()

    async def write_soon(self) -> bool:
        """Write the queued records at once, or wake the task that writes; return False if that is refused."""
        if not self._queued or self.is_cut_off:
            return True
        if not self._is_claimed:
            first, batch = self._last_written + 1, self._queued
            try:
                await self._append(first, batch)
            except JournalError:
                # The task that writes repeats this, and the producer gives up if that fails.
                return False
            # As `_flush` does with a part of the queue; but this is all of it, for each token.
            self._last_written += len(batch)
            size, self._queued_bytes, self._queued = self._queued_bytes, 0, []
            self._tell_written(first, batch, size, is_last=False)
        elif self._last_written < _AT_ONCE:
            self._must_write.notify()
        else:
            self._timer.ring_for(self._must_write)
        return True

    async def _flush(self) -> None:
        """Write the records that are queued now to the storage."""
        last = self._last_written + len(self._queued)
        while self._last_written < last and not self.is_cut_off:
            batch = tuple(self._queued[:_MAX_BATCH])
            is_last = self.has_end and not self.is_left and len(batch) == len(self._queued)
            append = partial(self._append, self._last_written + 1, batch, over=is_last)
            is_limited = self._storage.limits_appends and not is_last
            await retry(self._storage, append, self._lease, is_limited=is_limited)
            size = sum(map(len, batch))
            first = self._last_written + 1
            self._last_written += len(batch)
            self._queued_bytes -= size
            del self._queued[: len(batch)]
            self._tell_written(first, batch, size, is_last=is_last)
            self._has_room.notify()

    async def write_early_end(self, record: bytes) -> None:
        """Try once to end the answer in the storage after its last written record.

        A storage that is full may still take this one record, which ends the wait of all readers. If it
        does not, readers in each process learn from their feed that the journal cannot be used.
        """
        with move_on_after(self._lease / 2), suppress(JournalError):
            # A write that seems to have failed may have succeeded, so the storage is asked for the position.
            page = await self._storage.read(self._id, 0, 0)
            if page is not None and not page.state.over:
                self._last_written = page.state.end
                await self._append(self._last_written + 1, (record,), over=True)
