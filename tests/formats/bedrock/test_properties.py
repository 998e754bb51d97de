"""What holds for any stream of Bedrock: nothing crashes, and a cut is never complete."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from tests.formats.bedrock.payloads import (
    START,
    USAGE,
    Named,
    arguments,
    block,
    delta,
    finish,
    read,
    reasoning,
    stop,
    text,
    tool,
)
from tests.formats.bedrock.support import INNER, packed
from tests.formats.mutations import strayed
from tests.formats.told import is_sound
from tests.support.formats import BedrockConverse, BedrockInvoke
from tokenstream.framing import EventStreamMessage

EVERYTHING: list[Named] = [
    START,
    reasoning(0, text="Let me"),
    reasoning(0, text=" see", signature="c2ln"),
    reasoning(0, redactedContent="c2Vj"),
    stop(0),
    text(1, "Hel"),
    delta(1, citation={"title": "t", "sourceContent": [{"text": "s"}], "location": {"web": {"url": "u"}}}),
    text(1, "lo"),
    stop(1),
    tool(2),
    arguments(2, '{"path"'),
    arguments(2, ': "/srv"}'),
    stop(2),
    tool(3, type="server_tool_use"),
    arguments(3, '{"query": "cats"}'),
    stop(3),
    block(4, toolResult={"toolUseId": "t1", "type": "x", "status": "success"}),
    delta(4, toolResult=[{"text": "a"}, {"json": {"b": 1}}]),
    stop(4),
    block(5, image={"format": "png"}),
    delta(5, image={"source": {"bytes": "YQ==", "s3Location": {"uri": "s3://a"}}, "error": {"message": "m"}}),
    stop(5),
    finish("tool_use", additionalModelResponseFields={"a": 1}),
    USAGE,
]

OUR_OWN: list[Any] = ["é", b"x", {"a": {}}, {"text": {}}]
"""What else may stand in a field: bytes, too, as boto3's objects have them."""


@given(strayed([dict([each]) for each in EVERYTHING], *OUR_OWN))
def test_whatever_converse_sends_only_our_own_errors_come_out(events: list[Any]) -> None:
    is_sound(read(BedrockConverse(), [each for each in events if isinstance(each, dict)]), has_bytes=True)


@given(strayed([list(each) for each in EVERYTHING], *OUR_OWN))
def test_whatever_binary_messages_hold_only_our_own_errors_come_out(events: list[Any]) -> None:
    frames = [
        EventStreamMessage(json.dumps(each[1:2], default=str).encode()[1:-1], str(each[0]))
        for each in events
        if isinstance(each, list) and each
    ]
    is_sound(read(BedrockConverse(), frames))


@given(strayed(INNER, *OUR_OWN))
def test_whatever_models_send_only_our_own_errors_come_out(events: list[Any]) -> None:
    chunks = [json.dumps(each, default=str).encode() for each in events]

    is_sound(read(BedrockInvoke(), [{"chunk": {"bytes": each}} for each in chunks]))
    is_sound(read(BedrockInvoke(), [packed(each) for each in chunks]))


@given(
    strayed(
        [{"chunk": {"bytes": "e30=", "p": "ab"}}, {"chunk": {"bytes": b'{"generation": "a"}'}}] * 3, *OUR_OWN
    )
)
def test_whatever_chunks_are_only_our_own_errors_come_out(events: list[Any]) -> None:
    is_sound(read(BedrockInvoke(), [each for each in events if isinstance(each, dict)]), has_bytes=True)
