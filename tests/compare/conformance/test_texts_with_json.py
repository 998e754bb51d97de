"""Of a text with one document, that document is read; of a text with two meanings, none."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.compare.conformance.texts_with_json import TEXTS, TextWithJSON
from tests.support.texts import pieces_of
from tokenstream import Stream
from tokenstream.errors import OutputIncomplete, OutputInvalid

_MOST_REFUSED = 2
_SIZES = (0, 1, 7)


def _value(case: TextWithJSON, choice: Any, size: int) -> Any:
    """Return the value that our `result` has, as plain data, or None for a text that is refused."""
    stream = Stream(pieces_of(case.text, size), format="pieces")
    try:
        value = stream.result(case.type, lenient=True, document=choice)
    except (OutputInvalid, OutputIncomplete):
        return None
    return TypeAdapter(case.type).dump_python(value)


@pytest.mark.parametrize("choice", [None, "matching"])
def test_no_text_is_read_as_another_value_and_hardly_any_is_refused(choice: str | None) -> None:
    for size in _SIZES:
        values = {case.text: (case.value, _value(case, choice, size)) for case in TEXTS}
        missed = {text: found for text, (right, found) in values.items() if found != right}

        assert [] == [text for text, found in missed.items() if found is not None]
        assert len(missed) <= _MOST_REFUSED


@pytest.mark.parametrize("size", _SIZES)
def test_drafts_end_with_the_value_of_the_result_or_are_refused(size: int) -> None:
    """Drafts show the first document as it arrives, so they cannot go on to one that fits better."""
    for case in TEXTS:
        pieces = pieces_of(case.text, size)
        try:
            *_, last = Stream(pieces, format="pieces").partials(case.type, lenient=True)
            value = last.final()
        except (OutputInvalid, OutputIncomplete):
            continue

        assert value == Stream(pieces, format="pieces").result(case.type, lenient=True)
