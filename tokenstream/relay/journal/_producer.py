"""Producers: each reads one answer and writes it to the storage, for as long as it takes.

A producer has three tasks:

    read    events of the stream ─▶ records that wait
    write   records that wait ─▶ the storage: all that came while the last write was under way, at once
    watch   a sign of life every quarter of the lease; what comes back is whether somebody asked for a stop

What ends the answer is one record, the last: the end of the stream, its error, a
stop, or that this process ends. The first of them counts.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.errors import StreamError
from tokenstream.events import Ping, Stopped
from tokenstream.relay.encoders._tokenstream import record
from tokenstream.relay.journal._errors import JournalUnavailable
from tokenstream.relay.journal._records import ended, ending_of, failed, interrupted
from tokenstream.relay.journal._retrying import retrying
from tokenstream.relay.journal._storage import Fenced
from tokenstream.stream._said import warn

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from tokenstream.events import Event
    from tokenstream.relay._shape import Shaping
    from tokenstream.relay.journal._storage import Storage

__all__ = ["Producer", "close_stream"]

_BATCH = 1_000
"""The most records of one write."""
_WAITING = 4 * 1024 * 1024
"""Bytes of records that may wait for the storage; beyond them nothing is read from the provider."""
_LAST_WORDS = 2.0
"""Seconds for closing a stream, and for writing how it ended, where the program itself is being ended."""


class Producer:
    """Reads one answer and writes it down.

    Args:
        storage: Where it is written.
        id: The answer's id.
        token: Names the producer.
        stream: The answer: a stream of ours, or any asynchronous iterable of events.
        lease: Seconds after which a producer that gives no sign of life is found dead.
        raw: Whether the provider's ids, payloads and words are written, too.
        shaping: Shapes the text before it is written; None to write it as it comes.
    """

    def __init__(
        self,
        storage: Storage,
        id: str,
        token: str,
        stream: AsyncIterable[Event],
        *,
        lease: float,
        raw: bool = False,
        shaping: Shaping | None = None,
    ) -> None:
        import anyio

        self.id = id
        self.opened = anyio.Event()
        """Set at the first event, and where the answer has ended without one."""
        self.gone = anyio.Event()
        """Set when nothing more is done for the answer."""
        self.failure: StreamError | None = None
        """The error of an answer that failed before its first event."""
        self._storage = storage
        self._token = token
        self._stream: Any = stream
        self._lease = lease
        self._raw = raw
        self._shaping = shaping
        self._reading = anyio.CancelScope()
        self._waiting: list[bytes] = []
        self._size = 0
        self._written = 0
        """The last position that the storage is known to have."""
        self._last: list[bytes] | None = None
        """The records that end the answer; None as long as nothing does."""
        self._over = False
        """They are among those that wait, or were written."""
        self._is_lost = False
        """The answer is another producer's, or nobody's: nothing can be written any more."""
        self._more = anyio.Event()
        self._room = anyio.Event()
        self._done = anyio.Event()

    async def run(self) -> None:
        """Read the answer to its end, whatever that is, and write it down."""
        import anyio

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                tasks.start_soon(self._watch)
                await self._read()
                await self._done.wait()
                tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            self._end([interrupted("the server ended in the middle of the answer")])
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WORDS):
                await self._flush()
            raise
        finally:
            self.opened.set()

    def stop(self, reason: str) -> None:
        """End the answer because somebody asked for it.

        Args:
            reason: Why.
        """
        if self._last is None:
            self._last = [record(Stopped(reason)), ended("stopped")]
            stop = getattr(self._stream, "stop", None)
            if stop is not None:
                # So that its own message says so, too.
                stop(reason)
        self._reading.cancel()

    def interrupt(self, message: str) -> None:
        """End the answer where it stands.

        Args:
            message: What its readers are told.
        """
        if self._last is None:
            self._last = [interrupted(message)]
        self._reading.cancel()

    # -- reading -------------------------------------------------------------

    async def _read(self) -> None:
        """Take what the stream gives, and how it ended."""
        last: list[bytes] | None = None
        try:
            with self._reading:
                await self._take()
                last = [ended(ending_of(self._stream))]
        except StreamError as error:
            if not self.opened.is_set():
                self.failure = error
            last = [failed(error, raw=self._raw)]
        except Exception as error:  # noqa: BLE001 - the bug in one answer must not end all the others
            warn("an answer of a journal could not be produced: %r", error)
            last = [failed(error)]
        self._end(last or [interrupted("the answer was cancelled")])
        self.opened.set()

    async def _take(self) -> None:
        stream = self._stream
        try:
            if hasattr(stream, "__aenter__"):
                async with stream:
                    await self._take_events()
            else:
                await self._take_events()
        finally:
            await close_stream(stream)

    async def _take_events(self) -> None:
        shaping = self._shaping
        async for event in self._stream:
            if shaping is None:
                self._add(event)
            else:
                for shaped in shaping.feed(event, now=time.monotonic()):
                    self._add(shaped)
                shaping.check()
            if not self.opened.is_set():
                self.opened.set()
            while self._size > _WAITING and not self._is_lost:
                await self._room.wait()

    def _add(self, event: Event) -> None:
        # A sign of life is no part of the answer.
        told = b"" if event.__class__ is Ping or self._over else record(event, raw=self._raw)
        if told:
            self._waiting.append(told)
            self._size += len(told)
            self._more.set()

    def _end(self, records: list[bytes]) -> None:
        """Add the records that end the answer, unless that is done.

        Args:
            records: Those to take where nothing else has ended it before.
        """
        if not self._over:
            self._last = records if self._last is None else self._last
            self._add_held()
            self._waiting += self._last
            self._size += sum(map(len, self._last))
            self._over = True
            self._more.set()

    def _add_held(self) -> None:
        """Add the text that a shape has held back; what fails then ends the answer."""
        shaping = self._shaping
        if shaping is None:
            return
        for shaped in shaping.end(now=time.monotonic()):
            self._add(shaped)
        if shaping.error is not None:
            self._last = [failed(shaping.error)]

    # -- writing -------------------------------------------------------------

    async def _write(self) -> None:
        """Write what waits, until the end is written."""
        import anyio

        while not self._is_lost and (self._waiting or not self._over):
            await self._more.wait()
            self._more = anyio.Event()
            await self._flush()
        self._done.set()

    async def _flush(self) -> None:
        """Write all that waits."""
        import anyio

        while self._waiting and not self._is_lost:
            batch = tuple(self._waiting[:_BATCH])
            over = self._over and len(batch) == len(self._waiting)
            try:
                await retrying(partial(self._append, batch, over=over), self._lease)
            except (Fenced, JournalUnavailable) as error:
                self._give_up(error)
                break
            self._written += len(batch)
            self._size -= sum(map(len, batch))
            del self._waiting[: len(batch)]
            self._room.set()
            self._room = anyio.Event()

    async def _append(self, batch: tuple[bytes, ...], *, over: bool) -> None:
        first, alive = self._written + 1, self._lease * 0.75
        await self._storage.append(self.id, self._token, first, batch, lease=alive, over=over)

    def _give_up(self, error: Exception) -> None:
        """End reading, for nobody would hear of it any more."""
        warn("an answer of a journal is given up in its middle: %r", error)
        self._is_lost = True
        self._room.set()
        self._more.set()
        self.interrupt("the journal no longer takes the answer")

    # -- watching ------------------------------------------------------------

    async def _watch(self) -> None:
        """Give signs of life, and hear of stops."""
        import anyio
        from anyio.lowlevel import checkpoint

        pause = self._lease / 4
        while not self._is_lost and not self._done.is_set():
            # A storage in memory answers without a turn of the loop.
            await checkpoint()
            try:
                reason = None
                with anyio.move_on_after(pause):
                    reason = await self._storage.beat(self.id, self._token, lease=self._lease * 0.75)
                if reason is not None:
                    self.stop(reason)
                    await anyio.sleep(pause)
                    # Readers do not wait for a stream that is slow to be cancelled, or never is.
                    self._end([])
                with anyio.move_on_after(pause):
                    await self._storage.wait_stop(self.id)
            except Fenced as error:
                self._give_up(error)
            except JournalUnavailable:
                # What is written tries again as well, and gives up in time.
                await anyio.sleep(min(pause, 1.0))


async def close_stream(stream: object) -> None:
    """Close a stream, or whatever else is iterated over, also while this is being cancelled."""
    import anyio

    close = getattr(stream, "aclose", None)
    if close is not None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WORDS):
            await close()
