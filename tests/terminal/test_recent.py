"""The end of a long block: as much as a screen shows."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from tests.support.sampling import sampled
from tests.terminal.blocks import rows_at_once
from tokenstream.terminal._printer import cut_to_recent

_LONG = {
    "fence": "```python\n" + "".join(f"call({number})\n" for number in range(2000)) + "```",
    "paragraph": "".join(f"word {number} " for number in range(5000)),
    "list": "".join(f"{number}. item\n   - inner\n" for number in range(1, 1500)),
    "table": "| a | b |\n|---|---|\n" + "".join(f"| {number} | {number} |\n" for number in range(2000)),
    "quote": "".join(f"> line {number}\n>\n" for number in range(2000)),
    "code": "".join(f"    call({number})\n" for number in range(2000)),
}


def _rows(text: str) -> list[str]:
    console = Console(file=StringIO(), width=40, color_system=None)
    return rows_at_once(text, console)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", sampled([kind for kind in _LONG if kind not in {"paragraph", "table"}], one_in=4)
)
def test_the_last_rows_are_those_of_the_whole(kind: str) -> None:
    """Whatever the block's length, a list goes on with its numbers, and code is code."""
    text = _LONG[kind]

    assert _rows(text)[-9:] == _rows(cut_to_recent(kind, text, rows=9, columns=40))[-9:]


def test_a_table_keeps_its_head() -> None:
    shown = _rows(cut_to_recent("table", _LONG["table"], rows=9, columns=40))

    assert ["a", "b"] == shown[2].split()
    assert ["1999", "1999"] == shown[-2].split()


@pytest.mark.slow
@pytest.mark.parametrize("kind", _LONG)
def test_it_is_no_longer_than_a_few_screens_and_fills_one(kind: str) -> None:
    text = _LONG[kind]
    lengths = [len(cut_to_recent(kind, text[:end], rows=9, columns=40)) for end in range(8000, 12_000, 7)]

    assert max(lengths) <= 4 * 9 * 40
    assert all(
        len(_rows(cut_to_recent(kind, text[:end], rows=9, columns=40))) >= 9
        for end in range(8000, 12_000, 401)
    )


def test_a_line_of_code_without_an_end_is_cut_as_well() -> None:
    shown = cut_to_recent("fence", "```\n" + "x" * 100_000 + "\n```", rows=9, columns=40)

    assert shown.startswith("```\nxxx")
    assert shown.endswith("\n```")
    assert len(shown) < 5 * 9 * 40


@pytest.mark.parametrize("kind", _LONG)
def test_it_begins_at_the_same_place_for_a_screenful(kind: str) -> None:
    """Colours and the widths of columns seldom change."""
    text = _LONG[kind]
    pieces = [cut_to_recent(kind, text[:end], rows=9, columns=40)[:60] for end in range(8000, 9000, 5)]

    assert len(set(pieces)) < 20
