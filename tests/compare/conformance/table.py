"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join([f"| {' | '.join(map(_cell, line))} |\n" for line in lines]) + "\n"


def table_of_packages(head: Sequence[str], results: Mapping[str, Any]) -> str:
    """Return what was run of each name: how, in which versions, on what and when."""
    rows = []
    for name, result in results.items():
        versions = ", ".join([f"{package} {version}" for package, version in result["versions"].items()])
        rows.append([name, result["how"], versions, result["runtime"], result["date"]])
    return table([*head, "versions", "runs on", "date"], rows)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")
