"""What a snapshot of a typed object costs while its list of objects fills in.

Our readers go on from snapshot to snapshot, and windows of them are timed after
several numbers of finished objects. The others parse and validate all that has
come anew, so that one such step is timed at the same place.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice
from time import process_time
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import from_json
from typing_extensions import TypedDict

from tests.compare.benchmarks.contenders import Run, found
from tests.compare.benchmarks.documents import FRAGMENT, fragments, steps_text
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest, light_heap
from tokenstream import Stream
from tokenstream.stages._objects.partials import Partials

if TYPE_CHECKING:
    from tests.compare.benchmarks.timing import Plan
    from tokenstream.partial_json import Partial

__all__ = ["OURS", "Other", "Recipe", "others", "typed_objects", "window"]

_WINDOW = 200
_WINDOWS = 8
_BEHIND = 50
"""Objects that all windows together need, with some to spare."""


class _LooseStep(BaseModel):
    number: int | None = None
    title: str | None = None
    minutes: int | None = None
    optional: bool | None = None
    text: str | None = None
    tools: list[str] = []


class Step(BaseModel):
    number: int
    title: str
    minutes: int
    optional: bool
    text: str
    tools: list[str]


class Recipe(BaseModel):
    name: str
    steps: list[Step]


class _LooseRecipe(BaseModel):
    """The same with every field optional, as who validates what is not whole must write it."""

    name: str | None = None
    steps: list[_LooseStep] = []


class _StepDict(TypedDict, total=False):
    number: int
    title: str
    minutes: int
    optional: bool
    text: str
    tools: list[str]


class _RecipeDict(TypedDict, total=False):
    """The same as pydantic can validate it while it is not whole: not as a model."""

    name: str
    steps: list[_StepDict]


@dataclass(frozen=True, slots=True)
class Other:
    """Who makes a typed object anew of all that has come."""

    name: str
    make: Callable[[str], Any]


# -- this library -------------------------------------------------------------


def _from_stage(start: str, pieces: list[str]) -> Generator[Partial[Recipe], None, None]:
    stage = Partials(Recipe)
    feed = stage.feed
    yield from feed(start)
    for piece in pieces:
        yield from feed(piece)


def _from_stream(start: str, pieces: list[str]) -> Generator[Partial[Recipe], None, None]:
    with Stream(chain([start], pieces), format="pieces") as stream:
        yield from stream.partials(Recipe)


OURS: dict[str, Callable[[str, list[str]], Generator[Partial[Recipe], None, None]]] = {
    "tokenstream, Partials": _from_stage,
    "tokenstream, stream.partials": _from_stream,
}


def window(snapshots: Iterator[Partial[Recipe]]) -> float:
    """Return the seconds that a snapshot takes, and a look at what has just grown in it."""
    begun = process_time()
    looks = [snapshot["steps"][-1] for snapshot in islice(snapshots, _WINDOW)]
    seconds = process_time() - begun
    if len(looks) < _WINDOW:
        raise ValueError(f"the document ends after {len(looks)} of a window's {_WINDOW} snapshots")
    return seconds / _WINDOW


def _fastest_windows(plan: Plan) -> dict[str, list[float]]:
    """Return what a snapshot costs after each number of finished objects, the fastest window of each."""
    best: dict[str, list[float]] = {}
    for name, read in OURS.items():
        with ExitStack() as opened:
            opened.enter_context(light_heap())
            readers = [
                opened.enter_context(closing(read(*_cut(plan.objects, done)))) for done in _finished(plan)
            ]
            for reader in readers:
                next(reader)
            each = [float("inf")] * len(readers)
            for _ in range(_WINDOWS):
                gc.collect()
                each = [min(known, window(reader)) for known, reader in zip(each, readers, strict=True)]
        best[name] = each
    return best


# -- the others ---------------------------------------------------------------


def _validated(text: str) -> Any:
    return _LooseRecipe.model_validate(from_json(text, allow_partial="trailing-strings"))


def _instructor(module: Any) -> Callable[[str], Any]:
    made = module.Partial[Recipe]
    return lambda text: next(iter(made.model_from_chunks([text])))


def _pydantic_ai(module: Any) -> Callable[[str], Any]:
    processor = module.ObjectOutputProcessor(output=_RecipeDict)
    return lambda text: processor.validate(text, allow_partial=True)


@cache
def others() -> list[Other]:
    known = [Other("pydantic_core.from_json and a loose model", _validated)]
    if module := found("instructor"):
        known.append(Other("instructor Partial[Recipe]", _instructor(module)))
    if module := found("pydantic_ai._output"):
        known.append(Other("pydantic-ai, a TypedDict", _pydantic_ai(module)))
    return known


# -- the table ----------------------------------------------------------------


def _finished(plan: Plan) -> list[int]:
    """Return after how many finished objects is measured."""
    return [plan.objects // 10, plan.objects // 2, plan.objects - _BEHIND]


def _cut(count: int, finished: int) -> tuple[str, list[str]]:
    """Return the document up to the middle of the object after `finished` ones, and the rest in fragments."""
    whole = steps_text(count)
    at = whole.index(f'"number": {finished},') + 100
    return whole[:at], fragments(whole[at:])


def _remade(plan: Plan) -> dict[str, list[float]]:
    starts = [_cut(plan.objects, done)[0] for done in _finished(plan)]
    costs: dict[str, list[float]] = {}
    for other in others():
        runs: list[Callable[[], Run]] = [partial(partial, other.make, start) for start in starts]
        costs[other.name] = fastest(runs, min(plan.rounds, 5))
    return costs


def _row(name: str, costs: list[float]) -> list[str]:
    return [name, *(f"{cost * 1e6:.1f}" for cost in costs)]


def typed_objects(plan: Plan) -> list[Table]:
    ours, theirs = _fastest_windows(plan), _remade(plan)
    rows = [_row(name, costs) for name, costs in {**ours, **theirs}.items()]
    columns = [f"{done:,} finished" for done in _finished(plan)]
    title = f"typed objects: a list of {plan.objects:,}, by {FRAGMENT} characters"
    return [Table(title, ["µs per snapshot", *columns], rows)]
