"""The seam: events of a continuation, as those of the answer that it goes on with."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from tests.project import ROOT
from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.overlap import AskedOverlap, PrefixOverlap
from tokenstream._pipeline.seam import SeamJoiner
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ProviderData,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import (
    Citation,
    Message,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    Usage,
)


def joined(before: list[Event], after: list[Event], *, prefill: bool = True) -> tuple[Message, list[Any]]:
    """Return the message of an answer and its continuation, and the events that a loop is given of that."""
    accumulator = Accumulator()
    for event in before:
        accumulator.feed(event)
    given = accumulator.message.text
    seam = SeamJoiner(accumulator, PrefixOverlap(given, echoes=False) if prefill else AskedOverlap(given))
    held = 1
    while held < len(after) and not seam.look_for_overlap(after[held - 1]):
        held += 1
    found = [seam.make_announcement(), *seam.drop_overlap(after[:held]), *after[held:]]
    moved = [each for event in found if (each := seam.relocate(event)) is not None]
    for event in moved:
        accumulator.feed(event)
    return accumulator.message, moved


HEAD: list[Event] = [
    MessageStart(id="msg_1", model="first", provider_data={"created": 1}),
    UsageUpdate(Usage(input_tokens=3)),
]
AGAIN: list[Event] = [
    MessageStart(id="msg_2", model="second", provider_data={"created": 2, "seed": 3}),
    ProviderData({"created": 2, "tier": "x"}),
    UsageUpdate(Usage(input_tokens=5, output_tokens=7)),
]


def text(words: str, part: int = 0, *, done: bool = True) -> list[Event]:
    end: list[Event] = [PartDone(TextPart(text=words, complete=True), part=part)] if done else []
    return [PartStart(TextPart(), part=part), TextDelta(words, part=part), *end]


def test_the_head_stays_the_first_ones_and_tokens_add_up() -> None:
    message, events = joined([*HEAD, *text("Hel", done=False)], [*AGAIN, *text("lo"), Finish("stop")])

    assert ("msg_1", "first", "Hello") == (message.id, message.model, message.text)
    assert {"created": 1, "seed": 3, "tier": "x"} == message.provider_data
    assert (8, 7) == (message.usage.input_tokens, message.usage.output_tokens)
    assert [] == [event for event in events if isinstance(event, MessageStart | PartStart)]


def test_the_text_before_the_seam_is_part_of_the_part_that_ends() -> None:
    message, events = joined(text("Hel", done=False), [*text("lo"), Finish("stop")])

    (done,) = [event for event in events if isinstance(event, PartDone)]
    assert TextPart(text="Hello", complete=True) == done.content == message.parts[0]


def test_a_text_that_was_over_is_followed_by_one_of_its_own() -> None:
    """A part that ended does not begin again."""
    message, _ = joined(text("One. "), [*text("Two."), Finish("stop")])

    assert ["One. ", "Two."] == [part.text for part in message.parts if isinstance(part, TextPart)]
    assert all(part.complete for part in message.parts)


@pytest.mark.parametrize("first", [0, 4])
def test_parts_of_the_continuation_are_after_those_that_are_there(first: int) -> None:
    thinking: list[Event] = [
        PartStart(ReasoningPart(), part=first + 1),
        ReasoningDelta("Hm.", part=first + 1),
        PartDone(ReasoningPart(text="Hm.", complete=True), part=first + 1),
    ]
    call = ToolCall(id="c", name="f", arguments_text="{}", complete=True)
    calls: list[Event] = [
        ToolCallStart("c", "f", part=first + 2),
        ToolCallDelta("c", "{}", part=first + 2),
        ToolCallDone(call, part=first + 2),
    ]
    after = [*text("lo", first), *thinking, *calls, Finish("tool_calls")]
    message, _ = joined(text("Hel", done=False), after)

    assert ["text", "reasoning", "tool_call"] == [part.kind for part in message.parts]
    assert "Hello" == message.text
    assert (call,) == message.tool_calls


@pytest.mark.slow
def test_a_continuation_may_have_as_many_parts_as_an_answer() -> None:
    """Each gets the next number, which takes as long for the last as for the first."""
    many = [event for part in range(1, 9_001) for event in text(str(part), part)]
    message, _ = joined(text("0", done=False), [*text("", 0), *many, Finish("stop")])

    assert [str(part) for part in range(9_001)] == [
        part.text for part in message.parts if part.kind == "text"
    ]


def test_an_open_text_ends_where_the_model_goes_on_with_something_else() -> None:
    call = ToolCall(id="c", name="f", arguments_text="{}", complete=True)
    after: list[Event] = [ToolCallStart("c", "f"), ToolCallDone(call), Finish("tool_calls")]
    message, events = joined(text("Let me look.", done=False), after)

    assert [PartDone, ToolCallStart] == [type(event) for event in events[1:3]]
    assert all(part.complete for part in message.parts)
    assert ["text", "tool_call"] == [part.kind for part in message.parts]


def test_an_id_that_was_used_is_another_one() -> None:
    def run(query: str, part: int) -> list[Event]:
        call = ServerToolCall(id="srv_1", name="search", arguments_text=query, complete=True)
        result = ServerToolResult(id="srv_1", name="search", content=query, complete=True)
        return [
            PartStart(call, part=part),
            PartDone(call, part=part),
            PartStart(result, part=part + 1),
            PartDone(result, part=part + 1),
        ]

    call = ToolCall(id="srv_1", name="f", arguments_text="{}", complete=True)
    mine: list[Event] = [
        ToolCallStart("srv_1", "f", part=3),
        ToolCallDelta("srv_1", "{}", part=3),
        ToolCallDone(call, part=3),
    ]
    before = [*run('"a"', 0), *text("So", 2, done=False)]
    message, events = joined(before, [*text("me"), *run('"b"', 1), *mine, Finish("stop")])

    ids = [
        part.id for part in message.parts if isinstance(part, ServerToolCall | ServerToolResult | ToolCall)
    ]
    assert ["srv_1", "srv_1", "srv_1_2", "srv_1_2", "srv_1_2"] == ids
    assert {"srv_1_2"} == {event.id for event in events if isinstance(event, ToolCallStart | ToolCallDelta)}


def test_a_new_id_is_not_that_of_another_call() -> None:
    """The continuation may have a call whose id looks like a new one."""

    def call(id: str, part: int) -> list[Event]:
        whole = ToolCall(id=id, name="f", arguments_text="{}", complete=True)
        return [
            ToolCallStart(id, "f", part=part),
            ToolCallDelta(id, "{}", part=part),
            ToolCallDone(whole, part=part),
        ]

    before = [*call("a", 0), *text("So", 1, done=False)]
    after = [*text("me"), *call("a", 1), *call("a_2", 2), *call("b", 3), Finish("tool_calls")]
    message, _ = joined(before, after)

    assert ["a", "a_2", "a_2_2", "b"] == [call.id for call in message.tool_calls]


def test_a_source_is_named_for_its_place_in_the_whole_text() -> None:
    source = Citation(url="https://example.org", start=20, end=22, cites=0)
    after: list[Event] = [
        *text("the old river flows on.", done=False),
        CitationAdded(source, part=1),
        PartDone(TextPart(text="", complete=True)),
        Finish("stop"),
    ]
    message, _ = joined(text("As they say: the old river flows", done=False), after, prefill=False)

    (found,) = message.citations
    assert "As they say: the old river flows on." == message.text
    assert (0, 33, 35) == (found.cites, found.start, found.end)


def test_an_event_of_the_format_is_not_changed() -> None:
    own = TextDelta("lo", part=3)
    joined(text("Hel", done=False), [*text(" wor", 3, done=False), own])

    assert TextDelta("lo", part=3) == own


def test_the_picture_of_a_seam_is_what_a_stream_gives() -> None:
    """`python docs/_programs/seam_picture.py` draws it anew."""
    drawn = runpy.run_path(str(ROOT / "docs" / "_programs" / "seam_picture.py"))["draw"]()

    assert drawn == (ROOT / "docs" / "pictures" / "seam.svg").read_text(encoding="utf-8")


def test_thoughts_that_led_to_a_search_stay_with_it() -> None:
    """A provider asks for them with the call, whoever runs the tool; others leave no part behind."""

    def thought(part: int) -> list[Event]:
        return [PartStart(ReasoningPart(), part=part), ReasoningDelta("Hm.", part=part), PartDone(part=part)]

    search = ServerToolCall(id="s", name="search", arguments_text="{}", complete=True)
    call: list[Event] = [PartStart(search, part=1), PartDone(search, part=1)]
    searched, _ = joined(text("Hel", done=False), [*thought(0), *call, *text("lo", 2), Finish("stop")])
    alone, events = joined(text("Hel", done=False), [*thought(0), *text("lo", 1), Finish("stop")])

    assert ["text", "reasoning", "server_tool_call"] == [part.kind for part in searched.parts]
    assert "Hello" == searched.text == alone.text
    assert ["text"] == [part.kind for part in alone.parts]
    assert [0] == [event.part for event in events if isinstance(event, PartDone)]


def test_a_source_of_the_whole_answer_is_moved_with_its_text() -> None:
    known, new = Citation(url="https://example.org"), Citation(url="https://example.net", start=4, end=7)
    before: list[Event] = [CitationAdded(known), *text("So they say: ", 1, done=False)]
    after: list[Event] = [
        CitationAdded(known),
        *text("and why not.", 1),
        CitationAdded(new, part=2),
        Finish("stop"),
    ]
    message, _ = joined(before, after)

    assert [(None, None), (17, 20)] == [(each.start, each.end) for each in message.citations]
    assert "why" == message.text[17:20]
    assert ["citation", "text", "citation"] == [part.kind for part in message.parts]
