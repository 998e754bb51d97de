"""What the current value of a growing JSON document costs after each fragment of four characters.

Who reads on is timed over the whole document. Who parses all that has come anew
for each fragment is timed at positions spread evenly over it, and the mean
counts: its cost grows with the position, and a whole run of 1 MB would take
minutes. What collects the text is not charged to it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.contenders import Run, found
from tests.compare.benchmarks.documents import FRAGMENT, fragments, nested, plan, string
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tokenstream.partial_json import PartialJSONParser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.timing import Plan

OURS = "tokenstream, value"
PATHS = "tokenstream, value and the path of every event"
READING_ON = (OURS, PATHS)
_PLAIN = "streaming-json-parser"
_JITER = "jiter.from_json, again"
_WHOLE = "json.loads of the whole, once"
MOST = 1_000_000
_MOST_OF_STRINGS = 100_000
"""Only we read larger documents, and longer strings: the others would take minutes."""
_POSITIONS = 6
_CHARACTERS_PER_RUN = 10_000
"""Short documents are read again and again until a run is this long, for each round of the plan."""
_GROWING = '"A string'
_DEPTHS = (5, 50, 400)
_DEEP_BODY = 20_000


@dataclass(frozen=True, slots=True)
class Reader:
    """One way of having the current value after each fragment.

    Args:
        name: What the tables call it.
        read: Reads fragments, looks at the value after each, and returns the last one;
            or makes a value of all that has come, as bytes.
        again: Whether it is the latter, for who has no other way.
    """

    name: str
    read: Callable[[Any], Any]
    again: bool = False

    def value(self, document: str) -> Any:
        return self.read(document.encode() if self.again else fragments(document))

    @property
    def is_current(self) -> bool:
        """Whether a string that grows shows as far as it has come."""
        shown: object = self.read(b"[" + _GROWING.encode()) if self.again else self.read(["[", *_GROWING])
        return shown == [_GROWING[1:]]

    def timed(self, document: str, pieces: list[str], times: int) -> tuple[Run, int]:
        """Return what is timed, so and so many times, and the number of fragments that it stands for."""
        inputs: list[Any] = beginnings(document) if self.again else [pieces]
        read = self.read

        def run() -> None:
            for _ in range(times):
                for each in inputs:
                    read(each)

        return run, times * len(beginnings(document) if self.again else pieces)


def beginnings(document: str) -> list[bytes]:
    """Return beginnings of a document, their ends spread evenly over it, in the middle of its parts."""
    wide = len(document) / _POSITIONS
    ends = [int(wide * (part + 0.5)) // FRAGMENT * FRAGMENT for part in range(_POSITIONS)]
    return [document[:end].encode() for end in ends]


# -- this library -------------------------------------------------------------


def value_after_each(pieces: list[str]) -> Any:
    parser = PartialJSONParser()
    feed = parser.feed
    value = None
    for piece in pieces:
        feed(piece)
        value = parser.value
    return value


def _with_paths(pieces: list[str]) -> Any:
    parser = PartialJSONParser()
    feed = parser.feed
    value = None
    for piece in pieces:
        for event in feed(piece):
            _ = event.path
        value = parser.value
    return value


def _snapshots(pieces: list[str]) -> Any:
    parser = PartialJSONParser()
    feed, snapshot = parser.feed, parser.snapshot
    value = None
    for piece in pieces:
        feed(piece)
        value = snapshot()
    return value


# -- the others ---------------------------------------------------------------


def _loads_whole(pieces: list[str]) -> Any:
    text = "".join(pieces)
    # It has no value before the end.
    return json.loads(text) if text.endswith("}") else None


def _reading_on(module: Any) -> Callable[[list[str]], Any]:
    """Return streaming-json-parser's way: its strict mode is the one that reads on and shows strings."""
    make = module.StreamingJsonParser

    def read(pieces: list[str]) -> Any:
        feed = make().feed
        value = None
        for piece in pieces:
            value = feed(piece).value
        return value

    return read


@cache
def _without_its_extension() -> Any:
    """Return streaming-json-parser as it is without its extension in Rust, also where that is installed."""
    name, native = "streaming_json_parser", "streaming_json_parser_native"
    if not found(native):
        return found(name)
    modules: dict[str, Any] = sys.modules
    kept = {each: modules.pop(each) for each in list(modules) if each.startswith(name)}
    modules[native] = None
    try:
        return import_module(name)
    finally:
        for each in [each for each in modules if each.startswith(name)]:
            del modules[each]
        modules.update(kept)


def _parsing_again() -> dict[str, tuple[str, Callable[[Any], Callable[[bytes], Any]]]]:
    """Return who parses anew for each fragment: the module, and its way with the whole text."""
    return {
        _JITER: (
            "jiter",
            lambda module: lambda text: module.from_json(text, partial_mode="trailing-strings"),
        ),
        "pydantic_core.from_json, again": (
            "pydantic_core",
            lambda module: lambda text: module.from_json(text, allow_partial="trailing-strings"),
        ),
        "partial-json-parser loads, again": (
            "partial_json_parser",
            lambda module: lambda text: module.loads(text.decode()),
        ),
    }


def _others() -> list[Reader]:
    """Return who else gives a current value, as far as it is installed."""
    known = []
    if found("streaming_json_parser"):
        known.append(Reader(_PLAIN, _reading_on(_without_its_extension())))
    if found("streaming_json_parser_native"):
        known.append(
            Reader(f"{_PLAIN} with its extension in Rust", _reading_on(found("streaming_json_parser")))
        )
    for name, (package, way) in _parsing_again().items():
        if module := found(package):
            known.append(Reader(name, way(module), again=True))
    return [*known, Reader(_WHOLE, _loads_whole)]


def readers() -> list[Reader]:
    return [
        Reader(OURS, value_after_each),
        Reader(PATHS, _with_paths),
        Reader("tokenstream, snapshot", _snapshots),
        *_others(),
    ]


# -- the tables ---------------------------------------------------------------


def _costs(known: list[Reader], document: str, plan: Plan) -> dict[str, float]:
    """Return what a fragment costs each of them, in seconds."""
    pieces = fragments(document)
    characters = plan.rounds * _CHARACTERS_PER_RUN
    timed = [reader.timed(document, pieces, max(1, characters // len(document))) for reader in known]
    rounds = max(2, min(plan.rounds, 5 * characters // len(document)))
    best = fastest([partial(_ready, run) for run, _ in timed], rounds)
    return {
        reader.name: seconds / count for reader, seconds, (_, count) in zip(known, best, timed, strict=True)
    }


def _ready(run: Run) -> Run:
    return run


def sizes_of(size: int) -> str:
    """Return a size as the tables say it.

    Example:
        >>> sizes_of(10_000), sizes_of(10_000_000)
        ('10 KB', '10 MB')
    """
    return f"{size // 1_000_000} MB" if size >= 1_000_000 else f"{size // 1_000} KB"


def _by_size(
    known: list[Reader], make: Callable[[int], str], plan: Plan, most: int
) -> dict[int, dict[str, float]]:
    """Return what a fragment costs by size; beyond `most` characters only we read, and only on."""
    ours = [reader for reader in known if reader.name in READING_ON]
    return {size: _costs(known if size <= most else ours, make(size), plan) for size in plan.documents}


def _cells(costs: dict[int, dict[str, float]], name: str) -> list[str]:
    return [f"{by[name] * 1e6:.2f}" if name in by else "–" for by in costs.values()]


def _documents(plan_: Plan) -> Table:
    known = readers()
    costs = _by_size(known, plan, plan_, MOST)
    head = ["µs per fragment", *map(sizes_of, costs)]
    rows = [[reader.name, *_cells(costs, reader.name)] for reader in known]
    late = ", ".join(reader.name for reader in known if not reader.is_current)
    title = f"partial JSON: the current value after each {FRAGMENT} characters of a document"
    return Table(title, head, rows, [f"a string that grows does not show: {late}"])


def _one_string(plan_: Plan) -> Table:
    known = [reader for reader in readers() if reader.name in {OURS, PATHS, _PLAIN, _JITER}]
    costs = _by_size(known, string, plan_, _MOST_OF_STRINGS)
    rows = [[reader.name, *_cells(costs, reader.name)] for reader in known]
    title = f"partial JSON: one string that grows by {FRAGMENT} characters"
    return Table(title, ["µs per fragment", *map(sizes_of, costs)], rows)


def _deep(
    reading: Callable[[PartialJSONParser, list[str]], None], depth: int
) -> tuple[Callable[[], Run], int]:
    opened, body = nested(depth, _DEEP_BODY)
    pieces = fragments(body)

    def prepare() -> Run:
        parser = PartialJSONParser()
        parser.feed(opened)
        return lambda: reading(parser, pieces)

    return prepare, len(pieces)


def _look(parser: PartialJSONParser, pieces: list[str]) -> None:
    for piece in pieces:
        parser.feed(piece)
        _ = parser.value


def _look_and_ask(parser: PartialJSONParser, pieces: list[str]) -> None:
    for piece in pieces:
        for event in parser.feed(piece):
            _ = event.path
        _ = parser.value


def _depths(plan_: Plan) -> Table:
    rows = []
    for name, reading in {OURS: _look, PATHS: _look_and_ask}.items():
        prepared = [_deep(reading, depth) for depth in _DEPTHS]
        best = fastest([prepare for prepare, _ in prepared], plan_.rounds)
        each = [seconds / count for seconds, (_, count) in zip(best, prepared, strict=True)]
        rows.append([name, *(f"{cost * 1e6:.2f}" for cost in each)])
    title = f"partial JSON: an array of strings inside objects, {_DEEP_BODY // 1000} KB"
    return Table(title, ["µs per fragment", *(f"depth {depth}" for depth in _DEPTHS)], rows)


def partial_json(plan: Plan) -> list[Table]:
    """Return the tables of documents, of one long string, and of depth."""
    return [_documents(plan), _one_string(plan), _depths(plan)]
