"""The rings of the package, each with a ceiling of its own, and the guests around them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

from tests.house import budget
from tests.house.counts import Module, lines_by_kind, lines_of_tests, nodes
from tests.house.rooms import Sizes, bounds, bounds_of_all, settled
from tests.project import PYPROJECT, ROOT

_RINGS: dict[str, str] = {
    module.removeprefix("tokenstream."): contract["id"]
    for contract in PYPROJECT["tool"]["importlinter"]["contracts"]
    if contract["id"] in budget.SHARES
    for module in contract["source_modules"]
} | {"__init__": "answer"}


def ring_of(path: str) -> str:
    """Return the ring of a room or a module, by its path within the package."""
    return _RINGS.get(path.partition("/")[0].removesuffix(".py"), "guests")


def _by_ring(of: list[Module], count: Callable[[list[Module]], int]) -> Counter[str]:
    members: defaultdict[str, list[Module]] = defaultdict(list)
    for module in of:
        members[ring_of(module.name)].append(module)
    return Counter({ring: count(each) for ring, each in members.items()})


def _tests(of: list[Module]) -> Counter[str]:
    rooms, counts = {module.name.partition("/")[0] for module in of}, Counter[str]()
    for folder, lines in lines_of_tests(ROOT).items():
        counts[ring_of(folder) if folder in rooms else "project"] += lines
    return counts


COUNTS: dict[str, Callable[[list[Module]], Counter[str]]] = {
    "lines": lambda of: _by_ring(of, lambda each: lines_by_kind(each).total()),
    "nodes": lambda of: _by_ring(of, nodes),
    "lines of tests": _tests,
}
"""The functions that count what each ring has a ceiling for."""


def sizes_of_rings(of: list[Module]) -> Sizes:
    """Return the counts of each ring, which takes seconds for the nodes."""
    counts = {name: count(of) for name, count in COUNTS.items()}
    return {
        ring: Counter({name: each[ring] for name, each in counts.items() if each[ring]})
        for ring in budget.SHARES
    }


def ceilings(name: str) -> dict[str, int]:
    """Return the most that each ring may have: what it had, and its share of the room of the whole."""
    bound = (bounds() | bounds_of_all())[name]
    room = budget.ceiling(bound) - bound
    rings = settled("rings").items()
    shares = budget.SHARES_OF_TESTS if name == "lines of tests" else budget.SHARES
    return {ring: has[name] + int(room * shares[ring]) for ring, has in rings if has[name]}


def beyond(name: str, of: list[Module]) -> list[str]:
    """Return a sentence for each ring with more than it may have."""
    counts = COUNTS[name](of)
    return [
        f"the ring {ring!r} has {counts[ring]:,} {name}, {counts[ring] - most:,} more than it may have:"
        " the room of other rings is not its own"
        for ring, most in ceilings(name).items()
        if counts[ring] > most
    ]
