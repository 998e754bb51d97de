"""Converse: values of another shape, and blocks and events of a new kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.bedrock.payloads import Named, arguments, block, delta, frame, reasoning, stop, text, tool
from tests.formats.bedrock.payloads import read as read_frames
from tests.formats.bedrock_converse.support import answer
from tests.support.formats import BedrockConverse
from tests.support.tables import in_one_test
from tokenstream.events import Unknown
from tokenstream.message import MediaPart, OpaquePart, ServerToolResult


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
