"""Half a letter is never given."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given

from tests.support.tables import in_one_test
from tests.support.text_stages import borders, cut, letter_borders
from tests.support.texts import fragmentations, run
from tokenstream.stages import Graphemes

LETTERS = {
    "a mark": "e\u0301",
    "a family": "👩‍👩‍👧‍👦",
    "a flag": "🇩🇪",
    "a flag of tags": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "a skin tone": "👍🏽",
    "a keycap": "1\ufe0f\u20e3",
    "jamo": "\u1112\u1161\u11ab",
    "a line end": "\r\n",
    "a conjunct": "क्षि",
    "Thai": "กำ",
}


@in_one_test("name", LETTERS)
def test_a_letter_is_returned_whole(name: str) -> None:
    letter = LETTERS[name]
    for pieces in fragmentations("x" + letter * 3 + "y"):
        given_ = run(Graphemes(), pieces)

        assert set(borders(given_)) <= {0, 1, *(1 + n * len(letter) for n in range(1, 4))}


def test_a_line_end_does_not_wait() -> None:
    """Nothing is added to it; a CR may still get its LF."""
    graphemes = Graphemes()

    assert [["one\n"], ["two"], ["\r\n"]] == [graphemes.feed(piece) for piece in ("one\n", "two\r", "\n")]


@given(cut())
def test_the_pieces_are_the_text_and_whole_letters_of_it(drawn: tuple[str, list[str]]) -> None:
    """By UAX #29; all but the last letter of what has come is given."""
    text, pieces = drawn
    graphemes = Graphemes()
    given_: list[str] = []
    so_far = ""
    for piece in pieces:
        given_ += graphemes.feed(piece)
        so_far += piece
        waiting = so_far[len("".join(given_)) :]

        assert waiting == "" or max(letter_borders(so_far)) == len(so_far) - len(waiting)

    given_ += graphemes.end()

    assert (text, True) == ("".join(given_), all(given_))
    assert set(borders(given_)) <= letter_borders(text)


@pytest.mark.slow
def test_the_error_names_the_missing_package() -> None:
    """The error is raised when the stage is made, and not in the middle of an answer."""
    code = "import sys; sys.modules['regex'] = None; from tokenstream.stages import Graphemes; Graphemes()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "MisuseError: " in done.stderr
    assert 'pip install "regex>=20' in done.stderr
