"""The message has its parts in the order of the provider, however late they come; events as they came."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini_interactions import support as steps
from tests.formats.openai_responses.payloads import (
    added,
    answer,
    call,
    created,
    done,
    ended,
    hello,
    message,
    output_text,
    reasoning,
    remove,
)
from tests.support.wire import sses
from tokenstream import Message, Stream, Tags, relay
from tokenstream.events import Finish, TextDelta, Unknown

CITED = {"type": "url_citation", "url": "https://k.example", "start_index": 0, "end_index": 3}
FIRST = message(output_text("One, ", CITED), status="completed", id="msg_0")
SECOND = message(output_text("<think>so</think>two."), status="completed", id="msg_1")
THOUGHT = reasoning(id="rs_0", encrypted_content="c2VhbGVk")
LATE = sses(*answer(added({**SECOND, "content": []}, 1), done(SECOND, 1), output=[FIRST, SECOND]))
WHOLE = sses(*answer(added({**FIRST, "content": []}), done(FIRST), done(SECOND, 1), output=[FIRST, SECOND]))


def seen(told: Message) -> list[Any]:
    """Return the parts without data of the provider, and without positions, which tags move."""
    blank = {"provider_data": None, "start": None, "end": None}
    return [part.model_copy(update=blank) for part in told.parts]


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("way", ["stream", "shared", "relay"])
def test_a_text_that_only_the_end_has_is_in_its_place(way: str, *, tags: bool) -> None:
    expected = Stream(WHOLE, tags=Tags(reasoning=tags)).final()
    stream: Any = Stream(LATE, tags=Tags(reasoning=tags))
    if way == "shared":
        stream, _ = stream.tee(2)
    elif way == "relay":
        stream = Stream(b"".join(relay.encode(stream, protocol="tokenstream")))
    words = [event.text for event in stream if isinstance(event, TextDelta)]

    assert seen(expected) == seen(stream.message)
    assert words == (["two.", "One, "] if tags else ["<think>so</think>two.", "One, "])
    if way == "stream":
        assert 1 == stream.departures.details["part_late"]


def test_a_reader_that_comes_late_gets_the_order() -> None:
    hub = Stream(LATE).broadcast()
    first = hub.reader().final()
    late = hub.reader()
    events = list(late)

    assert seen(first) == seen(late.message)
    assert [(1, 2, 0)] == [event.order for event in events if isinstance(event, Finish)]
    assert [] == [event for event in events if isinstance(event, Unknown)]


@pytest.mark.parametrize("begun", [1, 2, 3, 5])
def test_a_reasoning_that_no_event_has_begun_is_in_the_next_turn(begun: int) -> None:
    """A connection that joins late has it from the end of the answer alone, and puts it before its call."""
    ends = call('{"path": "/srv"}', "completed")
    told = [*remove(1), ended(output=[THOUGHT, ends])][begun:]
    turn = Stream(sses(*told)).final().to_openai_responses()

    assert [("reasoning", "c2VhbGVk"), ("function_call", None)] == [
        (item["type"], item.get("encrypted_content")) for item in turn
    ]


def test_items_that_begin_in_another_order_are_in_that_of_their_indexes() -> None:
    """The end of the answer need not repeat them."""
    told = Stream(sses(created(), *hello(1, id="msg_1"), *remove(0), ended(output=[]))).final()

    assert ["tool_call", "text"] == [part.kind for part in told.parts]
    assert ["function_call", "message"] == [item["type"] for item in told.to_openai_responses()]


@pytest.mark.parametrize("whole", [False, True])
def test_steps_of_an_interaction_are_in_the_order_of_their_indexes(*, whole: bool) -> None:
    first = {"type": "thought", "summary": [{"type": "text", "text": "Hm."}]}
    second = {"type": "model_output", "content": [{"type": "text", "text": "Hi"}]}
    late = [] if whole else [steps.start(0, "thought", summary=first["summary"]), steps.stop(0)]
    told = steps.read(
        steps.created(),
        *[steps.start(1, "model_output", content=second["content"]), steps.stop(1)],
        *late,
        steps.completed(steps=[first, second]) if whole else steps.completed(),
    )

    assert ("Hm.", "Hi") == (told.message.reasoning, told.text)
    assert ["reasoning", "text"] == told.kinds
    assert {"part_late": 1} == told.departures


def test_a_false_order_of_a_relay_moves_no_part_out_of_the_message() -> None:
    """Indexes that no part has, or that come twice, are passed over."""
    bodies = b"".join(relay.encode(Stream(LATE), protocol="tokenstream"))
    told = Stream(bodies.replace(b'"order":[1,2,0]', b'"order":[9,1,1,2]')).final()

    assert {"One, ", "<think>so</think>two."} == {part.text for part in told.parts if part.kind == "text"}
