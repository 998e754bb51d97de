"""How structured output ends: whole, cut, declined, not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.recipes import (
    COLOURS,
    RECIPE,
    TEXT,
    Recipe,
    Step,
    chat,
    chat_call,
    claude_call,
    ended,
    gemini,
    gemini_call,
    read,
    responses,
    title_in,
)
from tests.support import wire
from tokenstream import Stream
from tokenstream.errors import OutputIncomplete, OutputInvalid, StreamTruncated

BODIES: dict[str, tuple[list[bytes], str | None]] = {
    "openai-chat": (chat(TEXT), None),
    "openai-chat's call": ([*chat_call(0, TEXT), *ended()], "recipe"),
    "anthropic's call": (claude_call(TEXT), "recipe"),
    "gemini": (gemini(TEXT), None),
    "gemini's call": (gemini_call(TEXT), "recipe"),
    "openai-responses": (responses(TEXT), None),
    "openai-responses' call": (responses(TEXT, call=True), "recipe"),
}


@pytest.mark.few_rows(3)
@pytest.mark.parametrize(("body", "tool"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_cut_between_any_two_events_has_no_result(
    colour: str, body: list[bytes], tool: str | None
) -> None:
    titles = set()
    for end in range(len(body) + 1):
        seen = read(colour, body[:end], lambda stream: stream.result(Recipe, tool=tool))
        error = seen.error
        if error is None:
            assert [RECIPE] == seen.items
            continue

        assert isinstance(error, OutputIncomplete)
        assert isinstance(error.__cause__, StreamTruncated)
        assert ("truncated", True) == (seen.ending, seen.closed)
        assert TEXT.startswith(error.text)
        assert error.partial == error.__cause__.partial
        if error.best is not None:
            titles.add(error.best.get("title", default=""))
    assert all("Pan\ncakes".startswith(title) for title in titles)
    assert titles or len(body) < 3


@pytest.mark.parametrize("finish", ["length", "content_filter"])
@given(end=st.integers(1, len(TEXT)))
def test_json_that_is_whole_counts_though_the_answer_was_cut(finish: str, end: int) -> None:
    """The cut was behind it; before that, there is what came."""
    stream = Stream(chat(TEXT[:end], finish, size=9))
    if end == len(TEXT):
        assert RECIPE == stream.result(Recipe)
        assert RECIPE == list(stream.partials(Recipe))[-1].final()
        return
    for read_it in (lambda: stream.result(Recipe), lambda: list(stream.partials(Recipe))):
        with pytest.raises(OutputIncomplete) as caught:
            read_it()
        assert (TEXT[:end], end) == (caught.value.text, caught.value.offset)


def test_a_number_at_the_cut_may_be_half_of_it() -> None:
    for text, finish, whole in (("12", "length", False), ("12 ", "length", True), ("12", "stop", True)):
        stream = Stream(chat(text, finish))
        if whole:
            assert 12 == stream.result(int) == list(stream.partials(int))[-1].final()
            continue
        with pytest.raises(OutputIncomplete):
            stream.result(int)
        with pytest.raises(OutputIncomplete):
            list(stream.partials(int))
    assert Stream(chat("true", "length")).result(bool)


def test_a_missing_end_is_mended_only_where_the_answer_was_not_cut() -> None:
    """A model forgets a brace; a cut takes away what nobody knows."""
    text = TEXT[:-1]

    assert RECIPE == Stream(chat(text)).result(Recipe, lenient=True)
    assert RECIPE == list(Stream(chat(text)).partials(Recipe, lenient=True))[-1].final()
    for read_it in (
        lambda stream: stream.result(Recipe, lenient=True),
        lambda stream: list(stream.partials(Recipe, lenient=True)),
    ):
        with pytest.raises(OutputIncomplete) as caught:
            read_it(Stream(chat(text, "length")))
        assert "Pan\ncakes" == title_in(caught.value)


def test_prose_in_place_of_json_is_invalid_unless_the_answer_was_cut() -> None:
    """An answer that was cut might have come to its JSON; a whole one has none."""
    for read_it in (
        lambda stream: stream.result(Recipe, lenient=True),
        lambda stream: list(stream.items(Step, "steps", lenient=True)),
    ):
        with pytest.raises(OutputInvalid, match="no JSON document"):
            read_it(Stream(chat("I am sorry.")))
        with pytest.raises(OutputIncomplete, match="allow more output tokens"):
            read_it(Stream(chat("Here is what you", "length")))


@pytest.mark.parametrize(
    ("finish", "words"),
    [
        ("stop", "answer ended before its JSON"),
        ("length", "limit of its length before its JSON .* allow more output tokens"),
        ("content_filter", "content filter"),
    ],
)
def test_the_error_says_what_cut_the_answer(finish: str, words: str) -> None:
    for read_it in (lambda stream: stream.result(Recipe), lambda stream: list(stream.field("title"))):
        with pytest.raises(OutputIncomplete, match=words) as caught:
            read_it(Stream(chat(TEXT[:60], finish)))
        assert "Pan" not in str(caught.value)


def test_an_answer_that_was_stopped_is_incomplete() -> None:
    stream = Stream(chat(TEXT))
    drafts = stream.partials(Recipe)
    next(drafts)
    next(drafts)
    stream.stop()

    for read_it in (lambda: list(drafts), lambda: stream.result(Recipe)):
        with pytest.raises(OutputIncomplete, match="was stopped") as caught:
            read_it()
        assert ("stopped", "Pan") == (caught.value.partial.ending, title_in(caught.value))


REFUSALS = {
    "openai-chat": [wire.chat({"refusal": "No."}), *ended("stop")],
    "anthropic": [
        wire.claude_start(),
        wire.claude("message_delta", delta={"stop_reason": "refusal"}, usage={"output_tokens": 9}),
        wire.claude("message_stop"),
    ],
}


@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("tool", [None, "recipe"])
def test_a_refusal_says_that_it_is_one(body: list[bytes], tool: str | None) -> None:
    """The model's words are in the message, not in the error's."""
    for read_it in (
        lambda stream: stream.result(Recipe, tool=tool),
        lambda stream: list(stream.items(Step, tool=tool)),
    ):
        with pytest.raises(OutputInvalid, match="declined") as caught:
            read_it(Stream(body))
        assert caught.value.best is None
        assert caught.value.partial == Stream(body).final()


def test_a_refusal_in_the_middle_is_no_cut() -> None:
    """More tokens would not help."""
    body = [*chat(TEXT[:60], None), *REFUSALS["openai-chat"]]
    with pytest.raises(OutputInvalid, match="declined") as caught:
        Stream(body).result(Recipe)

    assert ("Pan\ncakes", "No.") == (title_in(caught.value), caught.value.partial.refusal)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_answer_without_text_says_so(text: str) -> None:
    for read_it in (lambda stream: stream.result(Recipe), lambda stream: list(stream.partials(Recipe))):
        with pytest.raises(OutputInvalid, match="has no text"):
            read_it(Stream(chat(text)))
        with pytest.raises(OutputIncomplete, match="before it had a text"):
            read_it(Stream(chat(text, "length")))
        with pytest.raises(OutputIncomplete, match="before it had a call of the tool 'recipe'"):
            Stream(chat(text, "length")).result(Recipe, tool="recipe")


def test_a_choice_that_never_came_has_no_output() -> None:
    with pytest.raises(OutputInvalid, match="has no text"):
        Stream(chat(TEXT)).choice(3).result(Recipe)


def test_a_result_that_broke_off_is_found_once() -> None:
    stream = Stream(chat(TEXT, None)[:-1])
    errors = []
    for _ in range(2):
        with pytest.raises(OutputIncomplete) as caught:
            stream.result(Recipe)
        errors.append(caught.value)

    assert errors[0] is errors[1]
