"""What Google's encoders send, in the words of its APIs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.sent import bare, sent
from tokenstream.testing import Script

FORMATS = ("gemini", "gemini-live", "gemini-interactions")
each_format = pytest.mark.parametrize("format", FORMATS)


def chunk(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a chunk of Gemini with one candidate; it has no counts."""
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **fields}
    return {"candidates": [candidate], "modelVersion": "scripted-1", "responseId": "response-1"}


def turn(part: dict[str, Any]) -> dict[str, Any]:
    """Return a message of Gemini Live with a part."""
    return {"serverContent": {"modelTurn": {"parts": [part]}}}


def named(kind: str, **fields: Any) -> tuple[str, Any]:
    return kind, {**fields, "event_type": kind}


def step(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        named("step.start", index=index, step=start),
        *(named("step.delta", index=index, delta=delta) for delta in deltas),
        named("step.stop", index=index),
    ]


def output(index: int, *deltas: dict[str, Any]) -> list[tuple[str, Any]]:
    return step(index, {"type": "model_output"}, *deltas)


def texts(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": piece} for piece in pieces]


def steps_of(script: Script) -> list[tuple[str, Any]]:
    """Return the steps of an interaction: what stands between its head and its end."""
    return sent(script, "gemini-interactions")[2:-2]


def told_live(script: Script) -> list[Any]:
    """Return a session's messages between its setup and the end of the turn."""
    return bare(script.chunks("gemini-live"))[1:-2]
