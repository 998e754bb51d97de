"""Products of tables: by default each value of each table is seen once; `pytest -m slow` has all pairs.

A test with three tables of ten rows has a thousand items, of which ten show every row. Those
that are left out get the marker `slow`. Of these, a hundred show every pair of rows of two tables; the others
are left to a thorough run, and to whoever names them. Three markers say what a test needs besides:

- `pairs`: by default each pair of values of two tables is seen once, since the two matter together.
- `slow_rows("64 KB", "trio")`: items with one of these in their name are slow ones.
- `few_rows(4)`: by default one in four of these items is enough, always the same, where a row takes long.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from itertools import combinations, groupby, islice
from typing import Any

import pytest

from tests.support.effort import THOROUGH
from tests.support.sampling import few_of

Names = tuple[str, ...]
"""The parameters of one table."""
Row = tuple["Hashable", ...]
"""The row that an item has of each table."""
_TABLES = pytest.StashKey[dict[str, list[Names]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Note the tables of each test: an item tells its values, but not which of them belong together.

    Rows that cannot be selected are left out: with `-m quick` most, and by default the slow ones.
    """
    tables = metafunc.config.stash.setdefault(_TABLES, {}).setdefault(metafunc.definition.nodeid, [])
    parametrize = metafunc.parametrize
    choose = _choice(metafunc)

    def noted(
        names: str | Sequence[str], rows: Iterable[Any], *args: Any, ids: Any = None, **options: Any
    ) -> None:
        tables.append(tuple(names.replace(",", " ").split() if isinstance(names, str) else names))
        if choose is not None:
            rows = list(rows)
            kept = choose(rows)
            if ids is not None and not callable(ids):
                named = list(islice(ids, len(rows)))
                ids = [named[index] for index in kept]
            # With its mark, the names of these rows would be kept for all tests that share the table.
            options.pop("_param_mark", None)
            rows = [rows[index] for index in kept]
        parametrize(names, rows, *args, ids=ids, **options)

    metafunc.parametrize = noted  # type: ignore[method-assign, assignment] # the same, and it takes a note


def _choice(metafunc: pytest.Metafunc) -> Callable[[list[Any]], list[int]] | None:
    """Return what chooses the rows of a table that can be selected, by their positions; None for all rows."""
    config, definition = metafunc.config, metafunc.definition
    expression: str = config.getoption("markexpr") or ""
    # A row that is asked for by its name is found, and deselected.
    if any("::" in argument for argument in config.args):
        return None
    if expression == "quick":
        return _quick_rows if definition.get_closest_marker("quick") is None else None
    if not expression.startswith("not slow and "):
        return None
    return _first_row if definition.get_closest_marker("slow") else _fast_rows


def _quick_rows(rows: list[Any]) -> list[int]:
    """Choose the first row that is not slow, and rows marked as quick."""
    marks = _marks(rows)
    fast = [index for index, names in enumerate(marks) if not names & {"slow", "browser"}]
    return sorted({*fast[:1], *(index for index, names in enumerate(marks) if "quick" in names)})


def _fast_rows(rows: list[Any]) -> list[int]:
    """Choose the rows that are not slow; the first one if all are, since a table is never empty."""
    return [index for index, names in enumerate(_marks(rows)) if "slow" not in names] or _first_row(rows)


def _first_row(rows: list[Any]) -> list[int]:
    return [0] if rows else []


def _marks(rows: list[Any]) -> list[set[str]]:
    return [{mark.name for mark in getattr(row, "marks", ())} for row in rows]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as slow what `slow_rows` names, and what shows no value that another item does not show.

    Where slow items run, leave out those that show no pair of values that another item does not show.
    """
    left_out = set[pytest.Item]()
    for test, group in groupby(items, key=lambda item: item.nodeid.partition("[")[0]):
        rows = [item for item in group if hasattr(item, "callspec")]
        for item in rows:
            if _is_named(item):
                item.add_marker(pytest.mark.slow)
        fast = [item for item in rows if item.get_closest_marker("slow") is None]
        tables = config.stash[_TABLES].get(test, [])
        if len(fast) > 1 and len(tables) > 1:
            size = 2 if fast[0].get_closest_marker("pairs") else 1
            kept = covering([_rows_of(item, tables) for item in fast], size)
            fast = _kept_of(fast, kept)
        fewer = fast[0].get_closest_marker("few_rows") if fast else None
        if fewer is not None:
            _kept_of(fast, few_of(len(fast), *fewer.args))
        if len(tables) > 2 and not THOROUGH and _has_slow_items(config):
            left_out |= _without_a_pair(rows, [_rows_of(item, tables) for item in rows])
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


def _has_slow_items(config: pytest.Config) -> bool:
    """Return whether slow items run, of which none is asked for by its name."""
    expression: str = config.getoption("markexpr") or ""
    is_named = any("::" in argument for argument in config.args)
    return not is_named and expression != "quick" and not expression.startswith("not slow and ")


def _without_a_pair(items: Sequence[pytest.Item], shown: Sequence[Row]) -> set[pytest.Item]:
    """Return the slow items whose pairs of values others show, the items that run by default first."""
    fast = {at for at, item in enumerate(items) if item.get_closest_marker("slow") is None}
    kept = covering(shown, 2, fast)
    return {item for at, item in enumerate(items) if at not in kept}


def _kept_of(items: list[Any], kept: set[int]) -> list[Any]:
    """Return the items at these positions, and mark the others as slow."""
    for number in {*range(len(items))} - kept:
        items[number].add_marker(pytest.mark.slow)
    return [items[number] for number in sorted(kept)]


def covering(items: Sequence[Row], size: int = 1, kept: Collection[int] = ()) -> set[int]:
    """Return the positions of items that together show what all of them show.

    Args:
        items: The row that each item has of each table.
        size: 1 if each row of a table has to be seen, 2 if each pair of rows of two tables has.
        kept: The positions of items that are shown in any case.
    """
    shown = [frozenset(combinations(enumerate(item), min(size, len(item)))) for item in items]
    # In the order of the items, all that are kept would have the first row of every short table.
    order = sorted(range(len(items)), key=lambda at: zlib.crc32(b"%d" % at))
    found = {*kept}
    left = {what for each in shown for what in each}.difference(*(shown[at] for at in found))
    while left:
        best = max(order, key=lambda at: len(shown[at] & left))
        found.add(best)
        left -= shown[best]
        order = [at for at in order if shown[at] & left]
    return found


def _rows_of(item: Any, tables: Sequence[Names]) -> Row:
    values = item.callspec.params
    return tuple(tuple(id(values[name]) for name in names if name in values) for names in tables)


def _is_named(item: Any) -> bool:
    name = f"-{item.callspec.id}-"
    parts = (part for marker in item.iter_markers("slow_rows") for part in marker.args)
    return any(f"-{part}-" in name for part in parts)
