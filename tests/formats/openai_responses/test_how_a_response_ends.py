"""How a response ends, and the ways in which one can come."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    answer,
    call,
    created,
    delta,
    done,
    ended,
    event,
    frame,
    hello,
    message,
    numbered,
    output_text,
    part_added,
    read,
    reasoning,
    remove,
    response,
    said,
)
from tests.support.formats import OpenAIResponses
from tests.support.tables import in_one_test
from tokenstream.errors import ProviderError, StreamTruncated
from tokenstream.events import Unknown
from tokenstream.message import TextPart, Usage

CITED = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 1, "end_index": 3}


# -- ends -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "status, reason, expected",
    [
        ("completed", None, "stop"),
        ("incomplete", "max_output_tokens", "length"),
        ("incomplete", "max_messages", "length"),
        ("incomplete", "content_filter", "content_filter"),
        ("incomplete", "steered", "cancelled"),
        ("incomplete", "boredom", "unknown"),
        ("incomplete", None, "unknown"),
        ("cancelled", None, "cancelled"),
    ],
)
def test_the_status_is_the_finish_reason_as_sent(status: str, reason: str | None, expected: str) -> None:
    details = {"reason": reason} if reason else None
    came = read(*map(frame, numbered(created(), *hello(), ended(status, incomplete_details=details))))

    assert (came.reason, came.raw_reason) == (expected, status)
    assert (came.error, came.message.text) == (None, "Hello")


def test_usage_comes_with_the_end() -> None:
    usage = said(*hello()).message.usage

    assert usage == Usage(
        input_tokens=20,
        output_tokens=9,
        total_tokens=29,
        reasoning_tokens=3,
        cached_tokens=4,
        cache_write_tokens=2,
        provider_data=usage.provider_data if usage else {},
    )


def test_the_number_of_the_last_event_is_there_to_resume_from() -> None:
    whole, cut = said(*hello()), read(*map(frame, numbered(created(), *hello()[:4])))

    assert (whole.data["sequence_number"], whole.sequence_number) == (8, 8)
    assert (cut.data["sequence_number"], cut.sequence_number) == (4, 4)
    assert OpenAIResponses().position is None


def test_a_response_that_failed_is_an_error_of_the_provider() -> None:
    failure = {"code": "server_error", "message": "The model broke."}
    came = read(
        *map(
            frame,
            numbered(created(), *hello()[:4], ended("failed", error=failure, usage={"input_tokens": 3})),
        )
    )

    assert (came.failure.code, came.failure.kind, came.failure.retryable) == ("server_error", "server", True)
    assert "The model broke." in str(came.failure)
    assert (came.message.text, came.reason) == ("Hello", "error")
    assert came.raw_reason == "failed"
    assert came.data["sequence_number"] == 5


@pytest.mark.parametrize("details", [None, {}, {"message": None}])
def test_a_failure_without_a_reason_is_one_all_the_same(details: Any) -> None:
    came = read(frame(created()), frame(ended("failed", error=details)))

    assert "does not say which" in str(came.failure)


@pytest.mark.parametrize(
    "payload, code, kind, retryable",
    [
        *[
            ({"type": "error", "code": code, "message": "m"}, code, kind, retryable)
            for code, kind, retryable in (
                ("server_error", "server", True),
                ("rate_limit_exceeded", "rate_limited", True),
                ("invalid_prompt", "invalid_request", False),
                ("bio_policy", "invalid_request", False),
                ("empty_image_file", "invalid_request", False),
                ("vector_store_timeout", "server", True),
            )
        ],
        (
            {"type": "error", "error": {"type": "too_many_requests", "code": "429", "message": "m"}},
            "429",
            "rate_limited",
            True,
        ),
        ({"error": {"message": "m", "type": "server_error"}}, None, "server", True),
        (
            {"type": "response.failed", "error": {"code": "server_error", "message": "m"}},
            "server_error",
            "server",
            True,
        ),
    ],
)
def test_an_error_is_read_in_every_shape(
    payload: Payload, code: str | None, kind: str, retryable: bool
) -> None:
    """Flat as documented, nested as it is sent, and without a type, from a proxy."""
    came = read(*map(frame, numbered(created(), *hello()[:4], payload)))

    assert (came.failure.code, came.failure.kind, came.failure.retryable) == (code, kind, retryable)
    assert came.failure.type != "error"
    assert (str(came.failure), came.message.text) == ("the provider reports an error: m", "Hello")


def test_the_error_of_a_tool_is_no_error_of_the_answer() -> None:
    """The model goes on with it."""
    came = said(
        event("mcp_list_tools.failed", error={"message": "down"}),
        done({"id": "l", "type": "mcp_list_tools", "server_label": "s", "tools": [], "error": "down"}),
        *hello(1),
    )

    assert (came.error, came.message.text) == (None, "Hello")


def test_a_heartbeat_is_no_content() -> None:
    """A `keepalive` gives no event."""
    assert read(frame({"type": "keepalive", "sequence_number": 3})).events[:-1] == []


# -- whole responses, and other ways in -----------------------------------------


def test_a_response_that_was_not_streamed_is_read_as_a_whole() -> None:
    """The server refused to stream, or was not asked to."""
    output = [
        reasoning("So", encrypted_content="g"),
        message(output_text("Hello", CITED), status="completed"),
        call('{"a": 1}', "completed"),
    ]
    came = read(response("completed", output=output))

    assert (came.message.reasoning, came.message.text) == ("So", "Hello")
    assert [found.arguments for found in came.calls] == [{"a": 1}]
    assert came.kinds == ["reasoning", "text", "citation", "tool_call"]
    assert (came.reason, came.error, came.departures) == ("tool_calls", None, {})


def test_a_response_in_the_background_is_not_over() -> None:
    came = read(response("queued"))

    assert came.message.id == "resp_1"
    assert isinstance(came.error, StreamTruncated)


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_a_whole_response_may_have_failed_too(status: str) -> None:
    came = read(response(status, error={"code": "server_error", "message": "m"}))

    assert came.raw_reason == status
    assert isinstance(came.error, ProviderError)


def test_payloads_that_an_sdk_has_decoded_give_the_same() -> None:
    payloads = answer(*hello(), *remove(1))
    plain = read(*map(frame, payloads))
    for payload in payloads:
        if payload["type"].endswith(".delta"):
            payload["snapshot"] = "Hello"
    payloads[-1]["response"]["output"][0]["content"][0]["parsed"] = {"a": 1}
    payloads[-1]["response"]["output"][1]["parsed_arguments"] = {"path": "/srv"}
    came = read(*payloads)

    assert (came.message, came.departures) == (plain.message, {})


def test_names_of_events_and_the_sentinel_may_be_missing_or_there() -> None:
    """Proxies drop the `event:` lines, and add `[DONE]` for their other clients."""
    payloads = [frame(payload).payload for payload in answer(*hello())]
    came = read(*payloads, b"[DONE]")

    assert (came.message.text, came.error) == ("Hello", None)
    assert came.departures == {"event_name_missing": 9, "end_repeated": 1}


def test_fields_that_nobody_knows_are_carried() -> None:
    came = said(
        added(message(agent="a")),
        {**part_added(), "lane": {"name": "b"}},
        delta("Hi"),
        done(message(output_text("Hi"), status="completed", agent="a")),
    )

    (part,) = came.parts
    assert isinstance(part, TextPart)
    assert came.data["lane"] == {"name": "b"}
    assert part.provider_data == {"id": "msg_1", "agent": "a", "status": "completed"}


REFUSED = {
    "steer": {
        "type": "response.steer.failed",
        "error": {"type": "invalid_request_error", "code": "too_many_pending_steers", "message": "busy"},
        "steer": {"input": "faster", "previous_response_id": "resp_1"},
    },
    "inject": {
        "type": "response.inject.failed",
        "error": {"code": "response_already_completed", "message": "busy"},
        "response_id": "resp_1",
        "input": [],
    },
}


@in_one_test("refused", list(REFUSED))
def test_refused_input_is_no_error_of_the_answer(refused: str) -> None:
    """Wherever an answer is told that input for it was refused, it is whole, and only a cut ends it early."""
    events = answer(*hello())
    for place in range(1, len(events)):
        told = [*map(frame, [*events[:place], REFUSED[refused], *events[place:]])]
        came, cut = read(*told), [read(*told[:end]) for end in range(1, len(told))]

        assert (came.message.text, came.ending) == ("Hello", "complete")
        assert all(isinstance(each.error, StreamTruncated) for each in cut)


@in_one_test(
    "payload, event_name, expected",
    [
        (created(), "", True),
        ({"response": {}}, "response.queued", True),
        (delta("Hi"), "", True),
        (response(), "", True),
        ({"type": "error", "code": "c", "message": "m", "sequence_number": 0}, "error", True),
        ({"type": "error", "code": "c", "message": "m"}, "error", False),
        ({"type": "keepalive"}, "", None),
        ({"object": "response"}, "", False),
        ({**created(), "event_id": "event_1"}, "", False),
        ({"type": "response.steer.accepted"}, "", None),
        ({"type": 1}, "", False),
        ({"type": ["response.created"]}, "", False),
        ({"choices": []}, "", False),
    ],
)
def test_a_first_payload_tells_the_format(payload: Payload, event_name: str, expected: bool | None) -> None:
    """The Realtime API has events of the same names, with ids of their own."""
    assert OpenAIResponses.recognises(payload, event_name) is expected


def test_events_come_in_the_order_of_the_wire() -> None:
    came = said(*hello())
    kinds = [type(event).__name__ for event in came.events if not isinstance(event, Unknown)]

    assert kinds == [
        "MessageStart",
        "PartStart",
        "TextDelta",
        "TextDelta",
        "PartDone",
        "UsageUpdate",
        "Finish",
    ]
