"""Cohere v2: what its events and whole answers say, what it tolerates, and how it is read at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.cohere_payloads import (
    USAGE,
    Payload,
    answer,
    arguments,
    block,
    cite,
    end,
    event,
    frame,
    plan,
    read_by,
    start,
    stop,
    text,
    tool,
    tool_stop,
    written,
)
from tests.formats.told import Told
from tokenstream import Decoder, Stream
from tokenstream.errors import ProviderError, StreamTruncated
from tokenstream.events import CitationAdded, MessageStart, TextDelta, Unknown
from tokenstream.formats import _registry as registry
from tokenstream.formats._wire.cohere import Cohere
from tokenstream.framing import ServerSentEvent
from tokenstream.limits import Limits
from tokenstream.message import OpaquePart, TextPart


def read(*payloads: Payload) -> Told:
    """Told payloads as SSE events."""
    return read_by(Cohere(), *map(frame, payloads))


# -- text, reasoning, plans ---------------------------------------------------


def test_text_comes_piece_by_piece() -> None:
    """Each content-delta is a piece; the block's end closes its part."""
    came = read(*answer(block(0), text(0, "Hel"), text(0, "lo"), stop(0)))

    assert [
        "MessageStart",
        "PartStart",
        "TextDelta",
        "TextDelta",
        "PartDone",
        "UsageUpdate",
        "Finish",
    ] == [type(event).__name__ for event in came.events]
    assert ("Hello", "m1", "stop", "COMPLETE") == (
        came.message.text,
        came.message.id,
        came.message.finish_reason,
        came.message.raw_finish_reason,
    )
    assert (None, {}) == (came.error, came.departures)


def test_thinking_is_reasoning_and_apart_from_the_text() -> None:
    """A block says of which type it is, and each is a part of its own."""
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


def test_text_that_stands_in_a_blocks_start_is_taken() -> None:
    """And what else stands there is the part's own."""
    came = read(*answer(block(0, text="Hel", cache="c1"), text(0, "lo"), stop(0)))

    assert "Hello" == came.message.text
    assert [TextPart(text="Hello", complete=True, provider_data={"cache": "c1"})] == list(came.message.parts)


def test_a_block_of_an_unknown_type_is_carried() -> None:
    """It is an opaque part with all that its start said."""
    came = read(*answer(event("content-start", {"content": {"type": "image", "url": "u"}}, index=0), stop(0)))

    assert [OpaquePart(type="image", data={"type": "image", "url": "u"}, complete=True)] == list(
        came.message.parts
    )


def test_a_plan_is_neither_text_nor_reasoning() -> None:
    """Its pieces are carried as they come, and stand in provider_data in their order."""
    came = read(*answer(plan("I "), plan("will."), tool(0), tool_stop(0), reason="TOOL_CALL"))

    assert ("", "", ["I ", "will."]) == (
        came.message.text,
        came.message.reasoning,
        came.message.provider_data["tool_plan"],
    )
    assert {"items"} == {each.kind for each in came.events if isinstance(each, Unknown)}


def test_log_probabilities_are_joined_over_the_stream() -> None:
    """Each content-delta may hold those of its piece."""
    first, second = {"text": "Hel", "token_ids": [1]}, {"text": "lo", "token_ids": [2]}
    came = read(
        *answer(
            block(0), {**text(0, "Hel"), "logprobs": first}, {**text(0, "lo"), "logprobs": [second]}, stop(0)
        )
    )

    assert [first, second] == came.message.provider_data["logprobs"]


# -- citations ----------------------------------------------------------------


def test_a_citation_names_the_part_that_it_is_for() -> None:
    """It comes between pieces of text without ending them; its offsets are places in the answer."""
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
    """The first source with a title or an address names the citation."""
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
    """A plan is no part of the message."""
    came = read(*answer(block(0), text(0, "Hel"), cite(type="PLAN"), stop(0)))

    assert [None] == [citation.cites for citation in came.message.citations]


def test_a_citation_without_an_index_is_for_the_latest_content() -> None:
    """Older models leave the index out."""
    came = read(*answer(block(0, "thinking"), stop(0), block(1), text(1, "Hel"), cite(), stop(1)))

    assert [1] == [citation.cites for citation in came.message.citations]
    assert 2 == next(each.part for each in came.events if isinstance(each, CitationAdded))


# -- tool calls ---------------------------------------------------------------


def test_a_call_is_handed_out_when_its_end_comes() -> None:
    """Not before, and not again at the end of the answer."""
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
    assert ("tool_calls", {}) == (came.message.finish_reason, came.departures)


def test_a_call_without_arguments_is_handed_out() -> None:
    """What comes after its end tells that it is whole: another call, or the end of the answer."""
    came = read(
        *answer(tool(0, "now", "n_1"), tool_stop(0), tool(1, "now", "n_2"), tool_stop(1), reason="TOOL_CALL")
    )

    assert [("n_1", {}), ("n_2", {})] == [(call.id, call.arguments) for call in came.calls]


def test_a_call_that_the_token_limit_may_have_cut_is_not_handed_out() -> None:
    """Its end came, but no arguments: they may have been on their way."""
    came = read(*answer(tool(0), tool_stop(0), reason="MAX_TOKENS"))

    assert ([], ["rm"], "length") == (
        came.calls,
        [call.name for call in came.message.tool_calls],
        came.message.finish_reason,
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

    assert ("tool_calls", "COMPLETE") == (came.message.finish_reason, came.message.raw_finish_reason)


def test_fields_of_a_call_that_have_no_place_stay_with_it() -> None:
    """They are in provider_data, with the call's own words."""
    call = {
        "id": "a_1",
        "type": "function",
        "n": 1,
        "function": {"name": "a", "arguments": "{}", "strict": True},
    }
    came = read(*answer(event("tool-call-start", {"tool_calls": call}, index=0), tool_stop(0)))

    assert {"n": 1, "strict": True} == came.calls[0].provider_data


def test_arguments_that_come_as_values_are_written_as_json() -> None:
    """And counted, since the documents say that they are text."""
    came = read(*answer(tool(0, arguments={"a": 1}), tool_stop(0), reason="TOOL_CALL"))

    assert (['{"a": 1}'], {"arguments_parsed": 1}) == (
        [call.arguments_text for call in came.calls],
        came.departures,
    )


def test_parts_are_done_where_their_ends_say_so() -> None:
    """Who shows parts as they are done need not wait for the answer's end; nor is a nameless call open."""
    cohere = Cohere()
    payloads = (block(0, "thinking"), text(0, "Hm", "thinking"), block(1), text(1, "Hi"), tool(0, ""))
    for payload in payloads:
        cohere.feed(frame(payload))
    ends = (stop(1), tool_stop(0), stop(0))

    assert [1, 2, 0] == [event.part for payload in ends for event in cohere.feed(frame(payload))]


def test_a_call_without_a_name_is_an_unknown_part() -> None:
    """It is never handed out; its fragments are carried."""
    came = read(*answer(tool(0, ""), arguments(0, "{}"), tool_stop(0)))

    assert ([], ["opaque"]) == (came.calls, [part.kind for part in came.message.parts])
    assert 1 == came.departures["call_nameless"]
    assert "tool-call-delta" in came.message.provider_data


def test_a_list_of_calls_in_one_event_is_counted_on() -> None:
    """The documents have an object there."""
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("a", "b")
    ]
    came = read(*answer(event("tool-call-start", {"tool_calls": calls}, index=0), tool_stop(0), tool_stop(1)))

    assert ["a", "b"] == [call.id for call in came.calls]


# -- ends ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop_sequence"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
        ("USER_CANCEL", "cancelled"),
        ("complete", "stop"),
        ("BRAND_NEW", "unknown"),
    ],
)
def test_finish_reasons_have_words_of_ours(word: str, reason: str) -> None:
    """The provider's word is kept beside."""
    came = read(*answer(block(0), text(0, "Hi"), stop(0), reason=word))

    assert (reason, word) == (came.message.finish_reason, came.message.raw_finish_reason)
    assert came.format.ended


@pytest.mark.parametrize("error", ["the model crashed", {"message": "the model crashed"}])
def test_an_error_is_the_providers_and_keeps_what_came(error: Any) -> None:
    """The finish reason ERROR fails the answer; its words stand beside it."""
    came = read(
        start(), block(0), text(0, "Hel"), tool(0), arguments(0, '{"a": 1}'), end("ERROR", error=error)
    )

    assert isinstance(came.error, ProviderError)
    assert "the model crashed" in str(came.error)
    assert ("ERROR", "server", True) == (came.error.type, came.error.kind, came.error.retryable)
    assert ("Hel", "error", 6) == (
        came.message.text,
        came.message.finish_reason,
        came.message.usage and came.message.usage.output_tokens,
    )
    assert [] == came.calls


def test_an_error_without_words_still_says_what_happened() -> None:
    """A timeout may be asked again; what the words of an error say counts."""
    timeout, overloaded = (
        read(start(), end("TIMEOUT")).error,
        read(start(), end("ERROR", error="overloaded")).error,
    )
    nameless = read(start(), end(None, error="bad")).error

    assert isinstance(timeout, ProviderError)
    assert ("longer than the provider allows" in str(timeout), timeout.kind) == (True, "server")
    assert isinstance(overloaded, ProviderError)
    assert "overloaded" == overloaded.kind
    assert isinstance(nameless, ProviderError)
    assert "bad" in str(nameless)


def test_an_error_that_stands_beside_the_delta_is_read() -> None:
    """The end says more than the error: the finish reason, and the usage."""
    came = read(start(), {**end("ERROR"), "error": "bad"})

    assert isinstance(came.error, ProviderError)
    assert "bad" in str(came.error)
    assert "error" == came.message.finish_reason


def test_a_bare_message_is_an_error() -> None:
    """So the API words its errors, and a gateway may send one in mid-stream."""
    came = read_by(Cohere(), frame(start()), b'{"message":"invalid api token"}')

    assert isinstance(came.error, ProviderError)
    assert "invalid api token" in str(came.error)
    assert 1 == came.departures["error_unmarked"]


def test_usage_counts_tokens_before_billed_units() -> None:
    """Numbers come as floats; the report is kept as sent."""
    came = read(start(), end())
    usage = came.message.usage

    assert usage is not None
    assert (60, 6, 16, USAGE) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.provider_data,
    )

    billed = read(start(), end(usage={"billed_units": {"input_tokens": 3}})).message.usage
    assert billed is not None
    assert (3, None) == (billed.input_tokens, billed.output_tokens)


def test_a_cut_is_no_end() -> None:
    """Without `message-end` the answer is truncated, and an open call is not handed out."""
    came = read(start(), tool(0), arguments(0, '{"a": 1}'))

    assert isinstance(came.error, StreamTruncated)
    assert [] == came.calls


def test_the_sentinel_after_the_end_is_no_departure() -> None:
    """Cohere's servers send it; anything else after the end is counted."""
    done = read_by(Cohere(), *map(frame, answer()), b"[DONE]")
    more = read_by(Cohere(), *map(frame, answer()), b"[DONE]", frame(text(0, "x")))

    assert ({}, {"data_after_end": 1}) == (done.departures, more.departures)


def test_the_sentinel_alone_ends_the_answer_and_hands_out_no_open_call() -> None:
    """Nothing says why it ended, or that the call was whole."""
    came = read_by(Cohere(), *map(frame, [start(), tool(0), arguments(0, "{}")]), b"[DONE]")

    assert (None, [], None) == (came.error, came.calls, came.message.finish_reason)
    assert {"finish_missing": 1, "part_unclosed": 1, "call_open_at_end": 1} == came.departures
    finished = Cohere()
    finished.parts.finish(0, "stop", None)
    assert {} == read_by(finished, b"[DONE]").departures


def test_an_end_without_a_reason_is_an_end() -> None:
    """Its reason is None."""
    came = read(start(), {"type": "message-end", "id": "m1"})

    assert (None, None, {"finish_missing": 1}) == (came.error, came.message.finish_reason, came.departures)


# -- what servers get wrong ---------------------------------------------------


def test_content_without_its_start_opens_its_part() -> None:
    """The field of the delta tells whether it is text or reasoning, also where both have one index."""
    came = read(start(), text(0, "Hm", "thinking"), text(0, "Hi"), end())

    assert ("Hm", "Hi") == (came.message.reasoning, came.message.text)
    assert {"part_unopened": 1, "part_index_reused": 1, "part_unclosed": 1} == came.departures


def test_content_after_its_end_is_a_new_part() -> None:
    """What was closed stays as it was handed out."""
    came = read(*answer(block(0), text(0, "a"), stop(0), text(0, "b"), stop(0), block(0), stop(0)))

    assert ["a", "b", ""] == [part.text for part in came.message.parts if part.kind == "text"]
    assert {"part_after_close": 1, "part_index_reused": 1} == came.departures


def test_a_start_on_an_open_index_closes_what_was_there() -> None:
    """Of a call, arguments that are whole are handed out."""
    came = read(
        *answer(
            block(0),
            text(0, "a"),
            block(0),
            stop(0),
            tool(0),
            arguments(0, "{}"),
            tool(0, call_id="rm_2"),
            tool_stop(0),
            tool(0, call_id="rm_3"),
        )
    )

    assert ["a", ""] == [part.text for part in came.message.parts if part.kind == "text"]
    assert ["{}", ""] == [call.arguments_text for call in came.calls][:2]
    assert (2, 2) == (came.departures["part_unclosed"], came.departures["call_index_reused"])


def test_events_without_an_index_mean_what_came_last() -> None:
    """The SDK's types allow it."""
    payloads = answer(block(0), text(0, "Hi"), stop(0), tool(0), arguments(0, "{}"), tool_stop(0))
    for payload in payloads:
        payload.pop("index", None)
    came = read(*payloads)

    assert ("Hi", ["{}"]) == (came.message.text, [call.arguments_text for call in came.calls])
    assert {"part_index_missing": 3, "call_index_missing": 3} == came.departures


def test_a_piece_without_an_index_may_have_another_field() -> None:
    """It is the latest block's, and the field is carried."""
    piece = text(0, "Hi")
    del piece["index"]
    came = read(*answer(block(0), {**piece, "z": 1}, stop(0)))

    assert ("Hi", 1) == (came.message.text, came.message.provider_data["z"])


def test_ends_and_fragments_without_a_start_change_nothing() -> None:
    """They are counted, and the fragment is carried."""
    came = read(*answer(stop(3), tool_stop(3), arguments(3, "{}"), tool(0), tool_stop(0), arguments(0, "x")))

    assert {"part_end_unmatched": 2, "part_unopened": 1, "call_after_done": 1} == came.departures
    assert 2 == len(came.message.provider_data["tool-call-delta"])


def test_an_answers_start_may_hold_content() -> None:
    """It is taken once; a second start is counted."""
    call = {"id": "a", "function": {"name": "a", "arguments": "{}"}}
    whole = start(content=[{"type": "text", "text": "Hi"}], tool_calls=[call], tool_plan="Plan.")
    came = read(whole, whole, end())

    assert ("Hi", ["a"], ["Plan."]) == (
        came.message.text,
        [each.id for each in came.calls],
        came.message.provider_data["tool_plan"],
    )
    assert {"start_with_content": 1, "start_repeated": 1} == came.departures


def test_fields_without_a_word_of_ours_are_carried() -> None:
    """Wherever they stand: in the event, in its delta, in the message there; padding is not."""
    payload = event("content-delta", {"content": {"text": "Hi", "x": 1}, "y": 2}, index=0, z=3, p="abc")
    payload["delta"]["w"] = 4
    came = read(
        *answer(block(0), payload, stop(0), {"type": "debug", "prompt": "<s>"}, {"type": "new", "n": 1})
    )

    data = came.message.provider_data
    assert (2, 3, 4, "<s>", [{"index": 0, "x": 1}]) == (
        data["y"],
        data["z"],
        data["w"],
        data["prompt"],
        data["content-delta"],
    )
    assert "p" not in data
    assert ["new"] == [
        each.name for each in came.events if isinstance(each, Unknown) and each.kind == "event"
    ]


def test_the_name_of_an_event_and_its_type_are_compared() -> None:
    """The payload counts; a type or a name that is missing is counted."""
    body = text(0, "Hi")
    untyped = {name: value for name, value in body.items() if name != "type"}
    other = read_by(Cohere(), frame(start()), frame(block(0)), ServerSentEvent(written(body), "content-end"))
    named = read_by(
        Cohere(), frame(start()), frame(block(0)), ServerSentEvent(written(untyped), "content-delta")
    )
    nameless = read_by(Cohere(), written(start()), written(block(0)), *[written(body)] * 9)

    assert ("Hi", 1) == (other.text, other.departures["event_name_differs"])
    assert ("Hi", 1) == (named.text, named.departures["type_missing"])
    assert ("Hi" * 9, 11) == (nameless.text, nameless.departures["event_name_missing"])


def test_each_fragment_of_arguments_without_a_name_is_counted() -> None:
    """Also those that are read at a glance, and the call has them all."""
    fragments = ["{", *['"a": 1, '] * 9, '"b": 2}']
    payloads = [start(), tool(0), *[arguments(0, each) for each in fragments], tool_stop(0)]
    came = read_by(Cohere(), *map(written, payloads))

    assert "".join(fragments) == came.message.tool_calls[0].arguments_text
    assert len(payloads) == came.departures["event_name_missing"]


def test_content_after_the_finish_reason_is_added() -> None:
    """Where no end followed the reason."""
    cohere = Cohere()
    cohere.feed(frame(start()))
    cohere.parts.finish(0, "stop", "COMPLETE")
    came = read_by(cohere, frame(block(0)), frame(text(0, "Hi")))

    assert ("Hi", 1) == (came.text, came.departures["content_after_finish"])


def test_payloads_of_no_kind_are_carried() -> None:
    """A JSON object without a type and without a name is an event that nobody knows."""
    came = read_by(Cohere(), b'{"n":1}', b'{"n":1,"message":"m"}')

    assert ["event", "event"] == [each.name for each in came.events if isinstance(each, Unknown)]


# -- whole answers ------------------------------------------------------------

WHOLE: Payload = {
    "id": "m1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": "I will.",
        "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "So."}],
        "citations": [{"start": 0, "end": 2, "text": "So", "content_index": 1}],
        "tool_calls": [{"id": "a_1", "type": "function", "function": {"name": "a", "arguments": ""}}],
        "extra": 1,
    },
    "usage": USAGE,
    "logprobs": [{"text": "So."}],
    "tier": "x",
}


def test_a_whole_answer_is_read_and_recognised() -> None:
    """A server that refused to stream says the same in one document."""
    decoder = Decoder()
    decoder.feed(written(WHOLE))
    decoder.end()
    message = decoder.message

    assert ("cohere", "complete", "Hm", "So.", "tool_calls", "m1") == (
        decoder.format,
        message.ending,
        message.reasoning,
        message.text,
        message.finish_reason,
        message.id,
    )
    assert [("a_1", True)] == [(call.id, call.complete) for call in message.tool_calls]
    assert [1] == [citation.cites for citation in message.citations]
    assert (["I will."], [{"text": "So."}], "x", 1) == tuple(
        message.provider_data[name] for name in ("tool_plan", "logprobs", "tier", "extra")
    )


def test_a_whole_answer_after_its_pieces_is_not_said_twice() -> None:
    """It is counted, and left out."""
    came = read_by(Cohere(), frame(start()), frame(block(0)), frame(text(0, "So.")), written(WHOLE))

    assert ("So.", {"content_twice": 1}) == (
        came.message.text,
        {name: count for name, count in came.departures.items() if name == "content_twice"},
    )


def test_content_may_be_plain_text() -> None:
    """So some gateways write it."""
    whole = {"finish_reason": "COMPLETE", "message": {"role": "assistant", "content": "Hi"}}

    assert "Hi" == read_by(Cohere(), written(whole)).message.text


# -- recognising --------------------------------------------------------------


@pytest.mark.parametrize("payload", [start(), block(0), text(0, "Hi"), tool(0), cite(), end(), WHOLE])
def test_a_first_payload_is_recognised(payload: Payload) -> None:
    """Any event of v2, and a whole answer."""
    assert ("cohere", False) == registry.detect(payload, "")


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "start"},
        {"type": "debug"},
        {"type": "text-delta", "id": "1", "delta": "x"},
        {"event_type": "interaction.created"},
        {"message": "nothing"},
        {"message": {"role": "assistant", "content": ""}, "done": True, "finish_reason": "x"},
        {"text": "Hi"},
        {},
    ],
)
def test_payloads_of_others_are_not_claimed(payload: Payload) -> None:
    """Nor those that could be anybody's."""
    assert Cohere.recognises(payload, "") is False


def test_a_name_tells_where_the_type_is_missing() -> None:
    """And a debug event leaves it to the next."""
    assert Cohere.recognises({}, "message-start") is True
    assert Cohere.recognises({"type": "debug", "prompt": "p"}, "debug") is None


# -- at a glance --------------------------------------------------------------


def test_pieces_that_are_alike_are_read_without_decoding() -> None:
    """The events are the same, and their payload is there when it is asked for."""
    cohere = Cohere()
    for payload in (start(), block(0), text(0, "a")):
        cohere.feed(frame(payload))
    [piece] = cohere.feed(frame(text(0, "b")))

    assert TextDelta("b") == piece
    assert text(0, "b") == piece.raw


@pytest.mark.parametrize("named", [True, False])
def test_whole_chunks_of_pieces_are_read_at_a_glance(named: bool) -> None:
    """A driver may take each chunk by its bytes; a chunk of any other shape is left to it."""
    cohere = Cohere()
    assert cohere.shortcut("event", 100) is None
    for payload in (start(), block(0), text(0, "a")):
        cohere.feed(frame(payload) if named else written(payload))
    head = b"event: content-delta\ndata: " if named else b"data: "
    shortcut = cohere.shortcut("event", 1_000)

    assert shortcut is not None
    assert shortcut is cohere.shortcut("event", 1_000)
    assert TextDelta("b") == shortcut(head + written(text(0, "b")) + b"\n\n")
    assert shortcut(head + written(text(1, "b")) + b"\n\n") is None
    assert (named, 4) == (cohere.shortcut("line", 1_000, b"", b"\n") is None, cohere.frames)


def test_other_bounds_hold() -> None:
    """More parts than `Limits.parts` end the stream with an error."""
    came = read_by(Cohere(limits=Limits(parts=1)), frame(start()), frame(block(0)), frame(block(1)))

    assert "parts" in str(came.error)


def test_a_head_that_comes_late_is_taken() -> None:
    """The end may be the only event with an id."""
    came = read({**end(), "id": "m9"})

    assert "m9" == came.message.id
    assert [MessageStart("m9", None)] == [each for each in came.events if isinstance(each, MessageStart)]


def test_a_stream_says_its_name() -> None:
    """The format is found out without being told."""
    stream = Stream(
        [b"".join(b"event: %b\ndata: %b\n\n" % (p["type"].encode(), written(p)) for p in answer())]
    )

    assert ("complete", "cohere") == (stream.final().ending, stream.format)
