"""Of a text with one document, that document is read; of a text with two meanings, none."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.compare.benchmarks.beside_json import OURS, beside_json, read_by_us, verdict
from tests.compare.benchmarks.texts_with_json import TEXTS, TextWithJSON
from tests.compare.benchmarks.timing import Plan
from tokenstream import Stream
from tokenstream.errors import OutputIncomplete, OutputInvalid

_MOST_REFUSED = 2
_SIZES = (0, 1, 7)


def _value(case: TextWithJSON, choice: str | None, size: int) -> Any:
    """Return the value that is read, or None for a text that is refused."""
    try:
        return read_by_us(case, choice, size)
    except (OutputInvalid, OutputIncomplete):
        return None


@pytest.mark.parametrize("choice", OURS.values())
def test_no_text_is_read_as_another_value_and_hardly_any_is_refused(choice: str | None) -> None:
    for size in _SIZES:
        told = {case.text: verdict(case, _value(case, choice, size)) for case in TEXTS}

        assert [] == [text for text, word in told.items() if word == "wrong"]
        assert Counter(told.values())["refused"] <= _MOST_REFUSED


@pytest.mark.parametrize("size", _SIZES)
def test_drafts_end_with_the_value_of_the_result_or_are_refused(size: int) -> None:
    """Drafts show the first document as it arrives, so they cannot go on to one that fits better."""
    for case in TEXTS:
        step = size or len(case.text)
        pieces = [case.text[at : at + step] for at in range(0, len(case.text), step)]
        try:
            *_, last = Stream(pieces, format="pieces").partials(case.type, lenient=True)
            value = last.final()
        except (OutputInvalid, OutputIncomplete):
            continue

        assert value == Stream(pieces, format="pieces").result(case.type, lenient=True)


def test_the_table_has_a_row_for_each_of_our_ways() -> None:
    (table,) = beside_json(Plan())

    assert list(OURS) == [row[0] for row in table.rows][: len(OURS)]
    assert all(int(row[1]) == sum(map(int, row[2:])) for row in table.rows)
