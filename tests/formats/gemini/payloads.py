"""Payloads as Gemini sends them."""

from __future__ import annotations

from typing import Any, TypeAlias

Payload: TypeAlias = dict[str, Any]

USAGE: Payload = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}


def chunk(*parts: Payload, finish: str | None = None, index: int | None = None, **fields: Any) -> Payload:
    """Return a chunk with one candidate."""
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


EVERYTHING: list[Payload] = [
    chunk(thought("Let me")) | {"usageMetadata": USAGE},
    chunk(thought(" see", thoughtSignature="c2ln")),
    chunk(text("Hel"), safetyRatings=[{"category": "X"}]),
    chunk(text("lo"), text(" you"), index=1),
    chunk(text("", thoughtSignature="c2ln", partMetadata={"a": 1})),
    chunk(call("f", {"thoughtSignature": "c2ln"}, args={"a": [1]}, id="c1")),
    chunk(call("g", willContinue=True)),
    chunk(value("$.a.b[0]", stringValue="x", willContinue=True)),
    chunk(value("$.a.b[0]", stringValue="y")),
    chunk(value("$.a.n", numberValue=1)),
    chunk(call()),
    chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
    chunk({"fileData": {"mimeType": "image/png", "fileUri": "gs://a"}}),
    chunk({"executableCode": {"language": "PYTHON", "code": "1"}}),
    chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}),
    chunk({"toolCall": {"id": "t", "toolType": "X", "args": {}}}),
    chunk({"toolResponse": {"id": "t", "toolType": "X", "response": {}}}),
    chunk(
        text("."),
        groundingMetadata={
            "groundingChunks": [{"web": {"uri": "u", "title": "t"}}],
            "groundingSupports": [{"segment": {"endIndex": 3}, "groundingChunkIndices": [0]}],
        },
        citationMetadata={"citations": [{"startIndex": 1, "endIndex": 2, "uri": "u"}]},
        logprobsResult={"chosenCandidates": [{"token": "."}], "topCandidates": [{"candidates": []}]},
    ),
    {"promptFeedback": {"blockReason": "SAFETY"}},
    {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}},
    {"response": chunk(text("in"))},
    {"candidates": [{"finish_reason": "STOP"}], "usage_metadata": {"candidates_token_count": 3}},
    STOP,
    STOP | {"usageMetadata": USAGE},
]
"""Payloads of all kinds."""
