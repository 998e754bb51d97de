"""Cohere v2: text, reasoning, plans, citations and tool calls."""

from __future__ import annotations

from tests.formats.cohere.payloads import (
    Payload,
    answer,
    arguments,
    block,
    cite,
    end,
    event,
    frame,
    plan,
    start,
    stop,
    text,
    tool,
    tool_stop,
)
from tests.formats.cohere.support import read
from tests.support.formats import Cohere
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
        came.reason,
        came.raw_reason,
    )
    assert (None, {}) == (came.error, came.departures)


def test_thinking_is_reasoning_and_apart_from_the_text() -> None:
    came = read(
        *answer(block(0, "thinking"), text(0, "Hm", "thinking"), stop(0), block(1), text(1, "4"), stop(1))
    )

    assert ("Hm", "4", ["reasoning", "text"]) == (came.message.reasoning, came.message.text, came.kinds)


def test_blocks_that_are_written_in_turns_keep_their_own_texts() -> None:
    """The documents write one after the other, so each turn is counted."""
    blocks = [block(0), block(1), stop(0), stop(1)]
    came = read(*answer(*blocks[:2], text(0, "a"), text(1, "c"), text(0, "b"), *blocks[2:]))

    assert ["ab", "c"] == [part.text for part in came.parts if isinstance(part, TextPart)]
    assert {"parts_interleaved": 2} == came.departures


def test_text_that_is_in_a_blocks_start_is_taken() -> None:
    came = read(*answer(block(0, text="Hel", cache="c1"), text(0, "lo"), stop(0)))

    assert "Hello" == came.message.text
    assert [TextPart(text="Hello", complete=True, provider_data={"cache": "c1"})] == list(came.parts)


def test_a_block_of_an_unknown_type_is_carried() -> None:
    came = read(*answer(event("content-start", {"content": {"type": "image", "url": "u"}}, index=0), stop(0)))

    assert [OpaquePart(type="image", data={"type": "image", "url": "u"}, complete=True)] == list(came.parts)


def test_a_plan_is_reasoning_of_a_type_of_its_own() -> None:
    came = read(*answer(plan("I "), plan("will."), tool(0), tool_stop(0), reason="TOOL_CALL"))

    assert ["I ", "will."] == [each.text for each in came.events if isinstance(each, ReasoningDelta)]
    assert came.parts[0] == ReasoningPart(text="I will.", provider_data={"type": "tool_plan"}, complete=True)
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

    assert [first, second] == came.data["logprobs"]


# -- citations ----------------------------------------------------------------


def test_a_citation_names_the_part_that_it_is_for() -> None:
    source = {"type": "document", "id": "d1", "document": {"title": "Laws", "url": "https://example.org"}}
    came = read(
        *answer(block(0), text(0, "Hel"), cite(sources=[source], content_index=0), text(0, "lo"), stop(0))
    )

    citation = came.message.citations[0]
    assert ("Hello", 2) == (came.message.text, len(came.parts))
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

        assert ["reasoning", "text"] == came.kinds
        assert ("Hm.", "Hello") == (came.message.reasoning, came.message.text)


def test_a_call_is_handed_out_when_its_end_comes() -> None:
    cohere = Cohere()
    for payload in (start(), tool(0), arguments(0, '{"path"'), arguments(0, ': "/srv"}')):
        assert "ToolCallDone" not in [type(each).__name__ for each in cohere.feed(frame(payload))]
    [done] = cohere.feed(frame(tool_stop(0)))

    assert "ToolCallDone" == type(done).__name__
    assert "ToolCallDone" not in [type(each).__name__ for each in cohere.feed(frame(end("TOOL_CALL")))]


def test_parallel_calls_have_indexes_of_their_own() -> None:
    """Content blocks are counted apart, so index 0 may be both."""
    came = read(
        *answer(
            block(0),
            text(0, "So."),
            stop(0),
            tool(0, "a", "a_1"),
            tool(1, "b", "b_1"),
            arguments(1, '{"b": 1}'),
            arguments(0, '{"a": 1}'),
            tool_stop(1),
            tool_stop(0),
            reason="TOOL_CALL",
        )
    )

    assert [("b_1", {"b": 1}), ("a_1", {"a": 1})] == [(call.id, call.arguments) for call in came.calls]
    assert ("tool_calls", {}) == (came.reason, came.departures)


def test_a_call_that_the_token_limit_may_have_cut_is_not_handed_out() -> None:
    came = read(*answer(tool(0), tool_stop(0), reason="MAX_TOKENS"))

    assert ([], ["rm"], "length") == (
        came.calls,
        [call.name for call in came.message.tool_calls],
        came.reason,
    )
    assert {"call_open_at_end": 1} == came.departures


def test_a_call_without_its_end_is_closed_by_the_finish_reason() -> None:
    """Whole arguments are handed out, and the missing end is counted."""
    came = read(*answer(block(0), tool(0), arguments(0, '{"a": 1}'), reason="TOOL_CALL"))

    assert [{"a": 1}] == [call.arguments for call in came.calls]
    assert {"part_unclosed": 2} == came.departures


def test_a_stop_with_calls_is_tool_calls() -> None:
    """What was accumulated decides, not the provider's word."""
    came = read(*answer(tool(0), arguments(0, "{}"), tool_stop(0)))

    assert ("tool_calls", "COMPLETE") == (came.reason, came.raw_reason)


def test_fields_of_a_call_that_have_no_place_stay_with_it() -> None:
    call = {
        "id": "a_1",
        "type": "function",
        "n": 1,
        "function": {"name": "a", "arguments": "{}", "strict": True},
    }
    came = read(*answer(event("tool-call-start", {"tool_calls": call}, index=0), tool_stop(0)))

    assert {"n": 1, "strict": True} == came.calls[0].provider_data


def test_arguments_that_come_as_values_are_written_as_json() -> None:
    """Cohere's documents say that arguments are text, so values are counted."""
    came = read(*answer(tool(0, arguments={"a": 1}), tool_stop(0), reason="TOOL_CALL"))

    assert (['{"a": 1}'], {"arguments_parsed": 1}) == (
        [call.arguments_text for call in came.calls],
        came.departures,
    )


def test_a_call_without_a_name_is_an_unknown_part() -> None:
    came = read(*answer(tool(0, ""), arguments(0, "{}"), tool_stop(0)))

    assert ([], ["opaque"]) == (came.calls, came.kinds)
    assert 1 == came.departures["call_nameless"]
    assert "tool-call-delta" in came.data


def test_a_list_of_calls_in_one_event_is_counted_on() -> None:
    """The documents have an object there."""
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("a", "b")
    ]
    came = read(*answer(event("tool-call-start", {"tool_calls": calls}, index=0), tool_stop(0), tool_stop(1)))

    assert ["a", "b"] == [call.id for call in came.calls]
