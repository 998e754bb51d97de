"""Long texts without a break, such as hashes, cost the same per character, however long a match may be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import examples, trials
from tokenstream.stages import Redact, Until
from tokenstream.stages import _matching as matching
from tokenstream.stages._guards import texts as guards
from tokenstream.stages._matching import automaton
from tokenstream.stages._text import searching

if TYPE_CHECKING:
    from collections.abc import Iterator

_EMAIL = r"[\w.+-]+@[\w-]+\.[\w.]+"
_PATTERNS = [
    *(_EMAIL, r"a{3,8}b", "(?i:Ab)+c", r"\ba+\b", r"(?<!\d)\d{2,4}(?!\d)", r"(?:a{1,3}\.){3}a{1,3}"),
    *("a|bc|b{2}?a", "(?m)^a.*b$", r"[^\n]{5,}b", "ab*?c|a+b", r"sk-\w+", "<.*>", "<.*?>", "a{4,}b"),
    *(r"\Ba{2,6}-", "a(?:ab|b)*c", "(?s)b.{0,7}b", "a+(?=b)", "(?<=b)a+", r"\d(?:[ -]?\d){5,9}\b"),
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


@pytest.fixture
def _always_followed() -> Iterator[None]:
    """Have the automaton read short texts, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "LONG", 1)
        patch.setattr(searching, "LONGEST_SEARCH", 0)
        patch.setattr(guards, "LONG", 0)
        yield


def _without_automaton(make: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching.Matcher, "follow_long", lambda *_: None)
        patch.setattr(guards, "build", lambda _: None)
        return make()


# -- what it costs ---------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 64, 10_000])
@pytest.mark.parametrize(
    "pattern", [_EMAIL, r"sk-\w+", r"\b\w+@\w+\b", r"(?:\d[ -]?)+x", "<.*>", r"(?:\w{2}:)+\w"]
)
def test_the_engine_is_given_no_more_of_a_run_with_a_greater_bound(pattern: str, size: int) -> None:
    """The number of characters given to it depends neither on `max_length` nor on the length of the run."""
    for letters in _RUNS:
        run = (letters * 2_500)[:2_500]
        counts = [_count(Redact(pattern, max_length=limit), run, size) for limit in (100, 400, 1_200)]
        counts += [_count(Until(re.compile(pattern), max_length=limit), run, size) for limit in (100, 1_200)]

        assert max(counts) <= 250, (letters, counts)


@pytest.mark.slow
def test_a_run_in_which_nothing_matches_is_not_given_to_the_engine() -> None:
    """Once it is long: the automaton alone reads it."""
    assert _count(Redact(_EMAIL, max_length=1_000), _LETTERS * 1_000, 64) < 1


def test_a_guard_reads_a_run_once() -> None:
    """Its pattern is searched only where a match may be."""
    guard = guards.Match(guards.compile_pattern(_EMAIL))
    counting = _Counting(guard._pattern)  # noqa: SLF001 - the engine has no public name
    guard._pattern = counting  # type: ignore[assignment]  # noqa: SLF001 - counts for it
    _fed(guard, _LETTERS * 500, 4)

    assert (counting.count, guard.stop) == (0, None)


# -- the same as the engine --------------------------------------------------------


def _keeps_the_law(pattern: str, text: str, size: int) -> None:
    assert _fed(Redact(pattern, "#", 200), text, size)[0] == re.sub(pattern, "#", text)
    first = re.search(pattern, text)
    assert _fed(Until(re.compile(pattern), max_length=200), text, size) == (
        text if first is None else text[: first.start()],
        None if first is None else "until",
    )
    for limit in (3, 9) if Redact(pattern, "#", 9)._matcher.sure_at_end else ():  # noqa: SLF001 - see below
        # What is cut of a longer match depends on the cuts if the pattern tests the next character.
        for make in (
            lambda limit=limit: Redact(pattern, "#", limit),
            lambda limit=limit: Until(re.compile(pattern), max_length=limit),
        ):
            expected = _without_automaton(lambda make=make: _fed(make(), text, size))
            assert _fed(make(), text, size) == expected
    expected = _without_automaton(lambda: _fed(guards.Match(guards.compile_pattern(pattern)), text, size))
    assert _fed(guards.Match(guards.compile_pattern(pattern)), text, size) == expected


@pytest.mark.usefixtures("_always_followed")
@given(st.sampled_from(_PATTERNS), _TEXTS, st.integers(1, 9))
@examples(60)
def test_the_automaton_changes_no_result(pattern: str, text: str, size: int) -> None:
    """Redaction is that of `re.sub`, a marker is found where `re` finds it, and bounds hold as without it."""
    _keeps_the_law(pattern, text, size)


@pytest.mark.slow
@pytest.mark.usefixtures("_always_followed")
@given(st.sampled_from(_PATTERNS), _TEXTS, st.integers(1, 9))
@examples(trials(3_000))
def test_the_automaton_changes_no_result_of_many(pattern: str, text: str, size: int) -> None:
    _keeps_the_law(pattern, text, size)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_long_run_is_redacted_as_re_does_it(size: int) -> None:
    """An address behind a hash, and one of many parts."""
    text = f"{_LETTERS * 20} me@example.org {'a' * 90}@b.c {_LETTERS * 90}, x@y.{'z' * 600} z"

    assert _fed(Redact(_EMAIL, max_length=700), text, size)[0] == re.sub(_EMAIL, "[redacted]", text)


@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_a_match_far_above_the_bound_is_dropped_as_it_arrives(size: int) -> None:
    """It is not kept, and what follows it is searched."""
    text = f"key sk-{'x' * 5_000} and sk-yy, {'z' * 200}"

    assert _fed(Redact(r"sk-\w+", "#", 60), text, size)[0] == f"key # and #, {'z' * 200}"


@pytest.mark.parametrize(
    "pattern", [r"(a)\1+", "(a)?(?(1)b|c)", "(?>a+)b", "a++b", "a$", "a(?=bc)", "(?<!ab)c", "(?:ab?){700}"]
)
def test_what_no_automaton_follows_is_left_to_the_engine(pattern: str) -> None:
    """The results are the same, but long runs cost more."""
    text = "aab ab a" * 30

    assert automaton.build(re.compile(pattern)) is None
    assert _fed(Redact(pattern, "#", 3_000), text, 5)[0] == re.sub(pattern, "#", text)
