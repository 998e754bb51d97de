"""Anthropic: text, thinking, citations, compactions, fields without a word of ours, and deltas learnt."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.anthropic.payloads import (
    STOP,
    Payload,
    answer,
    block,
    delta,
    finish,
    read,
    start,
    stop,
    text,
    tool,
)
from tests.formats.anthropic.support import HELLO
from tokenstream.events import PartStart, ReasoningDelta
from tokenstream.message import Citation, OpaquePart, ReasoningPart


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

    assert came.parts == (ReasoningPart(text="Let me see", signature="c2ln", complete=True),)


def test_a_signature_that_comes_twice_is_taken_once() -> None:
    came = read(
        *answer(
            block(0, "thinking", thinking="So", signature="c2ln"),
            delta(0, "signature_delta", signature="c2ln"),
            stop(0),
        )
    )

    assert came.parts == (ReasoningPart(text="So", signature="c2ln", complete=True),)
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

    assert came.data["estimated_tokens"] == 42
    assert came.message.usage.reasoning_tokens is None


def test_redacted_thinking_is_kept_verbatim() -> None:
    """Redacted thinking must be sent back as it came."""
    came = read(*answer(block(0, "redacted_thinking", data="c2VjcmV0"), stop(0)))

    assert came.parts == (ReasoningPart(redacted="c2VjcmV0", complete=True),)


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


def test_a_compaction_takes_what_its_delta_says() -> None:
    """Anthropic sends one delta, whose data show before the block stops."""
    told = {"content": "Summary", "encrypted_content": "ZW5j"}
    came = read(start(), block(0, "compaction", content=None), delta(0, "compaction_delta", **told))

    assert came.parts == (OpaquePart(type="compaction", data={"type": "compaction", **told}),)


def test_a_compaction_in_pieces_goes_back_whole() -> None:
    pieces = [delta(0, "compaction_delta", content=text, encrypted_content=text) for text in ("Sum", "mary")]
    came = read(start(), block(0, "compaction", content=""), *pieces, stop(0))
    data = {"type": "compaction", "content": "Summary", "encrypted_content": "mary"}

    assert came.parts == (OpaquePart(type="compaction", data=data, complete=True),)


def test_a_compaction_delta_that_says_nothing_changes_nothing() -> None:
    came = read(start(), block(0, "compaction", content="a"), delta(0, "compaction_delta", content=None))

    assert came.parts == (OpaquePart(type="compaction", data={"type": "compaction", "content": "a"}),)


@pytest.mark.parametrize("ending", [[], [stop(0)], [finish()], [STOP], [tool(0)], [start()]])
def test_a_compaction_in_many_deltas_is_whole_however_it_ends(ending: list[Payload]) -> None:
    pieces = [delta(0, "compaction_delta", **{f"f{n}": n}) for n in range(5)]
    came = read(start(), block(0, "compaction", content=None), *pieces, *ending)

    [part, *_] = came.parts
    assert part.data == {"type": "compaction", "content": None, **{f"f{n}": n for n in range(5)}}


def test_a_compaction_in_many_deltas_is_not_reported_again_with_each() -> None:
    pieces = [delta(0, "compaction_delta", **{f"f{n}": n}) for n in range(2000)]
    opened = block(0, "compaction", content=None)
    came = read(start(), opened, *pieces, stop(0))
    told = [event.content for event in came.events if isinstance(event, PartStart)]

    assert [len(part.data) for part in told if isinstance(part, OpaquePart)] == [2, 3, 2002]
    assert opened == block(0, "compaction", content=None)


def test_a_fallback_changes_the_model() -> None:
    content = {"from": {"model": "claude-x"}, "to": {"model": "claude-y"}, "trigger": {"type": "refusal"}}
    came = read(*answer(block(0, "fallback", **content), stop(0), *HELLO))

    assert came.message.model == "claude-y"
    assert came.parts[0] == OpaquePart(type="fallback", data={"type": "fallback", **content}, complete=True)


@pytest.mark.parametrize("kind", ["container_upload", "mcp_tool_listing", "hologram"])
def test_blocks_without_a_word_of_ours_are_carried_whole(kind: str) -> None:
    """Unknown is data, and what a later version of the API adds to such a block is, too."""
    came = read(*answer(block(0, kind, file_id="file_1"), delta(0, "beam_delta", beam=1), stop(0)))

    assert came.parts == (OpaquePart(type=kind, data={"type": kind, "file_id": "file_1"}, complete=True),)
    assert came.data["beam_delta"] == [delta(0, "beam_delta", beam=1)]
    empty = {"answer_empty": 1} if kind == "hologram" else {}
    assert came.departures == {"field_unread": 1, **empty}


def test_deltas_without_a_word_of_ours_are_carried() -> None:
    came = read(*answer(*HELLO[:2], delta(0, "glow", x=1), delta(0, "glow", x=2), *HELLO[2:]))

    assert came.text == "Hello"
    assert [payload["delta"]["x"] for payload in came.data["glow"]] == [1, 2]


def test_a_delta_without_a_kind_is_carried_under_the_name_of_its_event() -> None:
    """Nothing else says what it is."""
    bare = {"type": "content_block_delta", "index": 0, "delta": {"x": 1}}
    came = read(*answer(*HELLO[:2], bare, *HELLO[2:]))

    assert came.text == "Hello"
    assert [bare] == came.data["content_block_delta"]
