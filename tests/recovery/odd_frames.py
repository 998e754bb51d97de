"""Frames and fields that no format knows, and answers with some of them in any place."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support import wire

NEUTRAL = (wire.sse({"zone": "north", "hop": 2}), wire.sse({"zone": "north"}, event="proxy.info"))
"""What a gateway may add to an answer of any format in server-sent events."""
FRAMES: dict[str, tuple[bytes, ...]] = {
    "openai-chat": (
        *NEUTRAL,
        wire.sse({"choices": [], "x_proxy": {"hops": [1]}}),
        wire.sse({"choices": [], "system_fingerprint": "fp_7"}),
    ),
    "anthropic": (
        wire.sse({"type": "message_mood", "mood": {"calm": 1}}, event="message_mood"),
        wire.sse({"zone": "north"}),
        wire.sse({"type": "ping", "zone": "north"}, event="ping"),
    ),
    "openai-responses": (
        wire.sse({"type": "response.mood.checked", "calm": True}, event="response.mood.checked"),
        wire.sse({"type": "heartbeat"}, event="heartbeat"),
        wire.sse({"zone": "north", "hop": 2}),
    ),
    "gemini": (
        wire.sse({"candidates": [{"content": {"parts": [{"moodOf": {"calm": 1}}], "role": "model"}}]}),
        wire.sse({"zone": {"name": "north"}}),
        wire.sse({"calm": 1}, event="mood"),
    ),
    "ollama": (
        b'{"model": "m", "zone": "north"}\n',
        b'{"mood": {"calm": 1}}\n',
        b'{"model": "m", "message": {"role": "assistant", "content": "", "mood": 1}, "done": false}\n',
    ),
}
"""Whole frames by format: events of new types, objects of a gateway, and the provider's own data."""
_LIVE_FRAMES = (
    wire.sse({"type": "session.mood.checked", "calm": True}),
    wire.sse({"type": "response.event", "delegation_id": "d_9", "event": {"type": "response.mood"}}),
    wire.sse({"zone": "north", "hop": 2}),
)
_ALL_FRAMES = {**FRAMES, "openai-live": _LIVE_FRAMES}
_FREE = frozenset({"args", "arguments", "input", "metadata"})
"""Names of objects whose fields are the application's, or the model's."""


def with_odd_frames(
    chunks: Sequence[bytes], format: str, chance: random.Random, *, fields: bool = True
) -> list[bytes]:
    """Return an answer with unknown frames before, between and behind its own, and fields in those."""
    found: list[bytes] = []
    for chunk in chunks:
        found += _some(format, chance)
        found.append(_with_field(chunk, chance) if fields and chance.random() < 0.3 else chunk)
    return [*found, *_some(format, chance)]


def _some(format: str, chance: random.Random) -> Iterator[bytes]:
    while chance.random() < 0.3:
        yield chance.choice(_ALL_FRAMES.get(format, NEUTRAL))


def _with_field(chunk: bytes, chance: random.Random) -> bytes:
    """Return a frame with one more field in any of its objects, or as it is if it has none."""
    start = chunk.find(b"{")
    if start < 0:
        return chunk
    payload = json.loads(chunk[start:])
    chance.choice([*_objects_in(payload)])["x_mood"] = chance.choice([1, True, {"calm": 1}, [1, {"b": 2}]])
    end = chunk[len(chunk.rstrip()) :]
    return chunk[:start] + json.dumps(payload, separators=(",", ":")).encode() + end


def _objects_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in items:
        if isinstance(each, dict | list) and name not in _FREE:
            yield from _objects_in(each)
