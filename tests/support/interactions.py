"""The finished interaction that Google's server returns, made from the events of its stream."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def payloads_of(events: Iterable[bytes]) -> list[dict[str, Any]]:
    data = [event.partition(b"data: ")[2] for event in events]
    return [json.loads(each) for each in data if each[:1] == b"{"]


def whole_of(events: Iterable[bytes]) -> dict[str, Any]:
    """Return an interaction with the user's input, its texts and its calls, as a GET by its id brings it."""
    payloads = payloads_of(events)
    steps: dict[int, dict[str, Any]] = {}
    texts: dict[int, str] = {}
    for payload in payloads:
        if payload["event_type"] == "step.start":
            steps[payload["index"]] = {**payload["step"]}
        elif payload["event_type"] == "step.delta":
            delta = payload["delta"]
            piece = delta["arguments" if delta["type"] == "arguments_delta" else "text"]
            texts[payload["index"]] = texts.get(payload["index"], "") + piece
    for index, text in texts.items():
        is_call = steps[index]["type"] == "function_call"
        more = {"arguments": json.loads(text)} if is_call else {"content": [{"type": "text", "text": text}]}
        steps[index].update(more)
    asked = {"type": "user_input", "content": [{"type": "text", "text": "?"}]}
    ended = payloads[-1]["interaction"]
    return {**ended, "object": "interaction", "steps": [asked, *steps.values()]}
