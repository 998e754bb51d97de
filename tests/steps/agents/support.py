"""Runs of agents that are followed to their end, and what a user sees of them."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

from tests.steps.told import told
from tokenstream import Steps
from tokenstream.errors import StreamError

FOLDER = Path(__file__).parent / "recordings"
"""Recordings of real programs, with a scripted model."""


def body_of(name: str) -> bytes:
    return (FOLDER / f"{name}.jsonl").read_bytes()


class Pieces(io.BytesIO):
    """A pipe that gives what it has in pieces of given sizes."""

    def __init__(self, body: bytes, sizes: Any) -> None:
        super().__init__(body)
        self._sizes = sizes

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(next(self._sizes))


def tools_of(step: Any) -> list[tuple[str, str, Any]]:
    """Return the name, the state and the result of each tool of a step."""
    return [(tool.name, tool.state, tool.result) for tool in step.steps]


def follow(source: Any, **options: Any) -> tuple[Steps, list[Any], StreamError | None]:
    """Follow some lines to their end; return the run, what the loop got, and the error."""
    given: list[Any] = []
    error = None
    with Steps() as run:
        try:
            for line in run.follow(io.BytesIO(source) if isinstance(source, bytes) else source, **options):
                given.append(line)
        except StreamError as raised:
            error = raised
    return run, given, error


def cuts_of(body: bytes, name: str) -> list[int]:
    """Return the places after all lines but the last, and twenty random ones."""
    random_ = random.Random(name)
    ends = [place + 1 for place, byte in enumerate(body) if byte == 0x0A]
    return [*ends[:-1], *[random_.randrange(len(body)) for _ in range(20)]]


def chunkings_of(body: bytes, name: str) -> list[Any]:
    """Return sources that give the same lines: byte by byte, in random pieces, with other line ends."""
    random_ = random.Random(name)
    return [
        Pieces(body, iter(lambda: 1, None)),
        *[Pieces(body, iter(lambda: random_.randint(1, 900), None)) for _ in range(20)],
        body.replace(b"\n", b"\r\n"),
        body.rstrip(b"\n"),
        body.splitlines(),
        [line.decode() for line in body.splitlines()],
    ]


def assert_same_in_all_chunkings(body: bytes, name: str, **options: Any) -> None:
    """Byte by byte, in random pieces, with CRLF, without the last line end, as lines: it is one run."""
    expected = told(follow(body)[0])
    for source in chunkings_of(body, name):
        assert told(follow(source, **options)[0]) == expected


def assert_same_twice(lines: list[Any]) -> None:
    """Each line may come twice: it is one run."""
    assert told(follow([line for line in lines for _ in range(2)])[0]) == told(follow(lines)[0])
