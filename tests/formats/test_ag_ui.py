"""What a run in AG-UI adds up to: its messages, its calls, and how it ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.told import DONE, Told, tell
from tests.support.packages import needed
from tests.support.reading import read
from tokenstream.errors import ProviderError, StreamTruncated
from tokenstream.events import MessageStart, PartDone, TextDelta, ToolCallStart, Unknown
from tokenstream.formats._wire.ag_ui import AGUI
from tokenstream.message import ReasoningPart, ServerToolResult, TextPart, Usage

START = {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
END = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}
HELLO = [
    {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Hel"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "lo"},
    {"type": "TEXT_MESSAGE_END", "messageId": "m"},
]
CALL = [
    {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "weather", "parentMessageId": "m"},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"city"'},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": ': "Oslo"}'},
    {"type": "TOOL_CALL_END", "toolCallId": "c"},
]
RESULT = {"type": "TOOL_CALL_RESULT", "messageId": "m2", "toolCallId": "c", "content": "sun", "role": "tool"}


def run(*payloads: Any, end: dict[str, Any] = END) -> Told:
    """Read a whole run."""
    return tell(AGUI(), START, *payloads, end)


def chunk(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"{kind}_CHUNK", **fields}


def test_a_message_is_a_part_with_its_id() -> None:
    """The next request carries the id; a run that keeps to the documents has no departures."""
    told = run(*HELLO)

    assert ["Hel", "lo"] == told.texts
    assert (TextPart(text="Hello", complete=True, provider_data={"messageId": "m"}),) == told.message.parts
    assert ("r", "stop", "RUN_FINISHED", "complete", {"threadId": "t"}) == (
        told.message.id,
        told.message.finish_reason,
        told.message.raw_finish_reason,
        told.message.ending,
        told.message.provider_data,
    )
    assert (None, set()) == (told.error, told.rules)
    assert MessageStart(id="r") == told.events[0]


def test_messages_may_be_written_in_turns() -> None:
    """Several agents may speak at the same time; who speaks is kept beside the text."""
    told = run(
        {"type": "TEXT_MESSAGE_START", "messageId": "a", "subagentRunId": "s", "name": "Ann"},
        {"type": "TEXT_MESSAGE_START", "messageId": "b", "role": "user"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "b", "delta": "2"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "a", "delta": "1", "subagentRunId": "s"},
        {"type": "TEXT_MESSAGE_END", "messageId": "b"},
        {"type": "TEXT_MESSAGE_END", "messageId": "a"},
    )

    assert [
        TextPart(
            text="1", complete=True, provider_data={"messageId": "a", "subagentRunId": "s", "name": "Ann"}
        ),
        TextPart(text="2", complete=True, provider_data={"messageId": "b", "role": "user"}),
    ] == list(told.message.parts)
    assert set() == told.rules


def test_every_call_is_the_clients_also_one_that_the_run_answers() -> None:
    """Whether the agent runs the tool itself shows only with the result."""
    open_call = run(*CALL)
    answered = run(*CALL, RESULT)

    assert [{"city": "Oslo"}] == [call.arguments for call in open_call.calls]
    assert [ToolCallStart("c", "weather", "function", {"parentMessageId": "m"})] == [
        event for event in open_call.events if isinstance(event, ToolCallStart)
    ]
    assert [{"city": "Oslo"}] == [call.arguments for call in answered.calls]
    assert (
        ServerToolResult(
            id="c",
            name="TOOL_CALL_RESULT",
            content="sun",
            complete=True,
            provider_data={"messageId": "m2", "role": "tool"},
        )
        == answered.message.parts[1]
    )
    assert ("tool_calls", "stop") == (open_call.message.finish_reason, answered.message.finish_reason)
    assert set() == open_call.rules | answered.rules


def test_a_result_of_an_earlier_run_is_a_part_too() -> None:
    """A run that goes on begins with what the client sent."""
    content = [{"type": "text", "text": "sun"}]
    told = run({**RESULT, "content": content}, *HELLO)

    assert [("c", content)] == [
        (part.id, part.content) for part in told.message.parts if isinstance(part, ServerToolResult)
    ]
    assert "stop" == told.message.finish_reason


@pytest.mark.parametrize("prefix", ["REASONING_MESSAGE", "THINKING_TEXT_MESSAGE"])
def test_reasoning_is_read_under_its_old_name_too(prefix: str) -> None:
    """Before version 1.0 it was called thinking, and had no id."""
    id_ = {"messageId": "m"} if prefix.startswith("REASONING") else {}
    told = run(
        {"type": f"{prefix.partition('_')[0]}_START", **id_},
        {"type": f"{prefix}_START", "role": "reasoning", **id_},
        {"type": f"{prefix}_CONTENT", "delta": "Let ", **id_},
        {"type": f"{prefix}_CONTENT", "delta": "me", **id_},
        {"type": f"{prefix}_END", **id_},
        {"type": f"{prefix.partition('_')[0]}_END", **id_},
    )

    assert (ReasoningPart(text="Let me", complete=True, provider_data=id_ or None),) == told.message.parts
    assert set() == told.rules


def test_an_encrypted_value_goes_to_the_reasoning_or_the_call_that_it_is_of() -> None:
    """The next request must carry it; it may come while its entity is open or once it is closed."""
    thought = [
        {"type": "REASONING_MESSAGE_START", "messageId": "m", "role": "reasoning"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "m", "delta": "Hm"},
    ]
    end = {"type": "REASONING_MESSAGE_END", "messageId": "m"}
    value = {"type": "REASONING_ENCRYPTED_VALUE", "encryptedValue": "ZW5j"}
    of_thought = {**value, "subtype": "message", "entityId": "m"}
    of_call = {**value, "subtype": "tool-call", "entityId": "c"}
    expected = ReasoningPart(text="Hm", redacted="ZW5j", complete=True, provider_data={"messageId": "m"})

    assert (expected,) == run(*thought, of_thought, end).message.parts
    assert (expected,) == run(*thought, end, of_thought).message.parts
    assert [{"parentMessageId": "m", "encryptedValue": "ZW5j"}] == [
        call.provider_data for call in run(*CALL[:3], of_call, CALL[3]).calls
    ]
    assert [{"subtype": "tool-call", "entityId": "c", "encryptedValue": "ZW5j"}] == (
        run(*CALL, of_call).message.provider_data["encrypted_values"]
    )
    assert ["REASONING_ENCRYPTED_VALUE"] == run({**of_call, "encryptedValue": 1}).unknown
    assert [{"parentMessageId": "m", "encryptedValue": "\ufffd"}] == [
        call.provider_data for call in run(*CALL[:3], {**of_call, "encryptedValue": "\ud83d"}, CALL[3]).calls
    ]


# -- chunks ---------------------------------------------------------------------


def test_chunks_open_what_they_name_and_the_next_event_closes_it() -> None:
    """A chunk without an id goes on with the last one; events beside the message end nothing."""
    told = run(
        chunk("TEXT_MESSAGE", messageId="a", delta="Hel", role="assistant"),
        {"type": "RAW", "event": 1},
        chunk("TEXT_MESSAGE", delta="lo"),
        chunk("TEXT_MESSAGE", messageId="b", delta="!"),
        chunk("REASONING_MESSAGE", messageId="c", delta="Hm"),
        chunk("REASONING_MESSAGE", messageId="c"),
        chunk("TOOL_CALL", toolCallId="c1", toolCallName="ls", delta='{"a"', parentMessageId="b"),
        chunk("TOOL_CALL", delta=": 1}"),
        chunk("TOOL_CALL", toolCallId="c2", toolCallName="pwd"),
    )

    assert (["Hello", "!"], "Hm") == (
        [part.text for part in told.message.parts if isinstance(part, TextPart)],
        told.message.reasoning,
    )
    assert [("c1", '{"a": 1}'), ("c2", "")] == [(call.id, call.arguments_text) for call in told.calls]
    assert all(part.complete for part in told.message.parts)
    assert set() == told.rules


def test_a_call_in_chunks_is_handed_out_when_the_next_event_comes() -> None:
    """Nothing else marks its end; one that a cut or an error ends is not handed out."""
    payloads = [START, chunk("TOOL_CALL", toolCallId="c", toolCallName="ls", delta="{}")]

    assert ["ls"] == [call.name for call in tell(AGUI(), *payloads, HELLO[0]).calls]
    assert [] == tell(AGUI(), *payloads).calls


def test_a_run_error_ends_a_call_in_chunks_without_handing_it_out() -> None:
    """A call that an error cut may lack arguments, however whole it looks."""
    told = tell(
        AGUI(),
        START,
        chunk("TOOL_CALL", toolCallId="c", toolCallName="ls", delta="{}"),
        {"type": "RUN_ERROR", "message": "m"},
    )

    assert [] == told.calls


@pytest.mark.parametrize(
    ("payloads", "rule", "text"),
    [
        ([chunk("TEXT_MESSAGE", delta="x")], "part_index_missing", "x"),
        ([chunk("TOOL_CALL", delta="x")], "part_unopened", ""),
        ([HELLO[1], HELLO[3]], "part_unopened", "Hel"),
        ([*HELLO, HELLO[1]], "part_after_close", "HelloHel"),
        ([HELLO[3]], "part_end_unmatched", ""),
        ([{"type": "TEXT_MESSAGE_START"}, {"type": "TEXT_MESSAGE_END"}], "part_index_missing", ""),
        ([{**HELLO[1], "delta": 1}], "delta_misfits", ""),
        ([{**CALL[1], "delta": 1}], "delta_misfits", ""),
        ([CALL[1]], "part_unopened", ""),
        ([CALL[3]], "part_end_unmatched", ""),
        ([*CALL, CALL[1]], "call_after_done", ""),
        ([*CALL, CALL[0]], "call_repeated", ""),
        ([{"type": "TOOL_CALL_START", "toolCallId": "c"}], "call_nameless", ""),
        ([{"type": "TOOL_CALL_START", "toolCallName": "ls"}], "call_id_missing", ""),
        ([*CALL[:3], RESULT], "part_unclosed", ""),
        (CALL[:3], "part_unclosed", ""),
        (HELLO[:3], "part_unclosed", "Hello"),
        ([START], "start_repeated", ""),
        ([{**START, "runId": "r2"}], "id_changed", ""),
    ],
)
def test_strays_are_tolerated_and_counted(payloads: list[Any], rule: str, text: str) -> None:
    """The reference client throws on these; nothing is lost here."""
    told = run(*payloads)

    assert (None, text) == (told.error, told.message.text)
    assert rule in told.rules


def test_a_chunk_may_add_to_what_a_start_has_opened() -> None:
    """Such a part ends where its own end says so."""
    told = run(
        HELLO[0],
        chunk("TEXT_MESSAGE", messageId="m", delta="Hi"),
        HELLO[3],
        CALL[0],
        chunk("TOOL_CALL", toolCallId="c", delta="{}"),
        CALL[3],
    )

    assert ("Hi", ["{}"]) == (told.message.text, [call.arguments_text for call in told.calls])
    assert set() == told.rules


def test_white_space_after_the_end_of_a_call_says_nothing() -> None:
    """It is no fragment that could be missed."""
    told = run(*CALL, {**CALL[1], "delta": " "}, {**CALL[1], "delta": ""})

    assert (set(), 1) == (told.rules, len(told.calls))


def test_an_end_of_a_message_in_chunks_is_taken() -> None:
    """What a chunk has opened may be closed by an event all the same."""
    told = run(chunk("TEXT_MESSAGE", messageId="m", delta="Hi"), HELLO[3])

    assert ("Hi", {"part_end_unmatched"}) == (told.message.text, told.rules)


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


def test_usage_is_added_up_over_the_models_of_a_run() -> None:
    """Each entry is one model's; the model is named where there is one."""
    one = run(end={**END, "usage": [{"model": "m", "inputTokens": 9, "outputTokens": 4}]}).message
    two = run(end={**END, "usage": [{"model": "a", "outputTokens": 4}, {"model": "b", "outputTokens": 3}]})

    assert (
        Usage(
            input_tokens=9,
            output_tokens=4,
            provider_data={"usage": [{"model": "m", "inputTokens": 9, "outputTokens": 4}]},
        )
        == one.usage
    )
    assert "m" == one.model
    assert (7, None) == (two.message.usage and two.message.usage.output_tokens, two.message.model)


def test_a_run_error_is_the_providers() -> None:
    """With its code and its usage; what came before it is kept."""
    error = {"type": "RUN_ERROR", "message": "Too many", "code": "rate_limit", "usage": [{"outputTokens": 2}]}
    told = tell(AGUI(), START, *HELLO[:2], {**error, "runId": "r"}, HELLO[2])

    assert isinstance(told.error, ProviderError)
    assert ("rate_limit", "rate_limited") == (told.error.code, told.error.kind)
    assert ("Hel", "failed", 2) == (
        told.message.text,
        told.message.ending,
        told.message.usage and told.message.usage.output_tokens,
    )
    assert isinstance(tell(AGUI(), {"type": "RUN_ERROR"}).error, ProviderError)


@pytest.mark.parametrize("cut", range(9))
def test_a_run_that_was_cut_is_truncated_and_hands_out_no_open_call(cut: int) -> None:
    """A clean end of the input is no end of the run."""
    told = tell(AGUI(), *[START, *HELLO, *CALL][:cut])

    assert isinstance(told.error, StreamTruncated)
    assert ("truncated", []) == (told.message.ending, told.calls)


def test_the_terminator_of_other_formats_says_nothing() -> None:
    """Back ends that end all their streams alike send it after a failure, too: a run has its own end."""
    told = tell(AGUI(), START, *HELLO, *CALL[:3], DONE)

    assert isinstance(told.error, StreamTruncated)
    assert ("Hello", "truncated", []) == (told.message.text, told.message.ending, told.calls)
    assert {"data_after_end"} == tell(AGUI(), START, *HELLO, END, DONE).rules


def test_what_comes_after_the_end_is_ignored_and_counted() -> None:
    """Another run on the same stream is another answer."""
    told = tell(AGUI(), START, *HELLO, END, START, *HELLO)

    assert ("Hello", {"data_after_end"}) == (told.message.text, told.rules)


# -- what is carried ------------------------------------------------------------


@pytest.mark.parametrize(
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
        [event.data for event in told.events if isinstance(event, Unknown) and event.kind == "event"],
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
    assert (said,) == told.message.parts
    assert [{"text": "Hel"}] == [
        event.raw["rawEvent"] for event in told.events if isinstance(event, TextDelta)
    ]


def test_a_run_without_its_start_is_read_with_a_departure() -> None:
    """The reference client refuses it."""
    told = tell(AGUI(), *HELLO, END)

    assert ("Hello", "r", {"start_missing"}) == (told.message.text, told.message.id, told.rules)


def test_an_events_name_tells_the_type_where_the_payload_has_none() -> None:
    """Servers that name their events may leave the type out."""
    told = tell(AGUI(), START, *HELLO, ("RUN_FINISHED", {"runId": "r"}))

    assert ("complete", {"type_missing"}) == (told.message.ending, told.rules)


@pytest.mark.parametrize(
    ("payload", "ours"),
    [
        (START, True),
        ({"type": "RUN_ERROR", "message": "m"}, True),
        (HELLO[0], True),
        ({"type": "CUSTOM", "name": "n", "value": 1}, True),
        ({"type": "start"}, False),
        ({"type": ["RUN_STARTED"]}, False),
        ({}, False),
    ],
)
def test_a_first_event_is_recognised_by_its_type(payload: dict[str, Any], ours: bool) -> None:
    """No other vocabulary has these words."""
    assert ours is AGUI.recognises(payload, "")


# -- the protocol's own package --------------------------------------------------


def test_what_the_protocols_own_encoder_writes_is_read() -> None:
    """Its events, as bytes, add up to what they were made with."""
    core, encoder = needed("ag_ui.core"), needed("ag_ui.encoder")
    events = [
        core.RunStartedEvent(thread_id="t", run_id="r"),
        core.StepStartedEvent(step_name="s"),
        core.ReasoningStartEvent(message_id="q"),
        core.ReasoningMessageStartEvent(message_id="q"),
        core.ReasoningMessageContentEvent(message_id="q", delta="Hm"),
        core.ReasoningMessageEndEvent(message_id="q"),
        core.ReasoningEncryptedValueEvent(subtype="message", entity_id="q", encrypted_value="ZW5j"),
        core.ReasoningEndEvent(message_id="q"),
        core.TextMessageStartEvent(message_id="m", role="assistant"),
        core.TextMessageContentEvent(message_id="m", delta="Grüß "),
        core.TextMessageContentEvent(message_id="m", delta="dich 🌊\n"),
        core.TextMessageEndEvent(message_id="m"),
        core.TextMessageChunkEvent(message_id="n", delta="!"),
        core.ToolCallStartEvent(tool_call_id="c", tool_call_name="ls", parent_message_id="m"),
        core.ToolCallArgsEvent(tool_call_id="c", delta='{"all": true}'),
        core.ToolCallEndEvent(tool_call_id="c"),
        core.ToolCallResultEvent(message_id="x", tool_call_id="c", content="a.txt"),
        core.ToolCallChunkEvent(tool_call_id="d", tool_call_name="pwd", delta="{}"),
        core.StateSnapshotEvent(snapshot={"a": 1}),
        core.StateDeltaEvent(delta=[{"op": "add", "path": "/b", "value": 2}]),
        core.ActivitySnapshotEvent(message_id="y", activity_type="plan", content={}),
        core.CustomEvent(name="n", value=1),
        core.RawEvent(event={"a": 1}),
        core.StepFinishedEvent(step_name="s"),
        core.RunFinishedEvent(
            thread_id="t", run_id="r", usage=[core.TokenUsage(input_tokens=3, output_tokens=2)]
        ),
    ]
    body = "".join(map(encoder.EventEncoder().encode, events)).encode()
    for chunks in ([body], [body[at : at + 1] for at in range(len(body))]):
        reading = read(chunks)
        message = reading.message

        assert ("ag-ui", None, {}) == (reading.format, reading.error, reading.departures)
        assert message is not None
        assert ("Grüß dich 🌊\n!", "Hm", "complete") == (message.text, message.reasoning, message.ending)
        assert [("ls", {"all": True}), ("pwd", {})] == [(c.name, c.arguments) for c in reading.calls()]
        assert 2 == (message.usage and message.usage.output_tokens)


def test_every_event_of_the_protocols_package_is_known() -> None:
    """A type that the package has and we do not would be carried as unknown, without its meaning."""
    types = {event.value for event in needed("ag_ui.core").EventType}

    assert {kind for kind in types if AGUI.recognises({"type": kind}, "")} == types


def test_objects_of_the_package_are_payloads() -> None:
    """Dumped by alias, as the package itself writes them."""
    core = needed("ag_ui.core")
    dumped = [
        json.loads(event.model_dump_json(by_alias=True))
        for event in (
            core.RunStartedEvent(thread_id="t", run_id="r"),
            core.TextMessageChunkEvent(message_id="m", delta="Hi"),
            core.RunFinishedEvent(thread_id="t", run_id="r"),
        )
    ]
    told = tell(AGUI(), *dumped, plain=True)

    assert ("Hi", None) == (told.message.text, told.error)
    assert any(isinstance(event, PartDone) for event in told.events)
