"""Bedrock's ConverseStream: what each event of its documents becomes, and what is tolerated."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.formats.bedrock_payloads import (
    START,
    USAGE,
    Named,
    arguments,
    block,
    delta,
    finish,
    frame,
    reasoning,
    stop,
    text,
    tool,
)
from tests.formats.bedrock_payloads import read as read_frames
from tests.formats.told import Told
from tokenstream import Limits, Stream
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import (
    CitationAdded,
    Finish,
    MessageStart,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    Unknown,
)
from tokenstream.formats._wire.bedrock_converse import BedrockConverse
from tokenstream.framing import EventStreamMessage, ServerSentEvent
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)

B64 = base64.b64encode


def read(*events: Named, limits: Limits | None = None, end: bool = True) -> Told:
    return read_frames(BedrockConverse(limits=limits), [frame(*event) for event in events], end=end)


def parts(*events: Named) -> tuple[Part, ...]:
    """Return the parts of an answer that has these events and nothing odd."""
    came = read(START, *events, finish())

    assert came.error is None
    assert {} == came.departures
    return came.message.parts


def test_text_is_what_its_deltas_say() -> None:
    """A text block has no start: its first delta opens the part, and its stop closes it."""
    came = read(START, text(0, "Hel"), text(0, "lo"), stop(0), finish(), USAGE)

    assert (
        Message(
            parts=(TextPart(text="Hello", complete=True),),
            usage=came.message.usage,
            finish_reason="stop",
            raw_finish_reason="end_turn",
            ending="complete",
            provider_data={"metrics": {"latencyMs": 100}},
        )
        == came.message
    )
    assert {} == came.departures
    assert isinstance(came.events[0], MessageStart)
    assert ["Hel", "lo"] == [event.text for event in came.events if isinstance(event, TextDelta)]


def test_the_raw_payload_of_an_event_is_the_events_own() -> None:
    """Without padding taken out: it is what the server sent."""
    payload = {"contentBlockIndex": 0, "delta": {"text": "a"}, "p": "abc"}
    came = read(START, ("contentBlockDelta", payload), end=False)

    assert payload == came.events[-1].raw


def test_usage_is_read_under_all_its_names() -> None:
    """Cached tokens come under two names, and the report is kept as it came."""
    report = {
        "inputTokens": 11,
        "outputTokens": 236,
        "totalTokens": 1275,
        "cacheReadInputTokenCount": 5,
        "cacheReadInputTokens": 6,
        "cacheWriteInputTokenCount": 1028,
        "serverToolUsage": {},
    }
    usage = read(START, finish(), ("metadata", {"usage": report})).message.usage

    assert usage is not None
    assert (11, 236, 1275) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    assert (6, 1028) == (usage.cached_tokens, usage.cache_write_tokens)
    assert report == usage.provider_data


def test_metadata_may_come_before_the_stop_and_may_be_missing() -> None:
    """The answer is whole with `messageStop`; only its token counts may be lost."""
    before = read(START, text(0, "a"), stop(0), USAGE, finish())
    without = read(START, text(0, "a"), stop(0), finish())

    assert before.message.usage is not None
    assert without.message.usage is None
    assert ("complete", "complete") == (before.message.ending, without.message.ending)
    assert ({}, {}) == (before.departures, without.departures)


def test_what_the_metadata_say_beside_usage_is_kept() -> None:
    """Traces, tiers and the like stand in `provider_data`; a prompt router tells the model."""
    trace = {"guardrail": {"actionReason": "x"}, "promptRouter": {"invokedModelId": "nova"}}
    came = read(START, finish(), ("metadata", {"trace": trace, "serviceTier": {"type": "flex"}, "p": "ab"}))

    assert {"trace": trace, "serviceTier": {"type": "flex"}} == came.message.provider_data
    assert "nova" == came.message.model


@pytest.mark.parametrize(
    "word, reason",
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
        ("something_new", "unknown"),
    ],
)
def test_stop_reasons_have_our_words_and_keep_their_own(word: str, reason: str) -> None:
    """The table of the documents; a word that is new is unknown, and kept."""
    came = read(START, finish(word))

    assert (reason, word) == (came.message.finish_reason, came.message.raw_finish_reason)


def test_what_the_model_says_at_its_stop_is_kept() -> None:
    """`additionalModelResponseFields` are the request's own wish."""
    fields = {"delta": {"stop_sequence": "END"}}
    came = read(START, finish(additionalModelResponseFields=fields))

    assert {"additionalModelResponseFields": fields} == came.message.provider_data


# -- tools -------------------------------------------------------------------


def test_a_tool_call_is_handed_out_when_its_block_stops() -> None:
    """The fragments are its arguments, and a type that only says so is not kept for the next request."""
    came = read(START, tool(1, type="tool_use"), arguments(1, ""), arguments(1, '{"a"'), arguments(1, ": 1}"))
    assert [] == came.calls
    came = read(
        START,
        tool(1, type="tool_use"),
        arguments(1, ""),
        arguments(1, '{"a"'),
        arguments(1, ": 1}"),
        stop(1),
        end=False,
    )

    assert [ToolCall(id="t1", name="now", arguments_text='{"a": 1}', complete=True)] == came.calls
    assert ['{"a"', ": 1}"] == [event.fragment for event in came.events if isinstance(event, ToolCallDelta)]


def test_a_call_without_arguments_is_handed_out_once_the_answer_goes_on() -> None:
    """Its input is "", so until then the token limit might have cut it."""
    for after in (finish("tool_use"), tool(1, "t2"), text(1, "a"), block(1, image={"format": "png"})):
        waiting = read(START, tool(0), arguments(0, ""), stop(0), end=False)
        came = read(START, tool(0), arguments(0, ""), stop(0), after, end=False)

        assert [] == waiting.calls
        assert [("t1", "", {})] == [(call.id, call.arguments_text, call.arguments) for call in came.calls]


@pytest.mark.parametrize("fragment", ["", "12", '{"path": "/tm'])
def test_a_call_that_the_token_limit_cut_is_never_handed_out(fragment: str) -> None:
    """Its block is stopped all the same; it stays in the message, not complete."""
    came = read(START, tool(0), arguments(0, fragment), stop(0), finish("max_tokens"))

    assert [] == came.calls
    assert [(fragment, False)] == [(call.arguments_text, call.complete) for call in came.message.tool_calls]
    assert "length" == came.message.finish_reason


def test_a_call_that_is_open_at_the_end_is_never_handed_out() -> None:
    """Neither when the input ends, nor when it ends after the block's stop told nothing yet."""
    for events in ([tool(0), arguments(0, '{"a": 1}')], [tool(0), arguments(0, ""), stop(0)]):
        came = read(START, *events)

        assert isinstance(came.error, StreamTruncated)
        assert [] == came.calls


def test_two_calls_on_one_message() -> None:
    """Each is known by its block."""
    came = read(
        START, tool(0), arguments(0, '{"a": 1}'), stop(0), tool(2, "t2", "then"), stop(2), finish("tool_use")
    )

    assert [("t1", "now", '{"a": 1}'), ("t2", "then", "")] == [
        (call.id, call.name, call.arguments_text) for call in came.calls
    ]
    assert "tool_calls" == came.message.finish_reason


def test_a_stop_after_a_call_means_the_call() -> None:
    """Some models say `end_turn` for both."""
    came = read(START, tool(0), arguments(0, "{}"), stop(0), finish("end_turn"))

    assert ("tool_calls", "end_turn") == (came.message.finish_reason, came.message.raw_finish_reason)


def test_what_a_call_says_of_itself_is_kept_for_the_next_request() -> None:
    """Fields that have no word here are its provider_data."""
    (call,) = read(START, tool(0, cache="x"), arguments(0, "{}"), stop(0), finish()).calls

    assert {"cache": "x"} == call.provider_data


def test_a_tool_that_bedrock_runs_itself_is_none_of_the_clients() -> None:
    """Call and result are parts of the message, and no call is handed out."""
    came = read(
        START,
        tool(0, name="nova_grounding", type="server_tool_use"),
        arguments(0, '{"query"'),
        arguments(0, ': "a"}'),
        stop(0),
        block(1, toolResult={"toolUseId": "t1", "type": "nova_grounding_result", "status": "success"}),
        delta(1, toolResult=[{"text": "On"}]),
        delta(1, toolResult=[{"text": "e"}, {"json": {"a": 1}}, {"text": "Two"}]),
        stop(1),
        finish(),
    )

    assert (
        ServerToolCall(
            id="t1",
            name="nova_grounding",
            arguments_text='{"query": "a"}',
            complete=True,
            provider_data={"type": "server_tool_use"},
        ),
        ServerToolResult(
            id="t1",
            name="nova_grounding_result",
            content=[{"text": "One"}, {"json": {"a": 1}}, {"text": "Two"}],
            complete=True,
            provider_data={"status": "success"},
        ),
    ) == came.message.parts
    assert [] == came.calls
    assert "stop" == came.message.finish_reason
    assert {} == came.departures
    assert ['{"query"', ': "a"}'] == [event.fragment for event in came.events if isinstance(event, PartDelta)]


def test_a_result_shows_as_soon_as_its_first_piece_came() -> None:
    """And as a whole with its block's stop."""
    events = [START, block(0, toolResult={"toolUseId": "t1"}), delta(0, toolResult=[{"text": "On"}])]

    def content(came: Told) -> Any:
        part = came.message.parts[0]
        assert isinstance(part, ServerToolResult)
        return part.content

    assert [] == content(read(*events[:2], end=False))
    assert [{"text": "On"}] == content(read(*events, end=False))
    assert [{"text": "One"}] == content(read(*events, delta(0, toolResult={"text": "e"}), stop(0), end=False))
    assert [{"text": "One"}] == content(read(*events, delta(0, toolResult=[{"text": "e"}])))


# -- reasoning, citations, images ----------------------------------------------


def test_reasoning_is_shown_with_the_signature_that_proves_it() -> None:
    """Both come as deltas of one block, and go back with the next request."""
    came = read(
        START,
        reasoning(0, text="Let me"),
        reasoning(0, text=" see"),
        reasoning(0, signature="c2ln"),
        stop(0),
        text(1, "4"),
        stop(1),
        finish(),
    )

    assert (
        ReasoningPart(text="Let me see", signature="c2ln", complete=True),
        TextPart(text="4", complete=True),
    ) == came.message.parts
    assert ["Let me", " see", ""] == [e.text for e in came.events if isinstance(e, ReasoningDelta)]


def test_encrypted_reasoning_is_kept_as_base64() -> None:
    """As text on the wire, as bytes in boto3's objects; pieces are put together."""
    secret, more = B64(b"secre").decode(), B64(b"ts").decode()
    whole = B64(b"secrets").decode()
    expected = (ReasoningPart(redacted=secret, complete=True),)

    assert expected == parts(reasoning(0, redactedContent=secret), stop(0))
    assert (ReasoningPart(redacted=whole, complete=True),) == parts(
        reasoning(0, redactedContent=secret), reasoning(0, redactedContent=more), stop(0)
    )
    name, payload = reasoning(0, redactedContent=b"secre")
    came = read_frames(BedrockConverse(), [{name: payload}, {"messageStop": {"stopReason": "end_turn"}}])
    assert expected == came.message.parts


def test_encrypted_reasoning_beside_text_is_kept_of_each_delta() -> None:
    """However many deltas look the same: none is read at a glance."""
    [part] = parts(*[reasoning(0, text="a", redactedContent="?!") for _ in range(6)], stop(0))

    assert ReasoningPart(text="a" * 6, redacted="?!" * 6, complete=True) == part


def test_arguments_are_read_at_a_glance() -> None:
    """Each fragment tells its call, and the call that is done has all of them."""
    converse = BedrockConverse()
    for event in (START, tool(0), arguments(0, "{")):
        converse.feed(frame(*event))
    glance = converse.payload_shortcut()

    assert glance is not None
    name, start, read_rest = glance
    sent = frame(*arguments(0, "}"))
    assert sent.event == name
    assert isinstance(read_rest(sent.payload.removeprefix(start)), ToolCallDelta)
    [done] = [event for event in converse.feed(frame(*stop(0))) if isinstance(event, ToolCallDone)]
    assert "{}" == done.call.arguments_text


def test_pieces_that_are_no_base64_are_kept_one_after_the_other() -> None:
    """What cannot be decoded is not changed."""
    assert (ReasoningPart(redacted="?!", complete=True),) == parts(
        reasoning(0, redactedContent="?"), reasoning(0, redactedContent="!"), stop(0)
    )


def test_a_citation_names_the_text_that_follows_it() -> None:
    """It comes before the text of its block; its places are the source's and stay in `provider_data`."""
    cited = {
        "title": "policy",
        "sourceContent": [{"text": "20 days "}, {"text": "of leave"}],
        "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 58}},
    }
    web = {"source": "https://example.org/a", "location": {"web": {"url": "https://example.org/b"}}}
    came = read(
        START,
        text(0, "As "),
        stop(0),
        delta(1, citation=cited),
        text(1, "20 days"),
        delta(1, citation=web),
        stop(1),
        finish(),
    )

    assert "As 20 days" == came.message.text
    assert (
        Citation(title="policy", text="20 days of leave", cites=1, provider_data=cited),
        Citation(url="https://example.org/b", cites=1, provider_data=web),
    ) == came.message.citations
    assert {} == came.departures
    assert [1, 1] == [e.citation.cites for e in came.events if isinstance(e, CitationAdded)]


def test_the_source_of_a_citation_is_its_url_where_it_is_one() -> None:
    """A search result's source may be any name."""
    for source, url in (("https://example.org", "https://example.org"), ("shelf 4", None)):
        came = read(START, delta(0, citation={"source": source}), text(0, "a"), stop(0), finish())

        assert [url] == [citation.url for citation in came.message.citations]


def test_an_image_is_decoded_piece_by_piece() -> None:
    """From base64, or as bytes out of boto3's objects."""
    expected = (
        MediaPart(mime_type="image/png", data=b"abcd", complete=True, provider_data={"format": "png"}),
    )
    assert expected == parts(
        block(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": B64(b"ab").decode()}}),
        delta(0, image={"source": {"bytes": B64(b"cd").decode()}}),
        stop(0),
    )
    objects = [
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": b"abcd"}}}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
    ]
    assert expected == read_frames(BedrockConverse(), objects).message.parts


def test_an_image_may_lie_elsewhere_or_fail() -> None:
    """Where it lies is its URL; why it failed is kept with it."""
    place = {"uri": "s3://bucket/a.png", "bucketOwner": "1"}
    (stored,) = parts(
        block(0, image={"format": "png"}), delta(0, image={"source": {"s3Location": place}}), stop(0)
    )
    (failed,) = parts(
        block(0, image={"format": "png"}), delta(0, image={"error": {"message": "no"}}), stop(0)
    )

    assert isinstance(stored, MediaPart)
    assert ("s3://bucket/a.png", {"format": "png", "s3Location": place}) == (stored.url, stored.provider_data)
    assert isinstance(failed, MediaPart)
    assert {"format": "png", "error": {"message": "no"}} == failed.provider_data


# -- how it comes ----------------------------------------------------------------


ANSWER = [START, text(0, "Hel"), text(0, "lo"), stop(0), finish(), USAGE]


@pytest.mark.parametrize(
    "frames",
    [
        [frame(*event) for event in ANSWER],
        [dict([event]) for event in ANSWER],
        [json.dumps(dict([event])).encode() for event in ANSWER],
        [ServerSentEvent(json.dumps(payload).encode(), name) for name, payload in ANSWER],
        [{"event": dict([event])} for event in ANSWER],
        [json.dumps({"event": dict([event])}).encode() for event in ANSWER],
        [{**dict.fromkeys(["metadata", "contentBlockStop"]), **dict([event])} for event in ANSWER],
    ],
    ids=["binary", "objects", "lines", "SSE", "agents' objects", "agents' SSE", "with the others as null"],
)
def test_however_it_comes_it_is_the_same_answer(frames: list[Any]) -> None:
    """Out of the binary framing, as boto3 gives it, and as gateways pass it on."""
    expected = read(*ANSWER)
    came = read_frames(BedrockConverse(), frames)

    assert expected.message == came.message
    assert expected.events == came.events
    assert {} == came.departures


def test_fields_beside_an_event_are_kept() -> None:
    """Nova's own stream has Bedrock's guardrail keys there."""
    name, payload = text(0, "a")
    came = read_frames(
        BedrockConverse(), [{name: payload, "amazon-bedrock-guardrailAction": "NONE"}], end=False
    )

    assert {"amazon-bedrock-guardrailAction": "NONE"} == came.message.provider_data


@pytest.mark.parametrize(
    "payload, event, expected",
    [
        ({"role": "assistant"}, "messageStart", True),
        ({"contentBlockIndex": 0, "delta": {}}, "contentBlockDelta", True),
        ({"stopReason": "end_turn"}, "messageStop", True),
        ({"what": "is this"}, "messageStop", False),
        ({"usage": {"inputTokens": 1}}, "metadata", True),
        ({"run_id": "1"}, "metadata", False),
        ({}, "initial-response", None),
        ({"messageStart": {"role": "assistant"}}, "", True),
        ({"contentBlockDelta": {"contentBlockIndex": 0}, "amazon-bedrock-guardrailAction": "NONE"}, "", True),
        ({"event": {"messageStart": {"role": "assistant"}}}, "", True),
        ({"event": {"what": 1}}, "", False),
        ({"event": "messageStart"}, "", False),
        ({"metadata": {"usage": {"inputTokens": 1}}}, "", True),
        ({"metadata": {"run_id": "1"}}, "", False),
        ({"messageStart": None}, "", False),
        ({"choices": []}, "", False),
        ({"type": "message_start", "message": {"role": "assistant"}}, "message_start", False),
    ],
)
def test_its_first_payload_tells(payload: dict[str, Any], event: str, expected: bool | None) -> None:
    """By an event's name with what must be in it, or by a field of that name."""
    assert expected == BedrockConverse.recognises(payload, event)


def test_an_exception_is_the_providers_error() -> None:
    """As the framing tells it, and as SDKs of other languages pass it on."""
    for sent in (
        EventStreamMessage(b'{"message": "busy"}', "serviceUnavailableException", "exception"),
        {"serviceUnavailableException": {"message": "busy"}},
    ):
        came = read_frames(BedrockConverse(), [frame(*START), frame(*text(0, "a")), sent])

        assert isinstance(came.error, ProviderError)
        assert ("serviceUnavailableException", "overloaded", True) == (
            came.error.code,
            came.error.kind,
            came.error.retryable,
        )
        assert "busy" in str(came.error)


def test_an_exception_after_the_finish_is_an_error_all_the_same() -> None:
    """The provider said that it failed."""
    came = read_frames(
        BedrockConverse(),
        [frame(*START), frame(*finish()), EventStreamMessage(b"{}", "internalServerException", "exception")],
    )

    assert isinstance(came.error, ProviderError)


# -- what is tolerated -------------------------------------------------------------


def test_without_its_stop_an_answer_is_truncated() -> None:
    """Even if token counts have come."""
    came = read(START, text(0, "a"), stop(0), USAGE)

    assert isinstance(came.error, StreamTruncated)
    assert "a" == came.message.text


def test_a_stop_without_a_reason_is_an_end_without_a_reason() -> None:
    """No reason is made up, and what no block stop has closed is not handed out."""
    for reason in (None, 7):
        came = read(
            START, block(1), tool(0), arguments(0, "{}"), ("messageStop", {"stopReason": reason}), USAGE
        )

        assert came.error is None
        assert ("complete", None) == (came.message.ending, came.message.finish_reason)
        assert came.message.usage is not None
        assert [] == came.calls
        assert {"finish_missing": 1, "part_unclosed": 1, "call_open_at_end": 1} == came.departures
        assert came.format.finished


def test_an_answer_may_lack_its_start() -> None:
    """What comes is taken."""
    came = read(text(0, "a"), stop(0), finish())

    assert "a" == came.message.text
    assert {"start_missing": 1} == came.departures


def test_a_start_that_comes_again_begins_anew() -> None:
    """What is open is closed, and a call in it is not handed out."""
    came = read(START, text(0, "a"), tool(1), arguments(1, "{}"), START, text(0, "b"), finish())

    assert "ab" == came.message.text
    assert [] == came.calls
    assert 1 == came.departures["start_repeated"]


def test_an_index_may_be_missing_or_written_otherwise() -> None:
    """It is then the block that came last; a number may be a text or have a fraction of zero."""
    came = read(
        START,
        text(0, "a"),
        text("0", "b"),
        text(0.0, "c"),
        text(None, "d"),
        text("x", "e"),
        stop({}),
        finish(),
    )

    assert (TextPart(text="abcde", complete=True),) == came.message.parts
    assert {"part_index_missing": 3} == came.departures


def test_an_index_is_only_a_name() -> None:
    """It may be negative or huge, and skip."""
    came = read(START, text(-1, "a"), stop(-1), text(10**18, "b"), stop(10**18), finish())

    assert ["a", "b"] == [part.text for part in came.message.parts if isinstance(part, TextPart)]
    assert {} == came.departures


def test_a_start_without_content_is_a_text_to_come() -> None:
    """Some servers announce text blocks, with an empty start or with empty text."""
    expected = (TextPart(text="a", complete=True),)
    for start in ({}, {"text": ""}, {"toolUse": None}):
        assert expected == parts(block(0, **start), delta(0, text="a", toolUse=None), stop(0))


def test_a_start_may_hold_the_first_piece() -> None:
    """Text, reasoning and arguments are taken from there."""
    came = read(
        START,
        block(0, text="a"),
        stop(0),
        block(1, reasoningContent={"text": "b"}),
        stop(1),
        tool(2, input='{"a": 1}'),
        stop(2),
        finish(),
    )

    assert ("a", "b", '{"a": 1}') == (came.message.text, came.message.reasoning, came.calls[0].arguments_text)


def test_blocks_of_empty_text_are_no_parts() -> None:
    """A guardrail leaves them where it took words out."""
    assert (TextPart(text="a", complete=True),) == parts(
        text(0, "a"), stop(0), text(1, ""), stop(1), block(2), stop(2)
    )


def test_a_block_that_was_never_stopped_is_closed_by_the_end() -> None:
    """A call in it is handed out if its arguments are whole, since the model came to its end."""
    came = read(START, text(0, "a"), text(1, "b"), tool(2), arguments(2, "{}"), finish("tool_use"))

    assert ["t1"] == [call.id for call in came.calls]
    assert {"part_unclosed": 3} == came.departures


def test_a_block_may_be_started_again() -> None:
    """While it is open that closes it; its call is handed out if it has arguments, and they are whole."""
    came = read(
        START,
        tool(0),
        arguments(0, "{}"),
        tool(0, "t2"),
        tool(0, "t3"),
        stop(0),
        tool(0, "t4"),
        stop(0),
        block(1),
        block(1),
        finish("tool_use"),
    )

    assert ["t1", "t3", "t4"] == [call.id for call in came.calls]
    assert {"part_unclosed": 3, "call_open_at_end": 1, "part_index_reused": 1} == came.departures


def test_one_index_may_stand_for_all_that_the_model_says() -> None:
    """Another kind of content begins a part of its own, and the one before is over."""
    came = read(
        START, reasoning(0, text="a"), text(0, "b"), tool(0), arguments(0, "{}"), text(0, "c"), finish()
    )

    assert ["reasoning", "text", "tool_call", "text"] == [part.kind for part in came.message.parts]
    assert ["t1"] == [call.id for call in came.calls]
    assert 2 == came.departures["part_index_reused"]


def test_what_comes_after_a_blocks_stop_is_a_new_part() -> None:
    """Text is added; arguments are ignored, since their call was handed out."""
    came = read(START, text(0, "a"), stop(0), text(0, "b"), stop(0), finish())
    late = read(START, tool(0), arguments(0, "{}"), stop(0), arguments(0, "{}"), stop(0), finish())

    assert ["a", "b"] == [part.text for part in came.message.parts if isinstance(part, TextPart)]
    assert {"part_after_close": 1} == came.departures
    assert ["{}"] == [call.arguments_text for call in late.calls]
    assert 1 == late.departures["call_after_done"]


def test_a_stop_without_a_block_is_ignored() -> None:
    """And counted."""
    assert {"part_end_unmatched": 1} == read(START, stop(3), finish()).departures


def test_blocks_may_be_written_in_turns() -> None:
    """Each keeps its own text."""
    came = read(START, text(0, "a"), text(1, "c"), text(0, "b"), stop(0), stop(1), finish())

    assert ["ab", "c"] == [part.text for part in came.message.parts if isinstance(part, TextPart)]
    assert {"parts_interleaved": 1} == came.departures


def test_content_after_the_finish_is_added() -> None:
    """The finish reason stays."""
    came = read(START, finish(), text(0, "a"), stop(0))

    assert ("a", "stop") == (came.message.text, came.message.finish_reason)
    assert 1 == came.departures["content_after_finish"]


def test_arguments_may_be_json_values_or_null() -> None:
    """Values are written as JSON, null is nothing."""
    came = read(
        START, tool(0), arguments(0, {"a": 1}), stop(0), tool(1), arguments(1, None), stop(1), finish()
    )

    assert ['{"a": 1}', ""] == [call.arguments_text for call in came.calls]
    assert {"arguments_parsed": 1, "arguments_null": 1, "call_id_repeated": 1} == came.departures


@pytest.mark.parametrize(
    "before, misfit",
    [
        ([], arguments(0, "{}")),
        ([text(0, "a")], arguments(0, "{}")),
        ([tool(0)], delta(0, toolUse="{}")),
        ([tool(0, type="server_tool_use")], arguments(0, {"a": 1})),
        ([], text(0, 7)),
        ([], delta(0, reasoningContent="a")),
        ([], delta(0, reasoningContent={"text": 7})),
        ([], delta(0, reasoningContent={})),
        ([], delta(0, citation="a")),
        ([], delta(0, citation={})),
        ([], delta(0, toolResult="a")),
        ([text(0, "a")], delta(0, toolResult=[{"text": "a"}])),
        ([], delta(0, image="a")),
        ([text(0, "a")], delta(0, image={"source": {}})),
        ([], delta(0, somethingNew={"a": 1})),
    ],
)
def test_a_delta_that_does_not_fit_is_carried(before: list[Named], misfit: Named) -> None:
    """As it came, among the items of its kind; nothing else is disturbed."""
    came = read(START, *before, misfit, finish())
    (kind,) = misfit[1]["delta"]

    assert came.error is None
    assert [misfit[1]] == came.message.provider_data[kind]
    assert [kind] == [event.name for event in came.events if isinstance(event, Unknown)]


@pytest.mark.parametrize("data", ["?", "é", 7])
def test_an_image_that_is_no_base64_is_carried(data: Any) -> None:
    """As it came; what is an image beside it is one."""
    source = {"bytes": data}
    came = read(START, block(0, image={"format": "png"}), delta(0, image={"source": source}), finish())

    assert OpaquePart(type="image", data={"source": source}, complete=True) in came.message.parts
    assert came.departures["media_invalid"] == 1


def test_fields_of_reasoning_that_are_new_are_carried() -> None:
    """Beside the text, which is taken."""
    came = read(START, reasoning(0, text="a", depth=3), finish())

    assert "a" == came.message.reasoning
    assert [{"depth": 3}] == came.message.provider_data["reasoningContent"]


def test_results_and_images_may_lack_their_start() -> None:
    """The part is opened, and counted."""
    came = read(
        START,
        delta(0, toolResult=[{"text": "a"}]),
        stop(0),
        delta(1, image={"source": {"bytes": "YQ=="}}),
        stop(1),
        finish(),
    )

    assert (
        ServerToolResult(content=[{"text": "a"}], complete=True),
        MediaPart(data=b"a", complete=True),
    ) == came.message.parts
    assert {"part_unopened": 2} == came.departures


def test_blocks_of_a_new_kind_are_carried() -> None:
    """A call without a name is one, too."""
    came = read(
        START,
        block(0, video={"format": "mp4"}),
        stop(0),
        block(1, toolUse={"toolUseId": "t1"}),
        stop(1),
        block(2, audio="x"),
        stop(2),
        block(3, toolResult={"toolUseId": "t", "content": [{"text": "a"}]}),
        stop(3),
        finish(),
    )

    assert (
        OpaquePart(type="video", data={"format": "mp4"}, complete=True),
        OpaquePart(type="toolUse", data={"toolUseId": "t1"}, complete=True),
        OpaquePart(type="audio", data={"audio": "x"}, complete=True),
        ServerToolResult(id="t", content=[{"text": "a"}], complete=True),
    ) == came.message.parts
    assert {"call_nameless": 1} == came.departures


def test_events_of_a_new_kind_are_carried() -> None:
    """By their name, or by their only field."""
    unknown = [
        event
        for event in read_frames(
            BedrockConverse(),
            [
                frame("heartbeatEvent", {"at": 1}),
                {"SDK_UNKNOWN_MEMBER": {"name": "x"}},
                {"init_event_loop": True},
                {},
                frame("initial-response", {}),
            ],
            end=False,
        ).events
        if isinstance(event, Unknown)
    ]

    assert ["heartbeatEvent", "SDK_UNKNOWN_MEMBER", "init_event_loop", "event"] == [e.name for e in unknown]


def test_text_that_is_half_a_character_waits_for_the_other_half() -> None:
    """Wherever the server cut it."""
    frames = [
        EventStreamMessage(b'{"contentBlockIndex":0,"delta":{"text":"%b"}}' % half, "contentBlockDelta")
        for half in (rb"a\ud83d", rb"\ude00b", rb"\ud83d")
    ]
    came = read_frames(BedrockConverse(), [frame(*START), *frames, frame(*finish())])

    assert "a😀b\ufffd" == came.message.text


@pytest.mark.parametrize("piece", ["a", ""])
def test_more_blocks_than_parts_are_allowed_is_an_error(piece: str) -> None:
    """Also where they are empty; what came before is kept."""
    came = read(START, *[text(index, piece) for index in range(9)], limits=Limits(parts=4))

    assert isinstance(came.error, LimitExceeded)
    assert "parts" == came.error.limit


def test_a_payload_that_is_no_object_is_an_error() -> None:
    """The format allows nothing else."""
    came = read_frames(BedrockConverse(), [EventStreamMessage(b"[]", "messageStart")])

    assert isinstance(came.error, ProtocolError)


def test_a_second_finish_counts_and_tells_once() -> None:
    """The same word again is no second event."""
    came = read(START, finish(), finish())

    assert 1 == len([event for event in came.events if isinstance(event, Finish)])
    assert {"finish_repeated": 1} == came.departures


def events_of(*payloads: dict[str, Any]) -> bytes:
    """Return what a gateway makes of the objects of boto3."""
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


OPEN: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}},
]


def test_done_after_the_stop_says_it_again() -> None:
    """Gateways that send server-sent events end as OpenAI does."""
    body = events_of(*OPEN, {"contentBlockStop": {"contentBlockIndex": 0}})
    body += events_of({"messageStop": {"stopReason": "tool_use"}}) + 2 * b"data: [DONE]\n\n"
    stream = Stream([body])
    message = stream.final()

    assert ("complete", "tool_calls", True) == (
        message.ending,
        message.finish_reason,
        message.tool_calls[0].complete,
    )
    assert {} == dict(stream.departures)


def test_done_without_a_stop_is_the_end_and_hands_out_no_open_call() -> None:
    """Nothing says that the call is whole."""
    stream = Stream([events_of(*OPEN) + b"data: [DONE]\n\n"])
    message = stream.final()

    assert ("complete", None, False) == (
        message.ending,
        message.finish_reason,
        message.tool_calls[0].complete,
    )
    assert {"finish_missing", "part_unclosed", "call_open_at_end"} == set(stream.departures)


def test_a_payload_after_done_is_counted() -> None:
    """It is no part of the answer."""
    stream = Stream(
        [b"data: [DONE]\n\n".join([events_of(OPEN[0]), events_of(OPEN[1])])], format="bedrock-converse"
    )
    stream.final()

    assert "data_after_end" in stream.departures


def test_an_exception_under_its_name_is_the_providers_error_from_the_first_payload_on() -> None:
    """A gateway has no other place for what comes as an exception of a binary stream."""
    with pytest.raises(ProviderError) as caught:
        Stream([events_of({"throttlingException": {"message": "slow down"}})]).final()

    error = caught.value
    assert ("throttlingException", "rate_limited", True) == (error.code, error.kind, error.retryable)


def test_a_part_is_done_when_its_block_stops() -> None:
    """Who shows parts as they are done need not wait for the answer's end."""
    converse = BedrockConverse()
    for told in (START, text(0, "Hello"), reasoning(1, text="Hm")):
        converse.feed(frame(*told))
    done = [event.part for told in (stop(1), stop(0)) for event in converse.feed(frame(*told))]

    assert [1, 0] == done


def test_what_comes_for_a_block_that_the_stop_of_the_answer_closed_is_counted() -> None:
    """It gets a part of its own."""
    came = read(START, text(0, "Hel"), finish(), text(0, "lo"))

    assert "Hello" == came.message.text
    assert {"part_unclosed": 1, "part_after_close": 1, "content_after_finish": 1} == came.departures
