"""Tables in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join([f"| {' | '.join(map(_cell, line))} |\n" for line in lines]) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")
