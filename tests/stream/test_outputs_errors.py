"""What goes wrong with structured output: when it is raised, and what is on the error."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel

from tests.stream.bodies import AsyncSource, Source, source_in
from tests.stream.recipes import (
    BROKEN,
    COLOURS,
    FAULT,
    STEPS,
    TEXT,
    WRONG,
    Recipe,
    Step,
    chat,
    chat_call,
    ended,
    read,
    title_in,
)
from tests.support.either import Each, in_each_loop, inside, stream_in
from tokenstream import AsyncStream, Stream
from tokenstream.errors import InvalidJSON, LimitExceeded, OutputIncomplete, OutputInvalid, StreamInterrupted

VIEWS = {
    "partials": lambda stream: stream.partials(Recipe),
    "items": lambda stream: stream.items(Step, at="steps"),
    # Its loop reads on to the end of the answer: no other value follows.
    "field": lambda stream: stream.field("steps.1.text"),
    "result": lambda stream: stream.result(Recipe),
}


def test_what_breaks_the_schema_shows_at_once_and_is_raised_at_the_end() -> None:
    stream = Stream(chat(WRONG))
    drafts = []
    with pytest.raises(OutputInvalid) as caught:
        for draft in stream.partials(Recipe):
            drafts.append(draft)
    shown = [draft.value for draft in drafts if draft.errors]
    error = caught.value

    assert "Fry" not in str(shown[0])
    assert ("steps", 0, "minutes") == error.errors[0]["loc"]
    assert drafts[-1] == error.best
    assert (WRONG, "complete") == (error.text, error.partial.ending)
    assert "Pan" not in str(error)


def test_a_view_that_is_read_again_raises_the_same_error() -> None:
    drafts = Stream(chat(WRONG)).partials(Recipe)
    errors = []
    for _ in range(3):
        with pytest.raises(OutputInvalid) as caught:
            list(drafts)
        errors.append(caught.value)

    assert errors[0] is errors[1] is errors[2]
    assert errors[0].__suppress_context__


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("text", [WRONG, BROKEN])
def test_failing_fast_stops_the_stream(colour: str, text: str) -> None:
    seen = read(colour, chat(text), lambda stream: stream.partials(Recipe, fail_fast=True))
    error = seen.error

    assert isinstance(error, OutputInvalid)
    assert (InvalidJSON if text == BROKEN else OutputInvalid) is type(error)
    assert ("stopped", True) == (seen.ending, seen.closed)
    assert ("stopped", True) == (error.partial.ending, text.startswith(error.text))
    assert len(error.text) < len(text)
    assert seen.items[-1].title == "Pan\ncakes" == title_in(error)


@in_each_loop
async def test_failing_fast_closes_the_source_without_a_block(colour: str) -> None:
    source = source_in(colour)(chat(WRONG))
    with pytest.raises(OutputInvalid):
        async for _ in Each(stream_in(colour)(source).items(Step, "steps", fail_fast=True)):
            pass

    assert 1 == source.closed


@pytest.mark.parametrize("colour", COLOURS)
def test_a_field_that_fails_fast_stops_the_stream(colour: str) -> None:
    text = '{"title": "Pancakes", "serves": 2, "steps": []}'
    seen = read(colour, chat(text), lambda stream: stream.field("serves", fail_fast=True))

    assert isinstance(seen.error, OutputInvalid)
    assert ("stopped", True) == (seen.ending, seen.closed)


def test_a_stream_that_was_stopped_so_raises_it_again() -> None:
    with Stream(chat(WRONG)) as stream:
        steps, other = stream.items(Step, "steps", fail_fast=True), stream.partials(Recipe)
        for _ in range(2):
            with pytest.raises(OutputInvalid):
                list(steps)
        with pytest.raises(OutputIncomplete, match="was stopped"):
            list(other)


@in_each_loop
async def test_an_element_that_breaks_the_schema_is_raised_in_its_place(colour: str) -> None:
    body = chat(WRONG)
    errors: list[OutputInvalid] = []
    items: list[Step] = []
    stream: Any = Stream(body) if colour == "sync" else AsyncStream(AsyncSource(body))
    steps = stream.items(Step, "steps")
    for _ in range(2):
        try:
            async for step in Each(steps):
                items.append(step)
        except OutputInvalid as error:
            errors.append(error)

    assert [('{"text": "Mix", "minutes": "x"}', "streaming")] == [
        (error.text, error.partial.ending) for error in errors
    ]
    assert ("steps", 0, "minutes") == errors[0].errors[0]["loc"]
    assert STEPS[1:] == items


def test_text_that_is_no_json_is_raised_at_the_end_with_its_place() -> None:
    for name in ("partials", "items", "result"):
        seen = read("sync", chat(BROKEN), VIEWS[name])
        error = seen.error

        assert isinstance(error, InvalidJSON), name
        assert (FAULT, BROKEN, "complete") == (error.offset, error.text, error.partial.ending)
        assert name == "items" or title_in(error) == "Pan\ncakes"


@pytest.mark.parametrize("name", ["items", "field"])
def test_who_holds_no_document_has_no_best_of_it(name: str) -> None:
    """Elements and pieces are handed out and not kept; the text is on the error all the same."""
    for text, finish in ((BROKEN, "stop"), (TEXT[:60], "length")):
        error = read("sync", chat(text, finish), VIEWS[name]).error

        assert isinstance(error, OutputInvalid | OutputIncomplete)
        assert (None, text) == (error.best, error.text)


def test_a_path_to_what_is_no_string_is_raised_at_the_end() -> None:
    error = read("sync", chat(TEXT), lambda stream: stream.field("steps.0")).error

    assert isinstance(error, OutputInvalid)
    assert "'steps.0' is an object at character" in str(error)
    assert (TEXT, TEXT) == (error.text, error.partial.text)


@pytest.mark.slow
def test_what_is_nested_too_deeply_is_refused() -> None:
    deep = "[" * 100_000
    views = (
        lambda stream: stream.partials(list),
        lambda stream: stream.items(list),
        lambda stream: stream.result(list),
    )
    for view in views:
        error = read("sync", chat(deep, size=50_000), view).error

        assert isinstance(error, LimitExceeded)
        assert deep == error.partial.text


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_what_a_validator_raises_comes_out_of_the_loop(colour: str, size: int) -> None:
    def look_up(minutes: int) -> int:
        return {5: 5}[minutes]

    class Timed(Step):
        minutes: Annotated[int, AfterValidator(look_up)]

    class Plan(BaseModel):
        title: str
        steps: list[Timed]

    body = chat(TEXT, size=size)
    elements = read(colour, body, lambda stream: stream.items(Timed, "steps"))
    drafts = read(colour, body, lambda stream: stream.partials(Plan))

    assert STEPS[:1] == [Step(**item.model_dump()) for item in elements.items]
    assert KeyError is type(elements.error) is type(drafts.error)
    assert {()} >= {draft.errors for draft in drafts.items}
    result = read(colour, body, lambda stream: stream.result(Plan)).error
    assert isinstance(result, KeyError)
    assert result.__context__ is None


def test_what_a_validator_raises_is_raised_again_and_leaves_the_other_views_alone() -> None:
    def look_up(minutes: int) -> int:
        return {0: 0}[minutes]

    stream = Stream(chat("[1, 2, 3, 4, 5, 6]"))
    numbers: Any = Annotated[int, AfterValidator(look_up)]
    view = stream.items(numbers)
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            next(view)
        assert "look_up" in [entry.name for entry in caught.traceback]
        assert caught.value.__context__ is None
        assert "[1, 2, " == stream.message.text

    assert [1, 2, 3, 4, 5, 6] == stream.result(list[int])


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_validator_that_fails_at_the_end_of_the_stream_is_no_end_of_the_loop(finish: str) -> None:
    """A number is finished there; and StopIteration would pass for the end."""
    numbers: Any = Annotated[int, AfterValidator(lambda number: next(iter([][:number])))]
    view = Stream(chat("7", finish)).partials(numbers)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            list(view)
        assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("size", [1, 1_000])
@in_each_loop
async def test_a_new_loop_over_the_same_items_goes_on_after_a_bad_one(colour: str, size: int) -> None:
    body = chat('{"n": [1, "x", 2, {}, 3, null]}', size=size)
    found: list[Any] = []
    stream: Any = Stream(Source(body)) if colour == "sync" else AsyncStream(AsyncSource(body))
    async with inside(stream):
        view = stream.items(int, at="n")
        while not found or found[-1] != "end":
            try:
                async for each in Each(view):
                    found.append(each)
                found.append("end")
            except OutputInvalid as error:
                found.append(f"{error.index}: {error.text}{str(error)[-48:]}")

    told = "; a new loop over the same view goes on after it"
    assert found == [1, f'1: "x"{told}', 2, f"3: {{}}{told}", 3, f"5: null{told}", "end"]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_view_raises_what_the_stream_raises(colour: str) -> None:
    body, broken = chat(TEXT, None)[:8], ConnectionResetError("reset")
    for name in ("partials", "items", "field"):
        assert isinstance(read(colour, body, VIEWS[name], broken).error, StreamInterrupted), name
    error = read(colour, body, VIEWS["result"], broken).error

    assert isinstance(error, OutputIncomplete)
    assert isinstance(error.__cause__, StreamInterrupted)
    assert (TEXT[:56], "truncated", "Pan\ncakes") == (error.text, error.partial.ending, title_in(error))


@pytest.mark.parametrize("tool", [None, "recipe"])
def test_of_several_strings_one_of_a_wrong_kind_is_raised_in_its_place(tool: str | None) -> None:
    text = '{"steps": [{"t": "a"}, {"t": 1}, {"t": "b"}]}'
    view = Stream(chat(text) if tool is None else [*chat_call(0, text), *ended()]).field(
        "steps.*.t", tool=tool
    )
    given: list[str] = []
    with pytest.raises(OutputInvalid, match=r"'steps\.\*\.t' is a number at character 29"):
        given.extend(view)
    given.extend(view)

    assert "ab" == "".join(given)
