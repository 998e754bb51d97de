"""The fault matrix: every row gives what it owes, in each world, and docs/reports/failures.md says so."""

from __future__ import annotations

import pytest

from tests.faults import __main__ as command
from tests.faults import page
from tests.faults.matrix import Result, Row, World, interrupted, whole

# On trio, without a block, the HTTP client's own generators are collected, too, and complain.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
_CASES = [
    pytest.param(
        row,
        world,
        id=f"{row.id}-{world}",
        # The quick tests run one loop of each colour.
        marks=() if world in (row.worlds[0], row.worlds[-1]) else pytest.mark.slow,
    )
    for row in page.ROWS
    for world in row.worlds
]


@pytest.mark.slow_rows("F35", "F72", "F83")
@pytest.mark.parametrize("row, world", _CASES)
def test_a_row_gives_what_it_owes(row: Row, world: World) -> None:
    """The error, whether it is retryable, the ending, what is kept, and whether the source was closed."""
    assert row.owed_in(world) == row.run(world)


def test_every_fault_has_its_row() -> None:
    """All 86 of them, each variation under a letter of its own."""
    ids = [row.id for row in page.ROWS]

    assert len(set(ids)) == len(ids)
    assert [f"F{number:02}" for number in range(1, 87)] == sorted({id[:3] for id in ids})


def test_the_page_is_what_the_rows_owe() -> None:
    """`python -m tests.faults --write` writes docs/reports/failures.md anew."""
    owed = {row.id: page.owed(row) for row in page.ROWS}

    assert page.render(owed) == page.FILE.read_text("utf-8")


def test_a_row_that_owes_something_else_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 1, says what came and what is owed, and the table does not call it so."""

    def broken(_: World) -> Result:
        raise LookupError

    rows = [Row("F01", "one", lambda _: whole(), interrupted()), Row("F02", "two", broken, whole())]
    monkeypatch.setattr(page, "ROWS", rows)
    monkeypatch.setattr(page, "SECTIONS", {"All": rows})
    monkeypatch.setattr("sys.argv", ["tests.faults"])
    status = command.main()
    printed = capsys.readouterr()

    assert status == 1
    assert printed.out.count("NOT SO") == 6
    assert "✓" not in printed.out.partition("## All")[2]
    assert ["F01, sync", "F01, asyncio", "F01, trio", "F02, sync", "F02, asyncio", "F02, trio"] == [
        line.partition(":")[0] for line in printed.err.splitlines() if line.startswith("F")
    ]
