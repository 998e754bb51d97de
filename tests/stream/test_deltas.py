"""One loop over all that an answer shows in words, in the order in which it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.recordings import Recorded, folder_of, ours
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Message, Stream, testing
from tokenstream.errors import MisuseError, StreamError, StreamTruncated
from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta
from tokenstream.message import ReasoningPart, TextPart

SHOWN = (TextDelta, ReasoningDelta, RefusalDelta)
SCRIPT = (
    testing.script()
    .reasoning("Hm. ", "Rain?")
    .text("Let me ", "look.")
    .tool_call("look", {"at": "sky"}, id="call_1")
    .reasoning("Clouds.")
    .text("It ", "rains.")
    .finish("stop")
)
TOLD = [
    (ReasoningDelta, "Hm. ", 0),
    (ReasoningDelta, "Rain?", 0),
    (TextDelta, "Let me ", 1),
    (TextDelta, "look.", 1),
    (ReasoningDelta, "Clouds.", 3),
    (TextDelta, "It ", 4),
    (TextDelta, "rains.", 4),
]


def told(deltas: Sequence[Any]) -> list[tuple[type, str, int]]:
    return [(type(delta), delta.text, delta.part) for delta in deltas]


def joined(deltas: Sequence[Any]) -> list[tuple[type, str, int]]:
    found: dict[tuple[int, type], str] = {}
    for delta in deltas:
        found[delta.part, type(delta)] = found.get((delta.part, type(delta)), "") + delta.text
    return [(kind, text, part) for (part, kind), text in sorted(found.items(), key=lambda each: each[0][0])]


async def collected(chunks: list[bytes], format: Any) -> list[Any]:
    async with AsyncStream(chunks, format=format) as stream:
        return [delta async for delta in stream.deltas]


def test_text_and_reasoning_come_in_their_order() -> None:
    chunks = SCRIPT.chunks("anthropic")
    whole = [(kind, text) for kind, text, _ in TOLD]

    assert whole[0][0] is ReasoningDelta
    assert joined(list(Stream(chunks, format="anthropic").deltas)) == [
        (ReasoningDelta, "Hm. Rain?", 0),
        (TextDelta, "Let me look.", 1),
        (ReasoningDelta, "Clouds.", 3),
        (TextDelta, "It rains.", 4),
    ]


@pytest.mark.anyio
async def test_an_async_loop_is_given_the_same() -> None:
    chunks = SCRIPT.chunks("anthropic")

    assert list(Stream(chunks, format="anthropic").deltas) == await collected(chunks, "anthropic")


def test_a_refusal_is_shown_in_words_too() -> None:
    chunks = testing.script().text("No. ").refusal("I can", "not.").finish("stop").chunks("openai-chat")

    deltas = list(Stream(chunks, format="openai-chat").deltas)
    assert [(TextDelta, "No. ", 0), (RefusalDelta, "I cannot.", 1)] == joined(deltas)


@pytest.mark.few_rows(4)
@in_one_test("recorded", ours(), ids=lambda recorded: recorded.name, by=folder_of)
def test_they_are_the_events_that_show_words(recorded: Recorded) -> None:
    given: list[Any] = []
    shown: list[Any] = []
    for found, view in ((given, "deltas"), (shown, "events")):
        stream = Stream(recorded.body, format=recorded.format)
        try:
            found.extend(stream.deltas if view == "deltas" else stream)
        except StreamError:
            stream.close()

    assert [
        event for event in shown if isinstance(event, SHOWN) and event.text and event.choice == 0
    ] == given


def test_a_loop_that_starts_late_is_given_each_part_at_once() -> None:
    stream = Stream(SCRIPT.chunks("anthropic"), format="anthropic")
    stream.final()

    assert [(ReasoningDelta, 0), (TextDelta, 1), (ReasoningDelta, 3), (TextDelta, 4)] == [
        (type(delta), delta.part) for delta in stream.deltas
    ]


def test_what_breaks_off_is_raised_after_what_came() -> None:
    stream = Stream(SCRIPT.chunks("anthropic")[:7], format="anthropic")
    given: list[Any] = []
    with pytest.raises(StreamTruncated) as caught:
        given.extend(stream.deltas)

    assert "Hm. " == caught.value.partial.reasoning[:4]
    assert stream.closed


def test_a_view_of_deltas_is_read_in_a_loop() -> None:
    with (
        Stream(SCRIPT.chunks("anthropic"), format="anthropic") as stream,
        pytest.raises(MisuseError, match=r"stream\.message\.parts"),
    ):
        bool(stream.deltas)


def test_parts_of_text_are_joined_with_what_the_caller_wants_between_them() -> None:
    parts = (TextPart(text="One."), ReasoningPart(text="Hm."), TextPart(text=""), TextPart(text="Two."))

    assert "One.\n\nTwo." == Message(parts=parts).join_text()
    assert "One. | Two." == Message(parts=parts).join_text(" | ")
    assert "" == Message().join_text()
