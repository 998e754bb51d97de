"""What `streamText()` of the AI SDK makes of the model of its own tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compare.emitters.whole import Said, check_body
from tests.support.node import node_with
from tests.support.texts import pieces_of

pytestmark = pytest.mark.slow
_SCRIPT = Path(__file__).with_name("ai_sdk.mjs")
SCENARIOS = [
    Said("Hi"),
    Said('Hello, wörld. 日本 🙂\n\ndata: x\n\n[DONE] "quoted" \\ {"a": 1}'),
    Said("Hello", reasoning="Let me see."),
    Said(calls=[("weather", {"city": "Oslo"})]),
    Said("Let me look.", [("weather", {"city": "Oslo"}), ("weather", {"city": "Łódź"})], "They ask."),
]


def _parts(told: Said) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "stream-start", "warnings": []}]
    for kind, text in (("reasoning", told.reasoning), ("text", told.text)):
        if text:
            deltas = [{"type": f"{kind}-delta", "id": kind, "delta": piece} for piece in pieces_of(text, 4)]
            parts += [{"type": f"{kind}-start", "id": kind}, *deltas, {"type": f"{kind}-end", "id": kind}]
    for number, (name, arguments) in enumerate(told.calls):
        call, text = f"call_{number}", json.dumps(arguments)
        deltas = [{"type": "tool-input-delta", "id": call, "delta": piece} for piece in pieces_of(text, 4)]
        parts += [{"type": "tool-input-start", "id": call, "toolName": name}, *deltas]
        parts += [
            {"type": "tool-input-end", "id": call},
            {"type": "tool-call", "toolCallId": call, "toolName": name, "input": text},
        ]
    reason = {"unified": "tool-calls" if told.calls else "stop", "raw": "end"}
    usage = {"inputTokens": {"total": 3}, "outputTokens": {"total": 5}}
    return [*parts, {"type": "finish", "finishReason": reason, "usage": usage}]


def test_what_the_ai_sdk_streams_says_what_the_model_said() -> None:
    folder, node = node_with("ai")
    bodies = subprocess.run(
        [node, "--input-type=module", "--eval", _SCRIPT.read_text("utf-8")],
        cwd=folder,
        input=json.dumps([_parts(told) for told in SCENARIOS]),
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    for told, messages in zip(SCENARIOS, json.loads(bodies), strict=True):
        check_body(messages.encode(), told)
