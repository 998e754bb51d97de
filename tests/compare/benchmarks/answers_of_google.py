"""Answers as Google sends them."""

from __future__ import annotations

import json

from tests.compare.benchmarks.shapes import (
    Answer,
    Event,
    Payload,
    Shape,
    alone,
    carriage,
    indented,
    item,
    named,
)


def _gemini(number: int, text: str, finish: str | None = None) -> Event:
    ended = {"finishReason": finish} if finish else {}
    prompt = [{"modality": "TEXT", "tokenCount": 14}]
    return "", {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **ended, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 14,
            "candidatesTokenCount": 10 * number + 8,
            "totalTokenCount": 10 * number + 93,
            "promptTokensDetails": prompt,
            "thoughtsTokenCount": 71,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "qX1taKmBOf2rkdUPm5Xg8QI",
    }


def _spaced(payload: Payload) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


GEMINI = Shape(
    "gemini",
    carriage,
    lambda number, text, _: _gemini(number, text),
    tail=(_gemini(99_999, "", "STOP"),),
    tokens=10,
    written=_spaced,
)


def gemini_array(name: str, count: int) -> Answer:
    shape = Shape("gemini", item, GEMINI.delta, (), GEMINI.tail, b"\n]", 10, indented)
    made = shape.answer(name, count)
    first, *others = [delta for delta in made.deltas if isinstance(delta, bytes)]
    deltas = [first.removeprefix(b"\n,\n"), *others]
    return Answer(name, made.format, [b"["], deltas, made.payloads, made.tail, made.text)


def _step(text: str) -> Event:
    kind = "step.delta"
    return kind, {"index": 0, "delta": {"text": text, "type": "text"}, "event_type": kind}


INTERACTIONS = Shape("gemini-interactions", named, lambda _, text, __: _step(text), tokens=10)


LIVE = Shape(
    "gemini-live",
    alone,
    lambda _, text, __: ("", {"serverContent": {"modelTurn": {"parts": [{"text": text}]}}}),
    tokens=3,
    written=indented,
)


SHAPES = {"gemini, SSE": GEMINI, "gemini-interactions": INTERACTIONS, "gemini-live, messages": LIVE}
"""The shapes of answers, by their names in the tables."""
