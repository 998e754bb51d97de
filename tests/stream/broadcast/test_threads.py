"""One stream for consumers in threads of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stream.broadcast.support import in_threads
from tests.support.timing import PATIENCE
from tokenstream import Stream
from tokenstream.errors import ConcurrentRead


class Steps:
    """Gives pieces, each once it was told to."""

    def __init__(self, pieces: list[str]) -> None:
        self.go = threading.Semaphore(0)
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        assert self.go.acquire(timeout=PATIENCE)
        return next(self._pieces)


def test_readers_in_threads_read_typed_objects() -> None:
    """Each has a parser of its own, and a result that was found is found once."""
    steps = [f'{{"name": "step {number}", "minutes": {number}}}' for number in range(60)]
    text = '{"title": "A long one", "steps": [' + ", ".join(steps) + "]}"
    stream = Stream([text[at : at + 7] for at in range(0, len(text), 7)], format="pieces")
    hub = stream.broadcast()
    whole = json.loads(text)
    got: dict[str, Any] = {}

    def items() -> None:
        got["items"] = list(hub.reader().items(dict, at="steps"))

    def partials() -> None:
        *_, last = hub.reader().partials(dict[str, Any])
        got["partials"] = last.final()

    def field() -> None:
        got["field"] = "".join(hub.reader().field("title"))

    def result() -> None:
        got["result"] = hub.reader().result(dict[str, Any])

    in_threads(items, partials, field, result)

    assert {"items": whole["steps"], "partials": whole, "field": "A long one", "result": whole} == got


def test_while_one_thread_waits_for_the_source_others_look_at_what_has_come() -> None:
    """They need not wait for the next item."""
    steps = Steps(["one ", "two "])
    stream = Stream(steps, format="pieces")
    one, two = stream.tee(2)
    pieces: list[str] = []
    loop = threading.Thread(target=lambda: pieces.extend(one.text))
    steps.go.release()
    loop.start()
    first = next(two.text)
    steps.go.release(5)
    loop.join(PATIENCE)

    assert ("one ", ["one ", "two "]) == (first, pieces)


def test_one_reader_is_read_by_one_thread_at_a_time() -> None:
    """The second is told, and the first goes on."""
    steps = Steps(["one "])
    (reader,) = Stream(steps, format="pieces").tee(1)
    pieces: list[str] = []
    loop = threading.Thread(target=lambda: pieces.extend(reader.text))
    loop.start()
    while not reader._driver.is_reading:  # noqa: SLF001 - nothing public tells
        pass
    with pytest.raises(ConcurrentRead, match=r"stream\.tee\(n\) or stream\.broadcast\(\)"):
        next(reader.text)
    steps.go.release(3)
    loop.join(PATIENCE)

    assert ["one "] == pieces
