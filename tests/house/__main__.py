"""Print what makes the package hard to carry.

python -m tests.house

Its budget with lines by kind; what somebody has to learn; names that mean several things; foreign writes, and
methods that only assign, of each room; and the calls of the walks that a reader of the code takes first.
"""

from __future__ import annotations

import sys

from tests.house import budget
from tests.house.counts import lines_by_kind, modules, shared_names, writes
from tests.house.surface import surface
from tests.house.walks import WALKS, count_retry, shortest
from tests.project import PACKAGE

_MOST_ROOMS = 15


def main() -> None:
    """Print the counts."""
    package = modules(PACKAGE)
    kinds = lines_by_kind(package)
    rows = [f"{'the budget':24} {'is':>7} {'at most':>8}"]
    rows += [
        f"    {name:20} {count:7,} {most:8,}"
        for name, count, most in (
            ("lines", kinds.total(), budget.LINES),
            ("lines of code", kinds["code"], budget.CODE),
            ("modules", len(package), budget.MODULES),
        )
    ]
    most = f"{budget.TESTS_ONLY:,} ({budget.TESTS_ONLY_SHARE:.1%})"
    rows.append(f"    statements that tests alone reach, by `python -m tests.evidence`: at most {most}")
    rows.append(f"{'the interface':24} {'is':>7} {'at most':>8}")
    rows += [f"    {name:20} {count:7,} {budget.SURFACE[name]:8,}" for name, count in surface().items()]
    rows.append("lines by kind")
    rows += [f"    {kind:20} {count:7,}" for kind, count in kinds.most_common()]
    names = shared_names(package)
    rows.append(f"{len(names)} names of several classes")
    rows += [f"    {name:24} {', '.join(places)}" for name, places in names.items()]
    rows.append("foreign writes for each 1,000 functions, and methods that only assign")
    by_room = sorted(writes(package).items(), key=lambda item: -item[1].per_thousand)
    shown = [item for item in by_room if item[0] == "all" or item[1].functions >= 30]
    rows += [f"    {room:24} {each.per_thousand:5} {each.setters:5}" for room, each in shown[:_MOST_ROOMS]]
    rows += [f"    {room:24} {each.per_thousand:5} {each.setters:5}" for room, each in shown if room == "all"]
    rows.append("calls of Python, and of the package, with its functions and its modules")
    rows += [f"    {name:40} {shortest(name)}" for name in WALKS]
    rows.append(f"    {'a retry= that is not needed adds':40} {count_retry(0):14}")
    rows.append(f"    {'a retry after a 503 adds':40} {count_retry(1):14}")
    sys.stdout.write("\n".join([*rows, ""]))


main()
