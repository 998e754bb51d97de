"""Tools in UI message streams: whose they are, when a call is whole, and what comes of a step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.told import DONE, Told, tell
from tests.formats.ui_message.payloads import FINISH, HELLO, NAMED, START, STEP, STEP_END, answer, call
from tests.support.formats import UIMessage
from tests.support.tables import in_one_test
from tokenstream.events import ToolCallStart, ToolProgress, ToolResult
from tokenstream.message import OpaquePart, ServerToolCall, ServerToolResult

NEXT = (STEP_END, STEP)


def results_in(told: Told) -> list[ToolResult]:
    return [event for event in told.events if isinstance(event, ToolResult)]


def progress_in(told: Told) -> list[ToolProgress]:
    return [event for event in told.events if isinstance(event, ToolProgress)]


def test_a_call_is_handed_out_once_its_input_is_available() -> None:
    told = answer(
        call("input-start", **NAMED, title="Weather", dynamic=True),
        call("input-delta", inputTextDelta='{"city"'),
        call("input-delta", inputTextDelta=': "Oslo"}'),
        call("input-available", **NAMED, input={"city": "Oslo"}, dynamic=True, providerMetadata={"x": {}}),
        finish={"type": "finish", "finishReason": "tool-calls"},
    )
    done = told.calls

    assert ['{"city": "Oslo"}'] == [call.arguments_text for call in done]
    assert [{"title": "Weather", "dynamic": True, "providerMetadata": {"x": {}}}] == [
        call.provider_data for call in done
    ]
    assert [ToolCallStart("call_1", "weather", "function", {"title": "Weather", "dynamic": True})] == [
        event for event in told.events if isinstance(event, ToolCallStart)
    ]
    assert ("tool_calls", "tool-calls") == (told.reason, told.raw_reason)
    assert set() == told.rules


def test_two_calls_with_one_id_are_told_apart_by_their_tools() -> None:
    one, other = {"toolCallId": "x", "toolName": "ring"}, {"toolCallId": "x", "toolName": "find"}
    starts = [call("input-start", **each) for each in (one, other)]
    ends = [call("input-available", **other, input={"n": 1}), call("input-available", **one, input={"n": 2})]

    assert [("ring", '{"n": 2}'), ("find", '{"n": 1}')] == [
        (call.name, call.arguments_text) for call in answer(*starts, *ends).calls
    ]


def test_a_call_may_come_whole() -> None:
    """Providers that do not stream arguments send the available input alone."""
    told = answer(call("input-available", **NAMED, input={"city": "Þórshöfn"}))

    assert ['{"city": "Þórshöfn"}'] == [call.arguments_text for call in told.calls]
    assert "tool_calls" == told.reason
    assert set() == told.rules


@in_one_test(
    "fragment, told_input, handed_out",
    [
        ("{city: Oslo}", {"city": "Oslo"}, '{"city": "Oslo"}'),
        ('{"all": 1}', {"all": True}, '{"all": true}'),
        ('{ "city":"Oslo" }', {"city": "Oslo"}, '{ "city":"Oslo" }'),
    ],
)
def test_the_available_input_counts_where_it_differs_from_the_fragments(
    fragment: str, told_input: dict[str, Any], handed_out: str
) -> None:
    """The SDK repairs what a model wrote, and the tool is called with what it made of it."""
    told = answer(
        call("input-start", **NAMED),
        call("input-delta", inputTextDelta=fragment),
        call("input-available", **NAMED, input=told_input),
    )

    assert [handed_out] == [call.arguments_text for call in told.calls]


def test_a_free_text_tool_takes_its_input_as_it_is() -> None:
    """`inputEncoding` says that the input is no JSON."""
    told = answer(
        call("input-start", **NAMED, inputEncoding="text"),
        call("input-delta", inputTextDelta="ls "),
        call("input-delta", inputTextDelta="-l"),
        call("input-available", **NAMED, input="ls -l"),
        {**call("input-available", **NAMED, input="pwd", inputEncoding="text"), "toolCallId": "call_2"},
    )

    assert [("custom", "ls -l"), ("custom", "pwd")] == [(call.type, call.arguments) for call in told.calls]


def test_input_that_is_null_is_no_arguments() -> None:
    """Null stands for an empty input; where it is left out, the fragments are the input."""
    told = answer(
        call("input-available", **NAMED, input=None),
        {**call("input-start", **NAMED), "toolCallId": "call_2"},
        {**call("input-delta", inputTextDelta="{}"), "toolCallId": "call_2"},
        {**call("input-available", **NAMED), "toolCallId": "call_2"},
    )

    assert ["", "{}"] == [call.arguments_text for call in told.calls]
    assert {"arguments_null"} == told.rules


def test_a_call_whose_input_the_server_refused_is_never_handed_out() -> None:
    told = answer(
        call("input-start", **NAMED),
        call("input-delta", inputTextDelta='{"town": 1}'),
        call("input-error", **NAMED, input={"town": 1}, errorText="no city"),
        {**call("input-error", **NAMED, input="{bad", errorText="no JSON"), "toolCallId": "call_2"},
    )

    assert [] == told.calls
    assert [('{"town": 1}', False), ('"{bad"', False)] == [
        (call.arguments_text, call.complete) for call in told.message.tool_calls
    ]
    assert [ToolResult("call_1", error="no city"), ToolResult("call_2", error="no JSON")] == results_in(told)
    assert ["tool_call", "tool_call"] == told.kinds
    assert ("stop", set()) == (told.reason, told.rules)


def test_a_call_that_the_provider_runs_is_none_of_the_clients() -> None:
    """`providerExecuted` says so, at its start or only with its input; the result is a part of its own."""
    told = answer(
        call("input-start", **NAMED, providerExecuted=True),
        call("input-delta", inputTextDelta='{"q"'),
        call("input-delta", inputTextDelta=": 1}"),
        call("input-available", **NAMED, input={"q": 1}, providerExecuted=True, title="Search"),
        call("output-available", output=[1, 2], providerExecuted=True),
        {**call("input-start", **NAMED, title="T"), "toolCallId": "late"},
        {**call("input-available", **NAMED, input={"q": 2}, providerExecuted=True), "toolCallId": "late"},
        {**call("input-start", **NAMED, providerExecuted=True), "toolCallId": "bare"},
        {**call("input-available", **NAMED, providerExecuted=True), "toolCallId": "bare"},
        {**call("input-error", **NAMED, input=1, providerExecuted=True, errorText="e"), "toolCallId": "bad"},
    )
    calls = [part for part in told.parts if isinstance(part, ServerToolCall)]

    assert ([], ()) == (told.calls, told.message.tool_calls)
    assert [("call_1", '{"q": 1}'), ("late", '{"q": 2}'), ("bare", ""), ("bad", "1")] == [
        (part.id, part.arguments_text) for part in calls
    ]
    assert [{"providerExecuted": True, "title": "Search"}, {"providerExecuted": True, "title": "T"}] == [
        part.provider_data for part in calls[:2]
    ]
    assert all(part.complete for part in calls)
    assert (
        ServerToolResult(
            id="call_1",
            name="tool-output-available",
            content=[1, 2],
            complete=True,
            provider_data={"providerExecuted": True},
        )
        in told.parts
    )
    assert ("stop", set()) == (told.reason, told.rules)


def test_a_call_that_the_server_answered_is_handed_out_and_asks_for_nothing() -> None:
    """Whether the server has the tool shows only with its output; a stop is then a stop."""
    told = answer(
        call("input-available", **NAMED, input={}),
        call("output-available", output="…", preliminary=True),
        call("output-available", output="sun"),
    )

    assert ["weather"] == [call.name for call in told.calls]
    assert ([ToolResult("call_1", "sun")], ["tool_call"]) == (results_in(told), told.kinds)
    assert {"call_1": "sun"} == dict(told.message.tool_results)
    assert [ToolProgress("call_1", "weather", "…")] == progress_in(told), "progress is no result"
    assert "stop" == told.reason


def test_a_result_that_comes_again_is_unknown_data() -> None:
    """A call has one result, whoever sends it twice."""
    told = answer(
        call("input-available", **NAMED, input={}),
        call("output-available", output="sun"),
        call("output-error", errorText="down"),
    )

    assert ([ToolResult("call_1", "sun")], {"result_repeated"}) == (results_in(told), told.rules)
    assert "tool-output-error" in told.unknown


def test_progress_after_a_result_is_unknown_data() -> None:
    """The tool has ended; progress of a call of an earlier message has no name."""
    told = answer(
        call("output-available", output="…", preliminary=True),
        call("input-available", **NAMED, input={}),
        call("output-available", output="sun"),
        call("output-available", output="…", preliminary=True),
    )

    assert [ToolProgress("call_1", "", "…")] == progress_in(told)
    assert ["tool-output-available"] == [name for name in told.unknown if name.startswith("tool")]


def test_preliminary_results_replace_each_other_and_stay_open() -> None:
    told = tell(
        UIMessage(),
        call("input-available", **NAMED, providerExecuted=True, input={}),
        call("output-available", output=1, preliminary=True),
        call("output-available", output=2, preliminary=True),
    )
    part = told.parts[1]

    assert (2, False) == (part.content, part.complete)
    assert [] == results_in(told)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (call("output-error", errorText="down"), "down"),
        (call("output-denied"), "the call was denied"),
        (call("output-denied", reason="too dear"), "too dear"),
    ],
)
@pytest.mark.parametrize("executed", [False, True])
def test_failed_and_denied_tools_are_results_too(
    payload: dict[str, Any], error: str, *, executed: bool
) -> None:
    """What went wrong in a tool is no error of the stream, whoever runs the tool."""
    told = answer(call("input-available", **NAMED, input={}, providerExecuted=executed), payload)
    (result,) = results_in(told)

    assert (error, executed) == (result.error, result.provider_executed)
    assert (1 + executed, None) == (len(told.kinds), told.error)


def test_what_asks_for_approval_is_kept_in_the_message() -> None:
    """The client answers it with the next request, so it needs the id and the signature."""
    request = call("approval-request", approvalId="a1", signature="s")
    told = answer(call("input-available", **NAMED, input={}), request)

    assert (
        OpaquePart(
            type="tool-approval-request",
            data={"toolCallId": "call_1", "approvalId": "a1", "signature": "s"},
            complete=True,
        )
        == told.parts[1]
    )


def test_a_call_whose_input_never_became_available_is_not_handed_out() -> None:
    """However whole its fragments look: the server did not say that it may be run."""
    for end in ([FINISH, DONE], [{"type": "finish"}, DONE], [DONE]):
        told = tell(UIMessage(), call("input-start", **NAMED), call("input-delta", inputTextDelta="{}"), *end)

        assert [] == told.calls
        assert [("{}", False)] == [(c.arguments_text, c.complete) for c in told.message.tool_calls]
        assert "call_open_at_end" in told.rules


@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize("end", [FINISH, {"type": "finish", "finishReason": "tool-calls"}])
def test_a_call_is_handed_out_although_its_input_comes_after_the_finish(
    end: dict[str, Any], late: int
) -> None:
    """Nothing has said so far that the call was over; its finish reason is reported behind it."""
    chunks = [
        call("input-start", **NAMED),
        call("input-delta", inputTextDelta='{"a":'),
        call("input-available", **NAMED, input={"a": 1}),
    ]
    told = tell(UIMessage(), *chunks[:late], end, *chunks[late:], DONE)

    assert [{"a": 1}] == [done.arguments for done in told.calls]
    # Content behind the reason makes it void; the end mark confirms it, and by then there is a call.
    assert "tool_calls" == told.reason


@pytest.mark.parametrize("reason", ["length", "error", "content-filter"])
def test_a_call_that_the_finish_reason_has_cut_off_is_never_handed_out(reason: str) -> None:
    """What comes behind it is no part of the answer that was cut."""
    end = {"type": "finish", "finishReason": reason}
    told = tell(
        UIMessage(), call("input-start", **NAMED), end, call("input-available", **NAMED, input={"a": 1}), DONE
    )

    assert [] == told.calls


def test_steps_are_reported_and_may_use_ids_again() -> None:
    """Some providers number their calls from the beginning in each step."""
    told = answer(
        call("input-available", **NAMED, input={"n": 1}),
        call("output-available", output=1),
        *NEXT,
        call("input-available", **NAMED, input={"n": 2}),
    )

    assert [{"n": 1}, {"n": 2}] == [call.arguments for call in told.calls]
    assert ["start-step", "finish-step"] * 2 == told.unknown
    assert ("tool_calls", set()) == (told.reason, told.rules)


def test_a_step_that_the_server_begins_anew_leaves_its_texts_empty() -> None:
    """What was said cannot be taken back from who has seen it, but the message does not hold it."""
    told = answer(
        *HELLO,
        *NEXT,
        {"type": "reasoning-start", "id": "0"},
        {"type": "reasoning-delta", "id": "0", "delta": "Hm"},
        {"type": "text-start", "id": "0"},
        {"type": "text-delta", "id": "0", "delta": "Wro"},
        call("input-start", **NAMED),
        {**call("input-start", **NAMED, providerExecuted=True), "toolCallId": "call_2"},
        {"type": "reset-step"},
        {"type": "text-start", "id": "0"},
        {"type": "text-delta", "id": "0", "delta": "!"},
        {"type": "text-end", "id": "0"},
    )

    assert ("Hello!", "", "stop") == (told.message.text, told.message.reasoning, told.reason)
    assert ([], set()) == (told.calls, told.rules)
    assert "reset-step" in told.unknown


def test_what_a_step_that_begins_anew_had_is_not_there_twice() -> None:
    """Sources, files, data and the server's own calls come again; what was there before the step stays."""
    source = {"type": "source-url", "sourceId": "s1", "url": "https://example.org"}
    again = [
        source,
        {"type": "file", "url": "data:text/plain,a", "mediaType": "text/plain"},
        {"type": "data-weather", "id": "w", "data": 1},
        {**call("input-available", **NAMED, input={}, providerExecuted=True), "toolCallId": "own"},
        {**call("output-available", output=1), "toolCallId": "own"},
        {**call("input-start", **NAMED, providerExecuted=True), "toolCallId": "open"},
        {**call("output-available", output=1, preliminary=True), "toolCallId": "open"},
        *HELLO[:2],
    ]
    told = tell(UIMessage(), START, STEP, source, *NEXT, *again, {"type": "reset-step"}, *again, DONE)
    gone = [part for part in told.parts if part == OpaquePart(type="dropped", complete=True)]

    assert (7, 2, "Hel") == (len(gone), len(told.message.citations), told.message.text)
    assert [1, 2, 2] == [
        told.kinds.count(kind) for kind in ("media", "server_tool_call", "server_tool_result")
    ]
    assert ["data-weather"] == [
        part.type for part in told.parts if part.kind == "opaque" and part not in gone
    ]


def test_a_call_that_was_handed_out_survives_its_step_with_its_result() -> None:
    told = answer(
        call("input-available", **NAMED, input={}),
        call("output-available", output="sun"),
        {"type": "reset-step"},
        *HELLO,
    )

    assert (["tool_call", "text"], "stop") == (told.kinds, told.reason)
    assert {"call_1": "sun"} == dict(told.message.tool_results)


def test_an_id_that_is_used_again_keeps_what_the_earlier_call_gave() -> None:
    """Each call has its own result, also where a provider numbers its calls anew in each step."""
    steps = [
        [call("input-available", **NAMED, input={"n": n}), call("output-available", output=n)] for n in (1, 2)
    ]
    told = answer(*steps[0], *NEXT, *steps[1])

    assert [ToolResult("call_1", 1), ToolResult("call_1", 2)] == results_in(told)


def test_a_result_may_be_final_only_in_a_later_step() -> None:
    """Tools go on working while the model writes; it is still one result."""
    told = answer(
        call("input-available", **NAMED, input={}),
        call("output-available", output="…", preliminary=True),
        *NEXT,
        call("output-available", output="sun"),
    )

    assert [ToolResult("call_1", "sun")] == results_in(told)


def test_a_call_that_its_step_left_open_is_not_mixed_with_the_next() -> None:
    """What the server never made available is over with the next step, and its id may be used again."""
    told = answer(
        call("input-start", **NAMED),
        call("input-delta", inputTextDelta='{"a":'),
        *NEXT,
        call("input-start", **NAMED),
        call("input-delta", inputTextDelta='{"b":1}'),
        call("input-available", **NAMED, input={"b": 1}),
        call("output-available", output=1),
    )

    assert [('{"a":', False), ('{"b":1}', True)] == [
        (call.arguments_text, call.complete) for call in told.message.tool_calls
    ]
    assert ([{"b": 1}], "stop", {"call_open_at_end"}) == (
        [call.arguments for call in told.calls],
        told.reason,
        told.rules,
    )
