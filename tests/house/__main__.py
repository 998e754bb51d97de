"""Print what makes the package hard to carry.

python -m tests.house [--settle]

Its budget, also by ring, with lines by kind; what README's first program loads; what somebody has to learn;
names that mean several things; foreign writes, and methods that only assign, of each room; and the calls of
the walks that a reader of the code takes first.
With --settle, the counts of lines and the sizes of the rooms become those that the next batch of issues
begins with, and nothing else is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.house import budget
from tests.house.counts import Module, lines_by_kind, modules, shared_functions, shared_names, writes
from tests.house.rings import COUNTS, ceilings, sizes_of_rings
from tests.house.rooms import bounds, bounds_of_all, settle, sizes, total
from tests.project import PACKAGE

_MOST_ROOMS = 15


def main() -> None:
    """Print the counts, each as soon as it is known: the walks take a minute."""
    package = modules(PACKAGE)
    if "--settle" in sys.argv[1:]:
        settle(sizes(package), sizes_of_rings(package))
        return
    for row in _rows(package):
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()


def _rows(package: list[Module]) -> Iterator[str]:
    yield from _budget(package)
    yield from _first_program()
    yield from _interface()
    yield from _classes(package)
    yield from _walks()


def _budget(package: list[Module]) -> Iterator[str]:
    rings = sizes_of_rings(package)
    yield f"{'the budget':24} {'is':>7} {'was':>8} {'at most':>8}"
    counts = total(sizes(package)) | total(rings)
    for name, bound in (bounds() | bounds_of_all()).items():
        yield f"    {name:20} {counts[name]:7,} {bound:8,} {budget.ceiling(bound):8,}"
    share = f"{budget.ceiling(budget.NO_EVIDENCE):,} ({budget.NO_EVIDENCE_SHARE:.1%})"
    yield f"    statements without evidence, by `python -m tests.evidence`: at most {share}"
    most = {name: ceilings(name) for name in COUNTS}
    yield "the rings of the core, from the inside out; around them, the guests, and the tests of no room"
    for ring, has in rings.items():
        cells = (f"{count:9,} {name} of {most[name][ring]:,}" for name, count in has.items())
        yield f"    {ring:10} {'; '.join(cells)}"
    yield "lines by kind"
    yield from (f"    {kind:20} {count:7,}" for kind, count in lines_by_kind(package).most_common())


def _first_program() -> Iterator[str]:
    # It starts a server.
    from tests.house.first_program import measure

    yield f"{'the first program of README':40} {'is':>7} {'at most':>8}"
    for name, count in measure().items():
        yield f"    {name:36} {count:7,} {budget.ceiling(budget.FIRST_PROGRAM[name]):8,}"


def _interface() -> Iterator[str]:
    # Every public module is imported, which takes seconds.
    from tests.house.surface import families, surface

    yield f"{'the interface':24} {'is':>7} {'at most':>8}"
    yield from (f"    {name:20} {count:7,} {budget.SURFACE[name]:8,}" for name, count in surface().items())
    for name, count in families().items():
        yield f"    {name:20} {count:7,} {budget.FAMILIES[name] + budget.MORE_MEMBERS:8,}"


def _classes(package: list[Module]) -> Iterator[str]:
    names = shared_names(package)
    yield f"{len(names)} names of several classes or aliases"
    yield from (f"    {name:24} {', '.join(places)}" for name, places in names.items())
    functions = shared_functions(package)
    count = sum(map(len, functions.values()))
    most = budget.SHARED_FUNCTIONS
    yield f"{len(functions)} names of functions of several modules, in {count} places (at most {most})"
    worst = sorted(functions.items(), key=lambda item: -len(item[1]))[:_MOST_ROOMS]
    yield from (f"    {name:24} {len(where)}" for name, where in worst)
    yield "foreign writes for each 1,000 functions, and methods that only assign"
    by_room = sorted(writes(package).items(), key=lambda item: -item[1].per_thousand)
    rows = [
        (room, f"    {room:24} {each.per_thousand:5} {each.setters:5}")
        for room, each in by_room
        if room == "all" or each.functions >= 30
    ]
    yield from (row for _, row in rows[:_MOST_ROOMS])
    yield from (row for room, row in rows if room == "all")


def _walks() -> Iterator[str]:
    # It imports servers and clients.
    from tests.house.walks import WALKS, count_retry, walk

    yield "calls of Python, and of the package, with its functions and its modules"
    yield from (f"    {name:40} {walk(prepared)}" for name, prepared in WALKS.items())
    yield f"    {'a retry= that is not needed adds':40} {count_retry(0):14}"
    yield f"    {'a retry after a 503 adds':40} {count_retry(1):14}"


main()
