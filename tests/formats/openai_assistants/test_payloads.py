"""Assistants: how events are known, and laws that hold for every answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.formats.mutations import changed
from tests.formats.openai_assistants.support import (
    CALLS,
    DONE_RUN,
    RUN,
    START,
    delta,
    interpreter,
    message,
    read,
    run,
    step,
    step_delta,
    text,
    waits,
    whole,
)
from tests.formats.told import DONE, reads_alike_at_a_glance, tell
from tests.support.formats import OpenAIAssistants
from tokenstream import Stream
from tokenstream.errors import ProviderError, StreamError


def test_events_without_names_are_known_by_their_object() -> None:
    """A proxy drops the names; the sentinel is the end all the same."""
    frames = [frame[1] for frame in (*START, delta(text("Hi")), DONE_RUN)]
    got = read(*frames, DONE)

    assert ("Hi", "complete") == (got.message.text, got.message.ending)
    assert {"event_name_missing"} == got.rules
    assert len(frames) == got.format.departures["event_name_missing"].count


def test_payloads_without_an_object_are_known_by_the_events_name() -> None:
    name, payload = delta(text("Hi"))
    del payload["object"]
    got = whole((name, payload))

    assert "Hi" == got.message.text
    assert {"type_missing"} == got.rules


def test_where_name_and_object_differ_the_payload_counts() -> None:
    got = whole(("thread.run.step.delta", delta(text("Hi"))[1]))

    assert "Hi" == got.message.text
    assert {"event_name_differs"} == got.rules


def test_events_without_a_word_are_carried() -> None:
    got = whole(("thread.run.step.dreamt", {"object": "thread.dream"}), ("news", {"x": 1}), {"x": 2})

    assert ["thread.run.step.dreamt", "news", "event"] == got.unknown
    assert set() == got.rules


def test_objects_of_the_sdk_are_read() -> None:
    """They hold the event's name beside its payload, and no `done`."""
    frames = [{"event": name, "data": payload} for name, payload in (*START, delta(text("Hi")), DONE_RUN)]
    stream = Stream(frames)

    assert ("Hi", "completed", "run_1") == (
        stream.final().text,
        stream.message.raw_finish_reason,
        stream.message.id,
    )
    assert "openai-assistants" == stream.format
    assert {} == dict(stream.departures)


def test_an_error_of_the_sdk_is_the_providers() -> None:
    got = tell(
        OpenAIAssistants(), {"event": "error", "data": {"message": "m", "code": "server_error"}}, plain=True
    )

    assert isinstance(got.error, ProviderError)


@pytest.mark.parametrize(
    ("payload", "event", "expected"),
    [
        (RUN, "thread.run.created", True),
        (RUN, "", True),
        ({"id": "thread_1"}, "thread.created", True),
        ({}, "thread.created", None),
        ({"object": "thread"}, "", False),
        ({"event": "thread.run.created", "data": RUN}, "", True),
        ({"event": "other", "data": RUN}, "", False),
        ({"event": "thread.run.created", "data": 7}, "", False),
        ({"object": ["x"]}, "", False),
        ({}, "error", False),
    ],
)
def test_a_payload_is_recognised_by_its_name_or_object(
    payload: Any, event: str, expected: bool | None
) -> None:
    assert expected == OpenAIAssistants.recognises(payload, event)


PAYLOADS: list[Any] = [
    *START,
    delta(text("Hel")),
    delta(text("lo")),
    delta(text(" ö\n")),
    delta(text("\ud83c")),
    delta(text("\udf0a")),
    delta(text("x", 1)),
    delta(text("y"))[1],
    delta(text("a", annotations=[{"index": 0, "type": "file_citation", "file_citation": {"quote": "q"}}])),
    delta({"index": 1, "type": "refusal", "refusal": "no"}),
    delta({"index": 2, "type": "image_file", "image_file": {"file_id": "f"}}),
    message("completed", text("Hello")),
    *CALLS,
    step_delta(interpreter(5, "call_5", input="a", outputs=[{"index": 0, "type": "logs", "logs": "b"}])),
    step("completed", interpreter(5, "call_5", input="a", outputs=[{"type": "logs", "logs": "b"}])),
    step("failed", last_error={"message": "m"}),
    waits(("call_1", "get_weather", '{"city": "Oslo"}'), ("call_9", "ls", "{}")),
    {"event": "thread.message.delta", "data": delta(text("s"))[1]},
    DONE_RUN,
    run("failed", last_error={"message": "m"}),
    ("error", {"message": "m"}),
    ("done", {}),
]


@given(changed(PAYLOADS))
def test_whatever_arrives_only_our_own_errors_come_out(frames: list[Any]) -> None:
    """And every call that was handed out has a name, and was handed out once."""
    got = read(*frames)

    assert got.error is None or isinstance(got.error, StreamError)
    # Half a character that another part overtook comes when its own part ends.
    out_of_turn = {"parts_interleaved", "lone_surrogate"}
    assert not out_of_turn.isdisjoint(got.rules) or got.message.text == "".join(got.texts)
    assert all(call.complete and call.name for call in got.calls)
    assert len(got.calls) == len([call for call in got.message.tool_calls if call.complete])


@given(changed([PAYLOADS[0], *PAYLOADS[3:10]], most=40))
def test_reading_at_a_glance_changes_nothing(frames: list[Any]) -> None:
    """Events, payloads, departures and errors are those of the plain way."""
    reads_alike_at_a_glance(OpenAIAssistants, frames)
