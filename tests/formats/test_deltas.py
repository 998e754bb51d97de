"""Formats whose pieces carry an id: the short way is the long way, and nothing crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import changed, pieces
from tests.formats.told import DONE, Told, is_sound, reads_alike_at_a_glance, tell
from tests.support.formats import AGUI, UIMessage
from tests.support.tables import in_one_test
from tokenstream.errors import ProtocolError
from tokenstream.framing import ServerSentEvent
from tokenstream.limits import Limits


def ui(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


UI: list[dict[str, Any]] = [
    ui("data-weather", id="w", data={"t": 1}),
    ui("start", messageId="m", messageMetadata={"model": "x", "usage": {"inputTokens": 3}}),
    ui("start-step"),
    ui("reasoning-start", id="r", providerMetadata={"a": {"signature": "s"}}),
    ui("reasoning-delta", id="r", delta="Hm"),
    ui("reasoning-end", id="r", providerMetadata={"a": {"signature": "s2"}}),
    ui("text-start", id="0"),
    ui("text-delta", id="0", delta="Hel"),
    ui("text-delta", id="0", delta="lo"),
    ui("text-end", id="0", citations=[{"url": "u"}]),
    ui("source-url", sourceId="s", url="u"),
    ui("file", url="data:image/png;base64,AAAA", mediaType="image/png"),
    ui("tool-input-start", toolCallId="c", toolName="ls"),
    ui("tool-input-delta", toolCallId="c", inputTextDelta='{"a": 1}'),
    ui("tool-input-available", toolCallId="c", toolName="ls", input={"a": 1}),
    ui("tool-output-available", toolCallId="c", output=1, preliminary=True),
    ui("tool-output-available", toolCallId="c", output=2),
    ui("tool-input-start", toolCallId="p", toolName="search", providerExecuted=True),
    ui("tool-input-available", toolCallId="p", toolName="search", input={}, providerExecuted=True),
    ui("tool-output-error", toolCallId="p", errorText="e"),
    ui("tool-input-error", toolCallId="e", toolName="ls", input="{", errorText="e"),
    ui("tool-approval-request", toolCallId="c", approvalId="a"),
    ui("data-weather", id="w", data={"t": 2}),
    ui("reset-step"),
    ui("finish-step"),
    ui("message-metadata", messageMetadata={"a": {"b": 1}}),
    ui("finish", finishReason="stop"),
    ui("abort", reason="r"),
    ui("error", errorText="Overloaded"),
]

RUN: list[dict[str, Any]] = [
    ui("RUN_STARTED", threadId="t", runId="r"),
    ui("REASONING_MESSAGE_START", messageId="q", role="reasoning"),
    ui("REASONING_MESSAGE_CONTENT", messageId="q", delta="Hm"),
    ui("REASONING_ENCRYPTED_VALUE", subtype="message", entityId="q", encryptedValue="v"),
    ui("REASONING_MESSAGE_END", messageId="q"),
    ui("TEXT_MESSAGE_START", messageId="m", role="assistant"),
    ui("TEXT_MESSAGE_CONTENT", messageId="m", delta="Hel"),
    ui("TEXT_MESSAGE_CONTENT", messageId="m", delta="lo", rawEvent={"text": "lo"}),
    ui("TEXT_MESSAGE_END", messageId="m"),
    ui("TEXT_MESSAGE_CHUNK", messageId="n", delta="!"),
    ui("TEXT_MESSAGE_CHUNK", delta="?"),
    ui("TOOL_CALL_START", toolCallId="c", toolCallName="ls"),
    ui("TOOL_CALL_ARGS", toolCallId="c", delta='{"a": 1}'),
    ui("REASONING_ENCRYPTED_VALUE", subtype="tool-call", entityId="c", encryptedValue="v"),
    ui("TOOL_CALL_END", toolCallId="c"),
    ui("TOOL_CALL_RESULT", messageId="x", toolCallId="c", content="a"),
    ui("TOOL_CALL_CHUNK", toolCallId="d", toolCallName="pwd", delta="{}"),
    ui("STATE_SNAPSHOT", snapshot={}),
    ui("RUN_FINISHED", threadId="t", runId="r", outcome={"type": "success"}, usage=[{"outputTokens": 3}]),
    ui("RUN_ERROR", message="m", code="c"),
]

PIECES = pieces(most=40)


@in_one_test(
    "between",
    [
        ui("text-delta", id="1", delta="b"),
        ui("text-end", id="0"),
        ui("text-start", id="0"),
        ui("text-delta", id="0", delta=""),
        ui("text-delta", id="0", delta="\ud83d"),
        ui("text-delta", id=0, delta="b"),
        ui("finish-step"),
        ui("finish", finishReason="stop"),
        ui("error", errorText="m"),
        ("ping", ui("text-delta", id="0", delta="b")),
        ServerSentEvent(b'{"type":"text-delta","id":"0","delta":"b"}', "message", "7"),
        b'{"type":"text-delta","id":"0","delta":"b","delta":"c"}',
        b'["text-delta"]',
        b'{"type":',
        b"",
        DONE,
    ],
    ids=repr,
)
@in_one_test("before", [0, 1, 2, 30])
def test_what_comes_between_two_pieces_is_not_overlooked(between: Any, before: int) -> None:
    piece = ui("text-delta", id="0", delta="a")
    frames = [UI[6], ui("text-start", id="1"), *[piece] * before, between, *[piece] * 3, DONE]

    reads_alike_at_a_glance(UIMessage, frames)


@given(
    pieces=PIECES,
    ascii_only=st.booleans(),
    aside=st.sampled_from(["same", "other", "key", "id", "twice", "outside", "none"]),
    tail=st.sampled_from([b"", b" ", b"x", b',"n":1}']),
)
def test_pieces_that_are_in_a_payload_twice_give_what_reading_gives(
    pieces: list[str], ascii_only: bool, aside: str, tail: bytes
) -> None:
    """Agents send along the event of the model that they made theirs from, which holds the text again."""
    frames: list[Any] = [RUN[0], RUN[5]]
    for piece in pieces:
        asides: dict[str, dict[str, Any]] = {
            "same": {"rawEvent": {"text": piece}},
            "other": {"rawEvent": {"text": "abc"}},
            "key": {"rawEvent": {piece: 1}},
            "id": {"subagentRunId": piece},
            "twice": {"rawEvent": [piece, piece]},
            "outside": {piece: 1},
            "none": {},
        }
        text = json.dumps({**RUN[6], "delta": piece, **asides[aside]}, ensure_ascii=ascii_only)
        frames += [text.encode("utf-8", "surrogatepass")] * 2
        if tail:
            frames.append(text.encode("utf-8", "surrogatepass") + tail)
    frames.append(RUN[18])

    reads_alike_at_a_glance(AGUI, frames)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"m","rawEvent":1}',
        b'{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"x","rawEvent":"\xff x "x""}',
        b'{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"x","rawEvent":"x\xff"}',
        b'{"delta":"x","type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"x","rawEvent":1}',
        b'{"delta":"rawEvent","type":"TEXT_MESSAGE_CONTENT","messageId":"m","rawEvent":1}',
        b'{"delta":"delta","type":"TEXT_MESSAGE_CONTENT","messageId":"m","rawEvent":1}',
        b'{"delta":"metadata","metadata":{"x":1},"type":"TEXT_MESSAGE_CONTENT","messageId":"m"}',
        b'{"delta":"x","rawEvent":"\\"x","type":"TEXT_MESSAGE_CONTENT","messageId":"m","metadata":"x"}',
    ],
    ids=repr,
)
def test_a_payload_whose_text_cannot_be_told_apart_is_decoded(payload: bytes) -> None:
    frames = [RUN[0], RUN[5], *[payload] * 6, payload.replace(b'"x"', b'"y"'), *[payload] * 6, RUN[18]]

    reads_alike_at_a_glance(AGUI, frames)


def test_a_piece_that_is_the_name_of_its_type_changes_no_type() -> None:
    """Where a type is spelt as the text is, another one in both places means something else."""
    pieces = [ui(kind, messageId="m", delta=kind) for kind in ("TEXT_MESSAGE_CONTENT", "CUSTOM")]
    frames = [RUN[0], RUN[5], *[pieces[0]] * 6, pieces[1], *[pieces[0]] * 6, RUN[8], RUN[18]]

    assert "TEXT_MESSAGE_CONTENT" * 12 == tell(AGUI(), *frames).message.text


def test_bounds_hold_on_the_short_way_too() -> None:
    deep = {**RUN[6], "rawEvent": [[[[1]]]]}
    format = AGUI(limits=Limits(depth=3))
    told = tell(format, RUN[0], RUN[5], RUN[6], deep)

    assert isinstance(told.error, ProtocolError)
    assert "Hel" == told.message.text


def check(told: Told) -> None:
    """Whatever came, each call that is complete was handed out."""
    is_sound(told, whole=False)
    complete = [call.id for call in told.message.tool_calls if call.complete]
    assert sorted(call.id for call in told.calls) == sorted(complete)


@given(payloads=changed(UI))
def test_whatever_a_server_of_ui_messages_sends_only_our_errors_come_out(payloads: list[Any]) -> None:
    told = tell(UIMessage(), *payloads)

    check(told)
    if "reset-step" not in told.unknown:
        assert sorted("".join(told.texts)) == sorted(told.message.text)
    reads_alike_at_a_glance(UIMessage, payloads)


@given(payloads=changed(RUN))
def test_whatever_an_agent_sends_only_our_errors_come_out(payloads: list[Any]) -> None:
    told = tell(AGUI(), *payloads)

    check(told)
    assert sorted("".join(told.texts)) == sorted(told.message.text)
    reads_alike_at_a_glance(AGUI, payloads)
