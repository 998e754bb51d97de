"""What tests of journals are made of: answers under control, storages that fail, readers that keep all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import anyio
import pytest

from tests.relay.tokenstream.support import frame
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Decoder, Message
from tokenstream.errors import StreamError
from tokenstream.events import Event
from tokenstream.relay.journal import Entry, Journal, JournalError, Page, Storage
from tokenstream.relay.journal._memory import MemoryStorage


@contextmanager
def journal_fails(kind: str, match: str | None = None) -> Generator[pytest.ExceptionInfo[JournalError]]:
    with pytest.raises(JournalError, match=match) as caught:
        yield caught
    assert kind == caught.value.kind


async def failure_of(call: Awaitable[Any]) -> str | None:
    """Return the kind of the journal's error that a call raises; None if it raises none."""
    try:
        await call
    except JournalError as error:
        return error.kind
    return None


class Answer:
    """An answer whose pieces come when the test says so, some of them at once."""

    def __init__(self, *pieces: str, over: bool = False) -> None:
        self.closed = False
        self.gone = anyio.Event()
        """Set once it is closed."""
        self.sent = 0
        self._pieces = list(pieces)
        self._over = over
        self._news = anyio.Event()
        self.stream = AsyncStream(self._body(), format="pieces")

    def send(self, *pieces: str, over: bool = False) -> None:
        self._pieces += pieces
        self._over = self._over or over
        self._news.set()

    def end(self) -> None:
        self.send(over=True)

    async def _body(self) -> AsyncIterator[str]:
        try:
            while True:
                while self.sent < len(self._pieces):
                    self.sent += 1
                    yield self._pieces[self.sent - 1]
                if self._over:
                    return
                await self._news.wait()
                self._news = anyio.Event()
        finally:
            self.closed = True
            self.gone.set()


def in_memory(**bounds: Any) -> Storage:
    """Return a storage in memory, with the bounds of `MemoryJournal` and a clock by which answers expire."""
    return MemoryStorage(**bounds)


class Place(Storage):
    """A storage that can be cut off: its process is dead then, or the place out of reach."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.dead = False
        """Nothing is done any more, as in a process that was killed."""
        self.away = False
        """Every call fails."""
        self.mute = False
        """Nobody is told of news."""
        self.broken = False
        """Every call raises what no storage should."""
        self.closed = False

    async def _reach(self) -> Storage:
        if self.dead:
            await anyio.sleep_forever()
        if self.broken:
            raise ZeroDivisionError
        if self.away:
            raise JournalError("out of reach", kind="unavailable")
        return self.storage

    async def create(
        self, id: str, *, owner: str | None, token: str, lease: float, asked: str | None = None
    ) -> bool:
        return await (await self._reach()).create(id, owner=owner, token=token, lease=lease, asked=asked)

    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        await (await self._reach()).append(id, token, first, records, lease=lease, over=over)
        # It was written, and nobody hears of it.
        await self._reach()

    async def beat(self, id: str, token: str, *, lease: float) -> str | None:
        return await (await self._reach()).beat(id, token, lease=lease)

    async def bury(self, id: str, records: Sequence[bytes]) -> bool:
        return await (await self._reach()).bury(id, records)

    async def ask_stop(self, id: str, reason: str) -> Any:
        return await (await self._reach()).ask_stop(id, reason)

    async def read(self, id: str, after: int, limit: int) -> Page | None:
        return await (await self._reach()).read(id, after, limit)

    async def wait(self, id: str, after: int) -> None:
        if self.mute:
            raise JournalError("no news", kind="unavailable")
        await (await self._reach()).wait(id, after)

    async def wait_stop(self, id: str) -> None:
        await (await self._reach()).wait_stop(id)

    async def aclose(self) -> None:
        self.closed = True
        await self.storage.aclose()


async def read(journal: Journal, id: str, *, after: int = 0, owner: str | None = None) -> list[Entry]:
    with anyio.fail_after(PATIENCE):
        return [entry async for entry in journal.follow(id, after=after, owner=owner)]


async def begin(
    one: Journal, other: Journal, *pieces: str, owner: str | None = None
) -> tuple[Answer, str, AsyncIterator[Entry], list[Entry]]:
    """Start an answer in a journal, and read its first three entries in another: "Hel" is in the last."""
    answer = Answer("Hel", *pieces)
    id = await one.start(answer.stream, owner=owner)
    reader = other.follow(id, owner=owner)
    return answer, id, reader, [await anext(reader) for _ in range(3)]


async def read_into(found: list[Entry], journal: Journal, id: str) -> None:
    """Follow an answer to its end, and add its entries to a list, as a task can."""
    found += await read(journal, id)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that nobody tells of."""
    with anyio.fail_after(PATIENCE):
        for pause in repeat(0.02):
            if await holds():
                return
            await anyio.sleep(pause)


def records_of(entries: list[Entry]) -> list[bytes]:
    return [entry.record for entry in entries]


def message_of(entries: list[Entry]) -> tuple[Message, StreamError | None]:
    """Return what a reader of our protocol has of it in the end, and its error."""
    decoder = Decoder("tokenstream")
    for entry in entries:
        decoder.feed(frame(entry.position, entry.record))
    decoder.end()
    return decoder.message, decoder.error


async def events_of(journal: Journal, id: str) -> list[Event]:
    decoder = Decoder("tokenstream")
    entries = await read(journal, id)
    return [event for entry in entries for event in decoder.feed(frame(entry.position, entry.record))]


def texts_of(*found: list[Entry]) -> set[Any]:
    return {message_of(entries)[0].text for entries in found}
