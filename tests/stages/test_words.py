"""Words are given whole, and as soon as their end is sure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tests.support.text_stages import borders, cut, letter_borders, texts, word_borders
from tests.support.texts import fragmentations, run
from tokenstream.stages import Words
from tokenstream.stages._text import units

CASES = {
    "blanks": ("The quick  fox\n\njumps ", ["The", " quick", "  fox", "\n\njumps", " "]),
    "marks and quotes": ('"Hi," (she) said...', ['"Hi,"', " (she)", " said..."]),
    "apostrophes, numbers, names": (
        "don't can’t 3.14 1,000.50 a_b e-mail",
        ["don't", " can’t", " 3.14", " 1,000.50", " a_b", " e-mail"],
    ),
    "addresses": ("see https://a.b/c?d=e, me@x.org", ["see", " https://a.b/c?d=e,", " me@x.org"]),
    "accents": ("Übergrößenträger naïve cafe\u0301", ["Übergrößenträger", " naïve", " cafe\u0301"]),
    "Russian, Hebrew, Arabic, Korean": ("Привет мир שלום مرحبا 한국어 글", None),
    "Thai": ("สวัสดีครับ", ["ส", "วั", "ส", "ดี", "ค", "รั", "บ"]),
    "Thai with a vowel behind": ("น้ำดื่ม", ["น้ำ", "ดื่", "ม"]),
    "Chinese": ("你好，世界。Hello", ["你", "好，", "世", "界。", "Hello"]),
    "Chinese quotes": ("他说：“你好”。", ["他", "说：", "“你", "好”。"]),
    "Japanese": ("カタカナとラーメン。", ["カタカナ", "と", "ラーメン。"]),
    "Latin within Chinese": ("用Python写3行", ["用", "Python", "写", "3", "行"]),
    "Burmese, whose letters stack": ("က္ကန", ["က္က", "န"]),
    "emoji": ("ok 👍🏽👩‍👩‍👧 fine", ["ok", " 👍🏽👩‍👩‍👧", " fine"]),
}


@in_one_test("case", CASES)
def test_a_text_comes_word_by_word(case: str) -> None:
    text, expected = CASES[case]
    if expected is None:
        words = text.split(" ")
        expected = [words[0], *(" " + word for word in words[1:])]
    for pieces in fragmentations(text):
        assert expected == run(Words(), pieces)


def test_a_word_is_given_with_the_first_character_after_it() -> None:
    """With a blank in front of it, it can be shown while the next one is on its way."""
    words = Words()

    assert [[], [], ["Hello,"], [], [" world"]] == [
        words.feed(piece) for piece in ("Hel", "lo,", " w", "orld", " ")
    ]
    assert ([" "], []) == (words.end(), words.end())


@given(cut())
def test_every_fragmentation_gives_the_same_pieces_and_they_are_the_text(
    drawn: tuple[str, list[str]],
) -> None:
    text, pieces = drawn
    given_ = run(Words(), pieces)

    assert run(Words(), [text]) == given_
    assert (text, True) == ("".join(given_), all(given_))


# Of marks without a letter, and of half a flag, that judge says other than UAX #29 does.
_ODD = regex.compile(r"(?:\A|[\r\n\u2028])[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]|\p{RI}")


@given(texts().filter(lambda text: not _ODD.search(text)))
@example("က့္က")
@example("a\u094d\u1000")
@example("a\u1039\u0301\u1000")
def test_no_piece_ends_within_a_word_or_a_letter(text: str) -> None:
    inside = set(borders(run(Words(), [text]))) - (word_borders(text) & letter_borders(text))

    assert set() == inside


# A cut within stacked letters that are longer than the bound hides what stood before it.
@given(st.integers(1, 9), cut(texts().filter(lambda text: "\u1039" not in text)))
def test_no_piece_is_longer_than_its_bound(longest: int, drawn: tuple[str, list[str]]) -> None:
    text, pieces = drawn
    given_ = run(Words(longest=longest), pieces)

    assert run(Words(longest=longest), [text]) == given_
    assert (text, True) == ("".join(given_), all(0 < len(piece) <= longest for piece in given_))


@pytest.fixture
def _without_regex(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "regex", None)
    units.graphemes_pattern.cache_clear()
    yield
    monkeypatch.undo()
    units.graphemes_pattern.cache_clear()


@pytest.mark.slow
def test_no_package_is_loaded_before_it_is_needed() -> None:
    """Words, lines and sentences of a text that has blanks take nothing but the standard library."""
    program = (
        "import sys\n"
        "from tokenstream.stages import Lines, Sentences, Words\n"
        "for stage in Words(), Lines(), Sentences(spoken=True):\n"
        "    assert stage.feed('Größe: **5**. Next\\n') + stage.end()\n"
        "assert 'regex' not in sys.modules"
    )

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False).returncode


@pytest.mark.usefixtures("_without_regex")
def test_no_package_is_needed() -> None:
    test_a_text_comes_word_by_word()


@pytest.mark.usefixtures("_without_regex")
def test_without_regex_a_long_word_is_cut_between_characters_and_their_marks() -> None:
    """Only there `regex` would know more."""
    assert ["cafe\u0301", "s"] == run(Words(longest=5), ["cafe\u0301s"])
    assert ["👍🏽", "👍🏽"] == run(Words(longest=3), ["👍🏽👍🏽"])
    assert ["👩‍", "👧x"] == run(Words(longest=2), ["👩‍👧x"])
    assert ["ab", "🇩🇪"] == run(Words(longest=3), ["ab🇩🇪"])
