"""The tables of docs/reports/recovery.md, written from the results that are kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.compare.conformance.recovery import results
from tests.compare.conformance.recovery.cases import FAULTS, Fault
from tests.compare.conformance.results import load
from tests.compare.conformance.table import table, table_of_packages
from tests.made_tables.section import Section
from tests.project import ROOT

_US = "tokenstream"
_EXACT = "exact"


def _cell(cells: dict[str, Any], fault: Fault, *scenarios: str) -> str:
    """Return what came of a fault in scenarios, and where that differs, of each."""
    came: dict[str, str] = {scenario: cells[scenario][fault.name]["came"] for scenario in scenarios}
    if len({*came.values()}) == 1:
        return next(iter(came.values()))
    return "; ".join([f"{what} ({scenario})" for scenario, what in came.items()])


def _table(kept: dict[str, Any], *scenarios: str) -> str:
    """Return a row for each fault of scenarios, a column for each peer that was run in them, and the sums."""
    cells = {name: result["cells"] for name, result in kept.items() if scenarios[0] in result["cells"]}
    faults = [fault for fault in FAULTS.values() if scenarios[0] in fault.scenarios]
    rows = [
        [fault.sends, *(_cell(of_peer, fault, *scenarios) for of_peer in cells.values())] for fault in faults
    ]
    exact = [
        sum(_cell(of_peer, fault, *scenarios) == _EXACT for fault in faults) for of_peer in cells.values()
    ]
    sums = ["**exact**", *(f"**{count} of {len(faults)}**" for count in exact)]
    return table(["the first provider sends", *cells], [*rows, sums]).strip()


def _kind(came: str) -> str:
    return came.partition(",")[0]


def _count(kept: dict[str, Any]) -> str:
    """Return how often each kind came of the other libraries."""
    counts = Counter(
        _kind(cell["came"])
        for name, result in kept.items()
        if name != _US
        for of_scenario in result["cells"].values()
        for cell in of_scenario.values()
    )
    ours = Counter(_kind(cell["came"]) for cells in kept[_US]["cells"].values() for cell in cells.values())
    return (
        f"Each run counted on its own, {counts.total()} of the other libraries ended as follows: "
        f"{_listed(counts)}. Of {_US}, {ours.total()} did: {_listed(ours)}."
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join([f"{kind} {count}" for kind, count in counts.most_common()])


def paragraphs(kept: dict[str, Any]) -> list[str]:
    return [
        "## Only the first request fails",
        _table(kept, "once"),
        "## The first provider always fails, the other one answers",
        _table(kept, "chat", "anthropic"),
        _count(kept),
        "## The libraries",
        table_of_packages(["library", "used as"], kept).strip(),
    ]


SECTION = Section(
    ROOT / "docs" / "reports" / "recovery.md",
    "tests.compare.conformance --recovery",
    lambda: paragraphs(load(results.FILE)),
)
