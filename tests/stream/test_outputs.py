"""Structured output: snapshots, elements, one string, the result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import anyio
import pytest
from pydantic import AfterValidator, BaseModel, TypeAdapter

from tests.stream.bodies import Source
from tests.stream.recipes import (
    BROKEN,
    COLOURS,
    RECIPE,
    STEPS,
    TEXT,
    WRONG,
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
)
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Stream
from tokenstream.errors import InvalidJSON, MisuseError, OutputIncomplete, OutputInvalid

View = Callable[[Any], Any]

SEEN: list[str] = []


def _see(title: str) -> str:
    SEEN.append(title)
    return title


class Titled(BaseModel):
    title: Annotated[str, AfterValidator(_see)]


VIEWS: dict[str, View] = {
    "partials": lambda stream: stream.partials(Recipe),
    "partials, failing fast": lambda stream: stream.partials(Recipe, fail_fast=True),
    "partials, filled": lambda stream: stream.choice(0).partials(Recipe, show="words", defaults=True),
    "items": lambda stream: stream.items(Step, at="steps"),
    "items, failing fast": lambda stream: stream.items(Step, at="steps", fail_fast=True),
    "field": lambda stream: stream.field("title"),
    "field of each": lambda stream: stream.field("steps.*.text"),
    "result": lambda stream: stream.result(Recipe),
    "lenient": lambda stream: stream.result(Recipe, lenient=True),
    "partials of a call": lambda stream: stream.partials(Recipe, tool="recipe"),
    "partials of a call, filled": lambda stream: stream.partials(Recipe, tool="recipe", defaults=True),
    "items of all calls": lambda stream: stream.items(Step, "steps", tool="recipe"),
    "field of a call": lambda stream: stream.field("title", tool="recipe"),
    "result of a call": lambda stream: stream.result(Recipe, tool="recipe"),
    "another choice": lambda stream: stream.choice(1).partials(Recipe),
}
BODIES: dict[str, list[bytes]] = {
    "whole": chat(TEXT),
    "one piece": chat(TEXT, size=1000),
    "cut at its length": chat(TEXT[:60], "length"),
    "broken off": chat(TEXT[:60], None),
    "against the schema": chat(WRONG),
    "no JSON": chat(BROKEN),
    "nothing": chat(""),
    "two choices": [*chat(TEXT, None), *chat(TEXT, None, choice=1), *ended("stop"), *ended("stop", choice=1)],
    "call": [*chat_call(0, TEXT), *ended()],
    "calls": [*chat_call(0, TEXT), *chat_call(1, WRONG), *ended()],
    "call broken off": chat_call(0, TEXT)[:-3],
    "anthropic": claude_call(TEXT),
    "gemini": gemini(TEXT),
    "gemini's call": gemini_call(TEXT),
    "responses": responses(TEXT),
    "responses' call": responses(TEXT, call=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("view", sampled([*VIEWS.values()], one_in=4), ids=VIEWS)
def test_both_kinds_of_loops_see_the_same(view: View) -> None:
    for body in BODIES.values():
        for cause in (None, ConnectionResetError("reset")):
            expected, *others = [read(colour, body, view, cause).told() for colour in COLOURS]

            assert [expected, expected] == others


def test_an_object_is_watched_while_it_fills_in() -> None:
    drafts = list(Stream(chat(TEXT)).partials(Recipe))

    assert [{}, {"title": "Pan"}] == [draft.value for draft in drafts[:2]]
    assert drafts[1].title == "Pan"
    assert [False, True] == [drafts[0].complete, drafts[-1].complete]
    assert RECIPE == drafts[-1].final()


def test_elements_come_as_soon_as_each_closes() -> None:
    stream = Stream(chat(TEXT))
    steps = stream.items(Step, at="steps")

    assert STEPS[0] == next(steps)
    assert stream.message.text.endswith('"minutes": 5}')
    assert STEPS[1:] == list(steps)


def test_one_string_is_read_as_it_is_written() -> None:
    assert ["Pan", "\ncakes"] == list(Stream(chat(TEXT)).field("title"))


def test_the_result_is_the_validated_value() -> None:
    assert RECIPE == Stream(chat(TEXT)).result(Recipe)
    assert [1, 2] == Stream(chat("[1, 2]")).result(list[int])
    assert RECIPE == Stream(chat(TEXT)).result(TypeAdapter[Recipe | Step](Recipe | Step))


def test_null_is_a_value() -> None:
    assert [1, None, 2] == list(Stream(chat("[1, null, 2]")).items(TypeAdapter[int | None](int | None)))
    assert Stream(chat("null")).result(TypeAdapter[int | None](int | None)) is None
    for colour in ("asyncio", "trio"):
        seen = read(colour, chat("[1, null]"), lambda stream: stream.items(TypeAdapter(int | None)))
        assert [1, None] == seen.items


def test_a_result_may_be_asked_for_during_a_view() -> None:
    stream = Stream(chat(TEXT))
    drafts, steps = stream.partials(Recipe), stream.items(Step, "steps")
    next(drafts)
    next(steps)

    assert RECIPE == stream.result(Recipe)
    assert [RECIPE] == [draft.final() for draft in drafts]
    assert STEPS[1:] == list(steps)


def test_a_result_is_validated_once() -> None:
    SEEN.clear()
    stream = Stream(chat(TEXT))

    assert stream.result(Titled) is stream.result(Titled)
    assert ["Pan\ncakes"] == SEEN
    assert RECIPE == stream.result(Recipe)

    errors = []
    for _ in range(2):
        with pytest.raises(OutputInvalid) as caught:
            stream.result(list[int])
        errors.append(caught.value)
    assert errors[0] is errors[1]


def test_types_that_cannot_be_hashed_have_results_too() -> None:
    """A type's notes may hold anything."""
    noted: Any = Annotated[int, {"unit": "minutes"}]
    stream = Stream(chat("3"))

    assert [3, 3] == [stream.result(noted), stream.result(noted)]


def test_what_is_almost_json_is_read_where_that_is_asked_for() -> None:
    text = f"Here it is:\n```json\n{TEXT}\n```"

    assert RECIPE == Stream(chat(text)).result(Recipe, lenient=True)
    assert RECIPE == list(Stream(chat(text)).partials(Recipe, lenient=True))[-1].final()
    assert STEPS == list(Stream(chat(text)).items(Step, "steps", lenient=True))
    assert "Pan\ncakes" == "".join(Stream(chat(text)).field("title", lenient=True))
    with pytest.raises(InvalidJSON):
        Stream(chat(text)).result(Recipe)


@pytest.mark.anyio
async def test_one_of_several_documents_is_read_where_that_is_asked_for() -> None:
    other = '{"dish": "other"}'
    text = f"{other} is none, so {TEXT}"
    options: Any = {"lenient": True, "document": "last"}
    stream = Stream(chat(text))

    assert RECIPE == stream.result(Recipe, **options)
    assert RECIPE == stream.result(Recipe, lenient=True, document="matching")
    assert RECIPE == stream.result(Recipe, lenient=True)
    assert {"dish": "other"} == stream.result(dict[str, Any], lenient=True, document="first")
    with pytest.raises(InvalidJSON):
        stream.result(dict[str, Any], lenient=True)
    with pytest.raises(InvalidJSON):
        list(Stream(chat(text)).partials(Recipe, lenient=True))
    with pytest.raises(MisuseError):
        stream.result(Recipe, document="last")
    assert RECIPE == list(Stream(chat(text)).partials(Recipe, **options))[-1].final()
    assert STEPS == list(Stream(chat(text)).items(Step, "steps", **options))
    assert "Pan\ncakes" == "".join(Stream(chat(text)).field("title", **options))
    streams = [AsyncStream(chat(text)) for _ in range(4)]
    assert RECIPE == await streams[0].result(Recipe, **options)
    drafts = [draft async for draft in streams[1].partials(Recipe, **options)]
    assert RECIPE == drafts[-1].final()
    assert STEPS == [step async for step in streams[2].items(Step, "steps", **options)]
    assert "Pan\ncakes" == "".join([piece async for piece in streams[3].field("title", **options)])


def test_each_choice_has_its_own_output() -> None:
    body = [*chat(TEXT, None), *chat("[1]", None, choice=1), *ended("stop", choice=1), *ended("stop")]
    stream = Stream(body)

    assert [1] == stream.choice(1).result(list[int])
    assert RECIPE == stream.result(Recipe) == stream.choice(0).result(Recipe)
    assert [1] == list(stream.choice(1).items(int))


def test_a_choice_at_its_end_has_a_result_though_the_stream_broke_off() -> None:
    body = [*chat(TEXT, None), *ended("stop")[:1], *chat(TEXT[:30], None, choice=1)]
    stream = Stream(body)

    assert RECIPE == stream.result(Recipe)
    with pytest.raises(OutputIncomplete) as caught:
        stream.choice(1).result(Recipe)
    assert (TEXT[:30], 1) == (caught.value.text, caught.value.partial.choice)


@in_one_test("use", [bool, len, str, lambda view: "a" in view], ids=["bool", "len", "str", "in"])
@in_one_test("name", ["partials", "items", "field"])
def test_a_view_refuses_to_be_taken_for_what_it_gives(name: str, use: View) -> None:
    with Stream(chat(TEXT)) as stream:
        with pytest.raises(MisuseError, match=r"stream\.result\(…\)"):
            use(VIEWS[name](stream))
        with pytest.raises(MisuseError, match=r"stream\.choice\(1\)\.result\(…\)"):
            use(VIEWS[name](stream.choice(1)))


def test_a_path_that_is_none_is_refused_at_once() -> None:
    with Stream(chat(TEXT)) as stream:
        with pytest.raises(MisuseError, match="path"):
            stream.field("a..b")
        with pytest.raises(MisuseError, match="path"):
            stream.items(Step, "a..b", tool="recipe")


def test_a_type_that_no_json_can_become_is_refused_before_anything_is_read() -> None:
    class Nothing:
        pass

    source = Source(chat(TEXT))
    with Stream(source) as stream:
        for read_it in (stream.result, stream.partials, stream.items):
            with pytest.raises(MisuseError, match="no schema can be built for Nothing"):
                read_it(Nothing)

        assert 0 == source.reads
        assert RECIPE == stream.result(Recipe)


@pytest.mark.parametrize("name", ["partials", "items", "field", "result"])
def test_a_tool_is_reported_by_its_name(name: str) -> None:
    """A function would be found in no answer."""
    function: Any = test_a_tool_is_reported_by_its_name
    argument = "title" if name == "field" else Recipe
    with Stream(chat(TEXT)) as stream, pytest.raises(MisuseError, match="the name of a tool"):
        getattr(stream, name)(argument, tool=function)


@pytest.mark.anyio
async def test_a_timeout_around_a_read_loses_nothing() -> None:
    async def slow() -> Any:
        for piece in chat(TEXT, size=25):
            await anyio.sleep(0.02)
            yield piece

    drafts: list[Any] = []
    timeouts = 0
    async with AsyncStream(slow()) as stream:
        view = stream.partials(Recipe)
        with suppress(StopAsyncIteration):
            while True:
                with anyio.move_on_after(0.005) as scope:
                    drafts.append(await anext(view))
                timeouts += scope.cancelled_caught

    assert [draft.value for draft in Stream(chat(TEXT, size=25)).partials(Recipe)] == [
        draft.value for draft in drafts
    ]
    assert timeouts
