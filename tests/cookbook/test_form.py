"""The form of the cookbook fills in on a terminal, marks a wrong value, and stays if the stream breaks."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.cookbook.programs import run_program
from tests.cookbook.watched import watch_program
from tokenstream import testing

if TYPE_CHECKING:
    from pathlib import Path

_BOOKING: dict[str, Any] = {
    "guest": "Ada Lund",
    "arrival": "2027-05-03",
    "nights": 2,
    "wishes": ["a quiet room", "[late] breakfast"],
}


def _rows(printed: str) -> list[list[str]]:
    """Return the cells of the form's rows."""
    lines = [line for line in printed.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_the_form_fills_in_while_the_answer_arrives(tmp_path: Path) -> None:
    """A name grows, and a date appears when it is whole."""
    begun, rest = '{"guest": "Ada Lund", "arrival": "2027-05-', '03", "nights": 2, "wishes": []}'
    script = (
        testing.script().text(begun[:14]).silence(0.5).text(begun[14:]).silence(0.5).text(rest).finish("stop")
    )
    with (
        testing.serve(script, pace="recorded") as provider,
        watch_program("form", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1") as program,
    ):
        program.type("Ada Lund, for two nights\n\x04")
        grown = _rows(program.see("│ Ada "))
        assert ["", "Guest", "Ada"] == grown[0]
        half = _rows(program.see("✓"))
        assert [["✓", "Guest", "Ada Lund"], ["", "Arrival", ""]] == half[:2]
        whole = _rows(program.see("Ada Lund arrives on Monday, 03 May."))
    request = provider.requests[0].json

    assert [["✓", "Arrival", "2027-05-03"], ["✓", "Nights", "2"], ["✓", "Wishes", ""]] == whole[1:]
    assert "Ada Lund, for two nights" in request["messages"][0]["content"]
    assert [*_BOOKING] == request["response_format"]["json_schema"]["schema"]["required"]


@pytest.mark.parametrize(
    "changed, row",
    [
        ({"nights": 0}, ["", "Nights", "0 (Input should be greater than or equal to 1)"]),
        ({"wishes": ["[late] breakfast"]}, ["✓", "Wishes", "[late] breakfast"]),
    ],
)
def test_a_wrong_value_is_shown_with_the_reason(
    changed: dict[str, Any], row: list[str], tmp_path: Path
) -> None:
    """The rest of the form is filled in all the same."""
    script = testing.script().text(json.dumps({**_BOOKING, **changed})).finish("stop")
    with testing.serve(script) as provider:
        url = f"{provider.url}/v1"
        done = run_program("form", tmp_path, OPENAI_BASE_URL=url, COLUMNS="100")

    assert row in _rows(done.stdout)
    assert ["✓", "Arrival", f"{date(2027, 5, 3)}"] in _rows(done.stdout)
    assert (not done.returncode) == ("nights" not in changed)
    assert ("No booking: the output is not a valid Booking: at nights" in done.stderr) == bool(
        done.returncode
    )


def test_a_broken_answer_leaves_the_form_as_it_was(tmp_path: Path) -> None:
    """The user sees what had arrived, and why there is no booking."""
    script = testing.script().text('{"guest": "Ada', ' Lund", "arrival": "2027', '-05-03"').finish("stop")
    with testing.serve(script, fault=testing.faults.close(event=3)) as provider:
        done = run_program("form", tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1")

    assert ["✓", "Guest", "Ada Lund"] == _rows(done.stdout)[0]
    assert "No booking: " in done.stderr
    assert 1 == done.returncode
