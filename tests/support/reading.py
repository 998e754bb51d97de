"""Read a body through the public drivers, and keep everything that a user can see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.either import Each, at_once
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamError
from tokenstream.events import Event, ReasoningDelta, TextDelta, ToolCallDone
from tokenstream.message import Message, ToolCall


@dataclass
class Chunks:
    """A source of chunks that can break, and records whether it was closed."""

    chunks: Iterable[bytes]
    breaks_with: Exception | None = None
    """Raised at the end of the input."""
    closed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        return _Sync(self)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Async(self)


class _Sync:
    def __init__(self, source: Chunks) -> None:
        self._source = source
        self._chunks = iter(source.chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        if self._source.breaks_with is not None:
            raise self._source.breaks_with
        raise StopIteration

    def close(self) -> None:
        self._source.closed = True


class _Async:
    def __init__(self, source: Chunks) -> None:
        self._source = source
        self._chunks = iter(source.chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        if self._source.breaks_with is not None:
            raise self._source.breaks_with
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._source.closed = True


@dataclass
class Reading:
    events: list[Event] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    message: Message = field(default_factory=Message)
    error: StreamError | None = None
    format: str | None = None
    departures: dict[str, int] = field(default_factory=dict)
    closed: bool = False

    def text(self, choice: int = 0) -> str:
        return "".join(
            [event.text for event in self.events if isinstance(event, TextDelta) and event.choice == choice]
        )

    def reasoning(self, choice: int = 0) -> str:
        return "".join(
            [
                event.text
                for event in self.events
                if isinstance(event, ReasoningDelta) and event.choice == choice
            ]
        )

    def calls(self, choice: int = 0) -> list[ToolCall]:
        return [
            event.call for event in self.events if isinstance(event, ToolCallDone) and event.choice == choice
        ]

    def seen(self) -> dict[str, Any]:
        error = self.error
        told = None
        if error is not None:
            told = {name: value for name, value in vars(error).items() if name not in {"partial", "_origin"}}
            told |= {"class": type(error), "words": error.message, "partial": error.partial}
        return {
            "events": self.events,
            "messages": self.messages,
            "message": self.message,
            "format": self.format,
            "departures": self.departures,
            "error": told,
        }


async def _read(make_stream: Any, source: Chunks, options: dict[str, Any]) -> Reading:
    reading, stream = Reading(), make_stream(source, **options)
    try:
        async for event in Each(stream):
            reading.events.append(event)
    except StreamError as error:
        reading.error = error
    reading.messages, reading.message, reading.format = stream.messages, stream.message, stream.format
    reading.departures = stream.departures.details
    reading.closed = source.closed
    return reading


def read(chunks: Iterable[bytes], *, breaks_with: Exception | None = None, **options: Any) -> Reading:
    return at_once(_read(Stream, Chunks(chunks, breaks_with), options))


async def aread(chunks: Iterable[bytes], *, breaks_with: Exception | None = None, **options: Any) -> Reading:
    """Read to the end with an `AsyncStream`."""
    return await _read(AsyncStream, Chunks(chunks, breaks_with), options)
