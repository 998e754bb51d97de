"""Texts without what they should not show, cut into pieces in any way."""

from __future__ import annotations

import re
import sys
from itertools import product, takewhile
from typing import Any
from unittest.mock import patch

import pytest
import regex
from hypothesis import HealthCheck, assume, example, given
from hypothesis import strategies as st

from tests.support.cut_texts import any_pieces, cut
from tests.support.effort import examples
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tests.support.texts import run
from tokenstream.errors import MisuseError
from tokenstream.stages import Redact

_ALPHABET = "ab\n "
_BOUNDED = [
    "ab",
    "ab{2,3}",
    r"a\n?b",
    r"\bab\b",
    r"\Bb",
    "ab$",
    "(?m)b$",
    "^ab",
    "(?m)^b",
    r"\Aab",
    r"ab\Z",
    "a(?!b)",
    "a(?=bb)",
    "a(?!b(?!a))",
    "(?<=a)b",
    r"(?<! )b\b",
    "ab(?:ba)?",
    "a|ba",
    "(?:ab|ba){1,2}",
    "(a)(b)?(?(2)a|b)",
    "(a)?b(?(1)a|b)?b",
    "a(?!(b)a)(?#a comment $)b?",
    "(?:a(?:b)?+){1,3}",
    "(a|b) \\1",
    "(?i)AB",
    "(?x) a b  # $ \\b (",
    r"[]$a] [^\]b]",
]
"""Patterns that bound their matches."""
_UNBOUNDED = [
    "a+",
    "ab+a",
    "a[^b]*b",
    "(?s)a.*b",
    "(?s)a.*?b",
    "(a+)b\\1",
    r"\b(?=b)\w+",
    "a++b",
    "a(?:a[^a])*",
    "(?:[ab])+",
    r"\S+ \S+",
]
"""Patterns that do not."""


def _mark(found: Any) -> str:
    return "#" * len(found[0])


def _redact(pattern: Any, pieces: list[str], **options: Any) -> str:
    return "".join(run(Redact(pattern, **options), pieces))


def _tokens(pattern: str, text: str) -> list[str]:
    """Return the letters of a text, with each match as one."""
    out, at = [], 0
    for found in re.finditer(pattern, text):
        out += [*text[at : found.start()], f"<{found[0]}>"]
        at = found.end()
    return [*out, *text[at:]]


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("pattern", sampled(_BOUNDED + _UNBOUNDED, one_in=3))
@given(pieces=any_pieces(_ALPHABET))
def test_the_pieces_joined_are_what_sub_makes_of_the_whole(pattern: str, pieces: list[str]) -> None:
    """Where the package regex is not installed, `re` alone gives the same."""
    expected = re.sub(pattern, _mark, "".join(pieces))

    assert expected == _redact(pattern, pieces, with_=_mark, max_length=1000)
    with patch.dict(sys.modules, {"regex": None}):
        assert expected == _redact(pattern, pieces, with_=_mark, max_length=1000)


_ATOMS = [*"ab. \n^$", "[ab]", "[^a]", r"\w", r"\s", "(?:ab)", r"\b", r"\B", r"\A", r"\Z"]
_REPEATS = ["?", "*", "+", "{1,2}", "{2}", "??", "*?", "+?", "?+", "*+"]
_PATTERNS = st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("(?:{0[0]}|{0[1]})".format),
        st.tuples(inner, st.sampled_from(_REPEATS)).map("(?:{0[0]}){0[1]}".format),
        st.tuples(inner, st.sampled_from(["(?={})", "(?!{})", "({})", "(?>{})"])).map(
            lambda drawn: drawn[1].format(drawn[0])
        ),
        st.tuples(st.sampled_from(["(?<=a)", "(?<!ab)", r"(?<=\b)"]), inner).map("".join),
    ),
    max_leaves=6,
)
"""Patterns of all kinds; some match where there is no text."""


def _holds(pattern: str, flags: int, pieces: list[str]) -> None:
    compiled = re.compile(pattern, flags)
    try:
        Redact(compiled, max_length=1000)
    except MisuseError:
        assume(condition=False)
    text = "".join(pieces)
    expected = compiled.sub(lambda found: f"<{found[0]}>", text)

    for cuts in (pieces, [*text]):
        assert expected == _redact(compiled, cuts, with_=lambda found: f"<{found[0]}>", max_length=1000)


_ANY = {
    "pattern": _PATTERNS,
    "flags": st.sampled_from([0, re.MULTILINE, re.DOTALL, re.IGNORECASE]),
    "pieces": any_pieces("aabA\n "),
}


@pytest.mark.not_quick
@given(**_ANY)
@examples(60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_patterns_of_all_kinds_keep_the_law(pattern: str, flags: int, pieces: list[str]) -> None:
    _holds(pattern, flags, pieces)


@pytest.mark.parametrize("pattern", [r"\p{Lu}{2}", "[[:alpha:]]b$", "(?V1)[[ab]--[b]]b", r"\mab\M", r"\X"])
@given(pieces=any_pieces("abAB e\u0301"))
def test_patterns_of_regex_are_read_as_it_reads_them(pattern: str, pieces: list[str]) -> None:
    """A pattern that only `regex` can read must be compiled, and needs `max_length`."""
    compiled = regex.compile(pattern)

    assert compiled.sub(_mark, "".join(pieces)) == _redact(compiled, pieces, with_=_mark, max_length=1000)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("pattern", sampled([pattern for pattern in _BOUNDED if pattern != "a|ba"], one_in=3))
@given(text=st.text(_ALPHABET, max_size=7))
def test_only_text_that_could_still_change_is_held_back(pattern: str, text: str) -> None:
    """Text that all continuations have in common is returned at once; an oracle tries the continuations."""
    stage = Redact(pattern, lambda found: f"\0<{found[0]}>\0")
    parts = "".join(piece for letter in text for piece in stage.feed(letter)).split("\0")
    given = [token for at, part in enumerate(parts) for token in ([part] if at % 2 else part)]
    longer = ["".join(more) for size in range(5) for more in product(_ALPHABET, repeat=size)]
    readings = zip(*(_tokens(pattern, text + more) for more in longer), strict=False)

    assert [each[0] for each in takewhile(lambda tokens: len({*tokens}) == 1, readings)] == given


@given(
    limit=st.integers(3, 12),
    pattern=st.sampled_from(["ab", r"\bab\b", "ab$", "a(?!b)", "ab+a", "a[^b]*b", "(?s)ab.*?bb"]),
    pieces=any_pieces(_ALPHABET, max_size=80),
)
def test_the_hold_back_is_never_above_its_bound(limit: int, pattern: str, pieces: list[str]) -> None:
    stage = Redact(pattern, _mark, max_length=limit)
    taken = given = 0
    for piece in pieces:
        taken += len(piece)
        given += sum(map(len, stage.feed(piece)))

        assert taken - given <= limit


@given(
    limit=st.integers(1, 12),
    pattern=st.sampled_from(
        ["a+", "ab+a", "a[^b]*b", "(?s)a.*b", "sk-a+", r"\S+ \S+", "(?:ab)+", "(?:aab|s)+k?", "(?:a{2}b)+ "]
    ),
    text=st.lists(st.sampled_from([*"aab\n sk-", "ab" * 20, "aab" * 20]), max_size=40).map("".join),
    places=st.lists(st.integers(0, 60), max_size=20),
)
@example(limit=2, pattern="a+", text="aaaaaaaaaaaaaaaaaaaaaaab", places=[])
@example(limit=4, pattern="(?:ab)+", text="ab" * 9, places=[17])
@example(limit=8, pattern=r"\b(?:\d{4})+\b", text="no " + "1234" * 6 + " end", places=[7])
@example(limit=4, pattern="(?:ab)+(?=s)", text="ab" * 9 + "s", places=[17])
def test_matches_above_the_bound_do_not_depend_on_the_cuts(
    limit: int, pattern: str, text: str, places: list[int]
) -> None:
    one = _redact(pattern, [text], with_="#", max_length=limit)

    assert one == _redact(pattern, cut(text, places), with_="#", max_length=limit)
    assert one == _redact(pattern, [*text], with_="#", max_length=limit)


@pytest.mark.parametrize("size", [1, 7, 50, 400])
def test_a_long_key_is_redacted_whole(size: int) -> None:
    pattern = r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{4})+={0,2}(?![A-Za-z0-9+/=])"
    text = "the key: " + "aB3/" * 77 + "; keep it"

    shown = _redact(pattern, [text[at : at + size] for at in range(0, len(text), size)], max_length=100)

    assert re.sub(pattern, "[redacted]", text) == shown


@pytest.mark.slow
@pytest.mark.parametrize("secret", ["sk-12345678", "4111-1111-1111-1111"])
def test_no_character_of_a_match_shows_at_any_cut(secret: str) -> None:
    pattern = r"sk-\w{8}|\d{4}(?:-\d{4}){3}"
    text = f"The key is {secret}, keep it."
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            stage = Redact(pattern)
            shown = ""
            for piece in (text[:first], text[first:second], text[second:]):
                shown += "".join(stage.feed(piece))

                assert "The key is [redacted], keep it.".startswith(shown)


@pytest.mark.parametrize(
    ("pattern", "pieces", "given"),
    [
        ("secret", ["a sec", "ret b"], ["a ", "[redacted] b"]),
        ("secret", ["a sec", "ond"], ["a ", "second"]),
        ("secret", ["secret"], ["[redacted]"]),
        (r"\d{4}", ["12", "34", "5"], ["", "[redacted]", ""]),
        (r"\d{2,4}", ["12", "3", " "], ["", "", "[redacted] "]),
        (r"\bcat\b", ["a cat", "s ", "cat", "."], ["a ", "cats ", "", "[redacted]."]),
        (r"(?<=pw: )\w{3}", ["x pw", ": a", "bc abc"], ["x pw", ": ", "[redacted] abc"]),
        (r"\[DONE\]", ["x[DO", "NE]"], ["x", "[redacted]"]),
    ],
)
def test_text_is_returned_as_soon_as_no_match_can_begin_in_it(
    pattern: str, pieces: list[str], given: list[str]
) -> None:
    stage = Redact(pattern)

    assert given == ["".join(stage.feed(piece)) for piece in pieces]


def test_a_match_longer_than_the_bound_is_dropped_as_it_arrives() -> None:
    stage = Redact(r"sk-\w+", max_length=8)
    given = ["".join(stage.feed(piece)) for piece in ["key sk-", *["abcdef"] * 50, " and sk-1 ok"]]

    assert ["key ", "[redacted]"] == given[:2]
    assert {""} == {*given[2:-1]}
    assert " and [redacted] ok" == given[-1]


def test_a_match_without_an_end_is_dropped_to_the_end() -> None:
    assert "a [redacted]" == _redact("x+", ["a ", *"x" * 50], max_length=5)
    assert "a [redacted]y" == _redact("x+(?:yz)?", ["a ", *"x" * 50, "y"], max_length=5)


def test_what_does_not_match_within_the_bound_is_text() -> None:
    text = "a <key>" + "x" * 30 + "</key> b"

    assert text == _redact("(?s)<key>.*?</key>", [*text], max_length=20)
    assert "a [redacted] b" == _redact("(?s)<key>.*?</key>", [*text], max_length=50)


def test_a_function_returns_the_replacement_of_each_match() -> None:
    """The function gets the match object; its result is not searched for group references."""
    assert r"\1b2" == _redact(
        "a(.)", ["a1a", "2"], with_=lambda found: r"\1b" if found[1] == "1" else found[1]
    )
    assert r"\1" == _redact("a", ["a"], with_=r"\1")


@in_one_test(
    ("pattern", "said"),
    [
        (r"sk-\w+", "needs max_length="),
        ("a(?=.*b)", "needs max_length="),
        (r"a\w{10000}", "up to 10,001 characters long"),
        (regex.compile(r"\p{L}"), "needs max_length="),
        ("x*", "the empty text"),
        (r"\b", "the empty text"),
        ("", "the empty text"),
        ("(", "not a regular expression of re"),
        (r"\p{L}", "compiled where it is written for regex"),
        (7, "not int"),
        (re.compile(b"a"), "not Pattern"),
        (regex.compile(r"\Ga"), r"\\G"),
        (regex.compile(r"(?<=a+)b"), "look-behind has no bound"),
        (regex.compile("(?r)ab"), "backwards"),
        (regex.compile(r"\L<words>", words=["a"]), "cannot tell what may still become a match"),
        ("(?<=a(?=b))b", "no look-ahead within a look-behind"),
    ],
)
def test_a_pattern_that_no_stream_can_follow_is_refused(pattern: Any, said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        Redact(pattern)


@pytest.mark.parametrize(
    "options",
    [{"with_": 3}, {"max_length": 0}, {"max_length": -1}, {"max_length": True}, {"max_length": 1.5}],
)
def test_options_that_are_none_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        Redact("a", **options)


def test_without_regex_a_pattern_of_re_can_be_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of regex is refused with what to install."""
    monkeypatch.setitem(sys.modules, "regex", None)

    assert "a [redacted]." == _redact("a.b".replace(".", r"\."), ["a a", ".", "b."])
    assert "a card, [redacted]." == _redact(r"\d{4}(?: \d{4}){3}", ["a card, 12", "34 1234 1234 1", "234."])
    assert Redact(r"\d{4}").feed("a card, 12") == ["a card, "]
    with pytest.raises(MisuseError, match=r'pip install "regex>=\d'):
        Redact(regex.compile(r"\d{3}"))


@pytest.mark.parametrize(
    ("pattern", "letter"), [("a{1,50}b", "a"), (r"sk-\w+", "s"), ("(?s)a.*b", "a"), ("a" * 100 + "b", "a")]
)
def test_hostile_texts_are_held_no_further_than_their_bound(pattern: str, letter: str) -> None:
    text = letter * 20_000
    stage = Redact(pattern, max_length=100)
    given = sum(len(piece) for at in range(0, len(text), 7) for piece in stage.feed(text[at : at + 7]))

    assert len(text) - 100 <= given
    assert len(text) - given == len("".join(stage.end()))


OF_RE: list[tuple[str, str]] = [
    (r"x\w{2}y", "x²ay"),
    (r"x[\w-]{2}y", "x²-y"),
    (r"x[^\W\d_]{2}y", "x²ay"),
    (r"[^\W]{2}y", "²²y"),
    (r"²\B1a", "²1a"),
    (r"(?<!\w)\d{4}", "\u03011234"),
    (r"\b\d{4}\b", "\u03011234"),
    (r"x\W{2}y", "x\u0301.y"),
    (r"x[\W]{2}y", "x\u0301.y"),
    (r"x[^\w\s]{2}y", "x\u0301-y"),
    (r"a\sb", "a\x1cb"),
    (r"x[^\S\n]{2}y", "x\x1c y"),
    (r"a{i}", "a{i}"),
    (r"a{}b", "a{}b"),
    (r"x[]{]{2}", "x]{"),
    (r"(?x) a [#] [ ] {1} # {", "a# "),
    ("(?x:a # [ $\n)b", "ab"),
    ("(?x)(?-x:a#b) c", "a#bc"),
    ("(?x:(?i:a # (\n))b", "Ab"),
    (r"\N{LATIN SMALL LETTER A}b{1,2}c", "abbc"),
]
"""Patterns that `re` and `regex` read in different ways, and what `re` finds."""


def test_look_aheads_may_be_nested() -> None:
    """Each is rewritten once, however deep it is."""
    pattern = "(?!" * 30 + "c" + ")" * 30 + "ab"

    redact = Redact(pattern)
    assert re.sub(pattern, "[redacted]", "xab") == "".join([*redact.feed("xab"), *redact.end()])


@in_one_test(("pattern", "match"), OF_RE)
def test_what_may_become_a_match_is_reported_as_re_tells_matches(pattern: str, match: str) -> None:
    redact = Redact(re.compile(pattern), max_length=20)
    given = [piece for letter in f"{match} q" for piece in redact.feed(letter)] + redact.end()

    assert "".join(given) == re.sub(pattern, "[redacted]", f"{match} q")
    assert "[redacted]" in "".join(given)
