"""Events in, a message out that is always current."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest

from tests.support.formats import OpenAIChat
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import LimitExceeded
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ProviderData,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.limits import Limits
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    TextPart,
    ToolCall,
    Usage,
)


def accumulate(*events: Event, limits: Limits | None = None) -> Accumulator:
    accumulator = Accumulator(limits=limits)
    for event in events:
        assert accumulator.feed(event) == []
    return accumulator


def test_deltas_alone_are_enough() -> None:
    """Events made by hand for a test need no starts."""
    assert accumulate(TextDelta("Hel"), TextDelta("lo")).message.text == "Hello"
    assert accumulate(ReasoningDelta("hm")).message.reasoning == "hm"
    assert accumulate(RefusalDelta("no")).message.refusal == "no"


def test_parts_are_in_the_order_in_which_they_came() -> None:
    message = accumulate(
        PartStart(TextPart()),
        TextDelta("a"),
        PartDone(),
        ToolCallStart("c", "f", part=1),
        ToolCallDelta("c", "{", part=1),
        ToolCallDelta("c", "}", part=1),
        PartStart(TextPart(), part=2),
        TextDelta("b", part=2),
    ).message

    assert [part.kind for part in message.parts] == ["text", "tool_call", "text"]
    assert [part.complete for part in message.parts] == [True, False, False]
    assert message.text == "ab"
    assert message.tool_calls[0].arguments_text == "{}"


def test_a_finished_part_is_shared_by_later_messages() -> None:
    """A snapshot costs what changed."""
    accumulator = accumulate(TextDelta("a"), PartDone(), TextDelta("b", part=1))
    first = accumulator.message
    accumulator.take(TextDelta("c", part=1))

    assert accumulator.message.parts[0] is first.parts[0]
    assert first.text == "ab"
    assert accumulator.message.text == "abc"


def _calls_of_messages(pieces: int) -> int:
    """Return how many functions run while a message is taken after each of so many pieces of text."""
    accumulator, made = Accumulator(), 0

    def count(_frame: object, kind: str, _about: object) -> None:
        nonlocal made
        made += kind.endswith("call")

    sys.setprofile(count)
    try:
        for _ in range(pieces):
            accumulator.feed(TextDelta("word "))
            assert accumulator.message.text
    finally:
        sys.setprofile(None)
    return made


def test_messages_of_a_long_text_cost_no_more_each() -> None:
    assert _calls_of_messages(800) < 5 * _calls_of_messages(200)


def test_a_message_is_the_same_object_until_something_happens() -> None:
    accumulator = accumulate(TextDelta("a"))

    assert accumulator.message is accumulator.message


def test_the_end_of_a_part_tells_what_it_was() -> None:
    """`PartDone.content` is filled in when it is handed out, unless the format knew."""
    done, known = PartDone(), PartDone(OpaquePart(type="x"), part=1)
    accumulate(TextDelta("Hello"), done, PartStart(OpaquePart(type="x"), part=1), known)

    assert done.content == TextPart(text="Hello", complete=True)
    assert known.content == OpaquePart(type="x", complete=True)


def test_a_call_that_was_handed_out_replaces_its_pieces() -> None:
    """The call is the format's word."""
    call = ToolCall(id="c", name="f", arguments_text="{}", complete=True)
    accumulator = accumulate(ToolCallStart("c", "f"), ToolCallDelta("c", "{}{}"), ToolCallDone(call))

    assert accumulator.message.tool_calls == (call,)
    assert accumulator.tool_calls_delivered == ["c"]
    assert [call] == accumulator.log_of(0).calls
    assert [] == accumulator.log_of(1).calls


def test_a_call_that_ended_on_no_json_is_kept_on_each_connection() -> None:
    """The answer outlives a connection, and what has ended stays the same."""
    accumulator = Accumulator()
    for number in range(3):
        parts = OpenAIChat().parts
        parts.close_call(parts.open_call(0, f"c{number}", "f"))
        call = parts.open_call(0, f"broken{number}", "f")
        parts.add_arguments(call, "[]]")
        events: list[Any] = parts.take()
        for event in events[:-1]:
            event.part = number * 2 + (event.part or 0)
            accumulator.take(event)
        before = [*accumulator.log_of(0).calls]
        parts.close_call(call)
        ended: list[Any] = [events[-1], *parts.take()]
        for event in ended:
            event.part = number * 2 + 1
            accumulator.take(event)

        assert number * 2 + 1 == len(before)
        assert [*before, accumulator.message.tool_calls[-1]] == accumulator.log_of(0).calls


def test_a_call_that_ended_on_no_json_ends_with_an_event() -> None:
    parts = OpenAIChat().parts
    for name in "ab":
        call = parts.open_call(0, name, "f")
        parts.add_arguments(call, "[")
        parts.add_arguments(call, "]]")
        parts.close_call(call)
    accumulator, seen = Accumulator(), list[str]()
    for event in parts.take():
        accumulator.take(event)
        ended = accumulator.log_of(0).calls
        seen.append(" ".join([call.id + call.arguments_text for call in ended]))

    assert ["", "", "", "a[]]", "a[]]", "a[]]", "a[]]", "a[]] b[]]"] == seen


def test_how_a_call_ended_survives_a_pickle() -> None:
    """All that is known of it is in the events, so an accumulator elsewhere comes to the same."""
    parts = OpenAIChat().parts
    call = parts.open_call(0, "c", "f")
    parts.add_arguments(call, "[]]")
    parts.close_call(call)
    events = parts.take()
    there = accumulate(*pickle.loads(pickle.dumps(events)))

    assert [PartDone(ToolCall(id="c", name="f", arguments_text="[]]"))] == events[-1:]
    assert accumulate(*events).message == there.message
    assert [*there.message.tool_calls] == there.log_of(0).calls
    assert not there.message.tool_calls[0].complete


def test_signatures_and_server_tools_and_media() -> None:
    message = accumulate(
        PartStart(ReasoningPart()),
        ReasoningDelta("hm"),
        ReasoningDelta("", "si"),
        ReasoningDelta("", "g"),
        PartStart(ServerToolCall(id="s", name="web_search"), part=1),
        PartDelta('{"q":', part=1),
        PartDelta("1}", part=1),
        PartStart(MediaPart(mime_type="audio/wav"), part=2),
        MediaDelta(b"\x00", part=2),
        MediaDelta(b"\x01", "hi", part=2),
        CitationAdded(Citation(url="u"), part=3),
    ).message
    reasoning, server, media, citation = message.parts

    assert isinstance(reasoning, ReasoningPart)
    assert (reasoning.text, reasoning.signature) == ("hm", "sig")
    assert isinstance(server, ServerToolCall)
    assert server.arguments_text == '{"q":1}'
    assert isinstance(media, MediaPart)
    assert (media.data, media.transcript) == (b"\x00\x01", "hi")
    assert citation == Citation(url="u")


def test_counts_that_no_event_has_reported_are_in_the_message() -> None:
    late: list[Usage | None] = [Usage(output_tokens=9, provider_data={"o": 9})]
    accumulator = Accumulator(late_usage=lambda: late[0])
    accumulator.take(UsageUpdate(Usage(input_tokens=7, output_tokens=3, provider_data={"i": 7, "o": 3})))
    usage = accumulator.message.usage

    assert (usage.input_tokens, usage.output_tokens, usage.provider_data) == (7, 9, {"i": 7, "o": 9})
    assert accumulator.counted == usage

    late[0] = None
    accumulator.take(TextDelta("a"))

    assert accumulator.message.usage.output_tokens == 3


def test_usage_is_merged_and_never_nulled() -> None:
    """A later report replaces the fields that it has."""
    accumulator = accumulate(
        UsageUpdate(Usage(input_tokens=7, output_tokens=1, provider_data={"i": 7, "o": 1})),
        UsageUpdate(Usage(output_tokens=5, provider_data={"i": None, "o": 5})),
    )
    usage = accumulator.message.usage

    assert (usage.input_tokens, usage.output_tokens, usage.basis) == (7, 5, "partial")
    assert usage.provider_data == {"i": 7, "o": 5}
    assert accumulator.counted == usage
    accumulator.take(Finish("stop"))
    assert accumulator.message.usage.basis == "reported"
    assert not Accumulator().message.usage


def test_fields_without_a_word_are_kept_beside_the_message() -> None:
    accumulator = accumulate(
        MessageStart(provider_data={"tier": "a", "seed": 7}),
        ProviderData({"tier": "b"}, {"logprobs": [1]}),
        TextDelta("x", choice=1),
        Finish("stop", provider_data={"time": 2}),
        Finish("stop", choice=1, provider_data={"seed": 8}),
    )
    before = accumulator.message
    accumulator.take(ProviderData({"seed": 9}, shared=True))
    accumulator.take(ProviderData(lists={"logprobs": [2]}))
    accumulator.take(Unknown("surprise", {"a": 1}))

    assert accumulator.message.provider_data == {"tier": "b", "seed": 9, "time": 2, "logprobs": [1, 2]}
    assert accumulator.message_of(1).provider_data == {"tier": "a", "seed": 9}
    assert before.provider_data["logprobs"] == [1]


def test_items_join_a_field_of_their_name() -> None:
    sent = ["b"]
    accumulator = Accumulator()
    for event in (
        ProviderData({"logprobs": {"a": 1}}, {"logprobs": [2]}),
        ProviderData({"tokens": sent}),
        ProviderData(lists={"tokens": ["c"]}),
    ):
        accumulator.take(event)

    assert {"logprobs": [{"a": 1}, 2], "tokens": ["b", "c"]} == accumulator.message.provider_data
    assert ["b"] == sent


def test_heads_add_up() -> None:
    message = accumulate(MessageStart(id="m"), MessageStart(model="x")).message

    assert (message.id, message.model, message.role) == ("m", "x", "assistant")


@pytest.mark.parametrize(
    "verdict, unfinished, finished",
    [
        ("complete", "complete", "complete"),
        ("truncated", "truncated", "complete"),
        ("stopped", "stopped", "complete"),
        ("failed", "failed", "failed"),
    ],
)
def test_each_choice_has_its_ending(verdict: Any, unfinished: str, finished: str) -> None:
    """A finish reason before a cut is an end; an error is everybody's."""
    accumulator = accumulate(TextDelta("b", choice=1), TextDelta("a"), Finish("stop", choice=1))
    assert [message.ending for message in accumulator.messages] == ["streaming", "streaming"]
    accumulator.conclude(verdict)
    accumulator.conclude("failed")

    assert [message.ending for message in accumulator.messages] == [unfinished, finished]
    assert accumulator.ending == unfinished
    assert accumulator.ending_of(1) == finished
    assert accumulator.ending_of(7) == unfinished


def test_the_message_is_the_first_choice_that_there_is() -> None:
    """Choice 0; another one only where the answer ended without it."""
    assert Accumulator().message == Message()
    accumulator = accumulate(TextDelta("b", choice=2))
    assert accumulator.message.choice == 0
    accumulator.conclude("complete")
    assert accumulator.message.choice == 2
    assert accumulator.ending == "complete"
    assert accumulate(TextDelta("b", choice=2), TextDelta("a")).message.choice == 0
    empty = Accumulator()
    empty.conclude("truncated")
    assert (empty.main, empty.message.choice) == (0, 0)


def test_the_answer_that_was_given_up_comes_back_into_the_message() -> None:
    accumulator = accumulate(TextDelta("first"), Restarted(Message()), TextDelta("other"))
    assert accumulator.message.text == "other"
    accumulator.take_back()

    assert accumulator.message.text == "first"
    assert [message.text for message in accumulator.messages] == ["first"]


@pytest.mark.parametrize(
    "events",
    [
        [TextDelta("ab"), TextDelta("cd")],
        [ReasoningDelta("abcd")],
        [RefusalDelta("abcd")],
        [ToolCallDelta("c", "abcd")],
        [PartDelta("abcd")],
        [MediaDelta(b"ab", "cd")],
    ],
)
def test_content_is_bounded(events: list[Event]) -> None:
    assert accumulate(*events, limits=Limits(text=4)).error is None
    accumulator = accumulate(*events, limits=Limits(text=3))

    assert isinstance(accumulator.error, LimitExceeded)
    with pytest.raises(LimitExceeded):
        accumulator.check()
    before = accumulator.message
    accumulator.feed(TextDelta("more"))
    assert accumulator.message == before
    assert accumulator.end() == []
