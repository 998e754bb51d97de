"""Text that is already decoded: the pieces are the answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.formats import Pieces
from tokenstream.errors import LimitExceeded, MisuseError
from tokenstream.events import MessageStart, PartDone, PartStart, TextDelta
from tokenstream.limits import Limits
from tokenstream.message import TextPart


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_comes_out_is_what_went_in(pieces: list[str]) -> None:
    format = Pieces()
    events = [event for piece in pieces for event in format.feed(piece)] + format.end()

    assert [event.text for event in events if isinstance(event, TextDelta)] == [
        piece for piece in pieces if piece
    ]
    assert (format.error, format.finished) == (None, True)
    assert format.departures.details == ({} if any(pieces) else {"answer_empty": 1})


def test_one_part_holds_all_pieces() -> None:
    format = Pieces()

    assert format.feed("Hel") == [MessageStart(), PartStart(TextPart()), TextDelta("Hel")]
    assert format.feed("lo") == [TextDelta("lo")]
    assert format.end() == [PartDone()]
    assert (format.feed("late"), format.end()) == ([], [])


def test_what_looks_like_an_end_or_an_error_is_text() -> None:
    format = Pieces()
    events = [event for piece in ("[DONE]", '{"error": "no"}') for event in format.feed(piece)]

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["[DONE]", '{"error": "no"}']


def test_an_empty_piece_is_a_heartbeat() -> None:
    assert Pieces().feed("") == []


def test_bounds_hold_for_pieces() -> None:
    format = Pieces(limits=Limits(parts=0))

    assert format.feed("Hello") == [MessageStart()]
    assert isinstance(format.error, LimitExceeded)
    assert (format.feed("again"), format.end()) == ([], [])


@pytest.mark.parametrize("piece", [b"Hello", {"text": "Hello"}, None])
def test_anything_but_text_is_a_mistake_of_the_caller(piece: Any) -> None:
    with pytest.raises(MisuseError, match=type(piece).__name__):
        Pieces().feed(piece)
