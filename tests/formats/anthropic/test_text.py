"""Anthropic: text, thinking and citations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.anthropic.payloads import answer, block, delta, read, stop, text
from tokenstream.events import ReasoningDelta
from tokenstream.message import Citation, ReasoningPart


def test_thinking_keeps_its_signature() -> None:
    """Reasoning must be sent back with its signature, byte for byte."""
    came = read(
        *answer(
            block(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="Let me "),
            delta(0, "thinking_delta", thinking="see"),
            delta(0, "signature_delta", signature="c2ln"),
            stop(0),
        )
    )

    assert came.message.parts == (ReasoningPart(text="Let me see", signature="c2ln", complete=True),)


def test_a_signature_that_comes_twice_is_taken_once() -> None:
    came = read(
        *answer(
            block(0, "thinking", thinking="So", signature="c2ln"),
            delta(0, "signature_delta", signature="c2ln"),
            stop(0),
        )
    )

    assert came.message.parts == (ReasoningPart(text="So", signature="c2ln", complete=True),)
    assert [event.signature for event in came.events if isinstance(event, ReasoningDelta)] == [None, "c2ln"]


def test_hidden_thinking_tells_how_many_tokens_it_has_taken() -> None:
    """Estimates are increments; their sum is a display hint, and no usage."""
    came = read(
        *answer(
            block(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="", estimated_tokens=40),
            delta(0, "thinking_delta", thinking="", estimated_tokens=2),
            stop(0),
        )
    )

    assert came.message.provider_data["estimated_tokens"] == 42
    assert came.message.usage.reasoning_tokens is None


def test_redacted_thinking_is_kept_verbatim() -> None:
    """Redacted thinking must be sent back as it came."""
    came = read(*answer(block(0, "redacted_thinking", data="c2VjcmV0"), stop(0)))

    assert came.message.parts == (ReasoningPart(redacted="c2VjcmV0", complete=True),)


@pytest.mark.parametrize(
    "sent, expected",
    [
        (
            {
                "type": "char_location",
                "cited_text": "§ 1",
                "document_title": "Laws",
                "start_char_index": 0,
                "end_char_index": 3,
            },
            Citation(title="Laws", text="§ 1"),
        ),
        (
            {"type": "page_location", "cited_text": "p", "document_title": None, "start_page_number": 1},
            Citation(text="p"),
        ),
        ({"type": "content_block_location", "cited_text": "b", "start_block_index": 0}, Citation(text="b")),
        (
            {
                "type": "web_search_result_location",
                "cited_text": "w",
                "url": "https://example.org",
                "title": "W",
            },
            Citation(url="https://example.org", title="W", text="w"),
        ),
        (
            {"type": "search_result_location", "cited_text": "s", "source": "https://example.org/s"},
            Citation(url="https://example.org/s", text="s"),
        ),
        (
            {"type": "search_result_location", "cited_text": "s", "source": "shelf 3", "title": "S"},
            Citation(title="S", text="s"),
        ),
    ],
)
def test_citations_of_every_kind_name_the_text_that_they_support(
    sent: dict[str, Any], expected: Citation
) -> None:
    """A citation is a part of its own, after the text that cites; its places stay as sent."""
    came = read(
        *answer(
            block(0, "thinking", thinking="So", signature=""),
            stop(0),
            block(1, "text", text="", citations=[]),
            delta(1, "citations_delta", citation=sent),
            text(1, "It is so"),
            stop(1),
        )
    )

    assert came.message.citations == (expected.model_copy(update={"cites": 1, "provider_data": sent}),)
    assert came.message.text == "It is so"
