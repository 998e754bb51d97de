"""AG-UI: how a run ends, what is beside its message, what subagents write, and envelopes of TanStack AI."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.formats.ag_ui.support import CALL, END, HELLO, RESULT, START, run
from tests.formats.told import DONE, tell
from tests.support.formats import AGUI
from tests.support.tables import in_one_test
from tokenstream import Limits, Stream
from tokenstream.errors import LimitExceeded, ProviderError, StreamTruncated
from tokenstream.events import TextDelta, Unknown
from tokenstream.message import ServerToolResult, TextPart, Usage
from tokenstream.stages import Reorder

# -- how a run ends -------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ({}, "stop"),
        ({"outcome": {"type": "success"}}, "stop"),
        ({"outcome": {"type": "interrupt", "interrupts": [{"id": "i"}]}}, "pause"),
        ({"outcome": {"type": "cancelled"}}, "cancelled"),
        ({"outcome": {"type": "brand-new"}}, "unknown"),
        ({"outcome": 1}, "stop"),
    ],
)
def test_an_outcome_is_a_finish_reason_and_kept_whole(outcome: dict[str, Any], reason: str) -> None:
    """An interrupt is complete: the next run answers it, by its id."""
    message = run(*HELLO, end={**END, **outcome, "result": {"n": 1}}).message

    assert (reason, "RUN_FINISHED", "complete") == (
        message.finish_reason,
        message.raw_finish_reason,
        message.ending,
    )
    assert {"threadId": "t", "result": {"n": 1}, **outcome} == message.provider_data


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("full_moon", "unknown"),
        (None, "stop"),
        (7, "stop"),
    ],
)
def test_the_finish_reason_in_tanstacks_metadata_is_read(word: object, reason: str) -> None:
    """AG-UI has no place for it, nor for the model, which the metadata of the start and the end name."""
    metadata = {"metadata": {"tanstack": {"finishReason": word, "model": "m-9"}}}
    message = run(*HELLO, end={**END, **metadata}).message

    assert (reason, "m-9") == (message.finish_reason, message.model)
    assert "cancelled" == run(*HELLO, end={**END, **metadata, "outcome": {"type": "cancelled"}}).reason


def test_tanstack_names_the_model_at_the_start() -> None:
    start = {**START, "metadata": {"tanstack": {"model": "m-9"}}}

    assert "m-9" == tell(AGUI(), start, *HELLO[:2]).message.model


def test_usage_is_added_up_over_the_models_of_a_run() -> None:
    """Each entry is one model's; the model is named where there is one."""
    report = {"model": "m", "inputTokens": 9, "outputTokens": 4}
    one = run(end={**END, "usage": [report]}).message
    two = run(end={**END, "usage": [{"model": "a", "outputTokens": 4}, {"model": "b", "outputTokens": 3}]})

    assert Usage(input_tokens=9, output_tokens=4, provider_data={"usage": [report]}) == one.usage
    assert "m" == one.model
    assert (7, None) == (two.message.usage.output_tokens, two.message.model)


def test_a_run_error_is_the_providers() -> None:
    error = {"type": "RUN_ERROR", "message": "Too many", "code": "rate_limit", "usage": [{"outputTokens": 2}]}
    told = tell(AGUI(), START, *HELLO[:2], {**error, "runId": "r"}, HELLO[2])

    assert ("rate_limit", "rate_limited") == (told.failure.code, told.failure.kind)
    assert ("Hel", "failed", 2) == (told.message.text, told.ending, told.message.usage.output_tokens)
    assert isinstance(tell(AGUI(), {"type": "RUN_ERROR"}).error, ProviderError)


def test_the_terminator_of_other_formats_says_nothing() -> None:
    """Back ends that end all their streams alike send it after a failure, too: a run has its own end."""
    told = tell(AGUI(), START, *HELLO, *CALL[:3], DONE)

    assert isinstance(told.error, StreamTruncated)
    assert ("Hello", "truncated", []) == (told.message.text, told.ending, told.calls)
    assert {"end_repeated"} == tell(AGUI(), START, *HELLO, END, DONE).rules


# -- what is carried ------------------------------------------------------------


@in_one_test(
    "payload",
    [
        {"type": "STATE_SNAPSHOT", "snapshot": {"a": 1}},
        {"type": "STATE_DELTA", "delta": [{"op": "add", "path": "/a", "value": 1}]},
        {"type": "MESSAGES_SNAPSHOT", "messages": []},
        {"type": "ACTIVITY_SNAPSHOT", "messageId": "m", "activityType": "plan", "content": {}},
        {"type": "ACTIVITY_DELTA", "messageId": "m", "activityType": "plan", "patch": []},
        {"type": "STEP_STARTED", "stepName": "s"},
        {"type": "STEP_FINISHED", "stepName": "s"},
        {"type": "SUBAGENT_STARTED", "subagentRunId": "s", "name": "n"},
        {"type": "SUBAGENT_FINISHED", "subagentRunId": "s"},
        {"type": "SUBAGENT_ERROR", "subagentRunId": "s", "message": "m", "code": "c", "error": "e"},
        {"type": "CUSTOM", "name": "n", "value": 1},
        {"type": "RAW", "event": {"error": {"message": "m"}}, "source": "x"},
        {"type": "BRAND_NEW", "x": 1},
        {"x": 1},
    ],
)
def test_what_is_beside_the_message_is_carried_whole(payload: dict[str, Any]) -> None:
    """State, steps and activities are the application's; an error of a subagent ends nothing."""
    told = run(payload, *HELLO)

    assert ([payload], None, "Hello") == (
        [event.data for event in told.events if isinstance(event, Unknown)],
        told.error,
        told.message.text,
    )
    assert set() == told.rules


def test_unknown_fields_of_a_message_are_kept_with_it() -> None:
    """What any event may have, such as the one that it was made from, is in `.raw` alone."""
    told = run(
        {**HELLO[0], "timestamp": 1, "rawEvent": {"a": 1}, "extra": 1},
        {**HELLO[1], "more": 2, "rawEvent": {"text": "Hel"}},
        HELLO[3],
    )

    said = TextPart(text="Hel", complete=True, provider_data={"messageId": "m", "extra": 1, "more": 2})
    assert (said,) == told.parts
    assert [{"text": "Hel"}] == [
        event.raw["rawEvent"] for event in told.events if isinstance(event, TextDelta)
    ]


def test_a_run_without_its_start_is_read_with_a_departure() -> None:
    """The reference client refuses it."""
    told = tell(AGUI(), *HELLO, END)

    assert ("Hello", "r", {"start_missing"}) == (told.message.text, told.message.id, told.rules)


@pytest.mark.parametrize(
    ("payload", "ours"),
    [
        (START, True),
        ({"type": "RUN_ERROR", "message": "m"}, True),
        (HELLO[0], True),
        ({"type": "CUSTOM", "name": "n", "value": 1}, None),
        ({"type": "STATE_SNAPSHOT", "snapshot": {}}, None),
        ({"type": "start"}, False),
        ({"type": ["RUN_STARTED"]}, False),
        ({}, False),
    ],
)
def test_a_first_event_is_recognised_by_its_type(payload: dict[str, Any], ours: bool | None) -> None:
    """No other vocabulary has these words; but for those without content, another event has to decide."""
    assert ours is AGUI.recognises(payload, "")


def test_fields_may_have_the_names_of_pythons_package() -> None:
    """A server that writes the package's objects without their aliases loses no call."""

    def renamed(payload: dict[str, Any]) -> dict[str, Any]:
        names = {name: re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name) for name in payload}
        return {names[name]: value for name, value in payload.items()}

    payloads = [START, *HELLO, *CALL, RESULT, END]
    usual, told = tell(AGUI(), *payloads), tell(AGUI(), *map(renamed, payloads))

    assert usual.message == told.message
    assert [{"city": "Oslo"}] == [call.arguments for call in told.calls]


STARTED = {"type": "SUBAGENT_STARTED", "subagentRunId": "s", "name": "scout", "parentToolCallId": "c"}
FINISHED = {"type": "SUBAGENT_FINISHED", "subagentRunId": "s", "result": "sun"}
TEXT = [
    {"type": "TEXT_MESSAGE_START", "messageId": "w", "role": "assistant", "subagentRunId": "s"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "w", "delta": "I look", "subagentRunId": "s"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "w", "delta": " out.", "subagentRunId": "s"},
    {"type": "TEXT_MESSAGE_END", "messageId": "w", "subagentRunId": "s"},
]


def results_of(told: Any) -> list[tuple[str, Any]]:
    return [(part.name, part.content) for part in told.message.parts if isinstance(part, ServerToolResult)]


def test_the_text_of_a_subagent_is_a_part_with_its_name() -> None:
    told = run(HELLO[0], HELLO[1], STARTED, *TEXT, FINISHED, HELLO[2], HELLO[3])

    assert "Hello" == told.message.text
    assert [("scout", "I look out.")] == results_of(told)
    assert set() == told.rules


def test_a_subagent_that_was_not_announced_has_the_id_of_its_run() -> None:
    """Chunks, and pieces without the start of their message, are a subagent's as well."""
    chunk = {"type": "TEXT_MESSAGE_CHUNK", "messageId": "w", "delta": "I look", "subagentRunId": "s"}

    assert [("s", "I look")] == results_of(run(*HELLO, chunk))
    assert [("s", "I look out.")] == results_of(run(*HELLO, *TEXT[1:]))
    assert {"part_unopened"} == run(*HELLO, *TEXT[1:]).rules


def test_a_call_of_a_subagent_is_the_clients() -> None:
    call, *rest = CALL
    (told,) = run(STARTED, {**call, "subagentRunId": "s"}, *rest).message.tool_calls

    assert told.provider_data is not None
    assert "s" == told.provider_data["subagentRunId"]


def test_the_names_of_subagents_have_a_bound() -> None:
    """Whoever sends many of them fills no memory."""
    events = [{**STARTED, "subagentRunId": str(number)} for number in range(5)]
    with pytest.raises(LimitExceeded, match="parts"):
        Stream([START, *events, END], limits=Limits(parts=3)).final()


def test_events_with_positions_are_read() -> None:
    """TanStack AI sends them where it keeps its answers, as JSON lines and over WebSockets."""
    envelopes = [{"id": f"o{at}", "chunk": event} for at, event in enumerate([START, *HELLO, END])]
    body = "".join(f"{json.dumps(each)}\n" for each in envelopes).encode()
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)]

    for source in (envelopes, [body], pieces):
        stream = Stream(source)
        assert ("Hello", "r", "ag-ui") == (stream.final().text, stream.message.id, stream.format)
        assert {} == stream.departures.details
    for place in range(len(envelopes)):
        with pytest.raises(StreamTruncated):
            Stream(envelopes[:place]).final()


def test_an_event_with_a_position_that_comes_again_is_dropped_by_a_reorder() -> None:
    """Positions may be numbers, or any other ids."""
    for form in ("{}", "o{}"):
        envelopes = [{"id": form.format(at), "chunk": event} for at, event in enumerate([START, *HELLO, END])]
        twice = [*envelopes[:3], envelopes[2], *envelopes[3:]]
        stream = Stream(twice, reorder=Reorder("id"))
        assert ("Hello", ["frame_repeated"]) == (stream.final().text, [*stream.departures.details])
