"""What it costs to write every draft of an answer, or what changes between them, and how much that is.

A browser is sent either the whole object each time, as who has no patches must, or patches.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import from_json, to_json

from tests.compare.benchmarks.documents import FRAGMENT, fragments, steps_text
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tests.compare.benchmarks.typed_objects import Recipe, others
from tokenstream.stages import Chain
from tokenstream.stages._objects.partials import Partials
from tokenstream.stages._patches import Patches

if TYPE_CHECKING:
    from tests.compare.benchmarks.contenders import Run
    from tests.compare.benchmarks.timing import Plan

Writer: TypeAlias = Callable[[list[str]], list[Any]]

_OBJECTS = 48
"""Objects of a document of 10 KB."""
_ALONE = "the drafts alone"


def _drafts(pieces: list[str]) -> list[Any]:
    stage = Partials(Recipe)
    return [draft for piece in pieces for draft in stage.feed(piece)]


def _each(write: Callable[[Any], Any], pieces: list[str]) -> list[Any]:
    stage = Partials(Recipe)
    return [write(draft) for piece in pieces for draft in stage.feed(piece)]


def _patched(pieces: list[str], *, append: bool) -> list[Any]:
    stage = Chain(Partials(Recipe), Patches(append=append))
    return [patch for piece in pieces for patch in stage.feed(piece)]


def _untyped(pieces: list[str]) -> list[Any]:
    """Return what there is as JSON, without any type."""
    found: list[Any] = []
    text = ""
    for piece in pieces:
        text += piece
        found.append(to_json(from_json(text, allow_partial="trailing-strings")).decode())
    return found


def _remade(make: Callable[[str], Any], pieces: list[str]) -> list[Any]:
    """Return what a typed object, made anew of all that has come, writes."""
    found: list[Any] = []
    text = ""
    for piece in pieces:
        text += piece
        made = make(text)
        found.append(made.model_dump_json() if hasattr(made, "model_dump_json") else to_json(made).decode())
    return found


def _json_of(draft: Any) -> str:
    written: str = draft.to_json()
    return written


WRITERS: dict[str, Writer] = {
    _ALONE: _drafts,
    "draft.to_json() of each": partial(_each, _json_of),
    "draft.to_python() of each": partial(_each, lambda draft: draft.to_python()),
    "patches()": partial(_patched, append=False),
    "patches(append=True)": partial(_patched, append=True),
}


def _size(written: list[Any]) -> str:
    sent = [each if isinstance(each, str) else json.dumps(each, separators=(",", ":")) for each in written]
    return f"{sum(map(len, sent)) / 1_000:,.0f}"


def written_drafts(plan: Plan) -> list[Table]:
    """Return the table of what every draft of an answer of 10 KB costs to write."""
    pieces = fragments(steps_text(min(_OBJECTS, plan.objects // 20)))
    writers = dict(WRITERS)
    writers["pydantic_core.from_json, to_json"] = _untyped
    writers.update({other.name: partial(_remade, other.make) for other in others()})
    runs: list[Callable[[], Run]] = [partial(partial, write, pieces) for write in writers.values()]
    costs = dict(zip(writers, fastest(runs, min(plan.rounds, 5)), strict=True))
    rows = []
    for name, write in writers.items():
        written = [] if name == _ALONE else write(pieces)
        rows.append(
            [name, f"{costs[name] * 1e3:.0f}", str(len(written) or "–"), _size(written) if written else "–"]
        )
    size = sum(map(len, pieces))
    title = f"typed objects: every draft of {size:,} characters, by {FRAGMENT}"
    return [Table(title, ["", "ms in sum", "sent", "kB"], rows)]
