"""Events in any order: every encoder gives what its reader reads, or raises the library's error."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.effort import examples, trials
from tests.support.encoders import READ_BACK, load, read_as
from tests.support.formats import TokenStream
from tests.support.recordings import ours
from tests.support.sent import losses_of
from tests.support.tables import in_one_test
from tokenstream import Stream, relay
from tokenstream.errors import ProtocolError, ProviderError, StreamError, StreamTruncated
from tokenstream.events import (
    Event,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    Restarted,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import Message, ReasoningPart, TextPart, ToolCall, Usage
from tokenstream.relay import ProtocolName

OTHERS = [name for name in READ_BACK if name not in ("tokenstream", "ndjson")]
CALL: list[Event] = [
    ToolCallStart("a", "pay", part=0),
    ToolCallDelta("a", '{"usd": 1}', part=0),
    ToolCallDone(ToolCall(id="a", name="pay", arguments_text='{"usd": 1}', complete=True), part=0),
]
LATE: list[Event] = [
    ToolCallDelta("a", '"y": 2}', part=0),
    ToolCallStart("a", "pay", part=0),
    ToolCallDone(ToolCall(id="a", name="pay", arguments_text='{"usd": 2}', complete=True), part=0),
    ToolCallDelta("b", "{}", part=0),
]

WAYS = ["shuffle", "double", "cut", "drop", "mix"]
KINDS = (ToolCallDelta, TextDelta, ToolCallDone)


def answers() -> list[list[Event]]:
    found: list[list[Event]] = []
    for recorded in ours():
        try:
            events = list(Stream(recorded.body, format=recorded.format))
        except StreamError:
            continue
        found.append(events[:40])
    return found


ANSWERS = answers()


def encode(events: list[Event], protocol: Any) -> list[bytes]:
    return list(relay.encode(events, protocol=protocol))


def read(chunks: list[bytes], protocol: Any) -> Stream:
    """Read what was encoded; an answer may have broken off, but it is never malformed."""
    stream = Stream(chunks, format=read_as(protocol))
    with suppress(StreamTruncated, ProviderError):
        stream.final()
    return stream


@pytest.mark.parametrize("protocol", READ_BACK)
@in_one_test("late", LATE, ids=lambda event: type(event).__name__)
def test_what_comes_for_a_call_after_its_end_is_dropped(protocol: ProtocolName, late: Event) -> None:
    plain = [MessageStart(), *CALL, Finish("tool_calls")]
    events = [MessageStart(), *CALL, late, Finish("tool_calls")]
    streams = [read(encode(each, protocol), protocol) for each in (plain, events)]
    calls = [
        [(call.id, call.arguments_text, call.complete) for call in stream.message.tool_calls]
        for stream in streams
    ]

    assert calls[0] == calls[1]
    assert len(calls[0]) == ("tool_call" in load(protocol).expresses)


BEGUN = PartStart(TextPart())
SAID = PartStart(TextPart(text="Hel"))
SAYING = (
    *("anthropic", "bedrock-converse", "bedrock-invoke", "cohere"),
    *("gemini", "gemini-live", "gemini-interactions"),
)
"""The protocols that send the words with which a part may begin."""


HELLOS: dict[str, list[Event]] = {
    "nothing around it": [TextDelta("Hello")],
    "twice": [
        *(MessageStart(), MessageStart(model="m"), BEGUN, BEGUN),
        *(TextDelta("Hello"), PartDone(), PartDone(), BEGUN),
    ],
    "late": [MessageStart(id="a"), TextDelta("Hel"), MessageStart(id="late"), BEGUN, TextDelta("lo")],
    "in the start": [SAID, SAID, TextDelta("lo")],
    "no text": [],
}


@in_one_test("text", HELLOS.values(), ids=HELLOS)
@in_one_test("protocol", OTHERS)
def test_heads_and_borders_may_lack_or_come_twice_and_counts_late(
    protocol: ProtocolName, text: list[Event]
) -> None:
    """What a part's start holds is sent once; the last counts are those that count."""
    if SAID in text and protocol not in SAYING:
        said: list[Event] = [TextDelta("Hel")]
        text = said + text
    counts = [UsageUpdate(Usage(input_tokens=3)), *(UsageUpdate(Usage(output_tokens=n)) for n in (4, 5))]
    ended: list[Event] = [counts[0], Finish("stop"), *counts[1:]]
    stream = read(encode(text + ended, protocol), protocol)
    message = stream.message

    assert ("Hello" if text else "") == message.text
    assert set() == set(stream.departures.details) - ({"answer_empty"} if not text else set())
    for name, count in (("input_tokens", 3), ("output_tokens", 5)):
        assert name not in load(protocol).counts or count == getattr(message.usage, name)


@in_one_test("protocol", OTHERS)
def test_text_after_the_end_of_its_part_is_kept(protocol: ProtocolName) -> None:
    other = PartStart(ReasoningPart(), part=1)
    text: list[Event] = [
        TextDelta("Hello", part=0),
        PartDone(part=0),
        other,
        PartDone(part=1),
        TextDelta("!", part=0),
    ]
    events: list[Event] = [MessageStart(), *text, Finish("stop")]

    assert "Hello!" == read(encode(events, protocol), protocol).message.text


@in_one_test("protocol", OTHERS)
@in_one_test(
    "other",
    [ReasoningDelta("Hm", part=0), ToolCallStart("a", "pay", part=0), ToolCallDelta("a", "{}", part=0)],
    ids=lambda event: type(event).__name__,
)
def test_a_part_has_one_kind(protocol: ProtocolName, other: Event) -> None:
    """Content of another kind has no place in it, and is left out; the log says so by kind and index."""
    events: list[Event] = [MessageStart(), TextDelta("Hello", part=0), other, Finish("stop")]
    (lost,) = losses_of(protocol, *events).values()

    assert lost[0].startswith("part 0 of the answer, which was text before and now is ")
    assert "Hello" == read(encode(events, protocol), protocol).message.text


def test_our_own_reader_refuses_a_part_of_two_kinds() -> None:
    """Our own protocol carries any event; its reader checks."""
    chunks = encode([MessageStart(), TextDelta("Hello"), ReasoningDelta("Hm")], "tokenstream")

    with pytest.raises(ProtocolError, match="part 0 was 'text' before"):
        read(chunks, "tokenstream")


@pytest.mark.slow
@given(st.integers(), st.sampled_from(READ_BACK), st.sampled_from(WAYS))
@examples(trials(2_000))
def test_any_sequence_of_events_is_encoded(seed: int, protocol: ProtocolName, way: str) -> None:
    chance = random.Random(seed)
    events = list(chance.choice(ANSWERS))
    if way == "shuffle":
        chance.shuffle(events)
    elif way == "double":
        for event in chance.choices(events, k=3):
            events.insert(chance.randint(0, len(events)), event)
    elif way == "cut":
        events = events[chance.randrange(len(events)) :]
    elif way == "drop":
        events = [event for event in events if chance.random() > 0.2]
    else:
        other, place = chance.choice(ANSWERS), chance.randint(0, len(events))
        start = chance.randrange(len(other))
        events[place:place] = other[start : start + 6]
    chunks = encode(events, protocol)
    # Our own protocol carries a part of two kinds as it is, and its reader refuses it.
    with suppress(*[] if protocol in OTHERS else [ProtocolError]):
        read(chunks, protocol)


@pytest.mark.parametrize("shortcuts", [True, False])
def test_our_own_reader_counts_what_comes_too_late(shortcuts: bool) -> None:
    format = TokenStream()
    format.shortcuts = shortcuts
    pieces: list[Event] = []
    for _ in range(20):
        pieces += [ToolCallDelta("a", "1", part=0), TextDelta("b", part=1)]
    events = [*CALL[:1], *pieces, *CALL[2:], *pieces, *CALL[2:]]
    given = [event for chunk in encode(events, "ndjson") for event in format.feed(chunk.strip())]

    assert (20, 40, 1) == tuple(sum(isinstance(event, kind) for event in given) for kind in KINDS)
    assert {"call_after_done": 20, "call_repeated": 1} == format.departures.details


def test_a_new_answer_may_use_the_parts_of_the_one_before() -> None:
    """After a restart, no part has ended."""
    events = [*CALL, Restarted(Message()), *CALL, Finish("tool_calls")]
    stream = read(encode(events, "tokenstream"), "tokenstream")

    assert [("a", True)] == [(call.id, call.complete) for call in stream.message.tool_calls]
