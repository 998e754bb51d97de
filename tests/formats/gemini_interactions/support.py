"""Events as the Interactions API sends them, and what reading them gives."""

from __future__ import annotations

from typing import Any

from tests.formats.told import Told, tell
from tests.support.formats import GeminiInteractions
from tokenstream.limits import Limits

DONE = ("done", b"[DONE]")
USAGE = {
    "total_input_tokens": 7,
    "total_output_tokens": 5,
    "total_thought_tokens": 20,
    "total_cached_tokens": 0,
    "total_tokens": 32,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 3}, {"modality": "audio", "tokens": 4}],
}


def event(kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return kind, {**fields, "event_type": kind}


def created(**fields: Any) -> tuple[str, dict[str, Any]]:
    head = {"id": "i1", "status": "in_progress", "object": "interaction", "model": "gemini-x"}
    return event("interaction.created", interaction={**head, **fields})


def completed(status: str = "completed", **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("interaction.completed", interaction={"id": "i1", "status": status, **fields})


def start(index: int, kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("step.start", index=index, step={"type": kind, **fields})


def delta(index: int, kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("step.delta", index=index, delta={"type": kind, **fields})


def stop(index: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("step.stop", index=index, **fields)


def read(*frames: Any, limits: Limits | None = None) -> Told:
    return tell(GeminiInteractions(limits=limits), *frames)


def step(kind: str, *deltas: Any, status: str = "completed", **fields: Any) -> Told:
    return read(created(), start(0, kind, **fields), *deltas, stop(0), completed(status), DONE)


WHOLE: dict[str, Any] = {
    "id": "i1",
    "object": "interaction",
    "status": "completed",
    "model": "gemini-x",
    "steps": [
        {"type": "user_input", "content": [{"type": "text", "text": "q"}]},
        {"type": "thought", "signature": "c2ln"},
        {"type": "function_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
        {"type": "model_output", "content": [{"type": "text", "text": "Hello"}]},
    ],
    "output_text": "Hello",
    "usage": USAGE,
}
