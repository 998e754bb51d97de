"""The marks of an answer, found in its payloads alone, by a hand that knows nothing of the library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from tests.support.recordings import Recorded, ours, shared

MARKS = ("first_byte", "first_event", "ttft", "first_text", "first_tool_call")
_MOST_EVENTS = 120
"""Events of a recording that are read."""
_SSE = (b"data:", b"event:", b":", b"id:")


def firsts(format: str, events: list[bytes]) -> dict[str, int]:
    """Return the numbers of the events that bring the first of each kind, by their payloads alone."""
    found = {"first_byte": 0}
    for number, event in enumerate(events):
        if not event.startswith(b":"):
            found.setdefault("first_event", number)
        for kind in (kind for payload in _payloads(event) for kind in _KINDS[format](payload)):
            found.setdefault("ttft", number)
            found.setdefault(kind, number)
    found.pop("token", None)
    return found


def offered(events: list[bytes]) -> list[str]:
    """Return the names of the tools that the request has offered, as far as chunks of OpenAI Chat call them.

    With these names, a name is known to be whole. Without them, another piece of it may follow.
    """
    deltas = [
        choice.get("delta") or {}
        for event in events
        for payload in _payloads(event)
        for choice in payload.get("choices") or ()
    ]
    calls = [call.get("function") or {} for delta in deltas for call in delta.get("tool_calls") or ()]
    return sorted({call["name"] for call in calls if call.get("name")})


def _payloads(event: bytes) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in re.findall(rb"^data: ?(\{.*)$", event, re.MULTILINE)]


def _of_chat(payload: dict[str, Any]) -> Iterator[str]:
    for choice in payload.get("choices") or ():
        delta = choice.get("delta") or {}
        content = delta.get("content") or ""
        pieces: Any = [{"type": "text"}] if content and isinstance(content, str) else content
        for piece in pieces:
            yield "first_text" if piece["type"] == "text" else "token"
        details = delta.get("reasoning_details") or ()
        others = [delta.get(name) for name in ("reasoning_content", "reasoning", "refusal")]
        if any(others) or any(detail.get("text") for detail in details):
            yield "token"
        if delta.get("tool_calls"):
            yield "first_tool_call"


def _of_anthropic(payload: dict[str, Any]) -> Iterator[str]:
    block, delta = payload.get("content_block") or {}, payload.get("delta") or {}
    if delta.get("text"):
        yield "first_text"
    if delta.get("thinking") or delta.get("partial_json"):
        yield "token"
    for each in [block, *((payload.get("message") or {}).get("content") or ())]:
        if each.get("type") == "tool_use":
            yield "first_tool_call"


def _of_responses(payload: dict[str, Any]) -> Iterator[str]:
    kind, item = payload.get("type", ""), payload.get("item") or {}
    if kind == "response.output_text.delta" and payload["delta"]:
        yield "first_text"
    elif kind.endswith(".delta") and payload["delta"]:
        yield "token"
    elif kind == "response.output_item.added" and (
        item.get("type") in ("function_call", "custom_tool_call") or item.get("execution") == "client"
    ):
        yield "first_tool_call"
    elif kind == "response.output_item.done" and item.get("type", "").endswith("_call"):
        # The provider runs it, and tells its arguments as a whole.
        yield "token"


def _of_gemini(payload: dict[str, Any]) -> Iterator[str]:
    for candidate in payload.get("candidates") or ():
        for part in (candidate.get("content") or {}).get("parts") or ():
            if part.get("text"):
                yield "token" if part.get("thought") else "first_text"
            if "functionCall" in part:
                yield "first_tool_call"


_KINDS = {
    "openai-chat": _of_chat,
    "anthropic": _of_anthropic,
    "openai-responses": _of_responses,
    "gemini": _of_gemini,
}


def events_of(recorded: Recorded) -> list[bytes]:
    return [event for event in re.split(rb"(?<=\n\n)", recorded.body) if event][:_MOST_EVENTS]


def chosen() -> list[Recorded]:
    """Return recordings with reasoning, tool calls and pings first, from all formats in turns."""
    everything = [*shared(), *ours()]
    streams = [each for each in everything if each.body.startswith(_SSE) and each.body.count(b"\n\n") > 1]
    found = [each for each in streams if each.format in _KINDS]
    words = (b"reason", b"thinking", b"tool", b"ping")
    found.sort(key=lambda each: -sum(word in each.body for word in words))
    by_format = [[each for each in found if each.format == format] for format in _KINDS]
    return [each for turn in zip_longest(*by_format) for each in turn if each is not None]
