"""Shared by the tests of `record`: answers, and sources that report how they were used."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from typing import Any

from tokenstream import testing
from tokenstream.testing import VirtualClock

ANSWER = testing.script().text("Hel").text("lo").finish("stop")
CHAT = ANSWER.chunks("openai-chat")
KEY = "sk-" + "proj-" + "aB3dE6gH9" * 4
SECRET = [b"data: sk-proj-aB3dE6", KEY.encode()[14:], b"\n\n"]


def there(path: Path) -> bool:
    return path.exists()


class Waiting:
    def __init__(self, clock: VirtualClock, chunks: list[bytes], seconds: float) -> None:
        self._clock = clock
        self._chunks = iter(chunks)
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._clock.advance(self._seconds)
        return next(self._chunks)


def generator(chunks: list[Any], error: BaseException | None = None) -> Generator[Any]:
    yield from chunks
    if error is not None:
        raise error


async def async_generator(chunks: list[Any], error: BaseException | None = None) -> AsyncGenerator[Any]:
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error
