"""The table of docs/about/capabilities.md: `python -m tests.capabilities.page` writes it anew."""

from __future__ import annotations

from itertools import groupby

from tests.capabilities.rows import PEERS, ROWS
from tests.made_section import Section, table
from tests.project import ROOT

PAGE = ROOT / "docs" / "about" / "capabilities.md"


def _make() -> list[str]:
    """Return the table, with a row for the name of each group."""
    lines: list[str] = []
    for group, rows in groupby(ROWS, key=lambda row: row.group):
        lines.append(f"| *{group}* |{' |' * (len(PEERS) + 1)}")
        lines += [f"| {row.name} | **{row.ours}** | {' | '.join(row.peers)} |" for row in rows]
    return [table(["capability", "**tokenstream**", *PEERS], lines)]


SECTION = Section(PAGE, "tests.capabilities.page", _make)

if __name__ == "__main__":
    SECTION.write()
