"""OpenAI Realtime: how responses end, usage, errors, and the place of each payload."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_realtime.payloads import (
    Payload,
    added,
    created,
    done,
    event,
    finished,
    part,
    part_done,
    read,
    session,
    text,
    where,
)
from tests.formats.openai_realtime.support import HELLO
from tests.support import registry
from tests.support.formats import OpenAIRealtime
from tests.support.tables import in_one_test
from tokenstream.errors import ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import Finish, InputTranscript, MessageStart


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
    came = read(*HELLO, done(status=status, status_details=details))

    assert (came.reason, came.raw_reason) == (reason, status)
    assert came.ending == "complete"


def test_a_response_that_failed_is_a_provider_error_at_the_end() -> None:
    """The session may go on, so it is told when nothing follows."""
    details = {"error": {"type": "server_error", "code": "rate_limit_exceeded", "message": "busy"}}
    failed = [*HELLO, done(status="failed", status_details=details)]
    came = read(*failed)

    assert (came.failure.code, came.failure.kind) == ("rate_limit_exceeded", "rate_limited")
    assert (came.ending, came.reason) == ("failed", "error")
    assert not came.format.finished
    after = read(*failed, created("resp_2"), done("resp_2"))
    assert (after.error, after.ending) == (None, "complete")
    told = read(*HELLO, done(status="failed")).error
    assert str(told) == "the provider reports an error: the response failed"


def test_usage_is_read_in_our_names() -> None:
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
    came = read(*HELLO, {**done(usage={}), "usage": {"output_tokens": 3}})

    assert (came.message.usage.output_tokens, came.departures) == (3, {"usage_misplaced": 1})


def test_several_responses_add_up_to_one_message() -> None:
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
    assert (came.reason, came.departures) == ("length", {})


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
    texts = [one.text for one in came.parts if one.kind == "text"]

    assert texts == ["ab", "123"]
    assert [one.reason for one in came.events if isinstance(one, Finish)] == ["stop"]
    assert came.departures == {}


@pytest.mark.parametrize(
    "frames, ending",
    [
        ([*HELLO], StreamTruncated),
        ([*HELLO, done(), created("resp_2")], StreamTruncated),
        ([session()], StreamTruncated),
        ([session(type="transcription")], ProtocolError),
        ([session(type="translation")], ProtocolError),
        ([event("transcription_session.created", session={})], ProtocolError),
        ([*HELLO, done(), event("rate_limits.updated", rate_limits=[{"name": "tokens"}])], None),
    ],
)
def test_the_end_of_the_connection_is_a_verdict(frames: list[Payload], ending: type | None) -> None:
    error = read(*frames).error

    assert (None if error is None else type(error)) is ending


def test_an_error_event_does_not_end_the_session() -> None:
    trouble = event(
        "error", error={"type": "invalid_request_error", "code": "invalid_model", "message": "no"}
    )
    went_on = read(session(), trouble, *HELLO, done())
    ended = read(session(), trouble)

    assert (went_on.error, went_on.message.text) == (None, "Hello")
    assert went_on.unknown == ["session.created", "error"]
    assert ended.failure.code == "invalid_model"
    cut = read(*HELLO, trouble)
    assert isinstance(cut.error, ProviderError)
    assert cut.ending == "failed"


def test_an_error_without_a_type_is_a_proxys_and_ends_the_stream() -> None:
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
    assert InputTranscript("", "u", done=True, error="x") in came.events


def test_limits_and_the_responses_own_fields_are_kept() -> None:
    limits = [{"name": "tokens", "remaining": 5}]
    came = read(
        created(conversation_id="conv_1"),
        done(conversation_id="conv_1", metadata={"a": "b"}),
        event("rate_limits.updated", rate_limits=limits),
        event("rate_limits.updated", rate_limits=None),
        event("session.updated", session={"model": "gpt-realtime-2"}),
    )

    assert came.data == {"conversation_id": "conv_1", "metadata": {"a": "b"}, "rate_limits": limits}
    assert came.message.model == "gpt-realtime-2"


def test_pings_are_heartbeats() -> None:
    """XAI sends them as events; they give none."""
    assert read(*HELLO, done()).events == read(event("ping"), *HELLO, done()).events


def test_one_response_of_a_session_can_be_picked_out() -> None:
    one = OpenAIRealtime(answer="resp_1", session={"model": "gpt-realtime"})
    came = read(*HELLO, done(), event("rate_limits.updated"), format=one)
    failed = OpenAIRealtime(answer="resp_1")
    error = read(*HELLO, done(status="failed"), format=failed, end=False).error

    assert (came.format.ended, came.message.model) == (True, "gpt-realtime")
    assert came.departures == {"end_repeated": 1}
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
    assert OpenAIRealtime().place_of(payload) == place


@in_one_test(
    "payload, known",
    [
        (session(), True),
        ({"type": "session.created"}, False),
        ({"type": "transcription_session.updated", "session": {}}, False),
        (session(type="translation"), False),
        (session(type="live"), False),
        ({"type": "session.created", "session": {"request_id": "r"}}, False),
        (created(), True),
        ({"type": "response.created", "response": {"object": "realtime.response"}}, True),
        ({"type": "response.created", "event_id": "e", "response": {"object": "response"}}, False),
        ({"type": "response.created", "sequence_number": 0, "response": {}}, False),
        ({"type": "response.done", "sequence_number": 0, "response": {"object": "realtime.response"}}, False),
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
def test_it_is_distinguished_from_the_responses_api(payload: Payload, known: bool) -> None:
    """By the event's id, which every event has and no event of that API."""
    assert OpenAIRealtime.recognises(payload, "") is known
    if known:
        assert registry.detect(payload, "") == ("openai-realtime", False)
