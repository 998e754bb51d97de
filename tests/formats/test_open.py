"""What is open: parts and calls that can grow, and characters that are not whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstream.events import Finish
from tokenstream.formats._kit.open import OpenCall, OpenChoice, OpenPart, join_halves, mend_surrogates
from tokenstream.message import TextPart

_HIGH, _LOW = "\ud83d", "\ude00"
_WHOLE = "\U0001f600"
_PIECES = st.lists(st.text(f"aé{_HIGH}{_LOW}{_WHOLE}", min_size=1, max_size=4), max_size=8)


def _joined(*pieces: str) -> tuple[str, str, list[str]]:
    part, noted = OpenPart("text", 0, 0), list[str]()
    text = "".join([join_halves(part, piece, noted.append) for piece in pieces])
    return text, part.held, noted


@pytest.mark.parametrize(
    "pieces, told, held, departures",
    [
        (["a", "é", _WHOLE], f"aé{_WHOLE}", "", 0),
        ([_HIGH], "", _HIGH, 0),
        ([f"a{_HIGH}", f"{_LOW}b"], f"a{_WHOLE}b", "", 0),
        ([_HIGH, _LOW + _HIGH, _LOW], _WHOLE * 2, "", 0),
        ([_HIGH, "a"], "\ufffda", "", 1),
        ([_HIGH, _HIGH], "\ufffd", _HIGH, 1),
        ([_LOW, "a"], "\ufffda", "", 1),
        (["\ufffd"], "\ufffd", "", 0),
    ],
)
def test_halves_of_a_character_are_joined(pieces: list[str], told: str, held: str, departures: int) -> None:
    """A first half waits for the next piece; one that never gets its other half is replaced."""
    assert (told, held, ["lone_surrogate"] * departures) == _joined(*pieces)


@given(_PIECES)
def test_joining_pieces_gives_what_the_whole_gives(pieces: list[str]) -> None:
    """However a text is cut, also inside a character."""
    told, held, _ = _joined(*pieces)

    assert mend_surrogates("".join(pieces)) == told + mend_surrogates(held)


@given(_PIECES)
def test_joined_pieces_can_always_be_encoded(pieces: list[str]) -> None:
    """Each piece that is given has whole characters only."""
    part, noted = OpenPart("text", 0, 0), list[str]()

    for piece in pieces:
        assert join_halves(part, piece, noted.append).encode().decode() is not None


@pytest.mark.parametrize(
    "value, whole",
    [
        ("a", "a"),
        (_HIGH, "\ufffd"),
        (_HIGH + _LOW, _WHOLE),
        ({_HIGH: [_LOW, {"a": _HIGH}]}, {"\ufffd": ["\ufffd", {"a": "\ufffd"}]}),
        (TextPart(text=_HIGH), TextPart(text="\ufffd")),
        (7, 7),
        (None, None),
    ],
)
def test_a_value_is_mended_all_through(value: Any, whole: Any) -> None:
    """No JSON and no UTF-8 can carry half a character."""
    assert whole == mend_surrogates(value)


def test_a_choice_knows_its_open_calls_in_order() -> None:
    choice = OpenChoice(3)
    first, second = (
        OpenCall(3, index, id=f"c{index}", name="f", type="function", provider_data={}) for index in (1, 2)
    )
    choice.opened = {0: OpenPart("text", 3, 0), 1: first, 2: second}
    choice.finish = Finish("stop", "stop", choice=3)

    assert [first, second] == choice.open_calls()
