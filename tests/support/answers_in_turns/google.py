"""Answers written in turns: Google's formats."""

from __future__ import annotations

from functools import partial

from tests.support.answers_in_turns.wires import Answer, Payload, sse
from tests.support.wire import bytes_of


def _candidate(index: int, piece: str) -> Payload:
    content = {"parts": [{"text": piece}], "role": "model"}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 8, "totalTokenCount": 11}
    return {
        "candidates": [{"content": content, "index": index}],
        "usageMetadata": counts,
        "modelVersion": "gemini-x",
    }


def _thought(index: int, piece: str) -> Payload:
    part = {"text": piece, "thought": True} if index else {"text": piece}
    return {"candidates": [{"content": {"parts": [part], "role": "model"}}], "modelVersion": "gemini-x"}


def _interaction(index: int, piece: str) -> Payload:
    return {"event_type": "step.delta", "index": index, "delta": {"type": "text", "text": piece}}


GOOGLE: dict[str, Answer] = {
    "gemini, candidates": Answer("gemini", _candidate),
    "gemini, text and thoughts": Answer("gemini", _thought),
    "gemini-interactions": Answer(
        "gemini-interactions",
        _interaction,
        tuple({"event_type": "step.start", "index": n, "step": {"type": "model_output"}} for n in range(2)),
        partial(sse, name="event_type"),
    ),
    "gemini-interactions, calls": Answer(
        "gemini-interactions",
        lambda n, text: {
            "event_type": "step.delta",
            "index": n,
            "delta": {"type": "arguments_delta", "arguments": text},
        },
        tuple(
            {
                "event_type": "step.start",
                "index": n,
                "step": {"type": "function_call", "id": f"c{n}", "name": "f", "arguments": {}},
            }
            for n in range(2)
        ),
        partial(sse, name="event_type"),
    ),
    "gemini-live": Answer(
        "gemini-live",
        lambda n, text: {
            "serverContent": {"modelTurn": {"parts": [{"text": text, **({"thought": True} if n else {})}]}}
        },
        wire=bytes_of,
    ),
}
