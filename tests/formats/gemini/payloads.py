"""Payloads as Gemini sends them."""

from __future__ import annotations

from typing import Any, TypeAlias

Payload: TypeAlias = dict[str, Any]

USAGE: Payload = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}


def chunk(*parts: Payload, finish: str | None = None, index: int | None = None, **fields: Any) -> Payload:
    """Return a chunk with one candidate.

    Args:
        parts: The candidate's parts.
        finish: Its finish reason.
        index: Its index; left out where it is None, as the API leaves out 0.
        fields: Further fields of the candidate.
    """
    candidate: Payload = {"content": {"parts": list(parts), "role": "model"}, **fields}
    if index is not None:
        candidate["index"] = index
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1"}


def text(piece: str, **fields: Any) -> Payload:
    return {"text": piece, **fields}


def thought(piece: str, **fields: Any) -> Payload:
    return {"text": piece, "thought": True, **fields}


def call(name: str | None = None, /, *beside: Payload, **fields: Any) -> Payload:
    """Return a part with a call or a piece of one; what stands beside it in the part comes first."""
    named: Payload = {} if name is None else {"name": name}
    return {
        "functionCall": {**named, **fields},
        **{key: value for more in beside for key, value in more.items()},
    }


def value(path: str, **fields: Any) -> Payload:
    """Return a piece of a streamed call: one value with its path."""
    return call(partialArgs=[{"jsonPath": path, **fields}], willContinue=True)


STOP = chunk(finish="STOP")
