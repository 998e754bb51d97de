"""Sources to tap, and what passes through them."""

from __future__ import annotations

import copy
import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.stream.bodies import ANSWER
from tokenstream import Stream

PAYLOADS: list[dict[str, Any]] = [json.loads(event[6:]) for event in ANSWER[:-1]]
"""The answer as dicts, as an SDK without objects gives it."""

WHOLE = Stream(ANSWER).final()


def payloads() -> list[dict[str, Any]]:
    return copy.deepcopy(PAYLOADS)


class Items:
    """An iterator that tells how far it was read and whether it was closed, and may break."""

    def __init__(self, items: Iterable[Any] = (), error: BaseException | None = None) -> None:
        self._items = iter(items)
        self._error = error
        self.reads = 0
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for item in self._items:
            self.reads += 1
            return item
        raise self._error or StopIteration

    def close(self) -> None:
        self.closed += 1


@contextmanager
def opened(source: Items) -> Generator[Items]:
    try:
        yield source
    finally:
        source.close()


class Failing:
    """An SDK's object that cannot be told."""

    def model_dump(self, **options: Any) -> dict[str, Any]:
        raise RuntimeError("a bug of the SDK")


class Chunk:
    def __init__(self, payload: dict[str, Any]) -> None:
        self._payload = payload

    def to_dict(self) -> dict[str, Any]:
        return self._payload
