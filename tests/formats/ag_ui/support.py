"""Events of an AG-UI run, and what reading them gives."""

from __future__ import annotations

from typing import Any

from tests.formats.told import Told, tell
from tests.support.formats import AGUI

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
    return tell(AGUI(), START, *payloads, end)
