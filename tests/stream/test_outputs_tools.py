"""Structured output that comes as the arguments of a tool."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from tests.stream.bodies import AsyncSource
from tests.stream.recipes import (
    BROKEN,
    COLOURS,
    FAULT,
    RECIPE,
    STEPS,
    TEXT,
    WRONG,
    Recipe,
    Step,
    chat_call,
    claude_call,
    ended,
    gemini_call,
    read,
    responses,
    title_in,
)
from tests.support import wire
from tokenstream import AsyncStream, Stream
from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.events import ToolCallDelta

OTHER = TEXT.replace("Pan", "Waffle").replace("Mix", "Stir")
ANSWERS = {
    "anthropic": claude_call(TEXT),
    "anthropic, whole": claude_call(TEXT, size=1000),
    "openai-chat": [*chat_call(0, TEXT), *ended()],
    "openai-chat, stop": [*chat_call(0, TEXT), *ended("stop")],
    "openai-responses": responses(TEXT, call=True),
    "gemini": gemini_call(TEXT),
}


class Defaults(BaseModel):
    servings: int = 4


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("colour", COLOURS)
def test_the_arguments_of_a_tool_are_read_like_a_text(colour: str, body: list[bytes]) -> None:
    drafts = read(colour, body, lambda stream: stream.partials(Recipe, tool="recipe"))
    items = read(colour, body, lambda stream: stream.items(Step, "steps", tool="recipe"))
    pieces = read(colour, body, lambda stream: stream.field("title", tool="recipe"))
    result = read(colour, body, lambda stream: stream.result(Recipe, tool="recipe"))

    assert RECIPE == drafts.items[-1].final()
    assert STEPS == items.items
    assert "Pan\ncakes" == "".join(pieces.items)
    assert [RECIPE] == result.items
    assert [None] * 4 == [seen.error for seen in (drafts, items, pieces, result)]


def test_arguments_are_shown_as_they_are_written() -> None:
    with Stream(ANSWERS["anthropic"]) as stream:
        drafts = stream.partials(Recipe, tool="recipe")

        assert {} == next(drafts).value
        assert {"title": "Pan"} == next(drafts).value
        assert TEXT[:14] == stream.message.tool_calls[0].arguments_text


def test_a_view_that_starts_late_gives_the_arguments_that_it_missed() -> None:
    stream = Stream(ANSWERS["openai-chat"])
    fragments = 0
    for event in stream:
        fragments += isinstance(event, ToolCallDelta)
        if fragments == 4:
            break
    drafts = stream.partials(Recipe, tool="recipe")

    assert {"title": "Pan\ncakes"} == next(drafts).value
    assert RECIPE == list(drafts)[-1].final()
    assert [RECIPE] == [draft.final() for draft in stream.partials(Recipe, tool="recipe")]
    assert STEPS == list(stream.items(Step, "steps", tool="recipe"))


def test_of_several_calls_the_first_is_the_object_and_all_have_the_items() -> None:
    body = [*chat_call(0, "{}", name="look"), *chat_call(1, TEXT), *chat_call(2, OTHER), *ended()]
    stream = Stream(body)

    assert ["Pan", "\ncakes"] == list(stream.field("title", tool="recipe"))
    assert RECIPE == stream.result(Recipe, tool="recipe")
    assert ["Mix", "Fry", "Stir", "Fry"] == [
        step.text for step in Stream(body).items(Step, "steps", tool="recipe")
    ]
    assert ["Mix", "Fry", "Stir", "Fry"] == [step.text for step in stream.items(Step, "steps", tool="recipe")]


def test_calls_that_are_written_in_turns_are_read_apart() -> None:
    one, other = chat_call(0, TEXT), chat_call(1, OTHER)
    body = [fragment for pair in zip(one, other, strict=False) for fragment in pair]
    body += [*one[len(other) :], *other[len(one) :], *ended()]

    assert RECIPE == list(Stream(body).partials(Recipe, tool="recipe"))[-1].final()
    assert ["Mix", "Stir", "Fry", "Fry"] == [
        step.text for step in Stream(body).items(Step, "steps", tool="recipe")
    ]


@pytest.mark.parametrize("arguments", ["", "{}", " \n"])
def test_a_call_without_arguments_is_an_empty_object(arguments: str) -> None:
    """Servers send nothing, or `{}`, for it."""
    body = [*chat_call(0, arguments), *ended()]

    assert Defaults() == Stream(body).result(Defaults, tool="recipe")
    assert Defaults() == list(Stream(body).partials(Defaults, tool="recipe"))[-1].final()
    with pytest.raises(OutputInvalid, match="steps"):
        list(Stream(body).items(Step, "steps", tool="recipe"))


@pytest.mark.parametrize("prefix", [["{}"], ["{", "}"], ["{ ", "} "]], ids="".join)
@pytest.mark.parametrize("fail_fast", [False, True])
def test_an_empty_object_before_the_arguments_is_none_of_them(prefix: list[str], fail_fast: bool) -> None:
    """Some servers fill it in and then send what there is."""
    first, *rest = chat_call(0, TEXT)
    body = [first, *(wire.chat(wire.chat_call(0, piece)) for piece in prefix), *rest, *ended()]
    options: Any = {"tool": "recipe", "fail_fast": fail_fast}

    assert RECIPE == list(Stream(body).partials(Recipe, **options))[-1].final()
    assert STEPS == list(Stream(body).items(Step, "steps", **options))
    assert "Pan\ncakes" == "".join(Stream(body).field("title", tool="recipe"))
    assert RECIPE == Stream(body).result(Recipe, tool="recipe")
    with pytest.raises(OutputIncomplete) as caught:
        Stream(body[:-5]).result(Recipe, tool="recipe")
    assert TEXT.startswith(caught.value.text)
    assert "Pan\ncakes" == title_in(caught.value)


def test_a_first_call_that_may_still_speak_holds_back_the_second() -> None:
    first, *rest = chat_call(0, '{"eggs": 1}')
    second = chat_call(1, '{"eggs": 2}')

    drafts = Stream([first, *second, *rest, *ended()]).partials(dict[str, int], tool="recipe")
    assert [{"eggs": 1}] == [draft.value for draft in drafts if draft.value]
    assert {"eggs": 2} == Stream([first, *second, *ended()]).result(dict[str, int], tool="recipe")


def test_arguments_that_never_say_anything_are_not_held_for_ever() -> None:
    body = [*chat_call(0, " " * 200 + TEXT), *ended()]
    fragments = len(" " * 200) // 7

    stream = Stream(body)
    next(stream.partials(Recipe, tool="recipe"))

    assert len(stream.message.tool_calls[0].arguments_text) < 7 * (fragments + 3)
    assert RECIPE == stream.result(Recipe, tool="recipe")


def test_arguments_that_the_end_repeats_are_read_once() -> None:
    spaced = TEXT.replace(", ", " ,")
    for done in (TEXT, spaced):
        body = responses(TEXT, done=done, call=True)

        assert STEPS == list(Stream(body).items(Step, "steps", tool="recipe"))
        assert "Pan\ncakes" == "".join(Stream(body).field("title", tool="recipe"))
        assert RECIPE == list(Stream(body).partials(Recipe, tool="recipe"))[-1].final()
        assert RECIPE == Stream(body).result(Recipe, tool="recipe")


def test_the_end_mends_arguments_whose_fragments_were_lost() -> None:
    for lost in (slice(0, 60), slice(0, 30)):
        body = responses(TEXT[lost].replace("Mix", "Mixx"), done=TEXT, call=True)

        assert STEPS == list(Stream(body).items(Step, "steps", tool="recipe")) or lost.stop > 55
        assert "Pan\ncakes" == "".join(Stream(body).field("title", tool="recipe"))
        assert RECIPE == list(Stream(body).partials(Recipe, tool="recipe"))[-1].final()
        assert RECIPE == Stream(body).result(Recipe, tool="recipe")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_tool_that_was_never_called_is_named(colour: str) -> None:
    for view in (
        lambda stream: stream.partials(Recipe, tool="recipe"),
        lambda stream: stream.items(Step, "steps", tool="recipe"),
        lambda stream: stream.field("title", tool="recipe"),
        lambda stream: stream.result(Recipe, tool="recipe"),
    ):
        error = read(colour, [*chat_call(0, TEXT, name="look"), *ended()], view).error

        assert type(error) is OutputInvalid
        assert "'recipe'" in str(error)
        assert "look" == error.partial.tool_calls[0].name


def test_an_answer_that_only_calls_tools_says_so() -> None:
    with pytest.raises(OutputInvalid, match=r"calls 'recipe'; pass tool="):
        Stream([*chat_call(0, TEXT), *ended()]).result(Recipe)


@pytest.mark.parametrize("text", [TEXT, TEXT[:60], ""])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_call_that_was_cut_is_incomplete(colour: str, text: str) -> None:
    for view in (
        lambda stream: stream.partials(Recipe, tool="recipe"),
        lambda stream: stream.result(Recipe, tool="recipe"),
    ):
        error = read(colour, [*chat_call(0, text), *ended("length")], view).error

        assert isinstance(error, OutputIncomplete)
        assert "limit of its length" in str(error)
        assert text == error.text
        assert not text or title_in(error) == "Pan\ncakes"


@pytest.mark.parametrize("text", ['{"servings": {}, "x": "', '[{}, {"servings": 1}, {'])
def test_an_empty_object_within_cut_arguments_is_reported(text: str) -> None:
    """Only before the arguments is it none of them."""
    with Stream([*chat_call(0, text)]) as stream, pytest.raises(OutputIncomplete) as caught:
        stream.result(Defaults, tool="recipe")

    assert text == caught.value.text


def test_a_call_before_the_one_that_was_cut_is_whole() -> None:
    stream = Stream([*chat_call(0, TEXT), *chat_call(1, TEXT[:60], name="other"), *ended("length")])

    assert RECIPE == stream.result(Recipe, tool="recipe")
    with pytest.raises(OutputIncomplete):
        stream.result(Recipe, tool="other")


def test_broken_arguments_are_distinguished_from_cut_ones() -> None:
    """The format ends such a call without handing it out."""
    body = [*chat_call(0, BROKEN), *ended()]
    for read_it in (
        lambda: list(Stream(body).partials(Recipe, tool="recipe")),
        lambda: Stream(body).result(Recipe, tool="recipe"),
    ):
        with pytest.raises(InvalidJSON) as caught:
            read_it()
        assert (FAULT, BROKEN) == (caught.value.offset, caught.value.text)


def test_arguments_that_are_almost_json_are_read_where_that_is_asked_for() -> None:
    body = [*chat_call(0, TEXT.replace("10}]}", "10,},]}")), *ended()]

    assert RECIPE == Stream(body).result(Recipe, tool="recipe", lenient=True)
    assert STEPS == list(Stream(body).items(Step, "steps", tool="recipe", lenient=True))
    with pytest.raises(InvalidJSON):
        Stream(body).result(Recipe, tool="recipe")
    with pytest.raises(OutputIncomplete):
        Stream(body[:-2]).result(Recipe, tool="recipe", lenient=True)


@pytest.mark.anyio
async def test_failing_fast_in_arguments_stops_the_stream() -> None:
    source = AsyncSource(claude_call(WRONG))
    async with AsyncStream(source) as stream:
        with pytest.raises(OutputInvalid) as caught:
            async for _ in stream.partials(Recipe, tool="recipe", fail_fast=True):
                pass

        assert ("stopped", 1) == (stream.message.ending, source.closed)
    assert WRONG.startswith(caught.value.text)


def test_text_and_other_choices_are_not_taken_for_arguments() -> None:
    body = [
        wire.chat({"content": "[0]"}),
        wire.chat(wire.chat_call(0, "[1]", id="a", name="recipe"), index=1),
        wire.chat(wire.chat_call(0, "[2]", id="b", name="recipe")),
        wire.chat({}, "tool_calls", index=1),
        *ended(),
    ]
    stream = Stream(body)

    assert [2] == list(stream.items(int, tool="recipe"))
    assert [1] == list(stream.choice(1).items(int, tool="recipe"))
    assert [1] == stream.choice(1).result(list[int], tool="recipe")
