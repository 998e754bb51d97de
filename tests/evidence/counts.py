"""Counts the statements inside functions by what reaches them first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage

from tests.evidence.functions import Function, functions

NEITHER = "neither"
"""What stands for statements that no recording and no program reaches."""


@dataclass(frozen=True)
class Reached:
    """A function with what reaches its statements.

    Attributes:
        module: The module's path within the package.
        room: The first two folders of the path, or "(top)".
        statements: What reaches a statement first, by its line.
    """

    module: str
    room: str
    function: Function
    statements: Mapping[int, str]

    def lines_of(self, names: Iterable[str]) -> list[int]:
        """Return the lines of the statements that one of these reaches first."""
        return sorted(line for line, name in self.statements.items() if name in {*names})


def reached(package: Path, parts: Mapping[str, Path]) -> list[Reached]:
    """Return the functions of a package that have statements.

    Args:
        parts: The settings of coverage.py with which each part was measured, by the part's name. A statement
            is the first one's that reaches it.
    """
    measured = {name: _loaded(settings) for name, settings in parts.items()}
    found = list[Reached]()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        first = _first_by_line(path, measured)
        for function in functions(path.read_text(encoding="utf-8")):
            statements = {line: first[line] for line in function.body & first.keys()}
            if statements:
                room = "/".join(name.split("/")[:-1][:2]) or "(top)"
                found.append(Reached(name, room, function, statements))
    return found


def _loaded(settings: Path) -> Coverage:
    coverage = Coverage(config_file=str(settings))
    coverage.load()
    return coverage


def _first_by_line(path: Path, measured: Mapping[str, Coverage]) -> dict[int, str]:
    first = dict[int, str]()
    for name, coverage in measured.items():
        _, statements, _, missing, _ = coverage.analysis2(str(path))
        left = {*missing}
        for line in statements:
            if first.get(line, NEITHER) == NEITHER:
                first[line] = NEITHER if line in left else name
    return first


def by_room(found: Iterable[Reached]) -> dict[str, Counter[str]]:
    """Return the number of statements of each room by what reaches them first, the largest room first."""
    rooms = defaultdict[str, Counter[str]](Counter)
    for each in found:
        rooms[each.room].update(each.statements.values())
    return dict(sorted(rooms.items(), key=lambda item: (-item[1].total(), item[0])))
