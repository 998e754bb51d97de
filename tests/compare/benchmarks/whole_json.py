"""What a document costs that comes whole, or in long pieces, beside one call that reads it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from tests.compare.benchmarks.documents import plan, steps_text
from tests.compare.benchmarks.partial_json import sizes_of, value_after_each
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tests.compare.benchmarks.typed_objects import Recipe
from tests.support.texts import pieces_of
from tokenstream import Stream
from tokenstream.partial_json import PartialJSONParser
from tokenstream.stages._objects.partials import Partials, validate_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.contenders import Run
    from tests.compare.benchmarks.timing import Plan

_PIECE = 4_096
_MOST = 1_000_000
_LOADS = "json.loads"
_VALIDATE = "pydantic validate_json"
_CHARACTERS_PER_RUN = 100_000
"""Short documents are read again and again until a run is this long."""
_OBJECTS = (4, 40, 400)


def _with_events(pieces: list[str]) -> Any:
    parser = PartialJSONParser()
    for piece in pieces:
        for event in parser.feed(piece):
            _ = event.key
    return parser.value


def _ways(text: str) -> dict[str, Callable[[], Any]]:
    ways: dict[str, Callable[[], Any]] = {_LOADS: partial(json.loads, text)}
    for name, pieces in {"whole": [text], f"by {_PIECE:,}": pieces_of(text, _PIECE)}.items():
        ways[f"{name}, value after each piece"] = partial(value_after_each, pieces)
        ways[f"{name}, events"] = partial(_with_events, pieces)
    return ways


def _stage(text: str) -> Recipe:
    stage = Partials(Recipe)
    drafts = [*stage.feed(text), *stage.end()]
    return drafts[-1].final()


def _body(text: str) -> list[bytes]:
    """Return the whole answer of openai-chat to a request without streaming."""
    message = {"role": "assistant", "content": text}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return [json.dumps({**answer, "choices": choices}).encode()]


def _result(body: list[bytes]) -> Recipe:
    with Stream(body, format="openai-chat") as stream:
        return stream.result(Recipe)


def _partials(body: list[bytes]) -> Recipe:
    with Stream(body, format="openai-chat") as stream:
        *_, last = stream.partials(Recipe)
    return last.final()


def _typed_ways(text: str) -> dict[str, Callable[[], Any]]:
    body = _body(text)
    return {
        _VALIDATE: partial(TypeAdapter(Recipe).validate_json, text),
        "validate_output": partial(validate_output, Recipe, text),
        "partials, fed whole": partial(_stage, text),
        "stream.result, of the JSON body": partial(_result, body),
        "stream.partials, of the JSON body": partial(_partials, body),
    }


def _again(way: Callable[[], Any], times: int) -> Run:
    def run() -> None:
        for _ in range(times):
            way()

    return run


def _table(
    title: str, texts: dict[str, str], ways_of: Callable[[str], dict[str, Callable[[], Any]]], rounds: int
) -> Table:
    """Return a table of how many times as long as the first way the others take."""
    columns: dict[str, dict[str, float]] = {}
    for name, text in texts.items():
        ways = ways_of(text)
        times = max(1, _CHARACTERS_PER_RUN // len(text))
        best = fastest([partial(_again, way, times) for way in ways.values()], rounds)
        columns[name] = {way: seconds / best[0] for way, seconds in zip(ways, best, strict=True)}
    first = next(iter(columns.values()))
    rows = [[way, *(f"{by[way]:.2f}" for by in columns.values())] for way in first]
    return Table(title, ["times as long", *columns], rows)


def whole_json(plan_: Plan) -> list[Table]:
    documents = {sizes_of(size): plan(size) for size in plan_.documents if size <= _MOST}
    typed = {f"{count} objects": steps_text(count) for count in _OBJECTS}
    return [
        _table(f"partial JSON: whole documents beside {_LOADS}", documents, _ways, plan_.rounds),
        _table(f"typed: whole documents beside {_VALIDATE}", typed, _typed_ways, plan_.rounds),
    ]
