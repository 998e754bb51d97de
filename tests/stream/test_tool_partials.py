"""Tool calls while they are written: what each draft tells, and what the last one of a call is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.stream.recipes import (
    BROKEN,
    COLOURS,
    RECIPE,
    TEXT,
    WRONG,
    Recipe,
    chat_call,
    claude_call,
    ended,
    gemini_call,
    read,
    responses,
)
from tests.support import wire
from tests.support.chunkings import chunked
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import InvalidJSON, MisuseError, OutputIncomplete, OutputInvalid, StreamTruncated
from tokenstream.events import ToolCallDelta
from tokenstream.partial_json import MISSING, PartialJSONParser
from tokenstream.stages import CallDraft

LOOK = '{"city": "Oslo", "days": 3}'


class Point(BaseModel):
    x: int


def look(city: str, days: int = 1) -> str:
    return f"{days} days of {city}"


def watch(stream: Any) -> Any:
    return stream.tool_partials(look, recipe=Recipe)


def in_turns(*calls: list[bytes]) -> list[bytes]:
    """Return calls whose fragments come in turns."""
    longest = max(map(len, calls))
    return [call[at] for at in range(longest) for call in calls if at < len(call)]


def outcome(drafted: CallDraft[Any, Any]) -> tuple[Any, ...]:
    call = drafted.call
    assert call is not None
    return drafted.index, call.id, call.name, call.complete, type(call.error), call.error_for_model


SEVERAL = [
    *in_turns(chat_call(0, TEXT), chat_call(1, LOOK, name="look"), chat_call(2, TEXT[:-1] + ', "x": 1}')),
    *chat_call(3, "{}", name="unknown"),
    *chat_call(4, BROKEN),
    *chat_call(5, WRONG),
    *ended(),
]


@in_one_test(
    "body",
    [claude_call(TEXT), [*chat_call(0, TEXT), *ended()], responses(TEXT, call=True), gemini_call(TEXT)],
    ids=["anthropic", "openai-chat", "openai-responses", "gemini"],
)
@in_one_test("colour", COLOURS)
def test_a_call_is_drafted_from_its_name_to_its_end(colour: str, body: list[bytes]) -> None:
    seen = read(colour, body, watch)
    first, *_, last = seen.items

    assert seen.error is None
    assert ("recipe", 0, False, None) == (first.name, first.index, first.complete, first.call)
    assert MISSING is first.draft.title
    assert (RECIPE, RECIPE, True) == (last.final(), last.draft.final(), last.complete)
    assert [RECIPE] == [each.call.arguments for each in seen.items if each.complete]


@pytest.mark.slow
@given(data=st.data())
def test_calls_are_told_apart_however_they_are_written(data: st.DataObject) -> None:
    texts = data.draw(
        st.lists(st.sampled_from([TEXT, LOOK, "{}", BROKEN, WRONG, "", "null"]), min_size=2, max_size=4)
    )
    names = ["recipe" if text in (TEXT, BROKEN, WRONG) else "look" for text in texts]
    calls = [
        chat_call(at, text, name=name, size=data.draw(st.integers(3, 40)))
        for at, (text, name) in enumerate(zip(texts, names, strict=True))
    ]
    order = data.draw(st.permutations([at for at, call in enumerate(calls) for _ in call]))
    waiting = [iter(call) for call in calls]
    body = b"".join([next(waiting[at]) for at in order] + ended())
    _, chunks = data.draw(chunked(st.just(body)))
    drafts = list(Stream(chunks).tool_partials(look, recipe=Recipe))

    for at, call in enumerate(calls):
        alone = list(Stream([*call, *ended()]).tool_partials(look, recipe=Recipe))
        mine = [each for each in drafts if each.id == f"call_{at}"]
        assert [each.draft for each in alone] == [each.draft for each in mine]
        assert outcome(alone[-1])[1:] == outcome(mine[-1])[1:]
    checked = Stream([body]).validated_calls(look, recipe=Recipe)
    assert [call.id for call in checked] == [each.id for each in drafts if each.call is not None]


def test_the_last_drafts_are_the_calls_that_validated_calls_gives() -> None:
    checked = list(Stream(SEVERAL).validated_calls(look, recipe=Recipe))
    last = [drafted for drafted in watch(Stream(SEVERAL)) if drafted.call is not None]

    assert [(call.id, call.complete, type(call.error), call.error_for_model) for call in checked] == [
        (each.call.id, each.call.complete, type(each.error), each.call.error_for_model) for each in last
    ]
    assert {"call_1", "call_3", "call_4"} < {each.id for each in last}
    for each in last:
        if each.error is not None:
            with pytest.raises(OutputInvalid):
                each.final()
    assert InvalidJSON in [type(each.error) for each in last]
    assert 1 == sum(drafted.name == "unknown" for drafted in watch(Stream(SEVERAL)))


@pytest.mark.parametrize("lenient", [False, True])
def test_partials_of_a_tool_are_the_drafts_of_its_first_call(lenient: bool) -> None:
    drafted = Stream(SEVERAL).tool_partials(recipe=Recipe, lenient=lenient)
    _, *drafts, last = [each.draft for each in drafted if each.index == 0]

    assert drafts == list(Stream(SEVERAL).partials(Recipe, tool="recipe", lenient=lenient))
    assert last.final() == Stream(SEVERAL).result(Recipe, tool="recipe", lenient=lenient)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_call_that_was_cut_never_counts_as_complete(colour: str, finish: str) -> None:
    for text in (TEXT, TEXT[:40], ""):
        seen = read(colour, [*chat_call(0, LOOK, name="look"), *chat_call(1, text), *ended(finish)], watch)

        assert ["call_0"] == [each.id for each in seen.items if each.complete]
        assert isinstance(seen.error, OutputIncomplete)
        assert (text, seen.items[-1].draft) == (seen.error.text, seen.error.best)
        with pytest.raises(OutputIncomplete):
            seen.items[0].final()


@pytest.mark.slow
def test_an_answer_that_is_cut_anywhere_gives_what_had_ended_and_then_the_error() -> None:
    whole = list(watch(Stream(SEVERAL)))
    for end in range(len(SEVERAL) - 1):
        view, found = watch(Stream(SEVERAL[:end])), list[Any]()
        for _ in range(2):
            with pytest.raises(StreamTruncated):
                found.extend(iter(view))

        # A call whose name may go on begins with its first argument, or where the answer breaks off.
        for id in {each.id for each in found}:
            told = [each for each in found if each.id == id]
            assert [each for each in whole if each.id == id][: len(told)] == told


def test_a_stream_that_was_stopped_says_that_the_call_was() -> None:
    """Nobody takes what is open for the end of it."""
    stream = Stream(claude_call(TEXT))
    view = watch(stream)
    next(view)
    stream.stop("enough")

    with pytest.raises(OutputIncomplete, match="was stopped before"):
        list(view)


def test_the_arguments_of_a_function_are_drafted_as_it_takes_them() -> None:
    def cook(order: Recipe) -> str:
        return order.title

    def drafted(text: str) -> list[CallDraft[Any, Any]]:
        return list(Stream(claude_call(text, name="cook")).tool_partials(cook))

    plain, named, spaced = (
        drafted(TEXT),
        drafted(f'{{"order": {TEXT}}}'),
        drafted(f'{" " * 99}{{"order": {TEXT}}}'),
    )

    assert ["Pan", "Pan\ncakes"] == [each.draft.title for each in plain[2:4]]
    assert "Pan\ncakes" in [each.draft.get("order", "title") for each in named[:-1]]
    for drafts in (plain, named, spaced):
        assert drafts[-1].call is not None
        assert ({"order": RECIPE}, "Pan\ncakes") == (drafts[-1].final(), drafts[-1].call.run())
        assert () == drafts[-1].draft.errors or drafts is spaced


@pytest.mark.parametrize(
    "text, is_named",
    [
        ("{'order': {'title': 'Pan', 'steps': []}}", True),
        ('Here: {order: {title: "Pan", steps: []}}', True),
        ('```json\n{"order": {"title": "Pan", "steps": []}}\n```', True),
        ("{title: 'Pan', steps: []}", False),
        ('Here: {"title": "Pan", "steps": []}', False),
    ],
)
def test_drafts_of_almost_json_follow_what_the_model_writes(text: str, *, is_named: bool) -> None:
    def cook(order: Recipe) -> str:
        return order.title

    stream = Stream(claude_call(text, name="cook"))
    drafts = list(stream.tool_partials(cook, lenient=True))
    path = ("order", "title") if is_named else ("title",)

    assert drafts[-1].call is not None
    assert "Pan" == drafts[-1].call.run() == drafts[-1].draft.get(*path)
    assert () == drafts[-1].draft.errors
    assert drafts[-1].draft.complete


def test_free_text_is_the_first_argument() -> None:
    def patch(diff: str) -> int:
        return len(diff)

    text = '{} "a"\n\\é😀'
    pieces = ["", *text]
    body = [
        wire.chat(
            {
                "tool_calls": [
                    {"index": 0, "custom": {"input": piece}}
                    | (
                        {}
                        if piece
                        else {"id": "c", "type": "custom", "custom": {"name": "patch", "input": ""}}
                    )
                ]
            }
        )
        for piece in pieces
    ]
    drafts = list(Stream([*body, *ended()]).tool_partials(patch))

    assert [text[:end] for end in range(1, len(text) + 1)] == [each.draft.diff for each in drafts[1:-1]]
    assert ({"diff": text}, {"diff": text}) == (drafts[-1].final(), drafts[-1].draft.final())


def test_what_a_validator_raises_comes_out_as_it_is() -> None:
    class Strange(BaseModel):
        x: int

        def model_post_init(self, context: object) -> None:
            raise KeyError(self.x)

    body = [*chat_call(0, '{"x": 1}', name="Point"), *chat_call(1, '{"x": 2}', name="Strange"), *ended()]
    for late in (False, True):
        found = list[Any]()
        with Stream(body) as stream:
            if late:
                stream.final()
            view = stream.tool_partials(Point, Strange)
            for _ in range(2):
                with pytest.raises(KeyError):
                    found.extend(iter(view))

        assert ["call_0"] == [each.id for each in found if each.complete] or not late


def test_other_choices_and_readers_have_their_own() -> None:
    body = [
        wire.chat(wire.chat_call(0, '{"x": 1}', id="a", name="Point"), index=1),
        wire.chat(wire.chat_call(0, '{"x": 2}', id="b", name="Point")),
        wire.chat({}, "tool_calls", index=1),
        *ended(),
    ]
    stream = Stream(body)
    shared = Stream(SEVERAL).broadcast(policy="wait")
    readers = [shared.reader(), shared.reader()]

    assert [2] == [each.final().x for each in stream.tool_partials(Point) if each.complete]
    assert [1] == [each.final().x for each in stream.choice(1).tool_partials(Point) if each.complete]
    late = readers[0].tool_partials(look, recipe=Recipe)
    assert [outcome(each) for each in late if each.call] == [
        outcome(each) for each in readers[1].tool_partials(look, recipe=Recipe) if each.call
    ]


def test_what_is_no_tool_is_refused_before_anything_is_read() -> None:
    with Stream(SEVERAL) as stream:
        for tools in [(), (3,), (look, look), (lambda x: x,)]:
            with pytest.raises(MisuseError):
                stream.tool_partials(*tools)
        assert "streaming" == stream.message.ending


def test_a_draft_tells_what_it_is() -> None:
    first, *_, last = watch(Stream([*chat_call(0, LOOK, name="look"), *ended()]))
    match last:
        case CallDraft("look", draft):
            city = draft.city
        case _:
            city = ""

    assert "Oslo" == city
    assert first != last
    assert first != "look"
    assert "<CallDraft 0 'look' Partial[arguments](…)>" == repr(first)
    assert repr(last).endswith(", complete>")
    assert [first, last] == [
        each for each in watch(Stream([*chat_call(0, LOOK, name="look"), *ended()])) if each in (first, last)
    ]


def test_a_draft_comes_with_its_fragment() -> None:
    stream, count = Stream(claude_call(TEXT, size=3)), 0
    for drafted in watch(stream):
        count += 1
        parser = PartialJSONParser()
        parser.feed(stream.message.tool_calls[0].arguments_text)
        assert drafted.draft.get("title", default=None) == (parser.value or {}).get("title")
    fragments = sum(isinstance(event, ToolCallDelta) for event in Stream(claude_call(TEXT, size=3)))

    assert len(TEXT) // 6 < count <= fragments + 2
