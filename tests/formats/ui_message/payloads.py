"""Chunks of UI message streams, and what reading them gives."""

from __future__ import annotations

from typing import Any

from tests.formats.told import DONE, Told, tell
from tests.support.formats import UIMessage

START = {"type": "start", "messageId": "msg_1"}
STEP, STEP_END = {"type": "start-step"}, {"type": "finish-step"}
FINISH = {"type": "finish", "finishReason": "stop"}
HELLO = [
    {"type": "text-start", "id": "0"},
    {"type": "text-delta", "id": "0", "delta": "Hel"},
    {"type": "text-delta", "id": "0", "delta": "lo"},
    {"type": "text-end", "id": "0"},
]


def answer(*payloads: Any, finish: dict[str, Any] = FINISH) -> Told:
    return tell(UIMessage(), START, STEP, *payloads, STEP_END, finish, DONE)


def call(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"tool-{kind}", "toolCallId": "call_1", **fields}


NAMED = {"toolName": "weather"}
