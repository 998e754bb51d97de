"""What stops an answer, on plain lists: budgets, repetition, patterns, and functions that are asked."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.support.recordings import ours, shared
from tests.support.tables import in_one_test
from tests.support.texts import pieces_of
from tests.support.wire import DONE, chat
from tokenstream import Message, Stream, Usage
from tokenstream.errors import MisuseError, StreamError, StreamTruncated
from tokenstream.events import Event, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart, UsageUpdate
from tokenstream.stages import Budget, Repetition


def is_linear(look: Callable[[int], None]) -> bool:
    """Tell whether ten times the characters take about ten times the time; the fastest of several counts."""

    def fastest(size: int) -> float:
        times = []
        for _ in range(3):
            begun = time.process_time()
            look(size)
            times.append(time.process_time() - begun)
        return min(times)

    return fastest(80_000) < 25 * fastest(8_000)


def stopped_by(budget: Budget, events: list[Event]) -> int | None:
    """Return the number of the event at which a budget is used up, from 1."""
    for number, event in enumerate(events, 1):
        assert [event] == budget.feed(event, now=float(number))
        if budget.stop is not None:
            return number
    return None


# -- budgets --------------------------------------------------------------------------------------------


def test_characters_of_all_that_a_model_writes_count() -> None:
    said: list[Event] = [
        ReasoningDelta("1234"),
        ToolCallStart("a", "tool"),
        ToolCallDelta("a", "567"),
        TextDelta("890"),
    ]

    assert stopped_by(Budget(characters=10), said) is None
    assert stopped_by(Budget(characters=9), said) == 4
    assert stopped_by(Budget(characters=4), said) == 3


def test_tokens_are_counted_by_the_provider_or_estimated() -> None:
    """Four bytes to a token where nobody counts, and the reason says so."""
    reckoned, counted = Budget(tokens=2), Budget(tokens=2)

    assert stopped_by(reckoned, [TextDelta("12345678"), TextDelta("9")]) == 2
    assert reckoned.stop == "the budget of 2 tokens is used up, by estimate"
    assert stopped_by(counted, [UsageUpdate(Usage(output_tokens=3))]) == 1
    assert counted.stop == "the budget of 2 tokens is used up"


def test_what_a_provider_has_counted_replaces_the_estimate() -> None:
    said: list[Event] = [
        TextDelta("x" * 400),
        UsageUpdate(Usage(output_tokens=10)),
        TextDelta("x" * 40),
        TextDelta("x"),
    ]

    assert stopped_by(Budget(tokens=100), said) is None
    assert stopped_by(Budget(tokens=20), said[1:]) == 3


def test_seconds_pass_while_nothing_comes() -> None:
    """A deadline, which is told from the clock of the request; or of the first event where none is told."""
    budget = Budget(seconds=2.5)
    assert budget.deadline is None
    budget.started_at = 10.0
    budget.feed(TextDelta("a"), now=12.0)
    before = budget.stop
    budget.tick(12.5)

    assert (None, "the budget of 2.5 seconds is used up") == (before, budget.stop)
    assert stopped_by(Budget(seconds=2), [TextDelta("a")] * 5) == 3


@in_one_test(
    "bounds, why",
    [
        ({}, "without a bound"),
        ({"tokens": 0}, "tokens="),
        ({"characters": -1}, "characters="),
        ({"seconds": 0}, "seconds="),
        ({"seconds": float("nan")}, "seconds="),
        ({"tokens": True}, "tokens="),
        ({"most": 1.0}, r"Retry\(attempts=1, most=.*Purse\(most=.*price="),
        ({"price": len}, r"Retry\(attempts=1, most="),
    ],
)
def test_a_budget_that_bounds_nothing_is_refused(bounds: Any, why: str) -> None:
    with pytest.raises(MisuseError, match=why):
        Budget(**bounds)


# -- repetition -----------------------------------------------------------------------------------------

LOOPS = {
    "a sentence": "I apologize for the confusion, let me try that again. ",
    "a word": "items ",
    "a line of code": "        self.assertEqual(result, expected)\n",
    "a paragraph": " ".join(f"word{number}" for number in range(60)) + "\n\n",
    "an object": '{"id": 17, "name": "unknown"}, ',
}


@in_one_test("loop", LOOPS.values(), ids=list(LOOPS))
@in_one_test("size", [1, 4, 7, 64, 100_000])
def test_a_text_that_repeats_itself_is_stopped_soon(loop: str, size: int) -> None:
    text = "Here is what you asked for, as well as I can tell. " + loop * 200
    repetition, given = Repetition(), 0
    for piece in pieces_of(text, size):
        repetition.feed(piece)
        given += len(piece)
        if repetition.stop is not None:
            break

    assert repetition.stop is not None
    least = 1_000 if loop == LOOPS["a word"] else 200
    assert size > len(text) or given <= 51 + max(7 * len(loop), least + len(loop)) + size + 16


@pytest.mark.parametrize("size", [1, 4, 7, 64, 100_000])
def test_a_passage_with_other_numbers_is_the_same_where_that_is_asked_for(size: int) -> None:
    """Steps that are counted repeat nothing by default, and a number may have any length."""
    text = "Here it is. " + "".join(
        f"Step {number * 97}: I will now check the file. " for number in range(300)
    )
    folding, plain = Repetition(ignore_digits=True), Repetition()
    for piece in pieces_of(text, size):
        folding.feed(piece)
        plain.feed(piece)

    assert folding.stop == "the same 35 characters came 6 times in a row, apart from numbers"
    assert plain.stop is None
    assert folding.fresh().feed("Step 17") == ["Step 17"]


@in_one_test(
    "text",
    [
        "-" * 300,
        "=" * 120 + "\n" + "=" * 120,
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n" * 4,
        "|     |     |     |     |     |     |     |     |\n" * 12,
        "Ha ha ha ha ha ha ha ha ha ha ha ha! ",
        "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,\n" * 16,
        "A" * 600 + "==",
        "- [ ] \n" * 40,
        "\n".join(f"{number}. Item {number} of the list" for number in range(100)),
        "No, no, no, no, no, no, no. ",
        " " * 500 + "x",
        "[" + "false, " * 60 + "false]",
        "&nbsp;" * 80,
        "ACGT" * 100,
    ],
)
def test_what_repeats_itself_for_a_purpose_is_left_alone(text: str) -> None:
    repetition = Repetition()
    repetition.feed("Look: " + text + "\nThat was it, with some more text behind it.")

    assert repetition.stop is None


def _recorded_texts() -> list[tuple[str, str]]:
    found = []
    for recorded in (*ours(), *shared()):
        if recorded.format == "custom":
            continue
        stream = Stream([recorded.body], format=recorded.format)
        try:
            message = stream.final()
        except StreamError as error:
            message = error.partial
        texts = [message.text, message.reasoning, *(call.arguments_text for call in message.tool_calls)]
        found += [(recorded.name, text) for text in texts if text]
    return found


@pytest.mark.slow
def test_no_recorded_answer_is_taken_for_a_loop() -> None:
    texts, alarms = _recorded_texts(), []
    for name, text in texts:
        repetition = Repetition(times=2)
        repetition.feed(text)
        alarms += [name] if repetition.stop is not None else []

    assert len(texts) > 100
    assert [] == alarms


@pytest.mark.parametrize("text", ["ab", "the quick brown fox "])
def test_looking_for_repetition_is_linear(text: str) -> None:
    def look(size: int) -> None:
        repetition = Repetition(times=1_000_000)
        for piece in pieces_of(text * (size // len(text)), 4):
            repetition.feed(piece)

    assert is_linear(look)


@pytest.mark.parametrize("options", [{"times": 1}, {"times": 0}, {"times": 2.5}, {"longest": 0}])
def test_repetition_is_more_than_once(options: Any) -> None:
    """Every text would repeat itself otherwise."""
    with pytest.raises(MisuseError, match="whole number"):
        Repetition(**options)


# -- patterns -------------------------------------------------------------------------------------------


def found_after(pattern: str, text: str, size: int) -> str | None:
    given = list[str]()

    def answer() -> Iterator[str]:
        for piece in pieces_of(text, size):
            given.append(piece)
            yield piece
        given.append("$")

    stream = Stream(answer(), format="pieces").guard(pattern)
    stream.final()
    return None if stream.stop_reason is None else "".join(given)


@in_one_test(
    "pattern, text, upto",
    [
        ("cat", "a cat sat", "a cat"),
        (r"\bcat\b", "a catalogue, a cat, a dog", "a catalogue, a cat,"),
        (r"\bcat\b", "a catalogue", None),
        (r"\bcat\b", "a cat", "a cat$"),
        ("secret.*", "the secret word is", "the secret"),
        (r"\d{4}-\d{4}", "at 1234-5678 or so", "at 1234-5678"),
        (r"(?i)STOP", "please stop it", "please stop"),
        (r"^cat", "a cat", None),
        (r"cat$", "a cat sat", None),
        (r"cat$", "a cat", "a cat$"),
        ("a\nb", "x a\nb", "x a\nb"),
        (r"\bsecret\b.*", "a secret plan", "a secret "),
        (r"\bpassword: \S+", "my password: hunter2 is", "my password: h"),
        (r"(?m)^#+ .*$", "# T", "# "),
        (r"\b\w{4,6}\b", "catalogue cats", "catalogue cats$"),
    ],
)
def test_a_pattern_is_found_as_soon_as_nothing_can_undo_it(pattern: str, text: str, upto: str | None) -> None:
    assert upto == found_after(pattern, text, 1)
    for size in (2, 3, 100):
        assert (upto is None) is (found_after(pattern, text, size) is None)


@in_one_test(
    "pattern, text",
    [
        (r"cat(?!s)", "cats"),
        (r"\b\w{4,6}\b", "catalogue"),
        (r"(?<!(?<=not )a )secret\s+plan", "not a secret plan"),
        (r"\b\w{4,6}\b", "a catalogue of cats"),
        (r"foo(?!bar)", "foobar foo"),
        (r"foo(?!bar)", "foobar"),
        (r"foo(?=bar\b)", "foobars"),
        (r"foo(?=bar\b)", "foobar foo"),
        (r"cat$", "cat\nx"),
        (r"cat$|dog", "cat\nx dog"),
        (r"(?m)^cat$", "a\ncat\nb"),
        (r"cat(?:-|$)", "cat\nx"),
        (r"(?:cat)+(?!-)", "catcat-"),
        (r"(?<!con)cat(?!.*dog)", "cat, a dog"),
        (r"(?<!con)cat(?!.*dog)", "concat, a cat"),
    ],
)
def test_what_is_after_a_match_counts_at_every_cut(pattern: str, text: str) -> None:
    """A look-ahead and the end of the text are not decided by where a piece ends."""
    found = re.search(pattern, text) is not None
    for size in range(1, len(text) + 1):
        assert found is (found_after(pattern, text, size) is not None)


@pytest.mark.slow
def test_a_look_behind_sees_the_text_before_a_match_in_a_long_text() -> None:
    """The text that is no longer kept is not cut off in the middle of what a look-behind tests."""
    for before in range(900, 1_100):
        text = "x" * before + " not a secret  plan " + "y" * 1_500
        assert found_after(r"(?<!not a )secret\s+plan", text, 50) is None
    # How far back this one looks is not known, since it has a look-ahead in the look-behind.
    for before in range(1_900, 2_100):
        text = "x" * before + " not a secret  plan " + "y" * 3_000
        assert found_after(r"(?<!not a (?=secret))secret\s+plan", text, 100) is None


def test_looking_for_a_pattern_is_linear() -> None:
    def look(size: int) -> None:
        assert found_after("(?i)secret|password", "The quick brown fox jumps. " * (size // 27), 4) is None

    assert is_linear(look)


# -- what is a rule -------------------------------------------------------------------------------------


@in_one_test(
    "rule, options, why",
    [
        ("(", {}, "not a regular expression"),
        ("a*", {}, "the empty text"),
        (re.compile(b"a"), {}, "bytes"),
        (None, {}, "a guard is"),
        (3, {}, "a guard is"),
        (Budget, {}, "a guard is"),
        (len, {"first_tokens": 0}, "first_tokens="),
        (len, {"every": 0}, "every="),
        ("cat", {"every": 3}, "every="),
    ],
)
def test_an_object_that_is_not_a_rule_is_refused(rule: Any, options: Any, why: str) -> None:
    with Stream(b"") as stream, pytest.raises(MisuseError, match=why):
        stream.guard(rule, **options)


def _asked(chunks: list[bytes], first: int, every: int | None) -> list[int]:
    """Return after how many pieces a function is asked."""
    asked = list[int]()

    def ask(message: Message) -> None:
        asked.append(len(message.text))

    stream = Stream(chunks, format="openai-chat").guard(ask, first_tokens=first, every=every)
    with suppress(StreamTruncated):
        stream.final()
    return asked


@pytest.mark.parametrize(
    "pieces, first, every, asked",
    [
        (10, 4, None, [4]),
        (3, 4, None, [3]),
        (4, 4, None, [4]),
        (10, 4, 3, [4, 7, 10]),
        (11, 4, 3, [4, 7, 10, 11]),
        (0, 4, None, [0]),
    ],
)
def test_a_function_is_asked_at_its_place_or_at_the_end(
    pieces: int, first: int, every: int | None, asked: list[int]
) -> None:
    said = [chat({"content": "a"})] * pieces
    end = [chat({}, "stop"), chat({}, usage={"prompt_tokens": 1}), DONE]

    assert asked == _asked([*said, *end], first, every)
    assert asked == _asked([*said, chat({})], first, every)
