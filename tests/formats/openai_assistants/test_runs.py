"""Assistants: the run, its head, its usage and its ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_assistants.support import (
    DONE_RUN,
    FINISHED,
    START,
    delta,
    message,
    read,
    run,
    text,
    whole,
)
from tokenstream.errors import ProviderError, StreamTruncated


def test_the_answer_has_the_head_the_usage_and_the_status_of_its_run() -> None:
    """Steps and messages have ids and counts of their own, which are not the answer's."""
    got = whole(message("in_progress"), delta(text("Hello")), message("completed", text("Hello")))

    assert ("run_1", "gpt-m", "Hello", "stop", "completed", "complete") == (
        got.message.id,
        got.message.model,
        got.message.text,
        got.message.finish_reason,
        got.message.raw_finish_reason,
        got.message.ending,
    )
    assert (30, 9, 39, 4, 2) == (
        got.message.usage.input_tokens,
        got.message.usage.output_tokens,
        got.message.usage.total_tokens,
        got.message.usage.cached_tokens,
        got.message.usage.reasoning_tokens,
    )
    assert set() == got.rules


def test_what_the_next_request_needs_is_in_the_messages_data() -> None:
    """The thread, the assistant, and what else a run tells."""
    data = whole().message.provider_data

    assert {"thread_id": "thread_1", "assistant_id": "asst_1", "created_at": 1_700_000_000} == data


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (run("incomplete", incomplete_details={"reason": "max_completion_tokens"}), ("length", "incomplete")),
        (run("incomplete", incomplete_details={"reason": "max_prompt_tokens"}), ("length", "incomplete")),
        (
            run("incomplete", incomplete_details={"reason": "content_filter"}),
            ("content_filter", "incomplete"),
        ),
        (run("incomplete"), ("unknown", "incomplete")),
        (run("cancelled"), ("cancelled", "cancelled")),
        (run("expired"), ("cancelled", "expired")),
    ],
)
def test_a_run_ends_in_other_ways_too(ending: Any, expected: Any) -> None:
    """Its status is the server's word for why."""
    got = read(*START, delta(text("Hel")), ending, FINISHED)

    assert expected == (got.message.finish_reason, got.message.raw_finish_reason)
    assert ("Hel", "complete") == (got.message.text, got.message.ending)


def test_a_failed_run_is_the_providers_error() -> None:
    """What had come is kept."""
    error = {"code": "rate_limit_exceeded", "message": "too many"}
    got = read(*START, delta(text("Hel")), run("failed", last_error=error), FINISHED)

    assert isinstance(got.error, ProviderError)
    assert ("rate_limited", "rate_limit_exceeded") == (got.error.kind, got.error.code)
    assert ("Hel", "error", "failed") == (got.message.text, got.message.finish_reason, got.message.ending)
    assert isinstance(read(*START, run("failed")).error, ProviderError)


def test_an_error_event_ends_the_stream() -> None:
    """Its data have no other mark."""
    got = read(
        *START, delta(text("Hel")), ("error", {"message": "it broke", "type": "server_error", "code": None})
    )

    assert isinstance(got.error, ProviderError)
    assert "server" == got.error.kind
    assert "Hel" == got.message.text


def test_a_run_that_is_being_cancelled_is_not_over() -> None:
    """Only its end is one."""
    got = read(*START, run("cancelling"))

    assert isinstance(got.error, StreamTruncated)


def test_the_end_of_the_run_is_enough() -> None:
    """Without `done`, with a departure; `done` without it is counted too."""
    assert {"done_missing"} == read(*START, DONE_RUN).rules
    assert {"finish_missing"} == read(*START, delta(text("a")), FINISHED).rules
    assert {"finish_missing"} == read(*START, delta(text("a")), ("done", {})).rules


def test_a_run_that_breaks_off_is_truncated() -> None:
    """A message that is complete does not end it."""
    got = read(*START, delta(text("Hello")), message("completed", text("Hello")))

    assert isinstance(got.error, StreamTruncated)
    assert "truncated" == got.message.ending


def test_a_thread_that_is_made_for_the_run_is_told() -> None:
    got = read(("thread.created", {"id": "thread_9", "object": "thread", "metadata": {}}), DONE_RUN, FINISHED)

    assert "thread_1" == got.message.provider_data["thread_id"]
    assert set() == got.rules
