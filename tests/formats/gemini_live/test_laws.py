"""Gemini Live: laws that hold for every session, and reading at a glance."""

from __future__ import annotations

import pytest

from tests.formats.gemini_live.support import (
    DONE,
    GENERATED,
    INTERRUPTED,
    SETUP,
    Payload,
    content,
    inline,
    read,
    spoken,
    text,
    tool_call,
    turn,
)
from tests.formats.told import without_shortcuts
from tests.support.formats import GeminiLive


@pytest.mark.parametrize("stray", [b'{"text"', b'[{"text": "a"}]', b'{"a": "text", "text": {}}', b'"text"'])
def test_what_only_looks_like_text_is_read_in_full(stray: bytes) -> None:
    payloads: list[Payload | bytes] = [text("a"), text("b"), stray, text("c")]

    assert read(*payloads, format=without_shortcuts(GeminiLive())).outcome == read(*payloads).outcome


EVERYTHING = [
    SETUP,
    content(inputTranscription={"text": "Hi"}),
    turn({"text": "Let me", "thought": True, "thoughtSignature": "c2ln"}),
    text("Hel"),
    text("lo"),
    tool_call({"id": "a", "name": "n", "args": {"b": [1]}}),
    inline(b"\x00\x01"),
    spoken("Hi"),
    turn({"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}),
    content(groundingMetadata={"groundingChunks": [{"web": {"uri": "https://a"}}]}),
    {"sessionResumptionUpdate": {"newHandle": "h"}},
    {"toolCallCancellation": {"ids": ["a"]}},
    GENERATED,
    {**DONE, "usageMetadata": {"responseTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO"}]}},
    text("again"),
    INTERRUPTED,
    DONE,
    {"goAway": {"timeLeft": "1s"}},
]
