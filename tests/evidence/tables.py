"""Tables of what reaches the statements of rooms, and of a room's functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from tests.evidence.counts import NEITHER, Reached, by_room


def table_of_rooms(found: Sequence[Reached], parts: Sequence[str]) -> str:
    """Return a table of each room's statements by what reaches them first, in numbers and percent."""
    columns = [*parts, NEITHER]
    rooms = by_room(found)
    rooms["all"] = sum(rooms.values(), start=Counter[str]())
    width = max(map(len, ["room", *rooms]))
    heads = "".join(f"  {column:>12}" for column in columns)
    rows = [f"{'room':{width}}  statements{heads}"]
    for room, counts in rooms.items():
        cells = "".join(f"  {counts[column]:6,} {_share(counts, column):>5.0%}" for column in columns)
        rows.append(f"{room:{width}}  {counts.total():10,}{cells}")
    return "\n".join(rows)


def _share(counts: Counter[str], name: str) -> float:
    return counts[name] / max(counts.total(), 1)


def list_of_functions(found: Sequence[Reached], room: str, names: Sequence[str]) -> str:
    """Return a room's functions with statements that only these reach, those with the most first."""
    rows = [
        (lines, each)
        for each in found
        if each.room == room or each.module.startswith(f"{room}/")
        if (lines := each.lines_of(names))
    ]
    rows.sort(key=lambda row: (-len(row[0]), row[1].module, row[1].function.first))
    return "\n".join(
        f"{len(lines):4} of {len(each.statements):4}  {each.module}:{each.function.first}"
        f" {each.function.name}: {_shown(each, lines)}"
        for lines, each in rows
    )


def _shown(each: Reached, lines: Sequence[int]) -> str:
    """Return the lines as ranges, in which nothing else of the function lies between."""
    order = {line: number for number, line in enumerate(sorted(each.statements))}
    return ", ".join(_ranges(lines, order))


def _ranges(lines: Sequence[int], order: dict[int, int]) -> Iterator[str]:
    numbered = enumerate(lines)
    for _, run in groupby(numbered, key=lambda item: order[item[1]] - item[0]):
        first, *others = [line for _, line in run]
        yield f"{first}–{others[-1]}" if others else str(first)
