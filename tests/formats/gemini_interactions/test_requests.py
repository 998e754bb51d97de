"""The Interactions API: whole answers, names of older previews, and what a new request needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.gemini_interactions.support import (
    WHOLE,
    completed,
    created,
    delta,
    event,
    read,
    start,
    stop,
)
from tests.support import registry
from tests.support.formats import GeminiInteractions
from tests.support.tables import in_one_test
from tokenstream import Decoder
from tokenstream.events import ProviderData


def test_where_the_interaction_can_be_gone_on_with_is_known_with_each_event() -> None:
    interactions = GeminiInteractions()
    interactions.feed(start(0, "model_output")[1])
    for number in range(9):
        payload = {**delta(0, "text", text="a")[1], "event_id": f"e{number}"}
        told = [each for each in interactions.feed(payload) if isinstance(each, ProviderData)]

        assert [each.data for each in told] == [{"event_id": f"e{number}"}]


def _numbered(ids: list[str], *payloads: Any) -> list[Any]:
    return [(name, {**payload, "event_id": id}) for (name, payload), id in zip(payloads, ids, strict=True)]


_CALLED = [
    created(),
    start(0, "model_output"),
    *[delta(0, "text", text=piece) for piece in ("la ", "la ", "la")],
    stop(0),
    start(1, "function_call", id="call_1", name="sing", arguments={}),
    *[delta(1, "arguments_delta", arguments=piece) for piece in ('{"song"', ': "la"}')],
    stop(1),
    completed("requires_action"),
]
_IDS = [f"e{(7 * number) % 11}" for number in range(len(_CALLED))]


@in_one_test("length", range(1, len(_CALLED) + 1))
@in_one_test("at", range(len(_CALLED)))
def test_events_that_come_again_with_their_ids_are_dropped(at: int, length: int) -> None:
    """One event or several in a row: no text is doubled, and the call is handed out once."""
    events = _numbered(_IDS, *_CALLED)
    again = read(*events[: at + 1], *events[max(0, at + 1 - length) :])
    once = read(*events)

    assert "la la la" == again.message.text
    assert once.message == again.message
    assert 1 == len(again.calls)


def test_ids_that_all_events_share_identify_none() -> None:
    """A gateway may send the same id with each event; equal pieces of text are then two pieces."""
    told = read(*_numbered(["e1"] * len(_CALLED), *_CALLED))

    assert "la la la" == told.message.text
    assert 1 == len(told.calls)


# -- what a new request needs -----------------------------------------------------------------


def test_where_a_stream_can_be_taken_up_again_is_kept() -> None:
    """The id of the last event, and the token to continue with."""
    told = read(
        created(),
        event("interaction.status_update", status="in_progress", continuation_token="t1", event_id="e1"),
        start(0, "model_output"),
        *[
            event("step.delta", index=0, delta={"type": "text", "text": "a"}, event_id=f"e{n}")
            for n in range(9)
        ],
    )

    assert told.data == {"continuation_token": "t1", "event_id": "e8"}
    assert told.message.text == "a" * 9
    assert read(completed("requires_continuation", continuation_token="t2")).data == {
        "continuation_token": "t2"
    }


def test_usage_and_further_fields_are_read_wherever_they_come() -> None:
    told = read(
        created(),
        start(0, "model_output"),
        event(
            "step.delta",
            index=0,
            delta={"type": "text", "text": "a"},
            metadata={"total_usage": {"total_output_tokens": 1}, "more": 2},
        ),
        stop(0, usage={"total_input_tokens": 3}, step_usage={"total_output_tokens": 1}, other="x"),
        completed(),
    )
    usage = told.message.usage

    assert (usage.input_tokens, usage.output_tokens) == (3, 1)
    assert told.data == {"more": 2, "step_usage": [{"total_output_tokens": 1}], "other": "x"}


# -- other ways to come -------------------------------------------------------------------------


def test_an_interaction_that_was_not_streamed_is_read_whole() -> None:
    """The user's own turn is no part of the answer."""
    decoder = Decoder()
    decoder.feed(json.dumps(WHOLE, indent=2).encode())
    decoder.end()

    assert decoder.format == "gemini-interactions"
    assert [part.kind for part in decoder.message.parts] == ["reasoning", "tool_call", "text"]
    assert decoder.message.text == "Hello"
    assert decoder.message.tool_calls[0].arguments == {"a": 1}
    assert decoder.message.complete


def test_steps_in_the_last_event_are_read_where_none_had_come() -> None:
    assert read(created(), event("interaction.completed", interaction=WHOLE)).message.text == "Hello"
    streamed = [start(0, "model_output"), delta(0, "text", text="Hi"), stop(0)]
    told = read(created(), *streamed, event("interaction.completed", interaction=WHOLE))

    assert told.message.text == "Hi"


def test_previews_of_the_api_had_other_names() -> None:
    """Previews sent contents in the place of steps."""
    told = read(
        event("interaction.start", interaction={"id": "i1", "agent": "deep-research"}),
        event("content.start", index=0, content={"type": "thought"}),
        event("content.delta", index=0, delta={"type": "thought_summary", "content": {"text": "hm"}}),
        event("content.stop", index=0),
        event("content.start", index=1, content={"type": "text", "text": "He"}),
        event("content.delta", index=1, delta={"type": "text", "text": "llo"}),
        event("content.stop", index=1),
        event("interaction.complete", interaction={"id": "i1", "status": "completed", "outputs": []}),
    )

    assert (told.message.reasoning, told.message.text) == ("hm", "Hello")
    assert (told.message.model, told.message.complete) == ("deep-research", True)
    assert told.rules == set()


def test_a_second_start_is_counted() -> None:
    told = read(created(), created(id="i2"), completed())

    assert told.message.id == "i1"
    assert told.rules == {"start_twice", "id_changed", "answer_empty"}


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"event_type": "interaction.paused", "x": 1}, "interaction.paused"),
        ({"event_type": "UNKNOWN", "raw": {"event_type": "interaction.paused"}}, "interaction.paused"),
        ({"event_type": "UNKNOWN", "raw": {}}, "event"),
        ({"x": 1}, "event"),
    ],
)
def test_an_event_that_nobody_knows_is_carried(payload: dict[str, Any], name: str) -> None:
    assert read(created(), payload, completed()).unknown == [name]


@in_one_test(
    ("payload", "name", "answer"),
    [
        (created()[1], "", True),
        (created()[1], "interaction.created", True),
        ({"event_type": "content.start", "index": 0}, "", True),
        ({"event_type": "content.start"}, "", None),
        ({"event_type": "error"}, "error", True),
        ({"event_type": "other"}, "", False),
        (WHOLE, "", True),
        ({"object": "interaction"}, "", False),
        ({"interaction": {}}, "interaction.created", True),
        ({"index": 0, "delta": {}}, "step.delta", True),
        ({"x": 0}, "step.delta", False),
        ({"interaction": {}}, "", False),
    ],
)
def test_an_event_is_known_by_its_type(payload: dict[str, Any], name: str, answer: bool | None) -> None:
    assert GeminiInteractions.recognises(payload, name) is answer
    if answer:
        assert registry.detect(payload, name) == ("gemini-interactions", False)
