"""Sentences that take long are given in words, by their time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pacing import played
from tokenstream.errors import MisuseError
from tokenstream.stages import Chain, Redact, Sentences
from tokenstream.stages._text.sentences import TimelySentences

Timed = list[tuple[float, str]]
DRIBBLE = "Well then, let me look at what we have got there today. Yes."
WORDS = [word + " " for word in DRIBBLE.split(" ")]


def spread(*pieces: str, seconds: float = 1.0) -> Timed:
    return [(at * seconds, piece) for at, piece in enumerate(pieces)]


def times_of(pieces: Timed) -> list[float]:
    return [at for at, text in pieces for _ in text]


def test_a_sentence_that_dribbles_is_given_in_words() -> None:
    """A word a second: what has come within two seconds is a piece."""
    shown = played(TimelySentences(2.5), spread(*WORDS))

    assert DRIBBLE + " " == "".join(piece for _, piece in shown)
    assert (2.5, "Well then, let ") == shown[0]
    assert max(later - at for (at, _), (later, _) in itertools.pairwise(shown)) <= 3


def test_sentences_that_come_in_time_are_those_of_the_plain_stage() -> None:
    plain, timely = Sentences(), TimelySentences(2.0)
    expected = [*itertools.chain.from_iterable(map(plain.feed, WORDS)), *plain.end()]

    assert expected == [piece for _, piece in played(timely, spread(*WORDS, seconds=0.1))]


TEXTS: dict[str, tuple[Timed, list[tuple[float, str]]]] = {
    "half a word waits for its end": (
        [(0, "It is bl"), (5, "ue and"), (9, " so on.")],
        [(1, "It is "), (5, "blue "), (9, "and so on.")],
    ),
    "a word alone waits": ([(0, "Hel"), (5, "lo"), (9, " you")], [(9, "Hello "), (9, "you")]),
    "what may be the end of a sentence is given": (
        [(0, "It is blue."), (5, " It is."), (5.5, " So")],
        [(1, "It is blue."), (5.5, " It is. "), (5.5, "So")],
    ),
    "a quote that closes belongs to it": (
        [(0, 'He said "No."'), (5, " Go")],
        [(1, 'He said "No."'), (5, " Go")],
    ),
    "blanks alone are no words": ([(0, "  "), (5, "A b")], [(5, "  A "), (5, "b")]),
    "a script without blanks": (
        [(0, "空が青いのは光が"), (5, "散る。")],
        [(1, "空が青いのは光"), (5, "が散る。")],
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_due_ends_with_a_word(name: str) -> None:
    pieces, expected = TEXTS[name]

    assert expected == played(TimelySentences(1.0), pieces)


@given(st.lists(st.tuples(st.floats(0, 1), st.text("ab. ", max_size=6)), max_size=20), st.booleans())
def test_no_text_is_lost_and_no_whole_word_is_held_for_longer(gaps: Timed, begins: bool) -> None:
    pieces = [*zip(itertools.accumulate(gap for gap, _ in gaps), (text for _, text in gaps), strict=True)]
    shown = played(TimelySentences(0.5, first=3 if begins else None), pieces)
    text = "".join(text for _, text in pieces)
    came, went = times_of(pieces), times_of(shown)

    assert text == "".join(piece for _, piece in shown)
    for at, (letter, following) in enumerate(itertools.pairwise(text)):
        if letter.isalpha() and following == " ":
            assert went[at] <= came[at + 1] + 0.5


@given(st.lists(st.sampled_from(["a", "bc ", "d. ", "E", "! ", "\r", "\n", "1."]), max_size=20))
def test_a_late_loop_gets_the_same_text(pieces: list[str]) -> None:
    """Where nobody ticks, words that are due come with the next piece."""
    stage, shown = TimelySentences(0.5), list[str]()
    for at, piece in enumerate(pieces):
        shown += stage.feed(piece, now=float(at))
        assert stage.deadline is None or stage.deadline > at
    assert "".join(pieces) == "".join([*shown, *stage.end()])


def test_speech_is_given_in_time_too() -> None:
    shown = played(TimelySentences(1.0, spoken=True), [(0, "It is very **blue"), (5, "** here. "), (6, "So")])

    assert "It is very blue here. So" == "".join(piece for _, piece in shown)
    assert (1, "It is very ") == shown[0]


def test_a_chain_knows_the_time_of_its_sentences() -> None:
    chain = Chain(Redact("blue", "grey"), TimelySentences(2.0))

    assert chain.feed("The sky is blue and ", now=1.0) == []
    assert (chain.deadline, chain.tick(2.9), chain.tick(3.0)) == (3.0, [], ["The sky is grey and "])


def test_a_time_is_above_zero() -> None:
    with pytest.raises(MisuseError, match="max_delay"):
        TimelySentences(0)
