"""Which repeats of regular expressions CPython 3.11.0 to 3.11.4 reads wrong.

They lose their place where the last round of a possessive group fails after it has read something: of "aca",
`(?:ab?c)*+` matches all there. With an atomic group inside, as in `(?:(?>ab?c))*+`, every Python reads what
is meant. https://github.com/python/cpython/issues/106052
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import tokenstream

_SINGLE = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN)
_NOTING_NOTHING = (*_SINGLE, _constants.AT, _constants.GROUPREF)
_RESTORING = (_constants.BRANCH, _constants.ATOMIC_GROUP)
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def lost_places(pattern: str | bytes, flags: int = 0) -> int:
    """Return how many possessive groups of a pattern some Pythons read wrong.

    Example:
        >>> lost_places("(?:ab?c)*+"), lost_places("(?:(?>ab?c))*+"), lost_places("(?:a++|b)*+")
        (1, 0, 0)
    """
    return sum(map(_loses_its_place, _possessive_groups(_parser.parse(pattern, flags))))


def _is_single(items: Sequence[Any]) -> bool:
    """Return whether a repeat of it has code of its own."""
    return len(items) == 1 and items[0][0] in _SINGLE


def _possessive_groups(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for item, value in items:
        if item is _constants.POSSESSIVE_REPEAT and not _is_single(value[2]):
            yield value[2]
        parts = value if isinstance(value, (tuple, list)) else [value]
        for part in parts:
            for inner in part if isinstance(part, list) else [part]:
                if isinstance(inner, _parser.SubPattern):
                    yield from _possessive_groups(inner)


def _flat(items: Sequence[Any]) -> Iterator[Any]:
    """Yield the items, those of groups in the place of the groups."""
    for item, value in items:
        yield from _flat(value[3]) if item is _constants.SUBPATTERN else [(item, value)]


def _loses_its_place(items: Sequence[Any]) -> bool:
    """Return whether a round may fail after it has noted a place other than its beginning.

    All items but characters note where they begin or end.
    """
    has_read = has_noted = False
    for item, value in _flat(items):
        repeats_one = item in _REPEATS and _is_single(value[2])
        may_fail = item not in _REPEATS or value[0] > 0
        notes = item not in _NOTING_NOTHING
        if may_fail and (has_noted or (notes and has_read)):
            return True
        if item is _constants.BRANCH and any(map(_loses_its_place, value[1])):
            return True
        if may_fail and notes and not (repeats_one or item in _RESTORING):
            return True
        has_read, has_noted = True, has_noted or notes
    return False


def main() -> None:
    """Print each pattern of the package that some Pythons read wrong, with its module."""
    compile_pattern = _compiler.compile
    found = set[str]()

    def note(pattern: Any, flags: int = 0) -> Any:
        frame: Any = inspect.currentframe()
        while frame.f_globals["__name__"] in (__name__, "re", "functools"):
            frame = frame.f_back
        module = frame.f_globals["__name__"]
        if module.startswith("tokenstream") and lost_places(pattern, flags):
            found.add(f"{module}: {pattern!r}\n")
        return compile_pattern(pattern, flags)

    _compiler.compile = note
    re.purge()
    for info in pkgutil.walk_packages(tokenstream.__path__, "tokenstream."):
        importlib.import_module(info.name)
    sys.stdout.writelines(sorted(found))


if __name__ == "__main__":
    main()
