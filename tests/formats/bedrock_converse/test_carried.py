"""Converse: tool calls, values of another shape, and blocks and events of a new kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.bedrock.payloads import (
    START,
    Named,
    arguments,
    block,
    delta,
    finish,
    frame,
    reasoning,
    stop,
    text,
    tool,
)
from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_converse.support import answer, read
from tests.formats.told import Told
from tests.support.formats import BedrockConverse
from tests.support.tables import in_one_test
from tokenstream.events import PartDelta, ToolCallDelta, Unknown
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult, ToolCall


def test_arguments_may_be_json_values_or_null() -> None:
    came = answer(tool(0), arguments(0, {"a": 1}), stop(0), tool(1), arguments(1, None), stop(1))

    assert ['{"a": 1}', ""] == [call.arguments_text for call in came.calls]
    assert {"arguments_parsed": 1, "arguments_null": 1, "call_id_repeated": 1} == came.departures


@in_one_test(
    "before, misfit",
    [
        ([], arguments(0, "{}")),
        ([text(0, "a")], arguments(0, "{}")),
        ([tool(0)], delta(0, toolUse="{}")),
        ([tool(0, type="server_tool_use")], arguments(0, {"a": 1})),
        ([], text(0, 7)),
        ([], delta(0, reasoningContent="a")),
        ([], delta(0, reasoningContent={"text": 7})),
        ([], delta(0, reasoningContent={})),
        ([], delta(0, citation="a")),
        ([], delta(0, citation={})),
        ([], delta(0, toolResult="a")),
        ([text(0, "a")], delta(0, toolResult=[{"text": "a"}])),
        ([], delta(0, image="a")),
        ([text(0, "a")], delta(0, image={"source": {}})),
        ([], delta(0, somethingNew={"a": 1})),
    ],
)
def test_a_delta_that_does_not_fit_is_carried(before: list[Named], misfit: Named) -> None:
    came = answer(*before, misfit)
    (kind,) = misfit[1]["delta"]

    assert came.error is None
    assert [misfit[1]] == came.data[kind]
    assert [kind] == came.unknown


@pytest.mark.parametrize("data", ["?", "é", 7])
def test_an_image_that_is_no_base64_is_carried(data: Any) -> None:
    source = {"bytes": data}
    came = answer(block(0, image={"format": "png"}), delta(0, image={"source": source}))

    assert OpaquePart(type="image", data={"source": source}, complete=True) in came.parts
    assert came.departures["media_invalid"] == 1


def test_fields_of_reasoning_that_are_new_are_carried() -> None:
    came = answer(reasoning(0, text="a", depth=3))

    assert "a" == came.message.reasoning
    assert [{"depth": 3}] == came.data["reasoningContent"]


def test_results_and_images_may_lack_their_start() -> None:
    came = answer(
        delta(0, toolResult=[{"text": "a"}]), stop(0), delta(1, image={"source": {"bytes": "YQ=="}}), stop(1)
    )

    assert (
        ServerToolResult(content=[{"text": "a"}], complete=True),
        MediaPart(data=b"a", complete=True),
    ) == came.parts
    assert {"part_unopened": 2} == came.departures


def test_blocks_of_a_new_kind_are_carried() -> None:
    came = answer(
        block(0, video={"format": "mp4"}),
        stop(0),
        block(1, toolUse={"toolUseId": "t1"}),
        stop(1),
        block(2, audio="x"),
        stop(2),
        block(3, toolResult={"toolUseId": "t", "content": [{"text": "a"}]}),
        stop(3),
    )

    assert (
        OpaquePart(type="video", data={"format": "mp4"}, complete=True),
        OpaquePart(type="toolUse", data={"toolUseId": "t1"}, complete=True),
        OpaquePart(type="audio", data={"audio": "x"}, complete=True),
        ServerToolResult(id="t", content=[{"text": "a"}], complete=True),
    ) == came.parts
    assert {"call_nameless": 1} == came.departures


def test_events_of_a_new_kind_are_carried() -> None:
    unknown = [
        event
        for event in read_frames(
            BedrockConverse(),
            [
                frame("heartbeatEvent", {"at": 1}),
                {"SDK_UNKNOWN_MEMBER": {"name": "x"}},
                {"init_event_loop": True},
                {},
                frame("initial-response", {}),
            ],
            end=False,
        ).events
        if isinstance(event, Unknown)
    ]

    assert ["heartbeatEvent", "SDK_UNKNOWN_MEMBER", "init_event_loop", "event"] == [e.name for e in unknown]


def test_a_tool_call_is_handed_out_when_its_block_stops() -> None:
    came = read(START, tool(1, type="tool_use"), arguments(1, ""), arguments(1, '{"a"'), arguments(1, ": 1}"))
    assert [] == came.calls
    came = read(
        START,
        tool(1, type="tool_use"),
        arguments(1, ""),
        arguments(1, '{"a"'),
        arguments(1, ": 1}"),
        stop(1),
        end=False,
    )

    assert [ToolCall(id="t1", name="now", arguments_text='{"a": 1}', complete=True)] == came.calls
    assert ['{"a"', ": 1}"] == [event.fragment for event in came.events if isinstance(event, ToolCallDelta)]


def test_a_call_without_arguments_waits_for_the_end_of_the_answer() -> None:
    for after in (finish("tool_use"), tool(1, "t2"), text(1, "a"), block(1, image={"format": "png"})):
        frames = [START, tool(0), arguments(0, ""), stop(0), after]
        came = read(*frames, finish("tool_use"))

        assert [] == read(*frames, end=False).calls
        assert ("t1", "", {}) == (came.calls[0].id, came.calls[0].arguments_text, came.calls[0].arguments)


@pytest.mark.parametrize("fragment", ["", "12", '{"path": "/tm'])
def test_a_call_that_the_token_limit_cut_is_never_handed_out(fragment: str) -> None:
    came = read(START, tool(0), arguments(0, fragment), stop(0), finish("max_tokens"))

    assert [] == came.calls
    assert [(fragment, False)] == [(call.arguments_text, call.complete) for call in came.message.tool_calls]
    assert "length" == came.reason


def test_a_stop_after_a_call_means_the_call() -> None:
    """Some models say `end_turn` for both."""
    came = answer(tool(0), arguments(0, "{}"), stop(0))

    assert ("tool_calls", "end_turn") == (came.reason, came.raw_reason)


def test_what_a_call_says_of_itself_is_kept_for_the_next_request() -> None:
    (call,) = answer(tool(0, cache="x"), arguments(0, "{}"), stop(0)).calls

    assert {"cache": "x"} == call.provider_data


def test_a_tool_that_bedrock_runs_itself_is_none_of_the_clients() -> None:
    came = answer(
        tool(0, name="nova_grounding", type="server_tool_use"),
        arguments(0, '{"query"'),
        arguments(0, ': "a"}'),
        stop(0),
        block(1, toolResult={"toolUseId": "t1", "type": "nova_grounding_result", "status": "success"}),
        delta(1, toolResult=[{"text": "On"}]),
        delta(1, toolResult=[{"text": "e"}, {"json": {"a": 1}}, {"text": "Two"}]),
        stop(1),
    )

    assert (
        ServerToolCall(
            id="t1",
            name="nova_grounding",
            arguments_text='{"query": "a"}',
            complete=True,
            provider_data={"type": "server_tool_use"},
        ),
        ServerToolResult(
            id="t1",
            name="nova_grounding_result",
            content=[{"text": "One"}, {"json": {"a": 1}}, {"text": "Two"}],
            complete=True,
            provider_data={"status": "success"},
        ),
    ) == came.parts
    assert [] == came.calls
    assert "stop" == came.reason
    assert {} == came.departures
    assert ['{"query"', ': "a"}'] == [event.fragment for event in came.events if isinstance(event, PartDelta)]


def test_a_result_shows_as_soon_as_its_first_piece_came() -> None:
    events = [START, block(0, toolResult={"toolUseId": "t1"}), delta(0, toolResult=[{"text": "On"}])]

    def content(came: Told) -> Any:
        return came.parts[0].content

    assert [] == content(read(*events[:2], end=False))
    assert [{"text": "On"}] == content(read(*events, end=False))
    assert [{"text": "One"}] == content(read(*events, delta(0, toolResult={"text": "e"}), stop(0), end=False))
    assert [{"text": "One"}] == content(read(*events, delta(0, toolResult=[{"text": "e"}])))
