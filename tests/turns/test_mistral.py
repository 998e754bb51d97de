"""`message.to_mistral()`: one message of Mistral's own chat."""

from __future__ import annotations

from functools import partial

import pytest

from tests.turns.sdks import accept, answer_of, unsendable
from tokenstream.errors import NotExpressible
from tokenstream.message import Citation, MediaPart, OpaquePart, ReasoningPart, TextPart, ToolCall

_mistral = partial(answer_of, format="openai-chat")


def test_thinking_and_references_are_chunks_in_their_order() -> None:
    reference = {"type": "reference", "reference_ids": [0, 2]}
    file = {"type": "file", "file_id": "f"}
    turn = _mistral(
        ReasoningPart(text="Hm", signature="c2ln", complete=True),
        TextPart(text="So"),
        Citation(cites=1, provider_data=reference),
        MediaPart(mime_type="image/png", data=bytes(2), complete=True, provider_data={"type": "image_url"}),
        MediaPart(url="https://x", complete=True, provider_data={"type": "image_url"}),
        OpaquePart(type="file", data=file, complete=True),
        ReasoningPart(text="And"),
    ).to_mistral()

    assert [
        {
            "type": "thinking",
            "thinking": [{"type": "text", "text": "Hm"}],
            "signature": "c2ln",
            "closed": True,
        },
        {"type": "text", "text": "So"},
        reference,
        {"type": "image_url", "image_url": "data:image/png;base64,AAA="},
        {"type": "image_url", "image_url": "https://x"},
        file,
        {"type": "thinking", "thinking": [{"type": "text", "text": "And"}]},
    ] == turn["content"]
    accept("mistral", turn)


def test_what_is_no_chunk_is_named() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    message = _mistral(
        ReasoningPart(text="Hm", provider_data={"type": "reasoning.text"}),
        ReasoningPart(redacted="eA=="),
        TextPart(text="So"),
        Citation(url="u"),
        MediaPart(mime_type="audio/wav", data=bytes(2), complete=True),
        OpaquePart(type="x", data={"type": "x"}, complete=True),
        ToolCall(id="c", name="now", complete=True, provider_data=signed),
    )

    assert {"reasoning": 2, "citation": 1, "media": 1, "opaque": 1, "signature": 1} == unsendable(
        message, "mistral"
    )
    with pytest.raises(NotExpressible, match="1 reasoning"):
        _mistral(ReasoningPart(text="Hm"), format="cohere").to_mistral()
