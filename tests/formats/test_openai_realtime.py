"""OpenAI Realtime: what each event becomes, how responses end, and what servers stray into."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_realtime_payloads import (
    Payload,
    added,
    arguments,
    arguments_done,
    audio,
    call,
    call_done,
    created,
    done,
    event,
    finished,
    frame,
    part,
    part_done,
    read,
    session,
    text,
    transcript,
    where,
)
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import Finish, MessageStart, Ping, TextDelta, Unknown
from tokenstream.formats import _registry as registry
from tokenstream.formats._wire.openai_realtime import OpenAIRealtime
from tokenstream.limits import Limits

HELLO = [
    created(),
    added(),
    part(),
    text("Hel"),
    text("lo"),
    part_done(text="Hello"),
    finished(content=[{"type": "output_text", "text": "Hello"}]),
]


def test_text_is_given_as_it_comes_and_once() -> None:
    """The done events, the item and the response say it again."""
    whole = {"type": "output_text", "text": "Hello"}
    came = read(
        session(),
        *HELLO[:5],
        event("response.output_text.done", text="Hello", **where()),
        *HELLO[5:],
        done(output=[{"id": "item_1", "type": "message", "content": [whole]}]),
    )

    assert [one.text for one in came.events if isinstance(one, TextDelta)] == ["Hel", "lo"]
    assert (came.message.text, came.message.ending, came.departures) == ("Hello", "complete", {})
    assert (came.message.id, came.message.model) == ("resp_1", "gpt-realtime")
    [said] = came.message.parts
    assert said.kind == "text"
    assert said.complete
    assert said.provider_data == {
        "response_id": "resp_1",
        "item_id": "item_1",
        "content_index": 0,
    }


@pytest.mark.parametrize(
    "names",
    [
        ("response.output_audio.delta", "response.output_audio_transcript.delta"),
        ("response.audio.delta", "response.audio_transcript.delta"),
    ],
)
def test_a_spoken_answer_is_a_media_part_with_its_transcript(names: tuple[str, str]) -> None:
    """Under today's names and the beta's; the audio is decoded, and no text of the answer."""
    format_of_audio = {"type": "audio/pcm", "rate": 24000}
    came = read(
        session(audio={"output": {"format": format_of_audio}}),
        created(),
        added(),
        part("audio", transcript=""),
        {**transcript("Hel"), "type": names[1]},
        {**audio(b"\x00\x01"), "type": names[0]},
        {**transcript("lo"), "type": names[1]},
        {**audio(b"\x02"), "type": names[0]},
        event("response.output_audio.done", **where()),
        event("response.output_audio_transcript.done", transcript="Hello", **where()),
        part_done("audio", transcript="Hello"),
        finished(content=[{"type": "output_audio", "transcript": "Hello"}]),
        done(),
    )
    [media] = came.message.parts

    assert media.kind == "media"
    assert (media.data, media.transcript, media.mime_type) == (b"\x00\x01\x02", "Hello", "audio/pcm")
    assert (media.id, media.complete, came.message.text, came.departures) == ("item_1", True, "", {})
    assert media.provider_data == {
        "response_id": "resp_1",
        "item_id": "item_1",
        "content_index": 0,
        "format": format_of_audio,
    }


def test_the_beta_names_text_and_audio_formats_in_its_own_way() -> None:
    """`response.text.delta`, and `output_audio_format` of the session."""
    came = read(
        session(output_audio_format="g711_ulaw"),
        created(),
        added(),
        part(),
        {**text("Hello"), "type": "response.text.delta"},
        part("audio", where(content=1)),
        part_done(),
        finished(),
        done(),
    )
    spoken = came.message.parts[1]

    assert came.message.text == "Hello"
    assert spoken.kind == "media"
    assert spoken.mime_type == "audio/pcmu"


def test_a_call_is_handed_out_when_its_item_ends() -> None:
    """Not with its arguments' end: that is also sent where the answer was cut."""
    frames = [created(), call(), arguments('{"harbour"'), arguments(': "Brest"}')]
    ended = arguments_done('{"harbour": "Brest"}', name="get_tide")
    before = read(*frames, ended, end=False)
    came = read(*frames, ended, call_done('{"harbour": "Brest"}'), done())

    assert before.calls == []
    assert [(one.id, one.name, one.arguments) for one in came.calls] == [
        ("call_1", "get_tide", {"harbour": "Brest"})
    ]
    assert came.calls[0].provider_data == {"id": "item_1"}
    assert (came.message.finish_reason, came.message.raw_finish_reason) == ("tool_calls", "completed")
    assert came.departures == {}


@pytest.mark.parametrize("status", ["incomplete", "in_progress"])
def test_a_call_that_was_cut_is_kept_and_never_handed_out(status: str) -> None:
    """Its item says that it was, however whole its arguments look."""
    came = read(
        created(),
        call(),
        arguments("{}"),
        arguments_done("{}"),
        call_done("{}", status=status),
        done(status="cancelled", status_details={"reason": "turn_detected"}),
    )

    assert came.calls == []
    assert [one.complete for one in came.message.tool_calls] == [False]
    assert (came.message.finish_reason, came.departures) == ("cancelled", {"call_open_at_end": 1})
    assert came.message.provider_data == {"status_details": {"reason": "turn_detected"}}


def test_arguments_that_come_only_whole_are_given_whole() -> None:
    """With their own done event, with the item, or with the response."""
    whole = '{"harbour": "Brest"}'
    by_event = read(created(), call(), arguments_done(whole), call_done(whole), done())
    by_item = read(created(), call(), call_done(whole), done())
    item = {"id": "item_1", "type": "function_call", "status": "completed", "call_id": "call_1"}
    by_response = read(created(), done(output=[{**item, "name": "get_tide", "arguments": whole}]))

    for came in (by_event, by_item, by_response):
        assert [(one.id, one.arguments_text) for one in came.calls] == [("call_1", whole)]


def test_content_that_comes_only_whole_is_given_whole() -> None:
    """With its part's end, its item, or the response."""
    whole = {"type": "output_text", "text": "Hello"}
    spoken = {"type": "output_audio", "transcript": "Hi", "audio": "AAE="}
    by_part = read(created(), added(), part(), part_done(text="Hello"), finished(), done())
    by_text = read(
        created(),
        added(),
        part(),
        event("response.output_text.done", text="Hello", **where()),
        part_done(),
        done(),
    )
    by_item = read(created(), added(), finished(content=[whole]), done())
    by_response = read(
        created(), done(output=[{"id": "item_1", "type": "message", "content": [whole, spoken]}])
    )

    for came in (by_part, by_text, by_item, by_response):
        assert came.message.text == "Hello"
    heard = by_response.message.parts[1]
    assert heard.kind == "media"
    assert (heard.transcript, heard.data) == ("Hi", b"\x00\x01")


def test_what_the_server_runs_itself_is_no_call_of_the_client() -> None:
    """An MCP call, its arguments in pieces, and its output."""
    item: Payload = {"name": "search", "server_label": "docs"}
    came = read(
        created(),
        added("mcp_call", arguments="", **item),
        event("response.mcp_call_arguments.delta", delta='{"q"', **where()),
        event("response.mcp_call_arguments.delta", delta=': "a"}', **where()),
        event("response.mcp_call_arguments.done", arguments='{"q": "a"}', **where()),
        event("response.mcp_call.in_progress", item_id="item_1", output_index=0),
        finished("mcp_call", arguments='{"q": "a"}', output="found", **item),
        done(),
    )
    tool, result = came.message.parts

    assert tool.kind == "server_tool_call"
    assert (tool.id, tool.name, tool.arguments_text, tool.complete) == (
        "item_1",
        "search",
        '{"q": "a"}',
        True,
    )
    assert result.kind == "server_tool_result"
    assert (result.id, result.name, result.content) == ("item_1", "mcp_call", "found")
    assert (came.message.tool_calls, came.unknown, came.departures) == (
        (),
        ["response.mcp_call.in_progress"],
        {},
    )


def test_an_mcp_call_whose_arguments_come_whole_and_that_failed() -> None:
    """Its error is its result."""
    came = read(
        created(),
        added("mcp_call", name="search"),
        finished("mcp_call", name="search", arguments="{}", error={"type": "http_error"}),
        done(),
    )
    tool, result = came.message.parts

    assert tool.kind == "server_tool_call"
    assert result.kind == "server_tool_result"
    assert (tool.arguments_text, result.content) == ("{}", {"type": "http_error"})


def test_an_item_of_an_unknown_type_is_carried() -> None:
    """As it was at its end."""
    came = read(
        created(),
        added("mcp_list_tools", server_label="docs"),
        finished("mcp_list_tools", server_label="docs", tools=[{"name": "a"}]),
        done(),
    )
    [opaque] = came.message.parts

    assert opaque.kind == "opaque"
    assert (opaque.type, opaque.data["tools"], opaque.complete) == ("mcp_list_tools", [{"name": "a"}], True)


@pytest.mark.parametrize(
    "status, details, reason",
    [
        ("completed", None, "stop"),
        ("cancelled", {"reason": "client_cancelled"}, "cancelled"),
        ("incomplete", {"reason": "max_output_tokens"}, "length"),
        ("incomplete", {"reason": "content_filter"}, "content_filter"),
        ("incomplete", None, "unknown"),
        ("superseded", None, "unknown"),
        ("completed", "unimplemented", "stop"),
    ],
)
def test_why_a_response_ended(status: str, details: Any, reason: str) -> None:
    """Its status is the provider's word; details say why it is incomplete."""
    came = read(*HELLO, done(status=status, status_details=details))

    assert (came.message.finish_reason, came.message.raw_finish_reason) == (reason, status)
    assert came.message.ending == "complete"


def test_a_response_that_failed_is_a_provider_error_at_the_end() -> None:
    """The session may go on, so it is told when nothing follows."""
    details = {"error": {"type": "server_error", "code": "rate_limit_exceeded", "message": "busy"}}
    failed = [*HELLO, done(status="failed", status_details=details)]
    came = read(*failed)

    assert isinstance(came.error, ProviderError)
    assert (came.error.code, came.error.kind) == ("rate_limit_exceeded", "rate_limited")
    assert (came.message.ending, came.message.finish_reason) == ("failed", "error")
    assert not came.format.finished
    after = read(*failed, created("resp_2"), done("resp_2"))
    assert (after.error, after.message.ending) == (None, "complete")
    told = read(*HELLO, done(status="failed")).error
    assert str(told) == "the provider reports an error: the response failed"


def test_usage_is_read_in_our_names() -> None:
    """Text, audio and cached tokens."""
    usage = {
        "total_tokens": 30,
        "input_tokens": 20,
        "output_tokens": 10,
        "input_token_details": {"cached_tokens": 4, "audio_tokens": 6, "image_tokens": 2},
        "output_token_details": {"text_tokens": 3, "audio_tokens": 7, "reasoning_tokens": 1},
    }
    counted = read(*HELLO, done(usage=usage)).message.usage

    assert counted is not None
    assert (counted.input_tokens, counted.output_tokens, counted.total_tokens) == (20, 10, 30)
    assert (counted.cached_tokens, counted.input_audio_tokens, counted.input_image_tokens) == (4, 6, 2)
    assert (counted.output_audio_tokens, counted.reasoning_tokens) == (7, 1)
    assert counted.provider_data == usage


def test_xais_usage_beside_the_response_is_read() -> None:
    """With a departure."""
    came = read(*HELLO, {**done(usage={}), "usage": {"output_tokens": 3}})

    assert came.message.usage is not None
    assert (came.message.usage.output_tokens, came.departures) == (3, {"usage_misplaced": 1})


def test_several_responses_add_up_to_one_message() -> None:
    """Its id and finish reason are those of the last."""
    second = where("resp_2", "item_2")
    came = read(
        *HELLO,
        done(),
        created("resp_2"),
        added(response="resp_2", item="item_2"),
        part(place=second),
        text(" again", second),
        part_done(place=second),
        finished(response="resp_2", item="item_2"),
        done("resp_2", "incomplete", status_details={"reason": "max_output_tokens"}),
    )
    starts = [one for one in came.events if isinstance(one, MessageStart)]

    assert (came.message.text, came.message.id) == ("Hello again", "resp_2")
    assert [(one.id, one.another) for one in starts] == [("resp_1", False), ("resp_2", True)]
    assert [one.reason for one in came.events if isinstance(one, Finish)] == ["stop", "length"]
    assert (came.message.finish_reason, came.departures) == ("length", {})


def test_responses_that_are_written_in_turns_keep_their_own_parts() -> None:
    """The answer is over when the last of them is."""
    second = where("resp_2", "item_2")
    came = read(
        created(),
        added(),
        part(),
        text("a"),
        created("resp_2"),
        added(response="resp_2", item="item_2"),
        part(place=second),
        text("1", second),
        text("b"),
        text("2", second),
        part_done(),
        finished(),
        done(),
        text("3", second),
        part_done(place=second),
        finished(response="resp_2", item="item_2"),
        done("resp_2"),
    )
    texts = [one.text for one in came.message.parts if one.kind == "text"]

    assert texts == ["ab", "123"]
    assert [one.reason for one in came.events if isinstance(one, Finish)] == ["stop"]
    assert came.departures == {}


@pytest.mark.parametrize(
    "frames, ending",
    [
        ([*HELLO], StreamTruncated),
        ([*HELLO, done(), created("resp_2")], StreamTruncated),
        ([session()], StreamTruncated),
        ([session(type="transcription")], None),
        ([session(type="translation")], None),
        ([*HELLO, done(), event("rate_limits.updated", rate_limits=[{"name": "tokens"}])], None),
    ],
)
def test_the_end_of_the_connection_is_a_verdict(frames: list[Payload], ending: type | None) -> None:
    """Inside a response, or before any, it was cut; after all, or where none is made, it is the end."""
    error = read(*frames).error

    assert (None if error is None else type(error)) is ending


def test_an_error_event_does_not_end_the_session() -> None:
    """It is carried; where the connection ends instead of an answer, it is what is told."""
    trouble = event(
        "error", error={"type": "invalid_request_error", "code": "invalid_model", "message": "no"}
    )
    went_on = read(session(), trouble, *HELLO, done())
    ended = read(session(), trouble)

    assert (went_on.error, went_on.message.text) == (None, "Hello")
    assert went_on.unknown == ["session.created", "error"]
    assert isinstance(ended.error, ProviderError)
    assert ended.error.code == "invalid_model"
    cut = read(*HELLO, trouble)
    assert isinstance(cut.error, ProviderError)
    assert cut.message.ending == "failed"


def test_an_error_without_a_type_is_a_proxys_and_ends_the_stream() -> None:
    """It is none of the session's events."""
    came = read(*HELLO, {"error": {"message": "upstream gone"}})

    assert isinstance(came.error, ProviderError)


def test_a_transcription_that_failed_is_no_error_of_the_answer() -> None:
    """What the user said is an aside."""
    came = read(
        *HELLO[:4],
        event("conversation.item.input_audio_transcription.failed", item_id="u", error={"code": "x"}),
        *HELLO[4:],
        done(),
    )

    assert (came.error, came.message.text) == (None, "Hello")
    assert came.unknown == ["conversation.item.input_audio_transcription.failed"]


def test_limits_and_the_responses_own_fields_are_kept() -> None:
    """In `provider_data`; fields of single events are in their `.raw`."""
    limits = [{"name": "tokens", "remaining": 5}]
    came = read(
        created(conversation_id="conv_1"),
        done(conversation_id="conv_1", metadata={"a": "b"}),
        event("rate_limits.updated", rate_limits=limits),
        event("rate_limits.updated", rate_limits=None),
        event("session.updated", session={"model": "gpt-realtime-2"}),
    )

    assert came.message.provider_data == {
        "conversation_id": "conv_1",
        "metadata": {"a": "b"},
        "rate_limits": limits,
    }
    assert came.message.model == "gpt-realtime-2"


def test_pings_are_signs_of_life() -> None:
    """XAI sends them as events."""
    came = read(event("ping"), *HELLO, done(), format=OpenAIRealtime(pings=True))

    assert isinstance(came.events[0], Ping)
    assert read(event("ping"), *HELLO, done()).events[0] == came.events[1]


def test_one_response_of_a_session_can_be_picked_out() -> None:
    """It is over with its own end, and what it fails with is its own."""
    one = OpenAIRealtime(answer="resp_1", session={"model": "gpt-realtime"})
    came = read(*HELLO, done(), event("rate_limits.updated"), format=one)
    failed = OpenAIRealtime(answer="resp_1")
    error = read(*HELLO, done(status="failed"), format=failed, end=False).error

    assert (came.format.ended, came.message.model) == (True, "gpt-realtime")
    assert came.departures == {"data_after_end": 1}
    assert isinstance(error, ProviderError)


@pytest.mark.parametrize(
    "payload, place",
    [
        (created("resp_7"), ("resp_7", False)),
        (done("resp_7"), ("resp_7", True)),
        (text("a"), ("resp_1", False)),
        ({"type": "response.done"}, (None, True)),
        (session(), (None, False)),
        (event("output_audio_buffer.stopped", response_id="resp_1"), (None, False)),
        ({}, (None, False)),
    ],
)
def test_each_payload_has_its_place(payload: Payload, place: tuple[str | None, bool]) -> None:
    """By the id of its response; what is of the session belongs to none."""
    assert OpenAIRealtime().place_of(payload) == place


@pytest.mark.parametrize(
    "payload, known",
    [
        (session(), True),
        ({"type": "session.created"}, False),
        ({"type": "transcription_session.updated", "session": {}}, True),
        (created(), True),
        ({"type": "response.created", "response": {"object": "realtime.response"}}, True),
        ({"type": "response.created", "event_id": "e", "response": {"object": "response"}}, False),
        ({"type": "response.created", "sequence_number": 0, "response": {}}, False),
        (text("a"), True),
        ({"type": "response.output_text.delta", "sequence_number": 4, "delta": "a"}, False),
        (event("conversation.item.added", item={}), True),
        (event("input_audio_buffer.committed"), True),
        (event("error", error={"message": "m"}), True),
        ({"type": "error", "error": {"message": "m"}}, False),
        ({"choices": []}, False),
        ({"type": 1}, False),
    ],
)
def test_it_is_told_from_the_responses_api(payload: Payload, known: bool) -> None:
    """By the event's id, which every event has and no event of that API."""
    assert OpenAIRealtime.recognises(payload, "") is known
    if known:
        assert registry.detect(payload, "")[0] == "openai-realtime"


# -- strays ---------------------------------------------------------------


STRAYS: dict[str, tuple[list[Payload], str, str]] = {
    "a response that begins twice": ([created(), *HELLO, done()], "start_repeated", "Hello"),
    "a response that ends twice": ([*HELLO, done(), done()], "finish_repeated", "Hello"),
    "a response without its beginning": ([*HELLO[1:], done()], "start_missing", "Hello"),
    "an item that begins twice": ([*HELLO[:2], *HELLO[1:], done()], "content_twice", "Hello"),
    "a part that begins twice": ([*HELLO[:3], *HELLO[2:], done()], "content_twice", "Hello"),
    "a part that was never begun": ([*HELLO[:2], *HELLO[3:], done()], "part_unopened", "Hello"),
    "an item that was never begun": ([created(), *HELLO[3:], done()], "part_unopened", "Hello"),
    "a part of an item never begun": ([created(), *HELLO[2:], done()], "part_unopened", "Hello"),
    "a part that ends twice": ([*HELLO[:6], HELLO[5], HELLO[6], done()], "part_end_unmatched", "Hello"),
    "an item that ends twice": ([*HELLO, HELLO[6], done()], "part_end_unmatched", "Hello"),
    "text after its part": ([*HELLO[:6], text("!"), HELLO[6], done()], "part_after_close", "Hello!"),
    "an item that never ends": ([*HELLO[:6], done()], "", "Hello"),
    "a part that never ends": ([*HELLO[:5], done()], "part_unclosed", "Hello"),
    "no content index": (
        [*HELLO[:4], event("response.output_text.delta", delta="lo", item_id="item_1"), *HELLO[5:], done()],
        "part_index_missing",
        "Hello",
    ),
    "no item id": (
        [
            *HELLO[:4],
            event(
                "response.output_text.delta",
                delta="lo",
                response_id="resp_1",
                output_index=0,
                content_index=0,
            ),
            *HELLO[5:],
            done(),
        ],
        "",
        "Hello",
    ),
    "text of a spoken part": ([created(), added(), part("audio"), text("a"), done()], "delta_misfits", ""),
    "a transcript of a text": (
        [*HELLO[:4], transcript("x"), *HELLO[4:], done()],
        "delta_misfits",
        "Hello",
    ),
    "audio of a text": ([*HELLO[:4], audio(b"x"), *HELLO[4:], done()], "delta_misfits", "Hello"),
    "audio that is no base64": (
        [
            created(),
            added(),
            part("audio"),
            event("response.output_audio.delta", delta="?", **where()),
            audio(b"x"),
            done(),
        ],
        "media_invalid",
        "",
    ),
    "text that is no text": (
        [*HELLO[:4], event("response.output_text.delta", delta=7, **where()), *HELLO[4:], done()],
        "delta_misfits",
        "Hello",
    ),
    "a transcript that is no text": (
        [*HELLO[:4], event("response.output_audio_transcript.delta", **where()), *HELLO[4:], done()],
        "delta_misfits",
        "Hello",
    ),
    "arguments that are no text": (
        [*HELLO[:4], event("response.function_call_arguments.delta", **where()), *HELLO[4:], done()],
        "delta_misfits",
        "Hello",
    ),
    "text for a call": ([created(), call(), text("a"), call_done("{}"), done()], "delta_misfits", ""),
    "a part of a call": ([created(), call(), part(), call_done("{}"), done()], "delta_misfits", ""),
    "another item on the same place": (
        [*HELLO[:5], added(item="item_2"), finished(item="item_2"), done()],
        "part_index_reused",
        "Hello",
    ),
    "an event without a type": ([*HELLO, {"event_id": "e"}, done()], "type_missing", "Hello"),
}


@pytest.mark.parametrize("frames, rule, said", STRAYS.values(), ids=STRAYS)
def test_what_strays_from_the_documents_is_taken_and_counted(
    frames: list[Payload], rule: str, said: str
) -> None:
    """Under a rule of its own, and the text is whole."""
    came = read(*frames)

    assert came.error is None
    assert came.message.text == said
    if rule:
        assert rule in came.departures
    else:
        assert came.departures == {}


def test_a_call_without_a_name_waits_for_it() -> None:
    """It is opened when its arguments' end, or its item's, says the name."""
    nameless = added("function_call", call_id="call_1")
    by_arguments = read(
        created(),
        nameless,
        arguments("{"),
        arguments_done("{}", name="get_tide"),
        call_done("{}"),
        done(),
    )
    by_item = read(created(), nameless, call_done("{}"), done())
    never = read(created(), nameless, finished("function_call", call_id="call_1"), done())

    for came in (by_arguments, by_item):
        assert [(one.name, one.arguments_text) for one in came.calls] == [("get_tide", "{}")]
        assert came.departures["call_unnamed"] == 1
    assert (never.calls, never.message.parts[0].kind) == ([], "opaque")
    assert "call_nameless" in never.departures


def test_a_call_that_was_never_begun_is_taken_from_its_end() -> None:
    """Its fragments lack a name; the end of its arguments has it."""
    came = read(
        created(),
        arguments('{"a"'),
        arguments_done('{"a": 1}', name="get_tide"),
        call_done('{"a": 1}'),
        done(),
    )

    assert [(one.id, one.name, one.arguments) for one in came.calls] == [("call_1", "get_tide", {"a": 1})]
    assert came.departures == {"part_unopened": 2}


def test_a_fragment_after_its_call_is_ignored() -> None:
    """The call was handed out."""
    came = read(created(), call(), call_done("{}"), arguments("x"), arguments_done("y"), done())

    assert [one.arguments_text for one in came.calls] == ["{}"]
    assert came.departures == {"call_after_done": 1}


def test_a_call_without_an_end_is_handed_out_with_a_completed_response_only() -> None:
    """Where the response was cut, it is not."""
    frames = [created(), call(), arguments("{}")]

    assert [one.id for one in read(*frames, done()).calls] == ["call_1"]
    assert read(*frames, done(status="incomplete")).calls == []
    assert read(*frames).calls == []


def test_half_a_character_in_a_transcript_waits_for_its_other_half() -> None:
    """As in a text."""
    came = read(
        created(),
        added(),
        part("audio"),
        b'{"type":"response.output_audio_transcript.delta","response_id":"resp_1","item_id":"item_1",'
        b'"output_index":0,"content_index":0,"delta":"a\\ud83c"}',
        b'{"type":"response.output_audio_transcript.delta","response_id":"resp_1","item_id":"item_1",'
        b'"output_index":0,"content_index":0,"delta":"\\udf89"}',
        part_done("audio"),
        finished(),
        done(),
    )
    [media] = came.message.parts

    assert media.kind == "media"
    assert media.transcript == "a🎉"


def test_bounds_hold() -> None:
    """On parts, on items that hold none, and on responses that never end."""
    parts = read(
        created(),
        *[added(item=f"i{n}", index=n) for n in range(5)],
        format=OpenAIRealtime(limits=Limits(parts=3)),
    )
    responses = read(
        *[created(f"resp_{n}") for n in range(5)], format=OpenAIRealtime(limits=Limits(choices=3))
    )

    assert isinstance(parts.error, LimitExceeded)
    assert parts.error.limit == "parts"
    assert isinstance(responses.error, LimitExceeded)
    assert responses.error.limit == "choices"


def test_a_payload_that_is_no_object_is_a_clear_error() -> None:
    """With the number of its frame."""
    error = read(frame(created()), b"[1]").error

    assert isinstance(error, ProtocolError)
    assert error.event == 2


def test_unknown_events_are_carried() -> None:
    """Whatever they are."""
    came = read(*HELLO, event("response.output_video.delta", delta="x"), done())
    [unknown] = [one for one in came.events if isinstance(one, Unknown)]

    assert (unknown.name, unknown.data["delta"]) == ("response.output_video.delta", "x")


def test_what_is_whole_before_it_was_begun_waits_for_its_item() -> None:
    """The end of a text without a part says nothing yet; the item says it again."""
    ended = event("response.output_text.done", text="Hello", **where())
    came = read(
        created(), ended, added(), ended, finished(content=[{"type": "text", "text": "Hello"}]), done()
    )

    assert (came.message.text, came.departures) == ("Hello", {})


def test_a_call_whose_item_has_no_id_is_handed_out() -> None:
    """It is known by its place."""
    came = read(created(), call(item=""), arguments("{}", where(item="")), call_done("{}", item=""), done())

    assert [(one.id, one.provider_data) for one in came.calls] == [("call_1", None)]


def test_content_of_a_call_is_none_of_the_answer() -> None:
    """A call's item has none."""
    came = read(created(), call(), call_done("{}", content=[{"type": "text", "text": "x"}]), done())

    assert (came.message.text, len(came.calls)) == ("", 1)


def test_an_unknown_item_that_never_ends_is_kept_as_it_began() -> None:
    """Its response ends it."""
    came = read(created(), added("mcp_list_tools", server_label="docs"), done())
    [opaque] = came.message.parts

    assert opaque.kind == "opaque"
    assert (opaque.data["server_label"], came.departures) == ("docs", {"part_unclosed": 1})


def test_what_is_known_of_the_session_goes_on_to_its_responses() -> None:
    """A format for one response knows the model and the audio of the session that it is of."""
    of_session = OpenAIRealtime()
    of_session.feed(session(model="gpt-x", output_audio_format="pcm16"))
    one = of_session.of_answer("resp_1").fresh(limits=Limits(), pings=False)
    came = read(created(), added(), part("audio"), finished(), done(), format=one)
    [media] = came.message.parts

    assert media.kind == "media"
    assert (came.message.model, media.mime_type, one.ended) == ("gpt-x", "audio/pcm", True)
