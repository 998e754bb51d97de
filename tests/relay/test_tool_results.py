"""Results of tools on their way to an interface: in our own protocol, in AG-UI and in UI messages."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.relay.journals import events_of
from tests.relay.provider_tools import read_through, results_in
from tests.support.effort import examples, trials
from tests.support.encoders import PROTOCOLS, create
from tests.support.logged import words_of
from tokenstream import Checkpoint, Job, Stream, relay
from tokenstream._values.event_base import AnswerEvent
from tokenstream.events import (
    Event,
    Finish,
    PartDone,
    ReasoningDelta,
    StepDone,
    StepStart,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.message import ServerToolCall, ToolCall
from tokenstream.relay import MemoryJournal, ProtocolName

WITH_RESULTS: list[ProtocolName] = ["tokenstream", "ndjson", "ui-message", "ag-ui"]
"""The protocols that have a word for the result of a tool."""
each_with_results = pytest.mark.parametrize("protocol", WITH_RESULTS)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _text | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_text, inner, max_size=2),
    max_leaves=4,
)


def call_of(id: str, part: int) -> list[Event]:
    return [
        ToolCallStart(id, "look_up", part=part),
        ToolCallDelta(id, '{"n":', part=part),
        ToolCallDelta(id, f"{part}}}", part=part),
        ToolCallDone(
            ToolCall(id=id, name="look_up", arguments_text=f'{{"n":{part}}}', complete=True), part=part
        ),
    ]


@st.composite
def calls_in_turns(draw: st.DrawFn) -> list[Event]:
    """Draw some calls with their results, whose events lie between those of the others."""
    lanes: list[list[Event]] = []
    for part, id in enumerate(draw(st.lists(_text.filter(bool), max_size=4, unique=True))):
        result = ToolResult(id, draw(_json), draw(st.none() | _text), draw(st.booleans()))
        lanes.append([*call_of(id, part), result])
    events: list[Event] = []
    while lanes:
        lane = draw(st.sampled_from(lanes))
        events.append(lane.pop(0))
        lanes = [each for each in lanes if each]
    return events


@each_with_results
@given(calls_in_turns(), st.integers(1, 100))
def test_a_result_is_read_as_it_was_written(protocol: ProtocolName, events: list[Event], size: int) -> None:
    """A UI message tells of a tool that failed only the error; no call is lost."""
    expected = [
        replace(event, output=None) if protocol == "ui-message" and event.error is not None else event
        for event in events
        if isinstance(event, ToolResult)
    ]
    stream = read_through([*events, Finish("tool_calls")], protocol, size=size, raw=True)
    found = list(stream)
    called = [event.call.id for event in events if isinstance(event, ToolCallDone)]
    assert expected == results_in(found)
    # A call waits for one that began before it and may still get its arguments.
    assert sorted(called) == sorted(event.call.id for event in found if isinstance(event, ToolCallDone))
    assert "complete" == stream.message.ending


@each_with_results
def test_the_message_has_the_result_beside_the_call_and_not_as_a_part(protocol: ProtocolName) -> None:
    """`turns` writes it into the next request, behind the assistant's turn."""
    events = [*call_of("c", 0), ToolResult("c", "sun"), TextDelta("Sun.", part=1), Finish("stop")]
    message = read_through(events, protocol).final()

    assert ("Sun.", ["tool_call", "text"]) == (message.text, [part.kind for part in message.parts])
    assert {"c": "sun"} == dict(message.tool_results)
    assert ["assistant", "tool"] == [turn["role"] for turn in message.tool_results.turns("openai-chat")]
    assert "sun" not in json.dumps(message.to_openai_chat(drop="all"))


@pytest.mark.slow
@examples(trials(2_000, one_in=50))
@given(calls_in_turns())
def test_a_checkpoint_loses_no_result_and_doubles_none(events: list[Event]) -> None:
    body = list(relay.encode([*events, Finish("tool_calls")], raw=True, ids=True))
    for taken in range(1, len(body)):
        with Stream(body) as stream:
            before = [next(iter(stream)) for _ in range(taken)]
            checkpoint = Checkpoint.model_validate_json(stream.checkpoint().model_dump_json())
        after = list(Stream(body, job=Job("job", checkpoint=checkpoint)))
        assert results_in(events) == results_in([*before, *after])


@dataclass
class Place:
    city: str


class Weather(BaseModel):
    degrees: int = 7


class Socket:
    __hash__ = None  # type: ignore[assignment] # as numbers in an array, it is neither equal nor not

    def __eq__(self, other: object) -> bool:
        raise AssertionError


def _endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@each_with_results
@pytest.mark.parametrize(
    ("output", "sent"),
    [
        (Weather(), {"degrees": 7}),
        ([Place("Oslo"), date(2026, 1, 2)], [{"city": "Oslo"}, "2026-01-02"]),
        ((1, {2: b"\xff"}), [1, {"2": "_w=="}]),
        (float("nan"), None),
        ({"it": Socket()}, {"it": "Socket"}),
        (_endless(), "list"),
        ([10**5000], [None]),
    ],
    ids=["model", "dataclass", "bytes", "nan", "object", "endless", "digits"],
)
def test_whatever_a_tool_returns_is_sent_as_json(
    protocol: ProtocolName, output: object, sent: object
) -> None:
    event = ToolResult("c", output)
    (found,) = results_in(read_through([*call_of("c", 0), event, Finish("tool_calls")], protocol))

    assert ToolResult("c", sent) == found
    assert event.output is output


@each_with_results
def test_the_words_of_an_exception_stay_in(protocol: ProtocolName) -> None:
    failures = [ToolResult("c", error="KeyError: 'Ann Smith'"), ToolResult("d", error="no such city")]
    events = [*call_of("c", 0), *call_of("d", 1), *failures, Finish("tool_calls")]

    assert ["KeyError", "no such city"] == [
        event.error for event in read_through(events, protocol) if isinstance(event, ToolResult)
    ]
    assert failures == results_in(read_through(events, protocol, raw=True))


def _payloads(events: list[Event], protocol: ProtocolName, kind: str) -> list[dict[str, Any]]:
    return [each for each in relay.payloads(events, protocol, raw=True) if kind in each["type"]]


def test_a_ui_message_has_the_outputs_that_its_clients_expect() -> None:
    events: list[Event] = [*call_of("c", 0), *call_of("d", 1), ToolResult("c", [1], provider_executed=True)]
    events += [ToolResult("d", error="no such city")]

    assert [
        {"type": "tool-output-available", "toolCallId": "c", "output": [1], "providerExecuted": True},
        {"type": "tool-output-error", "toolCallId": "d", "errorText": "no such city"},
    ] == _payloads(events, "ui-message", "tool-output")


def test_a_ui_message_begins_a_step_after_results_of_the_application() -> None:
    after: list[Event] = [TextDelta("a", part=2), ReasoningDelta("b", part=2), *call_of("e", 2)[:1]]
    results = [ToolResult("c", 1), ToolResult("d", error="no such city")]
    own = [ToolResult(each.id, each.output, each.error, provider_executed=True) for each in results]
    calls = [*call_of("c", 0), *call_of("d", 1)]
    ends: list[Event] = [Finish("stop")]

    def steps(events: list[Event]) -> list[str]:
        kinds = [each["type"] for each in relay.payloads(events, "ui-message")]
        return kinds[kinds.index("start-step") + 1 :]

    for event in after:
        kinds = steps([*calls, *results, event, *ends])
        [at] = [at for at, kind in enumerate(kinds) if kind == "start-step"]
        assert ("tool-output-error", "tool-output-available") == (kinds[at - 1], kinds[at - 2])
        assert kinds[at + 1].endswith("-start")
        assert "start-step" not in steps([*calls, *own, event, *ends])
    assert "start-step" not in steps([*calls, *results, *ends])
    twice = [*calls, results[0], TextDelta("a", part=2), results[1], TextDelta("b", part=3), *ends]
    assert 2 == steps(twice).count("start-step")


def test_a_call_that_only_its_step_names_comes_before_its_output_in_a_ui_message() -> None:
    """Clients fail at the output of a call that they do not know, and must not run this one."""
    cause = ToolCall(id="c", name="shell", arguments_text='{"command": "ls"}', complete=True)
    start = StepStart("1", "shell", cause=cause)
    events: list[Event] = [start, ToolResult("c", "a.txt", provider_executed=True), StepDone("1")]
    call, output = _payloads(events, "ui-message", "tool-")
    message = read_through(events, "ui-message").final()

    assert ("tool-input-available", "c", "shell", {"command": "ls"}, True) == (
        *(call[key] for key in ("type", "toolCallId", "toolName", "input", "providerExecuted")),
    )
    assert ("tool-output-available", "a.txt") == (output["type"], output["output"])
    assert not message.tool_calls
    assert ["shell"] == [part.name for part in message.parts if isinstance(part, ServerToolCall)]
    assert [] == _payloads([ToolResult("x", 1)], "ui-message", "tool-")


def test_ag_ui_has_the_content_as_text() -> None:
    """Text is sent as it is; what no field is for is in the metadata."""
    results = [ToolResult("c", "sun"), ToolResult("d", {"n": 1}), ToolResult("e", error="no such city")]
    found = _payloads([*results], "ag-ui", "TOOL_CALL_RESULT")

    assert ["sun", '{"n":1}', "no such city"] == [each["content"] for each in found]
    assert [None, {"content": "json"}, {"error": "no such city", "content": "error"}] == [
        each.get("metadata", {}).get("tokenstream") for each in found
    ]
    assert len({each["messageId"] for each in found}) == len(found)


def test_a_response_has_an_item_for_each_result() -> None:
    """One that failed is incomplete; text of JSON stands for any other value."""
    custom = ToolCallStart("e", "shell", "custom", part=2)
    events: list[Event] = [*call_of("c", 0), *call_of("d", 1), custom]
    events += [ToolResult("c", {"n": 1}), ToolResult("d", error="no such city"), ToolResult("e", "a.txt")]
    items = [
        each["item"]
        for each in relay.payloads([*events, Finish("stop")], "openai-responses")
        if "item" in each
    ]
    outputs = [item for item in items if item["type"].endswith("_output") and item["status"] != "in_progress"]

    assert [
        ("function_call_output", "c", '{"n":1}', "completed"),
        ("function_call_output", "d", "no such city", "incomplete"),
        ("custom_tool_call_output", "e", "a.txt", "completed"),
    ] == [(item["type"], item["call_id"], item["output"], item["status"]) for item in outputs]
    assert [
        ToolResult("c", '{"n":1}'),
        ToolResult("d", "no such city", "no such city"),
        ToolResult("e", "a.txt"),
    ] == (results_in(read_through([*events, Finish("stop")], "openai-responses")))


@dataclass(slots=True)
class Newer(AnswerEvent):
    """A class of events that no encoder knows."""

    id: str = ""


@dataclass(slots=True)
class NewerDelta(PartDone):
    """A class of events of a part that no encoder knows."""

    text: str = ""


@pytest.mark.parametrize("newer", [Newer(), NewerDelta(part=0), NewerDelta(part=7)], ids=repr)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_event_of_an_unknown_class_is_left_out_and_reported(
    protocol: ProtocolName, newer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before: list[Event] = [TextDelta("Hel"), TextDelta("lo"), TextDelta(" wor")]
    after: list[Event] = [TextDelta("ld"), Finish("stop")]
    name = type(newer).__name__

    for lossy in (False, True):
        encoders = [create(protocol, lossy=lossy) for _ in range(2)]
        plain = [chunk for event in [*before, *after] for chunk in encoders[0].feed(event)]
        told = [chunk for event in [*before, newer, *after] for chunk in encoders[1].feed(event)]
        assert plain == told
        assert ("", name) == tuple(encoder.losses.describe() for encoder in encoders)
    assert _told_losses([*before, newer, *after], protocol, caplog) == [_words(protocol, name)] * 2


def test_a_journal_leaves_out_an_event_of_an_unknown_class(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[Event]:
        newer: Any = Newer()

        async def events() -> AsyncIterator[Event]:
            for event in (TextDelta("Hi"), newer, ToolResult("c", {"n": [1]}), Finish("stop")):
                yield event

        async with MemoryJournal() as journal:
            id = await journal.start(events())
            found = await events_of(journal, id)
            return [event for event in found if isinstance(event, ToolResult)]

    with caplog.at_level(logging.WARNING):
        found = anyio.run(main)

    assert [ToolResult("c", {"n": [1]})] == found
    assert [_words("tokenstream", "Newer")] == words_of(caplog.records)


def _words(protocol: str, name: str) -> str:
    return f"the format {protocol} cannot express everything in an answer; left out or changed: {name}"


def _told_losses(events: list[Event], protocol: ProtocolName, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what is logged while two answers with these events are sent."""
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert b"".join(relay.encode(events, protocol))
    return [words for words in words_of(caplog.records) if "left out or changed" in words]
