"""Wherever a reader of an answer stands, it is given all that has come since, as events."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import registry
from tests.support.reading import read
from tests.support.recordings import Recorded, ours, shared
from tests.support.sampling import sampled
from tokenstream._answer.accumulator import Accumulator
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
    Resumed,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    Usage,
)
from tokenstream.stream._views.event_cursor import EventCursor

WORDS = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)


def told(events: Iterable[Event], looks: Callable[[int], bool]) -> tuple[list[Message], list[Event]]:
    """Return the messages that events make, and what a reader is given who looks after some of them."""
    accumulator = Accumulator()
    cursor = EventCursor(accumulator)
    found: list[Event] = []
    for number, event in enumerate(events):
        accumulator.take(event)
        if looks(number):
            found.extend(cursor.ready())
    found.extend(cursor.ready())
    assert [] == cursor.ready()
    return accumulator.messages or [accumulator.message], found


def made_of(events: Iterable[Event]) -> list[Message]:
    accumulator = Accumulator()
    for event in events:
        accumulator.take(event)
    return accumulator.messages or [accumulator.message]


def words(events: Iterable[Any]) -> list[Event]:
    """Return the words of events; a signature that comes with some of them is no word."""
    return [
        TextDelta(event.text, choice=event.choice, part=event.part)
        if isinstance(event, ReasoningDelta)
        else event
        for event in events
        if isinstance(event, WORDS) and (not isinstance(event, ReasoningDelta) or event.text)
    ]


@pytest.mark.parametrize("looks", [0b0, 0b1, 0b100, 0b1000, 0b11111111, 0b10001000, 0b11010])
def test_a_cut_call_that_a_continuation_makes_again_is_one_call(looks: int) -> None:
    cut, whole = (ToolCall(id=id, name="f", arguments_text="{}") for id in ("c1", "c2"))
    events: list[Event] = [
        TextDelta("Well. "),
        PartDone(None, part=0),
        ToolCallStart("c1", "f", part=1),
        ToolCallDelta("c1", "{", part=1),
        Resumed("continue", at=0, discarded=(cut,)),
        ToolCallStart("c2", "f", part=1),
        ToolCallDelta("c2", "{}", part=1),
        ToolCallDone(whole.model_copy(update={"complete": True}), part=1),
    ]
    messages, found = told(events, lambda number: bool(looks >> number & 1))

    assert [message.parts for message in messages] == [message.parts for message in made_of(found)]
    assert ["text", "tool_call"] == [part.kind for part in messages[0].parts]
    begun = [event.id for event in found if isinstance(event, ToolCallStart) and event.id == "c1"]
    left_out = [call.id for event in found if isinstance(event, Resumed) for call in event.discarded]
    assert begun == left_out == ["c1"] * bool(looks & 0b1100)


def every(_: int) -> bool:
    return True


RECORDED = [recorded for recorded in [*ours(), *shared()] if recorded.format in registry.names()]
each_recording = pytest.mark.parametrize(
    "recorded", sampled(RECORDED, one_in=12, slow_one_in=3), ids=lambda recorded: recorded.name
)


@each_recording
def test_a_reader_comes_to_the_same_message_wherever_it_looks(recorded: Recorded) -> None:
    events = read([recorded.body], format=recorded.format).events
    dice = random.Random(len(events))
    places: list[Callable[[int], bool]] = [every, lambda _: False, lambda _: dice.random() < 0.1]
    for looks in places:
        messages, found = told(events, looks)

        assert messages == made_of(found)


@each_recording
def test_a_reader_who_looks_after_every_event_is_given_the_words_as_they_come(recorded: Recorded) -> None:
    events = read([recorded.body], format=recorded.format).events
    _, found = told(events, every)

    assert words(events) == words(found)


_pieces = st.text("ab", min_size=1, max_size=3)
_kinds = ["text", "reasoning", "refusal", "call", "custom", "server", "result", "media", "opaque", "citation"]


def _begun(kind: str, choice: int, part: int) -> Event:
    where: Any = {"choice": choice, "part": part}
    id = f"c{choice}.{part}"
    starts: dict[str, Event] = {
        "text": PartStart(TextPart(phase="commentary"), **where),
        "reasoning": PartStart(ReasoningPart(), **where),
        "refusal": PartStart(RefusalPart(), **where),
        "call": ToolCallStart(id, "f", provider_data={"a": 1}, **where),
        "custom": ToolCallStart(id, "f", "custom", **where),
        "server": PartStart(ServerToolCall(id=id, name="s", arguments_text="{"), **where),
        "result": PartStart(ServerToolResult(id=id, content=[1]), **where),
        "media": PartStart(MediaPart(mime_type="a/b", data=b"0"), **where),
        "opaque": PartStart(OpaquePart(type="t"), **where),
        "citation": CitationAdded(Citation(url="u"), **where),
    }
    return starts[kind]


def _more(draw: st.DrawFn, kind: str, choice: int, part: int) -> list[Event]:
    where: Any = {"choice": choice, "part": part}
    piece = draw(_pieces)
    match kind:
        case "text":
            return [TextDelta(piece, **where)]
        case "reasoning":
            signature = draw(st.sampled_from([None, None, "sig"]))
            text = draw(st.sampled_from([piece, "" if signature else piece]))
            return [ReasoningDelta(text, signature, **where)]
        case "refusal":
            return [RefusalDelta(piece, **where)]
        case "call" | "custom":
            return [ToolCallDelta(f"c{choice}.{part}", piece, **where)]
        case "server":
            return [PartDelta(piece, **where)]
        case "media":
            return [MediaDelta(draw(st.sampled_from([b"", b"xy"])), piece, **where)]
        case "opaque":
            return [PartStart(OpaquePart(type="t", data={"a": piece}), **where)]
        case _:
            return []


def _ended(draw: st.DrawFn, kind: str, choice: int, part: int, text: str) -> list[Event]:
    where: Any = {"choice": choice, "part": part}
    call = ToolCall(id=f"c{choice}.{part}", name="f", arguments_text=text)
    match kind:
        case "call" | "custom":
            whole = draw(st.booleans())
            done = call.model_copy(update={"complete": whole})
            return [ToolCallDone(done, **where) if whole else PartDone(done, **where)]
        case "citation":
            return []
        case _:
            return [PartDone(**where)]


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Draw events of parts that are written in turns, in two choices, by attempts that may break off."""
    events: list[Event] = []
    for attempt in range(draw(st.integers(1, 2))):
        if attempt:
            events.append(Restarted(Message()))
        id, model = (draw(st.sampled_from([None, *names])) for names in ("mn", "x"))
        events.append(MessageStart(id, model))
        opened: dict[tuple[int, int], str] = {}
        over: set[tuple[int, int]] = set()
        texts: dict[tuple[int, int], str] = {}
        for _ in range(draw(st.integers(0, 14))):
            choice = draw(st.integers(0, 1))
            mine = [place for place in opened if place[0] == choice]
            what = draw(st.sampled_from(["begin", "more", "more", "more", "end", "other"]))
            running = [place for place in mine if place not in over]
            if what == "begin" or (not running and what != "other"):
                kind = draw(st.sampled_from(_kinds))
                place = (choice, len(mine))
                opened[place] = kind
                events.append(_begun(kind, *place))
                if kind == "citation":
                    over.add(place)
            elif what == "more":
                place = draw(st.sampled_from(running))
                more = _more(draw, opened[place], *place)
                fragments = [event.fragment for event in more if isinstance(event, ToolCallDelta)]
                texts[place] = "".join([texts.get(place, ""), *fragments])
                events += more
            elif what == "end":
                place = draw(st.sampled_from(running))
                over.add(place)
                events += _ended(draw, opened[place], *place, texts.get(place, ""))
            else:
                events.append(draw(st.sampled_from(_OTHERS))(choice))
        if draw(st.booleans()):
            events.append(Finish("stop", "STOP"))
    return events


_OTHERS: list[Callable[[int], Event]] = [
    lambda _: UsageUpdate(Usage(output_tokens=3, provider_data={"o": 3})),
    lambda _: UsageUpdate(Usage(input_tokens=7, output_tokens=5)),
    lambda choice: ProviderData({"field": "value"}, {"list": [1, 2]}, choice=choice),
    lambda _: ProviderData({"field": "other"}, {"all": [3]}, shared=True),
    lambda _: MessageStart("m", "x", another=True, provider_data={"field": "first"}),
    lambda choice: Finish("length", choice=choice, provider_data={"field": "last"}),
]


@given(answers(), st.data())
def test_parts_that_are_written_in_turns_come_whole(events: list[Event], data: st.DataObject) -> None:
    looked = data.draw(st.sets(st.integers(0, len(events))))
    messages, found = told(events, lambda number: number in looked)
    again = made_of(found)
    if any(isinstance(event, Restarted) for event in events):
        # The counts of an attempt are final where the reader has seen that it had finished.
        messages, again = [*map(_uncounted, messages)], [*map(_uncounted, again)]

    assert [*filter(_says, messages)] == [*filter(_says, again)]


def _says(message: Message) -> bool:
    """Tell whether there is anything of a choice; one whose only reason was taken back is none."""
    return bool(message.parts or message.finish_reason or message.provider_data or not message.choice)


def _uncounted(message: Message) -> Message:
    usage = message.usage.model_dump(exclude={"basis", "provider_data"})
    return message.model_copy(update={"usage": Usage(**usage) if any(usage.values()) else Usage()})


def test_a_reader_is_told_that_the_answer_began_again() -> None:
    restarted = Restarted(Message(parts=(TextPart(text="Hel"),)))
    spent = UsageUpdate(Usage(output_tokens=2))
    messages, found = told([TextDelta("Hel"), spent, restarted, TextDelta("Hi")], every)

    assert restarted in found
    assert messages == made_of(found)


def test_what_a_loser_has_spent_counts_without_a_word_of_it() -> None:
    """No event tells of that: the sum is what the message has."""
    accumulator = Accumulator()
    cursor = EventCursor(accumulator)
    accumulator.take(TextDelta("Hi"))
    accumulator.take(UsageUpdate(Usage(output_tokens=2)))
    found = cursor.ready()
    accumulator.spend(Usage(input_tokens=7, output_tokens=5, basis="partial"))
    found += cursor.ready()

    assert accumulator.message == made_of(found)[0]
    assert accumulator.message == made_of(EventCursor(accumulator).ready())[0]


def test_an_answer_that_is_taken_back_is_sent_again() -> None:
    accumulator = Accumulator()
    cursor = EventCursor(accumulator)
    found: list[Event] = []
    for event in (TextDelta("Hel"), Restarted(Message()), TextDelta("Good")):
        accumulator.take(event)
        found.extend(cursor.ready())
    accumulator.take_back()
    found.extend(cursor.ready())

    assert "Hel" == made_of(found)[0].text


@pytest.mark.slow
def test_a_look_costs_what_has_changed() -> None:
    accumulator = Accumulator()
    cursor = EventCursor(accumulator)
    for part in range(1_000):
        accumulator.take(TextDelta("word " * 10, part=part))
        accumulator.take(PartDone(part=part))
    cursor.ready()
    seen = _Counted(accumulator.parts_from(0, 0))
    accumulator.state_to_copy()[0][0].parts = seen
    accumulator.take(TextDelta("more", part=1_000))

    assert [PartStart(TextPart(), part=1_000), TextDelta("more", part=1_000)] == cursor.ready()
    assert seen.looks < 10


@pytest.mark.parametrize("kind", ["text", "signature", "media"])
def test_a_look_at_a_part_costs_what_is_new_in_it(kind: str) -> None:
    deltas: dict[str, Event] = {
        "text": TextDelta("word ", part=0),
        "signature": ReasoningDelta("", "sign", part=0),
        "media": MediaDelta(b"data", part=0),
    }
    delta = deltas[kind]
    accumulator = Accumulator()
    cursor = EventCursor(accumulator)
    for _ in range(20 * 1024):
        accumulator.take(delta)
    cursor.ready()
    (part,) = accumulator.parts_from(0, 0)
    log: Any = part.log if kind == "text" else part.extra
    seen = log.pieces = _Counted(log.pieces)
    accumulator.take(delta)

    assert [delta] == cursor.ready()
    assert seen.looks < 10


class _Counted(list[Any]):
    """Parts that count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        self.looks += len(found) if isinstance(index, slice) else 1
        return found

    def __iter__(self) -> Any:
        raise AssertionError("all parts were looked at")
