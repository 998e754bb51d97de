"""Halves of characters: they wait for each other in the texts of an answer, and are never shown alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.wire import chat
from tokenstream import Decoder
from tokenstream.events import TextDelta

_HIGH, _LOW = "\ud83d", "\ude00"
_WHOLE = "\U0001f600"
_PIECES = st.lists(st.text(f"aé{_HIGH}{_LOW}{_WHOLE}", min_size=1, max_size=4), max_size=8)


def _read(pieces: Sequence[str]) -> tuple[list[str], str, int]:
    """Return what is given at once of each piece, the text of the answer, and the departures."""
    decoder, given = Decoder("openai-chat"), list[str]()
    for piece in pieces:
        events = decoder.feed(chat({"content": piece}))
        given.append("".join([event.text for event in events if isinstance(event, TextDelta)]))
    decoder.feed(chat({}, "stop"))
    decoder.end()
    return given, decoder.message.text, decoder.departures.details.get("lone_surrogate", 0)


@pytest.mark.parametrize(
    "pieces, given, end, departures",
    [
        (["a", "é", _WHOLE], ["a", "é", _WHOLE], "", 0),
        ([_HIGH], [""], "\ufffd", 1),
        ([f"a{_HIGH}", f"{_LOW}b"], ["a", f"{_WHOLE}b"], "", 0),
        ([_HIGH, _LOW + _HIGH, _LOW], ["", _WHOLE, _WHOLE], "", 0),
        ([_HIGH, "a"], ["", "\ufffda"], "", 1),
        ([_HIGH, _HIGH], ["", "\ufffd"], "\ufffd", 2),
        ([_LOW, "a"], ["\ufffd", "a"], "", 1),
        (["\ufffd"], ["\ufffd"], "", 0),
    ],
)
def test_halves_of_a_character_are_joined(
    pieces: list[str], given: list[str], end: str, departures: int
) -> None:
    """A first half waits for the next piece; one that never gets its other half is replaced."""
    assert (given, "".join(given) + end, departures) == _read(pieces)


@given(_PIECES)
@example([_HIGH, "aé"])
def test_joining_pieces_gives_what_the_whole_gives(pieces: list[str]) -> None:
    given, text, _ = _read(pieces)
    whole = "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    assert whole == text
    assert whole.startswith("".join(given).encode().decode())
