"""Tools that the provider runs: their calls and results through every protocol that has a word, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.relay.provider_tools import CALL, ran, read_through, results_in, told_result
from tests.support.beside import needs_recordings
from tests.support.recordings import Recorded, ours, shared
from tests.support.sampling import in_turn, sampled
from tests.support.sent import losses_of
from tests.support.tables import in_one_test
from tokenstream import Stream, relay
from tokenstream.events import (
    Event,
    Finish,
    PartDelta,
    PartDone,
    PartStart,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.message import Message, ServerToolCall, ServerToolResult, ToolCall
from tokenstream.relay import ProtocolName

OF_PROVIDERS: list[ProtocolName] = [
    "tokenstream",
    "ndjson",
    "ui-message",
    "ag-ui",
    "anthropic",
    "openai-responses",
    "gemini",
    "bedrock-converse",
]
"""The protocols that have a word for the result of a tool that the provider runs."""
OF_OURS: list[ProtocolName] = ["tokenstream", "ndjson", "ui-message", "ag-ui", "openai-responses"]
"""The protocols that have a word for the result of a tool of the application's."""
NEEDING_CALLS: list[ProtocolName] = ["ui-message", "openai-responses"]
"""The protocols in which a provider's result without its call has no place."""
each_protocol = pytest.mark.parametrize("protocol", OF_PROVIDERS)

_WORDS = (
    b"_result",
    b"mcp_call",
    b"code_interpreter",
    b"codeExecutionResult",
    b"TOOL_CALL_RESULT",
    b"_output",
)


def plain(output: Any) -> Any:
    """Return an output without what protocols wrap around it: text of JSON, lists of texts, objects."""
    while True:
        match output:
            case str():
                try:
                    inner = json.loads(output)
                except ValueError:
                    return output
            case [{"json": inner}] | [{"type": "text", "text": inner}] | [{"text": inner}]:
                pass
            case {"output": inner} if output.keys() <= {"output", "outcome"}:
                pass
            case _:
                return output
        output = inner


def known(result: ToolResult) -> tuple[Any, ...]:
    """Return what every protocol says of a result; an error may be told in the provider's or our words."""
    return (
        plain(result.output) if result.error is None else None,
        result.error is None,
        result.provider_executed,
    )


def has_place(result: ToolResult, message: Message, protocol: ProtocolName) -> bool:
    calls = {part.id for part in message.parts if isinstance(part, ServerToolCall | ToolCall)}
    if result.provider_executed:
        return protocol not in NEEDING_CALLS or result.id in calls
    return protocol in OF_OURS and (protocol != "ui-message" or result.id in calls)


def holds(recorded: Recorded, protocols: Iterable[ProtocolName] = OF_PROVIDERS) -> None:
    """Hold that each result of a complete answer comes once through each protocol, and once more."""
    stream = Stream([recorded.body], format=recorded.format)
    events = list(stream)
    message, results = stream.message, results_in(events)
    ended = [part for part in message.parts if part.kind == "server_tool_result"]
    assert len(ended) == len([result for result in results if result.provider_executed])
    assert [result for result in results if not result.provider_executed] == [
        ToolResult(kept.id, kept.output, kept.error) for kept in message.results
    ]
    for protocol in protocols:
        expected = [result for result in results if has_place(result, message, protocol)]
        read = read_through(events, protocol)
        found = list(read)
        assert [known(each) for each in expected] == [known(each) for each in results_in(found)], protocol
        for before, after in zip(expected, results_in(found), strict=True):
            assert before.id in ("", after.id), protocol
        assert len(read.message.results) + len(
            [part for part in read.message.parts if part.kind == "server_tool_result"]
        ) == len(expected)
        again = read_through(found, "tokenstream")
        assert results_in(found) == results_in(list(again))


def _cases() -> list[Any]:
    """Return the recordings of complete answers: all that may have results, and a part of the others."""
    complete = [
        each for each in shared() if each.format != "custom" and each.expected.get("ending") == "complete"
    ]
    with_words = [each for each in complete if any(word in each.body for word in _WORDS)]
    return [
        *with_words,
        *sampled([each for each in complete if each not in with_words], one_in=60, slow_one_in=5),
    ]


@needs_recordings
@pytest.mark.parametrize("recorded", _cases(), ids=lambda recorded: recorded.name)
def test_the_results_of_a_real_answer_come_through_each_protocol_once(recorded: Recorded) -> None:
    holds(recorded, in_turn(OF_PROVIDERS, recorded.name, one_in=3))


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("recorded", sampled(ours(), one_in=8), ids=lambda recorded: recorded.name)
def test_the_results_of_our_recordings_come_through_each_protocol_once(recorded: Recorded) -> None:
    if recorded.expected.get("ending", "complete") == "complete":
        holds(recorded)


_json: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text("abc ", min_size=1, max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=2),
    max_leaves=4,
)


@each_protocol
def test_an_input_that_comes_only_with_the_end_of_its_call_is_sent(protocol: ProtocolName) -> None:
    """Searches of Gemini Interactions have no pieces."""
    start, _, *rest = ran(ServerToolResult(id=CALL.id, name="look_up_result", content={"n": [1]}))
    (call,) = [
        part
        for part in read_through([start, *rest], protocol).final().parts
        if isinstance(part, ServerToolCall)
    ]
    assert {"n": 1} == json.loads(call.arguments_text)


@pytest.mark.few_rows(3)
@each_protocol
@given(content=_json, error=st.none() | st.text("abc", min_size=1, max_size=8), size=st.integers(1, 60))
def test_a_result_is_read_as_it_was_written_at_every_chunking(
    protocol: ProtocolName, content: Any, error: str | None, size: int
) -> None:
    """The call comes before it, is not handed out, and the result is yielded once."""
    result = ServerToolResult(id="srv_1", name="look_up_tool_output", content=content, error=error)
    stream = read_through(ran(result), protocol, size=size)
    (found,) = results_in(stream)

    assert ("srv_1", True, error is None) == (found.id, found.provider_executed, found.error is None)
    if error is None:
        assert plain(content) == plain(found.output)
    assert (["server_tool_call", "server_tool_result", "text"], "Done.", "stop") == (
        [part.kind for part in stream.message.parts],
        stream.message.text,
        stream.message.finish_reason,
    )
    call = stream.message.parts[0]
    assert isinstance(call, ServerToolCall)
    assert ("srv_1", {"n": 1}) == (call.id, json.loads(call.arguments_text))


_outputs: list[Any] = [None, "BAD", [{"text": "BAD"}], "OUT", {"a": "OUT"}, [{"n": "OUT"}], [{"text": "OUT"}]]
"""Outputs of a tool whose error is "BAD": with more words than the error, or without."""
_names = ["look_up_result", "mcp_tool_result", "web_search_tool_result", "codeExecutionResult"]
_calls = [("srv_1", "look_up"), ("ci_1", "code_interpreter"), ("ws_1", "web_search"), ("fs_1", "file_search")]


def _is_lost(said: list[Any], event: ToolResult) -> bool:
    """Return True if a word of what a tool has said is not in the result that was read."""
    told = json.dumps([event.output, event.error])
    return any(word in json.dumps(said) and word not in told for word in ("OUT", "BAD"))


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("protocol", [*OF_PROVIDERS, "bedrock-invoke"])
@given(output=st.sampled_from(_outputs), name=st.sampled_from(_names), called=st.sampled_from(_calls))
def test_what_a_failed_tool_of_the_provider_says_is_read_or_named(
    protocol: ProtocolName, output: Any, name: str, called: tuple[str, str]
) -> None:
    id, tool = called
    result = ServerToolResult(id=id, name=name, content=output, error="BAD")
    events = ran(result, CALL.model_copy(update={"id": id, "name": tool}))
    # Without any of its words there is no result.
    found = next(iter(results_in(read_through(events, protocol))), ToolResult(id, None, ""))

    assert found.error is not None
    assert ("server_tool_result" in losses_of(protocol, *events)) == _is_lost([output, "BAD"], found)


@in_one_test("protocol", OF_OURS)
@in_one_test("output", _outputs)
def test_what_a_failed_tool_of_the_application_says_is_read_or_named(
    protocol: ProtocolName, output: Any
) -> None:
    call = ToolCall(id="c", name="f", arguments_text="{}", complete=True)
    called: list[Event] = [ToolCallStart("c", "f"), ToolCallDelta("c", "{}"), ToolCallDone(call)]
    events: list[Event] = [*called, ToolResult("c", output, "BAD"), Finish("tool_calls")]
    (found,) = results_in(read_through(events, protocol))

    assert found.error is not None
    assert ("tool_result" in losses_of(protocol, *events)) == _is_lost([output, "BAD"], found)


@pytest.mark.parametrize("content", [{"error": "a word of the tool"}, {"output": 1, "error": "none"}])
def test_gemini_does_not_take_an_output_for_an_error(content: Any) -> None:
    """The field `error` of a response is the error of its tool, but an output may have such a field."""
    result = ServerToolResult(id="srv_1", name="look_up_result", content=content)
    (found,) = results_in(read_through(ran(result), "gemini"))

    assert (content, None) == (plain(found.output), found.error)


@pytest.mark.parametrize(
    "protocol", ["ui-message", "ag-ui", "anthropic", "openai-responses", "bedrock-converse"]
)
def test_bare_code_is_sent_as_an_object(protocol: ProtocolName) -> None:
    """Clients parse the input of a tool."""
    call = ServerToolCall(id="srv_1", name="code_interpreter", arguments_text="{1, 2}", complete=True)
    result = ServerToolResult(id="srv_1", name="code_interpreter_call", content="{1, 2}")
    read = read_through(ran(result, call), protocol).final().parts[0]

    assert isinstance(read, ServerToolCall)
    assert {"code": "{1, 2}"} == json.loads(read.arguments_text)


@each_protocol
@in_one_test("text", ['{"n": ', "[1]", "", '{"n": 1} x', "\ud800"])
def test_an_input_that_is_no_object_breaks_no_protocol(protocol: ProtocolName, text: str) -> None:
    """A model may write anything; the result comes with the call all the same."""
    call = CALL.model_copy(update={"arguments_text": text})
    result = ServerToolResult(id="srv_1", name="look_up_result", content=7)
    events = [event for event in ran(result, call) if not isinstance(event, PartDelta) or event.fragment]
    stream = read_through(events, protocol)

    assert [(7, "srv_1")] == [(plain(found.output), found.id) for found in results_in(stream)]
    assert "server_tool_call" == stream.message.parts[0].kind


def test_a_ui_message_marks_what_the_provider_runs() -> None:
    """A client must not run the call, and shows the output with it."""
    result = ServerToolResult(id="srv_1", name="look_up_result", content=[7])
    marked = [each for each in relay.payloads(ran(result), "ui-message") if each["type"].startswith("tool-")]

    assert [
        {"type": "tool-input-start", "toolCallId": "srv_1", "toolName": "look_up", "providerExecuted": True},
        {"type": "tool-input-delta", "toolCallId": "srv_1", "inputTextDelta": '{"n": 1}'},
        {
            "type": "tool-input-available",
            "toolCallId": "srv_1",
            "toolName": "look_up",
            "input": {"n": 1},
            "providerExecuted": True,
        },
        {"type": "tool-output-available", "toolCallId": "srv_1", "output": [7], "providerExecuted": True},
    ] == marked


@pytest.mark.parametrize("protocol", ["ui-message", "ag-ui", "openai-responses"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3)], ids=["in a row", "by turns"])
def test_calls_without_ids_get_their_own_results(protocol: ProtocolName, order: tuple[int, ...]) -> None:
    numbered: list[list[Event]] = []
    for number in (1, 2):
        call = ServerToolCall(name="look_up", arguments_text=f'{{"n": {number}}}', complete=True)
        result = ServerToolResult(name="look_up_result", content=f"found {number}", complete=True)
        numbered.append([PartStart(call), PartDone(call)])
        numbered.append([PartStart(result), PartDone(result), told_result(result)])
    calls_first = [numbered[0], numbered[2], numbered[1], numbered[3]]
    events: list[Event] = []
    for part, at in enumerate(order):
        for event in calls_first[at]:
            if isinstance(event, PartStart | PartDone):
                event.part = part
            events.append(event)
    message = read_through([*events, Finish("stop")], protocol).final()
    calls = {part.id: part for part in message.parts if isinstance(part, ServerToolCall)}
    results = [part for part in message.parts if isinstance(part, ServerToolResult)]

    assert [({"n": 1}, "found 1"), ({"n": 2}, "found 2")] == [
        (json.loads(calls[result.id].arguments_text), result.content) for result in results
    ]
