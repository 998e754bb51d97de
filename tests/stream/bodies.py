"""Small bodies in the plainest form of each format, and sources that tell what was done to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from tests.support.wire import DONE, chat, chat_usage
from tokenstream import testing


def chunk(delta: dict[str, Any], finish: str | None = None, choice: int = 0, **more: Any) -> bytes:
    return chat(delta, finish, index=choice, **more)


USAGE = chat_usage(7, 21)


def call(index: int, id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {
        "tool_calls": [
            {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        ]
    }


ANSWER = [
    chunk({"role": "assistant", "reasoning_content": "Hm. "}),
    chunk({"reasoning_content": "Weather."}),
    chunk({"content": "Let "}),
    chunk({"content": "me "}),
    chunk({"content": "see."}),
    chunk(call(0, "call_a", "get_weather", '{"city": ')),
    chunk(call(0, None, None, '"Oslo"}')),
    chunk(call(1, "call_b", "get_time", "{}")),
    chunk({}, "tool_calls"),
    USAGE,
    DONE,
]
"""Reasoning, text, two tool calls, usage."""

TOKENS = testing.script().text("Hel", "lo", " you").finish().chunks("text")
"""The form that tutorials teach."""


class Source:
    """An iterable of bytes that tells how far it was read and whether it was closed."""

    def __init__(self, chunks: Iterable[bytes], error: Exception | None = None) -> None:
        self._chunks = iter(chunks)
        self._error = error
        self.reads = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            item = next(self._chunks)
        except StopIteration:
            if self._error is not None:
                raise self._error from None
            raise
        self.reads += 1
        return item

    def close(self) -> None:
        self.closed += 1


class Stubborn(Source):
    def close(self) -> None:
        super().close()
        raise OSError("cannot close")


class AsyncSource:
    def __init__(self, chunks: Iterable[bytes], error: Exception | None = None) -> None:
        self._source = Source(chunks, error)

    @property
    def reads(self) -> int:
        return self._source.reads

    @property
    def closed(self) -> int:
        return self._source.closed

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self._source)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._source.close()


def source_in(colour: str) -> Callable[..., Source | AsyncSource]:
    return Source if colour == "sync" else AsyncSource


class AsyncStubborn(AsyncSource):
    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("cannot close")


async def later(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


class Later:
    """An asynchronous iterator that is no generator, and so has nothing to close."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration
