"""Wherever a text is cut and however its rest begins: an overlap that is called sure is the right one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.recovery.continuing import last_words
from tests.support.effort import examples, trials
from tests.support.recordings import ours, shared
from tests.support.tables import in_one_test
from tests.support.texts import pieces_of
from tokenstream import Stream
from tokenstream._basics.overlap import AskedOverlap, MarkerFilter, Overlap, PrefixOverlap, without_markers
from tokenstream.errors import StreamError

SURE = 0.9
SHORTEST_OVERLAP = 16
MOST_REPEATED = 200
OPENINGS = [
    "Sure, continuing: ",
    "Here is the rest of my answer:\n\n",
    "Of course! I will go on exactly where I stopped.\n",
    "Natürlich, hier geht es weiter: ",
    "…",
]
REPETITIVE = [
    "ha " * 60,
    "ha" * 60,
    "0123456789" * 15,
    "日本語では「満潮」。" * 12,
    "Title\n" + "=" * 80 + "\n\nText follows.\n" + "-" * 80 + "\n",
    "One.\n\n\n\n   \n\nTwo.\n\n\n",
    "| name | age | city |\n|---|---|---|\n" + "| Anna | 42 | Oslo |\n" * 12 + "| Bert | 41 | Oslo |\n" * 3,
    "".join(f"{number}. The same thing again and again.\n" for number in range(1, 20)),
    "    for item in items:\n        print(item)\n        counts[item] += 1\n" * 8,
    "[\n" + '  {"id": 1, "name": "x", "tags": []},\n' * 10 + "]",
    "Row, row, row your boat, gently down the stream.\nMerrily, merrily, life is but a dream.\n" * 4,
]
Server = Callable[[str, int, random.Random], str]


@cache
def recorded_texts() -> list[str]:
    found: dict[str, None] = {}
    for recorded in ours():
        stream = Stream(recorded.body, format=recorded.format)
        try:
            text = stream.final().text
        except StreamError as error:
            text = error.partial.text
        found[text] = None
    for recorded in shared():
        for choice in recorded.expected["choices"]:
            found[choice.get("text") or ""] = None
    return [text for text in found if len(text.strip()) > 1]


def begins_with_the_anchor(text: str, cut: int, _: random.Random) -> str:
    base = text[:cut].rstrip()
    return last_words(base) + text[len(base) :]


def repeats_the_last(text: str, cut: int, chance: random.Random) -> str:
    return text[max(0, cut - chance.randint(0, MOST_REPEATED)) :]


def strips_the_anchor(text: str, cut: int, chance: random.Random) -> str:
    return begins_with_the_anchor(text, cut, chance).strip()


def strips_what_it_repeats(text: str, cut: int, chance: random.Random) -> str:
    return repeats_the_last(text, cut, chance).strip()


def says_a_sentence_first(text: str, cut: int, chance: random.Random) -> str:
    return chance.choice(OPENINGS) + begins_with_the_anchor(text, cut, chance)


def says_a_sentence_and_repeats(text: str, cut: int, chance: random.Random) -> str:
    return chance.choice(OPENINGS) + repeats_the_last(text, cut, chance)


SERVERS: list[Server] = [
    begins_with_the_anchor,
    repeats_the_last,
    strips_the_anchor,
    strips_what_it_repeats,
    says_a_sentence_first,
    says_a_sentence_and_repeats,
]


def joined(overlap: Overlap, pieces: list[str]) -> tuple[int, float]:
    """Feed all pieces, and return what is dropped and how sure that is."""
    for piece in pieces:
        overlap.feed(piece)
    overlap.end()
    return overlap.dropped, overlap.confidence


def repeats_itself_there(given: str, reply: str, rest: str) -> bool:
    """Tell whether a reply that repeats too little to be known by it begins with the words before it.

    "tick tock tick tock" cut in its middle: a rest of "tick tock" is also what a
    server says that repeats all of "tick tock" and then has nothing to add.
    """
    base, words = given.rstrip(), reply.lstrip()
    repeated = reply.rstrip().removesuffix(rest.strip()).strip()
    overlaps = (size for size in range(SHORTEST_OVERLAP, len(words) + 1) if base.endswith(words[:size]))
    return len(repeated) < SHORTEST_OVERLAP and any(overlaps)


def cuts_of(texts: list[str], count: int) -> Iterator[tuple[str, int, random.Random]]:
    """Give places to cut the texts at, the same ones each time."""
    for number in range(count):
        chance = random.Random(number)
        text = chance.choice(texts)
        cut = chance.randrange(1, len(text))
        if text[:cut].strip():
            yield text, cut, chance


def check(texts: list[str], count: int, server: Server, *, repetitive: bool = False) -> Counter[float]:
    """Cut the texts, and return how often which confidence was told.

    White space at the very end of the answer is lost where the server itself strips its reply.
    """
    told: Counter[float] = Counter()
    for text, cut, chance in cuts_of(texts, count):
        given, reply = text[:cut], server(text, cut, chance)
        dropped, confidence = joined(AskedOverlap(given), pieces_of(reply, chance.choice([0, 1, 4, 30])))
        told[confidence] += 1
        found, expected = given + reply[dropped:], text
        if reply == reply.strip():
            found, expected = found.rstrip(), expected.rstrip()
        if confidence >= SURE and not (repetitive and repeats_itself_there(given, reply, text[cut:])):
            assert found == expected, (given[-60:], reply[:60], confidence)
    return told


def share_of_sure(told: Counter[float]) -> float:
    return sum(times for confidence, times in told.items() if confidence >= SURE) / told.total()


each_server = pytest.mark.parametrize("server", SERVERS)
_MANY_CUTS = pytest.param(trials(20_000), marks=pytest.mark.slow, id="anywhere")


@each_server
@pytest.mark.parametrize("count", [160, _MANY_CUTS])
def test_a_sure_overlap_is_right(server: Server, count: int) -> None:
    check(recorded_texts(), count, server)


@pytest.mark.few_rows(3)
@each_server
@pytest.mark.parametrize("count", [200, _MANY_CUTS])
def test_a_sure_overlap_is_right_in_a_text_that_repeats_itself(server: Server, count: int) -> None:
    """Tables, lists, code and laughter."""
    check(REPETITIVE, count, server, repetitive=True)


@pytest.mark.parametrize("count", [1_000, _MANY_CUTS])
def test_an_overlap_after_a_prefix_is_found(count: int) -> None:
    """Where the server does as it is said to do, with or without giving the prefix back."""
    for text, cut, chance in cuts_of(recorded_texts() + REPETITIVE, count):
        given, base = text[:cut], text[:cut].rstrip()
        for echoes, reply in ((False, text[len(base) :]), (True, base + text[len(base) :])):
            pieces = pieces_of(reply, chance.choice([0, 1, 4, 30]))
            dropped, _ = joined(PrefixOverlap(given, echoes=echoes), pieces)

            assert text == given + reply[dropped:]


def test_a_model_that_does_as_it_is_asked_is_nearly_always_joined_surely() -> None:
    long = [text for text in recorded_texts() if len(text) > 1_000]
    told = check(long or [" ".join(map(str, range(1_000)))], 200, begins_with_the_anchor)

    assert share_of_sure(told) > 0.9


_fragments = st.sampled_from(
    ["ha ", "ha", "a", "\n", "  ", " " * 300, "Go on", " and so it goes on and on and on", "日本", "."]
)
_texts = st.lists(_fragments, max_size=12).map("".join)


@st.composite
def seams(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """Draw what was given, what a server goes on with, and a way to cut that."""
    before = draw(_texts.filter(lambda text: bool(text.strip())))
    start = draw(st.integers(0, len(before)))
    again = draw(
        st.sampled_from([before[start:], before[:start], before, before.rstrip(), last_words(before)])
    )
    reply = draw(st.sampled_from(["", " ", "\n", "Sure: "])) + again + draw(_texts)
    places = sorted(draw(st.lists(st.integers(0, len(reply)), max_size=20)))
    return before, reply, [reply[begin:end] for begin, end in pairwise([0, *places, len(reply)])]


def after_a_text_that_had_ended(before: str) -> Overlap:
    overlap = AskedOverlap(before)
    overlap.close_text()
    return overlap


OVERLAPS: dict[str, Callable[[str], Overlap]] = {
    "asked": AskedOverlap,
    "asked after the text's end": after_a_text_that_had_ended,
    "after a prefix": lambda before: PrefixOverlap(before, echoes=None),
    "after a prefix that comes back": lambda before: PrefixOverlap(before, echoes=True),
}


@pytest.mark.not_quick
@pytest.mark.parametrize("kind", OVERLAPS)
@examples(150)
@example(("Once upon a time ", "", []))
@given(seams())
def test_every_chunking_of_a_reply_is_joined_alike(kind: str, seam: tuple[str, str, list[str]]) -> None:
    """What is decided early is what all of the reply says."""
    before, reply, pieces = seam
    make = OVERLAPS[kind]
    whole = joined(make(before), [reply])

    assert whole == joined(make(before), pieces) == joined(make(before), list(reply))
    assert 0 <= whole[0] <= len(reply)


@in_one_test("kind", OVERLAPS)
@in_one_test("repeated", [999, 1_000, 1_001, 1_100, 1_279, 1_281, 1_500])
def test_a_long_repetition_is_joined_alike_in_every_chunking(kind: str, repeated: int) -> None:
    """What is not looked for piece by piece is not found in one piece either."""
    before = " ".join(map(str, range(600)))
    reply = before[-repeated:] + " and that is all"

    make = OVERLAPS[kind]

    assert joined(make(before), [reply]) == joined(make(before), list(reply))


def test_a_server_that_does_not_echo_goes_on_with_a_text_of_one_character_over_and_over() -> None:
    """A rest that begins as the whole prefix does is no echo for sure."""
    overlap = PrefixOverlap("-" * 20, echoes=None)
    dropped, confidence = joined(overlap, ["-" * 20 + "\nText"])

    assert dropped == 0 or confidence < SURE


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["a" * 1_000_000 + "end.", "a" * 500_000 + "b" + "a" * 500_000])
def test_a_long_answer_of_the_same_letters_is_compared_in_linear_time(answer: str) -> None:
    """A server that repeats such an answer first is known by all of it."""
    pieces = [answer[start : start + 1_000] for start in range(0, len(answer), 1_000)]

    assert len(answer) == joined(AskedOverlap(answer), [*pieces, " And more."])[0]


@given(st.text("ab", min_size=16, max_size=60))
def test_an_echo_is_sure_unless_the_answer_ends_as_it_begins(answer: str) -> None:
    shortest = min(SHORTEST_OVERLAP, (len(answer) + 1) // 2)
    ends_as_it_begins = any(answer.endswith(answer[:length]) for length in range(shortest, len(answer)))

    assert (not ends_as_it_begins) == (joined(AskedOverlap(answer), [answer, " more"])[1] >= SURE)


def test_space_after_all_of_a_text_that_had_ended_is_not_awaited_without_end() -> None:
    """Each piece would be joined to all before it."""
    overlap = after_a_text_that_had_ended("That is all.")

    assert any(overlap.feed(piece) for piece in ["That is all.", *" " * 1_000])


@given(st.lists(st.sampled_from(["<last_", "words>", "</", "<last_words>", "</last_words>", "\n"])))
def test_every_chunking_loses_the_same_markers(pieces: list[str]) -> None:
    """Text before and after a marker makes no other marker."""
    markers = MarkerFilter()

    assert without_markers("".join(pieces)) == "".join(map(markers.feed, pieces)) + markers.flush()
