"""Tables of plain text."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Table", "judge"]


@dataclass(frozen=True, slots=True)
class Table:
    """What one measurement gave.

    Args:
        title: What was measured.
        head: The names of the columns.
        rows: The cells, as text.
        notes: What stands below, such as which bars were reached.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = [self.title, ""]
        for row in [self.head, *self.rows]:
            first, *rest = [
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(["", first, *rest]).rstrip())
        return "\n".join([*lines, *(f"  {note}" for note in self.notes), ""])


def judge(what: str, bar: str, *, reached: bool) -> str:
    """Say whether a bar was reached.

    Example:
        >>> judge("import 1.20 × pydantic", "at most 1.3", reached=True)
        'reached  import 1.20 × pydantic (at most 1.3)'
    """
    return f"{'reached' if reached else 'MISSED '}  {what} ({bar})"
