"""What holds for any Gemini stream: the short way is the long way, and nothing crashes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gemini.payloads import STOP, USAGE, Payload, call, chunk, text, thought, value
from tests.formats.mutations import changed
from tests.formats.told import is_sound, tell
from tests.support.formats import Gemini

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


@given(changed(EVERYTHING), st.booleans())
def test_whatever_comes_only_errors_of_ours_come_out(frames: list[Any], plain: bool) -> None:
    """Payloads in any order, with fields dropped, retyped, renamed and swapped."""
    told = tell(Gemini(), *frames, plain=plain)

    is_sound(told)
    assert len(told.calls) == len([c for m in told.messages for c in m.tool_calls if c.complete])
