"""Gemini Live: laws that hold for every session, and reading at a glance."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tests.support.formats import GeminiLive
from tokenstream import Decoder


class Plain(GeminiLive):
    """The format without its short way."""

    fast: ClassVar[Any] = None


PIECE = "here stands a piece"
SHAPES: list[Payload] = [
    text(PIECE),
    text(PIECE),
    turn({"text": PIECE, "thought": True}),
    turn({"text": PIECE}, {"text": PIECE}),
    turn({"text": 7}),
    content(modelTurn={"parts": [{"text": PIECE}], "role": "model"}),
    content(modelTurn={"parts": {"text": PIECE}}),
    {"serverContent": {"modelTurn": [{"text": PIECE}]}},
    {"server_content": {"modelTurn": {"parts": [{"text": PIECE}]}}},
    {**text(PIECE), "usageMetadata": {"responseTokenCount": 1}},
    spoken(PIECE),
    DONE,
    INTERRUPTED,
    {"error": {"message": "text"}},
]

PIECES = st.one_of(st.text(max_size=4), st.sampled_from(["", "\ud83d", "\ude00", "a\ud83d", "text"]))


@given(written=st.lists(st.tuples(st.sampled_from(SHAPES), PIECES), max_size=10))
def test_text_read_at_a_glance_is_what_reading_in_full_gives(written: list[tuple[Payload, str]]) -> None:
    shaped = [json.dumps(shape).replace(json.dumps(PIECE), json.dumps(piece)) for shape, piece in written]
    payloads: list[Payload | bytes] = [text("a"), *[each.encode() for each in shaped], text("b"), DONE]

    assert read(*payloads, format=Plain()).outcome == read(*payloads).outcome
    told_by = []
    for format_ in (GeminiLive(), Plain()):
        decoder = Decoder(format_)
        frames = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in payloads]
        events = [one for each in frames for one in decoder.feed(each)] + decoder.end()
        told_by.append((events, [one.raw for one in events], decoder.message, repr(decoder.error)))
    assert told_by[0] == told_by[1]


@pytest.mark.parametrize("stray", [b'{"text"', b'[{"text": "a"}]', b'{"a": "text", "text": {}}', b'"text"'])
def test_what_only_looks_like_text_is_read_in_full(stray: bytes) -> None:
    payloads: list[Payload | bytes] = [text("a"), text("b"), stray, text("c")]

    assert read(*payloads, format=Plain()).outcome == read(*payloads).outcome


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
