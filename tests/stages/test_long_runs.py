"""Long texts without a break, such as hashes, cost each character at most as much as the longest match."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import examples, trials
from tokenstream.stages import Redact, Until
from tokenstream.stages._guards import texts as guards

_EMAIL = r"[\w.+-]+@[\w-]+\.[\w.]+"
_PATTERNS = [
    *(_EMAIL, r"a{3,8}b", "(?i:Ab)+c", r"\ba+\b", r"(?<!\d)\d{2,4}(?!\d)", r"(?:a{1,3}\.){3}a{1,3}"),
    *("a|bc|b{2}?a", "(?m)^a.*b$", r"[^\n]{5,}b", "ab*?c|a+b", r"sk-\w+", "<.*>", "<.*?>", "a{4,}b"),
    *(r"\Ba{2,6}-", "a(?:ab|b)*c", "(?s)b.{0,7}b", "a+(?=b)", "(?<=b)a+", r"\d(?:[ -]?\d){5,9}\b"),
    *(r"(a)\1+b", "(a)?(?(1)b|c)", "(?>a+)b", "a++b", "a$", "a(?=bc)", "(?<!ab)c", "(?:ab?){70}|ba(?!b)"),
]
_TEXTS = st.sampled_from(["ab", "ab@.", "a1 -", "ab<>\n", "aB@.1c- \n<k"]).flatmap(
    lambda letters: st.text(letters, max_size=40)
)
_LETTERS = "abcdefghij0123456789_-"
_RUNS = [_LETTERS, "a", "1", "a.", "a@", "1 ", "sk-", "<a"]


class _Counting:
    """A pattern that counts the characters that it is given."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern
        self.count = 0

    def search(self, text: str, position: int = 0, **options: Any) -> Any:
        self.count += len(text) - position
        return self._pattern.search(text, position, **options)

    def match(self, text: str, position: int = 0, last: int | None = None, **options: Any) -> Any:
        end = len(text) if last is None else min(len(text), last)
        self.count += max(0, end - position)
        return self._pattern.match(text, position, end, **options)


def _fed(stage: Any, text: str, size: int) -> tuple[str, str | None]:
    out = [piece for at in range(0, len(text), size) for piece in stage.feed(text[at : at + size])]
    return "".join(out + stage.end()), getattr(stage, "stop", None)


def _count(stage: Any, text: str, size: int) -> float:
    """Return how many characters the engine is given for each character of a text."""
    matcher = stage._matcher  # noqa: SLF001 - the engine has no public name
    engines = [_Counting(matcher.compiled), _Counting(matcher._partial_only)]  # noqa: SLF001 - as above
    matcher.compiled, matcher._partial_only = engines  # noqa: SLF001 - as above
    _fed(stage, text, size)
    return sum(engine.count for engine in engines) / len(text)


# -- what it costs ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 64, 10_000])
@pytest.mark.parametrize("pattern", [_EMAIL, r"sk-\w+", r"(?:\d[ -]?)+x", "<.*>", r"(?:\w{2}:)+\w"])
def test_a_character_of_a_run_costs_no_more_than_the_bound_allows(pattern: str, size: int) -> None:
    """Whatever the run is: the engine reads a few times `max_length` for each of its characters."""
    for letters in _RUNS:
        run = (letters * 2_500)[:2_500]
        for limit in (300, 900):
            counts = [_count(Redact(pattern, max_length=limit), run, size)]
            counts += [_count(Until(re.compile(pattern), max_length=limit), run, size)]

            assert max(counts) <= 6 * limit, (letters, limit, counts)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 4, 1_000])
@pytest.mark.parametrize("letters", _RUNS)
def test_a_guard_reads_a_run_no_more_often_than_its_longest_match_allows(letters: str, size: int) -> None:
    """1,000 characters; the places where a match may begin are not all tried again with each piece."""
    guard = guards.Match(guards.compile_pattern(_EMAIL))
    counting = [_Counting(guard._pattern), _Counting(guard._beginnings)]  # noqa: SLF001 - the engine has no public name
    guard._pattern, guard._beginnings = counting  # type: ignore[assignment]  # noqa: SLF001 - counts for it
    _fed(guard, (letters * 5_000)[:5_000], size)

    assert guard.stop is None
    assert sum(each.count for each in counting) / 5_000 <= 3_000


# -- the same as the engine --------------------------------------------------------


def _guard_keeps_the_law(pattern: str, text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Else only longer texts would be read by the places that are still open.
        patch.setattr(guards, "_SHORT", 1)
        guard = guards.Match(guards.compile_pattern(pattern))
        _fed(guard, text, size)

    assert (re.search(pattern, text) is None) is (guard.stop is None)


@given(st.sampled_from(_PATTERNS), _TEXTS, st.integers(1, 9))
@examples(60)
def test_a_guard_finds_what_the_whole_text_has(pattern: str, text: str, size: int) -> None:
    _guard_keeps_the_law(pattern, text, size)


@pytest.mark.slow
@given(st.sampled_from(_PATTERNS), _TEXTS, st.integers(1, 9))
@examples(trials(3_000))
def test_a_guard_finds_what_many_whole_texts_have(pattern: str, text: str, size: int) -> None:
    _guard_keeps_the_law(pattern, text, size)


def test_a_short_match_is_found_at_once_within_a_longer_one_that_is_open() -> None:
    guard = guards.Match(guards.compile_pattern("(?s)<key>.*?</key>|password"))
    given = ["<key>", "a" * 200, " the pass", "word", " is"]

    assert [None, None, None, True, True] == [guard.feed(piece) and (guard.stop and True) for piece in given]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_long_run_is_redacted_as_re_does_it(size: int) -> None:
    text = f"{_LETTERS * 20} me@example.org {'a' * 90}@b.c {_LETTERS * 90}, x@y.{'z' * 600} z"

    assert _fed(Redact(_EMAIL, max_length=2_000), text, size)[0] == re.sub(_EMAIL, "[redacted]", text)


@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_a_match_far_above_the_bound_is_dropped_as_it_arrives(size: int) -> None:
    text = f"key sk-{'x' * 5_000} and sk-yy, {'z' * 200}"

    assert _fed(Redact(r"sk-\w+", "#", 60), text, size)[0] == f"key # and #, {'z' * 200}"
