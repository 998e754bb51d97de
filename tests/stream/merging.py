"""Several sources that give what a test says, when it says so, and one loop over all of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import anyio
import pytest

from tests.stream.bodies import chunk
from tests.support.either import Each, inside, run_in
from tests.support.wire import DONE
from tokenstream import AsyncStream, Stream, merge
from tokenstream.events import Event, TextDelta

KINDS = ["sync", "asyncio", "trio"]
every_kind = pytest.mark.parametrize("kind", KINDS)
"""Runs a test in a `for` loop and in `async for` loops."""


def saying(*words: str) -> list[bytes]:
    return [*(chunk({"content": word}) for word in words), chunk({}, "stop") + DONE]


class Feed:
    """A source for a `Stream` that gives what it is fed; an exception is raised in its place."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.closed = False
        self.is_read = threading.Event()
        """Set once somebody reads, who may have to wait."""

    def feed(self, *items: Any) -> None:
        for item in items:
            self._items.put(item)

    def end(self) -> None:
        self._items.put(None)

    def chunks(self) -> Iterator[bytes]:
        self.is_read.set()
        try:
            while (item := self._items.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


class AsyncFeed:
    def __init__(self) -> None:
        self._items: list[Any] = []
        self._fed = anyio.Event()
        self.closed = False

    def feed(self, *items: Any) -> None:
        self._items += items
        self._fed.set()

    def end(self) -> None:
        self.feed(None)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while True:
                while self._items:
                    item = self._items.pop(0)
                    if item is None:
                        return
                    if isinstance(item, Exception):
                        raise item
                    yield item
                self._fed = anyio.Event()
                await self._fed.wait()
        finally:
            self.closed = True


class Seen:
    """What a loop over several streams has given, and what became of them."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Event]] = []
        self.error: Exception | None = None
        self.merged: Any = None

    def of(self, label: Any) -> list[Event]:
        return [event for each, event in self.pairs if each == label]

    def text_of(self, label: Any) -> str:
        return "".join(event.text for event in self.of(label) if isinstance(event, TextDelta))

    @property
    def texts(self) -> dict[Any, str]:
        return {label: message.text for label, message in self.merged.messages.items()}

    @property
    def endings(self) -> dict[Any, str]:
        return {label: message.ending for label, message in self.merged.messages.items()}

    @property
    def labels(self) -> list[Any]:
        return [label for label, _ in self.pairs]

    def take(self, pair: tuple[Any, Event]) -> None:
        self.pairs.append(pair)


def _nothing(*_: object) -> None: ...


def read_merged(
    kind: str,
    bodies: Mapping[Any, Any],
    *,
    each: Callable[[Any, Seen], object] = _nothing,
    prepare: Callable[[Any], Any] = lambda stream: stream,
    before: Callable[[Any], object] = _nothing,
    after: Callable[[Any], object] = _nothing,
    loops: int = 1,
    fail_fast: bool = True,
    **options: Any,
) -> Seen:
    """Read bodies side by side to their end.

    Args:
        kind: One of `KINDS`.
        bodies: Sources by their labels; an exception in a list is raised in its place. A function makes a
            stream of its own, with a colour: it is called with True for an asynchronous one.
        each: Called after each event; a loop that gets `StopIteration` from it is left.
        prepare: Called with each stream.
        before: Called with the merge before the first loop.
        after: Called with the merge after the last loop.
        loops: How many loops read, one after the other.
        fail_fast: What `merge` is told.
        options: What each stream is told.
    """
    seen = Seen()
    options = {"format": "openai-chat", **options}

    def opened(body: Any) -> Any:
        if callable(body):
            return body(kind != "sync")
        return prepare(
            Stream(_sync(body), **options) if kind == "sync" else AsyncStream(_async(body), **options)
        )

    async def main() -> None:
        streams = {label: opened(body) for label, body in bodies.items()}
        async with inside(merge(streams, fail_fast=fail_fast)) as merged:
            seen.merged = merged
            before(merged)
            for _ in range(loops):
                await _loop(seen, each)
            after(merged)

    run_in(kind, main)
    return seen


async def _loop(seen: Seen, each: Callable[[Any, Seen], object]) -> None:
    try:
        async for pair in Each(seen.merged):
            seen.take(pair)
            if each(seen.merged, seen) is StopIteration:
                break
    except Exception as error:  # noqa: BLE001 - the test looks at it
        seen.error = error


def _sync(body: Any) -> Any:
    return _given(body) if isinstance(body, list) else body


def _async(body: Any) -> Any:
    return _given_async(body) if isinstance(body, list) else body


def _given(body: list[Any]) -> Iterator[Any]:
    for item in body:
        if isinstance(item, Exception):
            raise item
        yield item


async def _given_async(body: list[Any]) -> AsyncIterator[Any]:
    for item in body:
        await anyio.lowlevel.checkpoint()
        if isinstance(item, Exception):
            raise item
        yield item
