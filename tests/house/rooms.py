"""The sizes of the package's rooms, and what to do if all of them together outgrow the budget."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from tests.house import budget
from tests.house.counts import Module, lines_by_kind

SETTLED = Path(__file__).with_name("rooms.json")
"""The sizes of all rings and rooms when the last batch of issues ended."""
_BUDGET = Path(budget.__file__)
_CONSTANTS = {"lines": "LINES", "lines of code": "CODE", "modules": "MODULES"}
_CONSTANTS_OF_ALL = {"nodes": "NODES", "lines of tests": "TESTS"}
_MOST_SHOWN = 5

Sizes: TypeAlias = "dict[str, Counter[str]]"
"""The lines, the lines of code and the modules of each room, or the counts of each ring by their names."""


def sizes(of: Iterable[Module]) -> Sizes:
    rooms = defaultdict[str, Counter[str]](Counter)
    for module in of:
        kinds = lines_by_kind([module])
        rooms[module.room].update({"lines": kinds.total(), "lines of code": kinds["code"], "modules": 1})
    return dict(rooms)


def settled(kind: Literal["rings", "rooms"] = "rooms") -> Sizes:
    """Return the sizes when the last batch of issues ended."""
    kept: dict[str, dict[str, dict[str, int]]] = json.loads(SETTLED.read_text(encoding="utf-8"))
    return {name: Counter(counts) for name, counts in kept[kind].items()}


def total(rooms: Sizes) -> Counter[str]:
    return sum(rooms.values(), start=Counter[str]())


def bounds() -> dict[str, int]:
    """Return the counts of the budget that `sizes` has."""
    return {name: getattr(budget, constant) for name, constant in _CONSTANTS.items()}


def excess(now: Sizes, before: Sizes, name: str) -> str:
    """Return a sentence about a count beyond its ceiling: which rooms grew, and what to do; or nothing."""
    count, bound = total(now)[name], bounds()[name]
    most = budget.ceiling(bound)
    if count <= most:
        return ""
    grown = Counter({room: now[room][name] - before.get(room, Counter())[name] for room in now})
    largest = [f"{room} by {more:,}" for room, more in grown.most_common(_MOST_SHOWN) if more > 0]
    return (
        f"tokenstream/ has {count:,} {name}, {count - most:,} more than the {most:,} that it may have."
        f" Since the last batch of issues, these rooms grew: {', '.join(largest) or 'none'}."
        f" If your change adds fewer than {most - bound:,}, which is half a percent, others used the room up:"
        " say so in the pull request, and the maintainers make room."
        f" Otherwise take away {count - most:,} {name}, in these rooms or in others."
    )


def bounds_of_all() -> dict[str, int]:
    """Return the counts of the budget that belong to no room."""
    return {name: getattr(budget, constant) for name, constant in _CONSTANTS_OF_ALL.items()}


def settle(now: Sizes, rings: Sizes) -> None:
    """Lower the counts of the budget to those that there are, and keep the sizes of the rings and rooms.

    Args:
        now: The sizes of the rooms.
        rings: The counts of the rings; who moves lines from one to another first deletes both rows.
    """
    text = _BUDGET.read_text(encoding="utf-8")
    counts = {**total(rings), **total(now)}
    for name, constant in (_CONSTANTS | _CONSTANTS_OF_ALL).items():
        lowest = min(getattr(budget, constant), counts[name])
        text = re.sub(rf"^{constant} = \S+$", f"{constant} = {lowest:_}", text, flags=re.MULTILINE)
    _BUDGET.write_text(text, encoding="utf-8")
    before = settled("rings")
    least = {ring: has & before.get(ring, has) for ring, has in rings.items()}
    kept = {"rings": least, "rooms": dict(sorted(now.items()))}
    tables = [f'  "{kind}": {{\n{_rows(each)}\n  }}' for kind, each in kept.items()]
    SETTLED.write_text("{\n" + ",\n".join(tables) + "\n}\n", encoding="utf-8")


def _rows(sizes: Sizes) -> str:
    return ",\n".join(f"    {json.dumps(name)}: {json.dumps(counts)}" for name, counts in sizes.items())
