"""What an Anthropic answer adds up to, when the server keeps to its documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.anthropic_payloads import (
    PING,
    STOP,
    Payload,
    answer,
    arguments,
    block,
    delta,
    finish,
    frame,
    read,
    start,
    stop,
    text,
    tool,
)
from tokenstream.events import (
    MessageStart,
    PartStart,
    Ping,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    Unknown,
)
from tokenstream.formats._wire.anthropic import Anthropic
from tokenstream.framing import ServerSentEvent
from tokenstream.message import (
    Citation,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    Usage,
)

HELLO = (block(0, "text", text=""), text(0, "Hel"), text(0, "lo"), stop(0))


def test_text_arrives_in_pieces_and_stays_in_the_message() -> None:
    """Deltas of a block are joined; an answer that keeps to the documents has no departures."""
    came = read(*map(frame, answer(*HELLO)))

    assert (came.text, came.message.parts) == ("Hello", (TextPart(text="Hello", complete=True),))
    assert came.departures == {}
    assert came.error is None


def test_the_answer_begins_with_its_id_model_and_role() -> None:
    """They stand in the answer's start."""
    came = read(start())

    assert came.events[0] == MessageStart(id="msg_1", model="claude-x", role="assistant")


def test_text_blocks_are_parts_and_the_text_is_all_of_them_joined() -> None:
    """Citations cut text into blocks, so nothing stands between two of them."""
    came = read(*answer(*HELLO, block(1, "text", text="!"), text(1, "?"), stop(1)))

    assert (came.text, came.message.text) == ("Hello!?", "Hello!?")
    assert [part.kind for part in came.message.parts] == ["text", "text"]


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
    """It is sent whole, so one that stood in the start is not doubled."""
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
    assert came.message.usage is not None
    assert came.message.usage.reasoning_tokens is None


def test_redacted_thinking_is_kept_verbatim() -> None:
    """It comes whole in its start and must be sent back as it came."""
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


def test_a_tool_call_is_handed_out_at_its_block_stop() -> None:
    """The empty object in its start is a placeholder that the fragments replace."""
    came = read(
        start(), tool(0), arguments(0, ""), arguments(0, '{"path": '), arguments(0, '"/srv"}'), stop(0)
    )

    assert [(call.id, call.name, call.arguments, call.complete) for call in came.calls] == [
        ("toolu_1", "rm", {"path": "/srv"}, True)
    ]
    assert came.truncated


def test_a_tool_without_arguments_is_called_with_none() -> None:
    """Neither a fragment nor an input: the arguments are empty."""
    came = read(*answer(tool(0), arguments(0, ""), stop(0), reason="tool_use"))

    assert [(call.arguments_text, call.arguments) for call in came.calls] == [("", {})]
    assert came.message.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "after, handed_out",
    [
        pytest.param([finish("max_tokens"), STOP], [], id="the token limit"),
        pytest.param([], [], id="a cut"),
        pytest.param([STOP], ["toolu_1"], id="the end without a reason"),
        pytest.param([block(1, "text", text="")], ["toolu_1"], id="another block"),
        pytest.param([finish("tool_use"), STOP], ["toolu_1"], id="the call"),
    ],
)
@pytest.mark.parametrize("text", ["", " ", "12", "true", "[]", '"{}"'])
def test_a_call_without_an_object_waits_for_what_ended_it(
    text: str, after: list[Any], handed_out: list[str]
) -> None:
    """Its block is stopped too where the token limit cut it; 12 looks whole, and may be the start of 123."""
    came = read(start(), tool(0), arguments(0, text), stop(0), *after)

    assert [call.id for call in came.calls] == handed_out
    assert [call.complete for call in came.message.tool_calls] == [bool(handed_out)]
    assert [call.arguments_text for call in came.message.tool_calls] == [text]


def test_a_call_whose_object_is_whole_is_handed_out_where_its_block_stops() -> None:
    """The end of an object cannot be mistaken, so nothing waits for what comes next."""
    came = read(start(), tool(0), arguments(0, ' {"a": '), arguments(0, "1}"), stop(0))

    assert [call.arguments for call in came.calls] == [{"a": 1}]


def test_arguments_may_stand_in_the_start_of_a_call() -> None:
    """An input without fragments is the arguments; with fragments it is none."""
    whole = read(*answer(tool(0, input={"path": "/ö"}), stop(0)))
    replaced = read(*answer(tool(0, input={"path": "/ö"}), arguments(0, "{}"), stop(0)))

    assert [call.arguments_text for call in whole.calls] == ['{"path": "/ö"}']
    assert whole.departures == {"arguments_parsed": 1}
    assert [call.arguments_text for call in replaced.calls] == ["{}"]


def test_arguments_that_stand_in_the_start_as_text_are_taken_as_they_are() -> None:
    """Some gateways write them as JSON in a string."""
    came = read(*answer(tool(0, input='{"path": "/"}'), stop(0)))

    assert [call.arguments for call in came.calls] == [{"path": "/"}]


def test_parallel_calls_are_handed_out_in_turn() -> None:
    """Each block is a call."""
    came = read(
        *answer(
            tool(0, "a", "toolu_a"),
            arguments(0, '{"n": 1}'),
            stop(0),
            tool(1, "b", "toolu_b"),
            arguments(1, '{"n": 2}'),
            stop(1),
            reason="tool_use",
        )
    )

    assert [(call.id, call.arguments) for call in came.calls] == [
        ("toolu_a", {"n": 1}),
        ("toolu_b", {"n": 2}),
    ]
    assert len(came.message.tool_calls) == 2


def test_who_made_a_call_is_kept_with_it() -> None:
    """Fields that only this provider has go with the call."""
    came = read(*answer(tool(0, caller={"type": "direct"}), stop(0)))

    assert came.calls[0].provider_data == {"caller": {"type": "direct"}}


def test_arguments_that_are_no_json_are_kept_and_not_handed_out() -> None:
    """With eager streaming nobody checks them before they arrive."""
    came = read(*answer(tool(0), arguments(0, '{"path": /srv'), stop(0), *HELLO))

    assert came.calls == []
    assert [(call.arguments_text, call.complete) for call in came.message.tool_calls] == [
        ('{"path": /srv', False)
    ]
    assert came.departures == {"call_invalid": 1, "part_index_reused": 1}
    assert came.text == "Hello"


def test_two_documents_in_one_call_are_no_call() -> None:
    """Nobody knows which of them is meant; the text stays readable."""
    came = read(*answer(tool(0), arguments(0, '{}{"a": 1}'), stop(0)))

    assert (came.calls, came.message.tool_calls[0].arguments_text) == ([], '{}{"a": 1}')


@pytest.mark.parametrize("kind", ["server_tool_use", "mcp_tool_use", "new_tool_use"])
def test_tools_that_the_provider_runs_are_never_handed_out(kind: str) -> None:
    """They are parts of the message, with what the server says of them."""
    came = read(
        *answer(
            block(0, kind, id="srv_1", name="search", input={}, server_name="docs"),
            arguments(0, '{"query": '),
            arguments(0, '"cats"}'),
            stop(0),
        )
    )

    assert came.message.parts == (
        ServerToolCall(
            id="srv_1",
            name="search",
            arguments_text='{"query": "cats"}',
            complete=True,
            provider_data={"type": kind, "server_name": "docs"},
        ),
    )
    assert (came.calls, came.message.tool_calls) == ([], ())
    assert came.message.finish_reason == "stop"


def test_a_server_tool_may_have_its_arguments_in_its_start() -> None:
    """As for the client's tools."""
    came = read(*answer(block(0, "server_tool_use", id="srv_1", name="s", input={"q": 1}), stop(0)))

    assert [part.arguments_text for part in came.message.parts if isinstance(part, ServerToolCall)] == [
        '{"q": 1}'
    ]


@pytest.mark.parametrize(
    "kind, content",
    [
        ("web_search_tool_result", [{"type": "web_search_result", "url": "https://example.org"}]),
        (
            "web_search_tool_result",
            {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
        ),
        ("code_execution_tool_result", {"type": "code_execution_result", "stdout": "1", "return_code": 0}),
        ("mcp_tool_result", [{"type": "text", "text": "hi"}]),
        ("new_tool_result", None),
    ],
)
def test_results_of_server_tools_are_parts_and_their_errors_are_content(kind: str, content: Any) -> None:
    """They come whole; the stream goes on after an error in one of them."""
    came = read(
        *answer(block(0, kind, tool_use_id="srv_1", content=content, is_error=False), stop(0), PING, *HELLO)
    )

    assert came.message.parts[0] == ServerToolResult(
        id="srv_1", name=kind, content=content, complete=True, provider_data={"is_error": False}
    )
    assert came.error is None


def test_a_compaction_takes_what_its_delta_says() -> None:
    """Its fields replace those of the start, at once and not only at the block's stop."""
    frames = [
        start(),
        block(0, "compaction", content=None, encrypted_content=None),
        delta(0, "compaction_delta", content="Summary", encrypted_content="ZW5j"),
    ]
    data = {"type": "compaction", "content": "Summary", "encrypted_content": "ZW5j"}

    assert read(*frames).message.parts == (OpaquePart(type="compaction", data=data),)
    assert read(*frames, stop(0)).message.parts == (OpaquePart(type="compaction", data=data, complete=True),)


def test_deltas_of_a_block_are_read_at_a_glance() -> None:
    """A driver may hand over the whole chunk; anything else is left to the plain way."""
    made = Anthropic()
    for sent in (start(), block(0, "text", text=""), text(0, "a")):
        made.feed(frame(sent))
    shortcut = made.shortcut("event", 4096)
    chunk = b"event: content_block_delta\ndata: %b\n\n"

    assert shortcut is not None
    assert shortcut is made.shortcut("event", 4096)
    assert TextDelta("b") == shortcut(chunk % frame(text(0, "b")).payload)
    assert shortcut(chunk % frame(text(1, "b")).payload) is None
    assert 4 == made.frames


def test_arguments_are_read_at_a_glance() -> None:
    """Each fragment tells its call, and the call that is done has all of them."""
    made = Anthropic()
    for sent in (start(), tool(0), arguments(0, "{")):
        made.feed(frame(sent))
    shortcut = made.shortcut("event", 4096)

    assert shortcut is not None
    assert ToolCallDelta("toolu_1", "}") == shortcut(
        b"event: content_block_delta\ndata: %b\n\n" % frame(arguments(0, "}")).payload
    )
    [done] = [event for event in made.feed(frame(stop(0))) if isinstance(event, ToolCallDone)]
    assert "{}" == done.call.arguments_text


def test_deltas_that_take_several_lines_are_not_read_at_a_glance() -> None:
    """Nor are any before the first."""
    made = Anthropic()
    before = made.shortcut("event", 4096)
    for sent in (start(), block(0, "text", text="")):
        made.feed(frame(sent))
    made.feed(ServerSentEvent(frame(text(0, "a")).payload.replace(b",", b",\n"), "content_block_delta"))

    assert (None, None) == (before, made.shortcut("event", 4096))


def test_a_compaction_delta_that_says_nothing_changes_nothing() -> None:
    """The part stays as its start said."""
    came = read(start(), block(0, "compaction", content="a"), delta(0, "compaction_delta", content=None))

    assert came.message.parts == (OpaquePart(type="compaction", data={"type": "compaction", "content": "a"}),)


@pytest.mark.parametrize("ending", [[], [stop(0)], [finish()], [STOP], [tool(0)], [start()]])
def test_a_compaction_in_many_deltas_is_whole_however_it_ends(ending: list[Payload]) -> None:
    """Stopped, finished, replaced or cut: the message has all that came."""
    pieces = [delta(0, "compaction_delta", **{f"f{n}": n}) for n in range(5)]
    came = read(start(), block(0, "compaction", content=None), *pieces, *ending)

    [part, *_] = came.message.parts
    assert isinstance(part, OpaquePart)
    assert part.data == {"type": "compaction", "content": None, **{f"f{n}": n for n in range(5)}}


def test_a_compaction_in_many_deltas_is_not_told_again_with_each() -> None:
    """It is told at its first delta and at its end, so many deltas cost what they hold and no more."""
    pieces = [delta(0, "compaction_delta", **{f"f{n}": n}) for n in range(2000)]
    opened = block(0, "compaction", content=None)
    came = read(start(), opened, *pieces, stop(0))
    told = [event.content for event in came.events if isinstance(event, PartStart)]

    assert [len(part.data) for part in told if isinstance(part, OpaquePart)] == [2, 3, 2002]
    assert opened == block(0, "compaction", content=None)


def test_half_a_character_in_a_compaction_is_replaced() -> None:
    """A message can always be written as JSON."""
    sent = [
        start(),
        block(0, "compaction", a="\ud83d"),
        delta(0, "compaction_delta", b="\ud83d"),
        delta(0, "compaction_delta", c="c"),
    ]
    came = read(*sent)

    [part] = came.message.parts
    assert isinstance(part, OpaquePart)
    assert part.data == {"type": "compaction", "a": "\ufffd", "b": "\ufffd", "c": "c"}
    assert came.message == read(*[json.dumps(payload).encode() for payload in sent]).message


def test_a_fallback_changes_the_model() -> None:
    """From there on another model answers; the part says why."""
    content = {"from": {"model": "claude-x"}, "to": {"model": "claude-y"}, "trigger": {"type": "refusal"}}
    came = read(*answer(block(0, "fallback", **content), stop(0), *HELLO))

    assert came.message.model == "claude-y"
    assert came.message.parts[0] == OpaquePart(
        type="fallback", data={"type": "fallback", **content}, complete=True
    )


@pytest.mark.parametrize("kind", ["container_upload", "mcp_tool_listing", "hologram"])
def test_blocks_without_a_word_of_ours_are_carried_whole(kind: str) -> None:
    """Unknown is data, and what a later version of the API adds to such a block is, too."""
    came = read(*answer(block(0, kind, file_id="file_1"), delta(0, "beam_delta", beam=1), stop(0)))

    assert came.message.parts == (
        OpaquePart(type=kind, data={"type": kind, "file_id": "file_1"}, complete=True),
    )
    assert came.message.provider_data["beam_delta"] == [delta(0, "beam_delta", beam=1)]
    assert came.departures == {}


def test_deltas_without_a_word_of_ours_are_carried() -> None:
    """Several of them make a list; the block's own content is untouched."""
    came = read(*answer(*HELLO[:2], delta(0, "glow", x=1), delta(0, "glow", x=2), *HELLO[2:]))

    assert came.text == "Hello"
    assert [payload["delta"]["x"] for payload in came.message.provider_data["glow"]] == [1, 2]


def test_events_without_a_word_of_ours_are_carried() -> None:
    """They are given as they came, and are never fatal."""
    payload = {"type": "vendor_event", "data": [1]}
    came = read(*answer(payload, *HELLO))

    assert Unknown("vendor_event", payload) in came.events
    assert came.text == "Hello"


def test_fields_without_a_word_of_ours_are_carried() -> None:
    """They are in the message's `provider_data`, wherever they stood; padding and null are not."""
    came = read(
        {**start(container={"id": "c_1"}, service_note=None), "trace": "t"},
        {**HELLO[0], "lane": 1},
        {**delta(0, "text_delta", text="Hello", weight=2), "p": "abcdef"},
        {**HELLO[3], "cost": 3},
        {**finish(context_note="n"), "context_management": {"applied_edits": []}},
        {**STOP, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9}},
    )

    assert came.message.provider_data == {
        "container": {"id": "c_1"},
        "trace": "t",
        "lane": 1,
        "weight": 2,
        "cost": 3,
        "context_note": "n",
        "context_management": {"applied_edits": []},
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9},
    }


def test_usage_of_the_start_is_kept_where_the_end_says_nothing() -> None:
    """Counts of the end are cumulative and replace those of the start; null replaces nothing."""
    came = read(
        start(
            usage={
                "input_tokens": 10,
                "output_tokens": 1,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 3,
                "service_tier": "standard",
            }
        ),
        *HELLO,
        finish(
            usage={
                "input_tokens": 12,
                "output_tokens": 20,
                "cache_read_input_tokens": None,
                "output_tokens_details": {"thinking_tokens": 7},
            }
        ),
        STOP,
    )

    usage = came.message.usage
    assert usage is not None
    assert usage == Usage(
        input_tokens=12,
        output_tokens=20,
        cached_tokens=4,
        cache_write_tokens=3,
        reasoning_tokens=7,
        provider_data=usage.provider_data,
    )
    assert usage.provider_data["service_tier"] == "standard"


def test_usage_before_the_end_is_partial() -> None:
    """What the start says is no final count."""
    came = read(start(), *HELLO)

    assert came.message.usage is not None
    assert (came.message.usage.output_tokens, came.message.usage.source) == (1, "partial")


@pytest.mark.parametrize(
    "raw, reason",
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("refusal", "refusal"),
        ("solar_flare", "unknown"),
    ],
)
def test_stop_reasons_are_told_in_our_words_and_in_theirs(raw: str, reason: str) -> None:
    """A reason that we do not know is unknown, never an error."""
    message = read(*answer(*HELLO, reason=raw)).message

    assert (message.finish_reason, message.raw_finish_reason) == (reason, raw)


def test_the_stop_sequence_and_the_details_of_a_refusal_are_kept() -> None:
    """They are in the message's `provider_data`."""
    details = {"type": "refusal", "category": None, "explanation": "no"}
    stopped = read(start(), *HELLO, finish("stop_sequence", stop_sequence="END"), STOP).message
    refused = read(start(), *HELLO, finish("refusal", stop_details=details), STOP).message

    assert stopped.provider_data == {"stop_sequence": "END"}
    assert refused.provider_data == {"stop_details": details}


def test_end_turn_after_a_tool_call_means_tool_calls() -> None:
    """The finish reason follows what was accumulated; the provider's word stays."""
    message = read(*answer(tool(0), stop(0))).message

    assert (message.finish_reason, message.raw_finish_reason) == ("tool_calls", "end_turn")


def test_a_call_that_the_token_limit_cut_is_never_handed_out() -> None:
    """Even where its arguments look whole by chance."""
    came = read(start(), tool(0), arguments(0, '{"a": 1}'), finish("max_tokens"), STOP)

    assert came.calls == []
    assert came.message.tool_calls[0].arguments_text == '{"a": 1}'
    assert came.departures == {"part_unclosed": 1, "call_open_at_end": 1}


def test_pings_are_given_only_to_those_who_ask() -> None:
    """They are signs of life, anywhere in the stream."""
    quiet, loud = read(PING, start(), PING), read(PING, start(), PING, format=Anthropic(pings=True))

    assert not [event for event in quiet.events if isinstance(event, Ping)]
    assert [type(event) for event in loud.events] == [Ping, MessageStart, type(loud.events[2]), Ping]


def test_a_whole_answer_may_stand_in_its_start() -> None:
    """Tools that code calls come so: content, usage and stop reason, and no deltas."""
    content = [
        {"type": "text", "text": "Rolling", "citations": [{"type": "page_location", "cited_text": "c"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "roll", "input": {"player": 2}},
    ]
    came = read(
        start(content=content, stop_reason="tool_use", usage={"input_tokens": 0, "output_tokens": 0}), STOP
    )

    assert (came.text, came.message.text) == ("Rolling", "Rolling")
    assert [(call.id, call.arguments) for call in came.calls] == [("toolu_1", {"player": 2})]
    assert came.message.raw_finish_reason == "tool_use"
    assert came.message.usage is not None
    assert came.message.usage.output_tokens == 0
    assert len(came.message.citations) == 1
    assert came.departures == {"start_with_content": 1}


def test_a_message_that_was_not_streamed_is_read_whole() -> None:
    """A server that refuses to stream answers with the message itself."""
    message = start(
        content=[{"type": "thinking", "thinking": "So", "signature": "c2ln"}, {"type": "text", "text": "Hi"}],
        stop_reason="end_turn",
    )["message"]
    came = read(message)

    assert came.message.parts == (
        ReasoningPart(text="So", signature="c2ln", complete=True),
        TextPart(text="Hi", complete=True),
    )
    assert (came.message.id, came.message.finish_reason, came.departures) == ("msg_1", "stop", {})
    assert came.error is None


def test_every_event_carries_the_payload_that_it_came_from() -> None:
    """Also the text deltas that are known by their bytes, and are decoded only when asked."""
    payloads = answer(*HELLO, tool(1), arguments(1, '{"a": '), arguments(1, "1}"), stop(1))
    came = read(*[frame(payload, padding=3) for payload in payloads])

    assert [event.raw for event in came.events if type(event).__name__.endswith("Delta")] == [
        payload for payload in payloads if payload["type"] == "content_block_delta"
    ]
