"""What a relay writes in our own protocol, and what a reader of it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from tokenstream import Stream, relay
from tokenstream.errors import StreamError
from tokenstream.events import Event
from tokenstream.message import Message

END = b'{"type":"end","ending":"complete"}'
"""The last record of an answer that is complete."""


class _Source:
    """The events of an answer, and how it ended."""

    def __init__(self, events: Iterable[Event], error: StreamError | None, ending: str) -> None:
        self.message = SimpleNamespace(ending=ending)
        self._events = events
        self._error = error

    def __iter__(self) -> Iterator[Event]:
        yield from self._events
        if self._error is not None:
            raise self._error


def written(
    events: Iterable[Event],
    error: StreamError | None = None,
    *,
    protocol: Any = "tokenstream",
    ending: str = "complete",
    ids: bool = False,
    raw: bool = False,
) -> list[bytes]:
    """Return the pieces in which a relay sends an answer: one for each event, and one for the end."""
    return list(relay.encode(_Source(events, error, ending), protocol, ids=ids, raw=raw))


def record(event: Event, *, raw: bool = False) -> bytes:
    """Return an event as the JSON in which a relay sends it."""
    first, *_ = written([event], protocol="ndjson", raw=raw)
    return first.removesuffix(b"\n")


def frame(position: int | None, record: bytes) -> bytes:
    return b"data: %b\n\n" % record if position is None else b"id: %d\ndata: %b\n\n" % (position, record)


def line(position: int | None, record: bytes) -> bytes:
    return b"%b\n" % record if position is None else b'{"at":%d,%b\n' % (position, record[1:])


class Read:
    """What a reader of a body comes to."""

    def __init__(self, chunks: Iterable[bytes], format: Any = None) -> None:
        self.stream = Stream(iter(chunks), format=format)
        self.events: list[Event] = []
        self.error: StreamError | None = None
        try:
            self.events.extend(self.stream)
        except StreamError as error:
            self.error = error

    @property
    def messages(self) -> list[Message]:
        return [message.model_copy(update={"format": None}) for message in self.stream.messages]

    def written(self, protocol: str = "tokenstream", *, ids: bool = False, raw: bool = False) -> list[bytes]:
        ending = self.stream.message.ending
        return written(self.events, self.error, protocol=protocol, ending=str(ending), ids=ids, raw=raw)
