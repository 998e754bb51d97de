"""Cohere v2: text, reasoning, plans and citations."""

from __future__ import annotations

from tests.formats.cohere.payloads import (
    Payload,
    answer,
    block,
    cite,
    event,
    plan,
    stop,
    text,
    tool,
    tool_stop,
)
from tests.formats.cohere.support import read
from tokenstream.events import CitationAdded, ReasoningDelta
from tokenstream.message import OpaquePart, ReasoningPart, TextPart

# -- text, reasoning, plans ---------------------------------------------------


def test_text_comes_piece_by_piece() -> None:
    came = read(*answer(block(0), text(0, "Hel"), text(0, "lo"), stop(0)))

    assert ["MessageStart", "PartStart", "TextDelta", "TextDelta", "PartDone", "UsageUpdate", "Finish"] == [
        type(event).__name__ for event in came.events
    ]
    assert ("Hello", "m1", "stop", "COMPLETE") == (
        came.message.text,
        came.message.id,
        came.message.finish_reason,
        came.message.raw_finish_reason,
    )
    assert (None, {}) == (came.error, came.departures)


def test_thinking_is_reasoning_and_apart_from_the_text() -> None:
    came = read(
        *answer(block(0, "thinking"), text(0, "Hm", "thinking"), stop(0), block(1), text(1, "4"), stop(1))
    )

    assert ("Hm", "4", ["reasoning", "text"]) == (
        came.message.reasoning,
        came.message.text,
        [part.kind for part in came.message.parts],
    )


def test_blocks_that_are_written_in_turns_keep_their_own_texts() -> None:
    """The documents write one after the other, so each turn is counted."""
    blocks = [block(0), block(1), stop(0), stop(1)]
    came = read(*answer(*blocks[:2], text(0, "a"), text(1, "c"), text(0, "b"), *blocks[2:]))

    assert ["ab", "c"] == [part.text for part in came.message.parts if isinstance(part, TextPart)]
    assert {"parts_interleaved": 2} == came.departures


def test_text_that_is_in_a_blocks_start_is_taken() -> None:
    came = read(*answer(block(0, text="Hel", cache="c1"), text(0, "lo"), stop(0)))

    assert "Hello" == came.message.text
    assert [TextPart(text="Hello", complete=True, provider_data={"cache": "c1"})] == list(came.message.parts)


def test_a_block_of_an_unknown_type_is_carried() -> None:
    came = read(*answer(event("content-start", {"content": {"type": "image", "url": "u"}}, index=0), stop(0)))

    assert [OpaquePart(type="image", data={"type": "image", "url": "u"}, complete=True)] == list(
        came.message.parts
    )


def test_a_plan_is_reasoning_of_a_type_of_its_own() -> None:
    came = read(*answer(plan("I "), plan("will."), tool(0), tool_stop(0), reason="TOOL_CALL"))

    assert ["I ", "will."] == [each.text for each in came.events if isinstance(each, ReasoningDelta)]
    assert came.message.parts[0] == ReasoningPart(
        text="I will.", provider_data={"type": "tool_plan"}, complete=True
    )
    assert ("", [], ["PartDone", "ToolCallStart"]) == (
        came.message.text,
        came.unknown,
        [type(each).__name__ for each in came.events[4:6]],
    )


def test_log_probabilities_are_joined_over_the_stream() -> None:
    first, second = {"text": "Hel", "token_ids": [1]}, {"text": "lo", "token_ids": [2]}
    came = read(
        *answer(
            block(0), {**text(0, "Hel"), "logprobs": first}, {**text(0, "lo"), "logprobs": [second]}, stop(0)
        )
    )

    assert [first, second] == came.message.provider_data["logprobs"]


# -- citations ----------------------------------------------------------------


def test_a_citation_names_the_part_that_it_is_for() -> None:
    source = {"type": "document", "id": "d1", "document": {"title": "Laws", "url": "https://example.org"}}
    came = read(
        *answer(block(0), text(0, "Hel"), cite(sources=[source], content_index=0), text(0, "lo"), stop(0))
    )

    citation = came.message.citations[0]
    assert ("Hello", 2) == (came.message.text, len(came.message.parts))
    assert (0, 3, 0, "Laws", "https://example.org") == (
        citation.start,
        citation.end,
        citation.cites,
        citation.title,
        citation.url,
    )
    assert citation.provider_data is not None
    assert [source] == citation.provider_data["sources"]


def test_a_tools_output_can_be_cited_too() -> None:
    sources = [
        {"type": "tool", "id": "t1", "tool_output": {"n": 1}},
        {"type": "tool", "id": "t2", "tool_output": {"title": "Tides"}},
    ]
    came = read(
        *answer(block(0), text(0, "Hel"), cite(sources=sources), stop(0), event("citation-end", index=0))
    )

    assert [("Tides", None, 0)] == [(each.title, each.url, each.cites) for each in came.message.citations]
    assert {} == came.departures


def test_a_citation_in_a_plan_is_for_no_part() -> None:
    came = read(*answer(block(0), text(0, "Hel"), cite(type="PLAN"), stop(0)))

    assert [None] == [citation.cites for citation in came.message.citations]


def test_a_citation_without_an_index_is_for_the_latest_content() -> None:
    """Older models leave the index out."""
    came = read(*answer(block(0, "thinking"), stop(0), block(1), text(1, "Hel"), cite(), stop(1)))

    assert [1] == [citation.cites for citation in came.message.citations]
    assert 2 == next(each.part for each in came.events if isinstance(each, CitationAdded))


def test_an_empty_field_beside_a_text_is_no_text() -> None:
    """Some libraries write all fields that a delta may have; the other field does not interrupt the block."""

    def both(thinking: str, words: str, index: int) -> Payload:
        return event("content-delta", {"content": {"text": words, "thinking": thinking}}, index=index)

    for opened in (True, False):
        first, second = [[block(0, "thinking")], [block(1)]] if opened else [[], []]
        deltas = [*first, both("H", "", 0), both("m.", "", 0), stop(0), *second, both("", "He", 1)]
        came = read(*answer(*deltas, both("", "llo", 1), both("", "", 1), stop(1)))

        assert ["reasoning", "text"] == [part.kind for part in came.message.parts]
        assert ("Hm.", "Hello") == (came.message.reasoning, came.message.text)
