"""Arguments that end inside a JSON value: C code decides, and agrees with the strict reader."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import from_json

from tests.partial_json.support import documents
from tests.support.tables import in_one_test
from tokenstream._basics.same_call import says_no_arguments
from tokenstream.formats._kit.open import OpenCall
from tokenstream.partial_json import PartialJSONParser

_WHOLE = '{"path": ["/srv", "caf\\u00e9\\n"], "deep": {"all": true, "no": [null, -1.5e3]}}'


def _breaks_off(text: str) -> bool:
    """Return what the strict reader finds."""
    parser = PartialJSONParser()
    parser.feed(text)
    if parser.error is not None or not text.strip():
        return False
    parser.end()
    return parser.error is not None


def _call(text: str) -> OpenCall:
    call = OpenCall(0, 0, id="c", name="list", type="function", provider_data=None)
    call.arguments.append(text)
    return call


@in_one_test("size", [size for size in range(1, len(_WHOLE)) if "\\" not in _WHOLE[size - 6 : size]])
def test_pydantic_core_says_that_a_document_is_cut_in_these_words(size: int) -> None:
    """If they change, `is_beginning` is right, but takes fifty times as long: adapt it to the new words."""
    with pytest.raises(ValueError, match=r"^EOF while parsing"):
        from_json(_WHOLE[:size], allow_inf_nan=False)


@given(documents(), st.integers(0, 40), st.sampled_from(["", "{}", '{"a": 1} ', " "]), st.data())
@example("[" * 201 + "1", 0, "", None)
@example('{"a": 1' + "0" * 4_301, 0, "", None)
@example('["\\ud83d', 0, "", None)
@example("[NaN", 0, "", None)
@example("6/", 0, "", None)
def test_c_code_and_the_strict_reader_agree(
    document: str, cut: int, before: str, data: st.DataObject | None
) -> None:
    """Whole, cut, flipped and repeated documents break off, and may go on, for both or for neither."""
    text = before + document[: len(document) - cut]
    if text and data is not None and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(st.sampled_from(["", *'"\\,:[]{}0-.eu/\n\x00é'])) + text[place + 1 :]
    call = _call(text)

    assert _breaks_off(text) == call.breaks_off
    assert (says_no_arguments(text) or _breaks_off(text)) == call.may_go_on
