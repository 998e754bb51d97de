"""The Interactions API: statuses, errors and ends."""

from __future__ import annotations

import pytest

from tests.formats.gemini_interactions.support import (
    USAGE,
    completed,
    created,
    delta,
    event,
    read,
    start,
    step,
    stop,
)
from tokenstream.errors import ProviderError, StreamTruncated

STATUSES = {
    "completed": "stop",
    "requires_action": "tool_calls",
    "incomplete": "length",
    "budget_exceeded": "length",
    "requires_continuation": "pause",
    "cancelled": "cancelled",
    "a_new_one": "unknown",
}


@pytest.mark.parametrize("status", STATUSES)
def test_the_status_is_the_finish_reason(status: str) -> None:
    told = read(created(), completed(status))

    assert (told.reason, told.raw_reason) == (STATUSES[status], status)
    assert told.ending == "complete"


@pytest.mark.parametrize("field", ["error", "errors"])
def test_an_interaction_that_failed_is_an_error(field: str) -> None:
    error = {"code": "unavailable", "message": "busy"}
    begun = [created(), start(0, "model_output"), delta(0, "text", text="Hel")]
    told = read(*begun, completed("failed", **{field: error if field == "error" else [error]}))

    assert (told.failure.kind, told.failure.code, told.failure.retryable) == (
        "overloaded",
        "unavailable",
        True,
    )
    assert (told.message.text, told.reason, told.ending) == ("Hel", "error", "failed")
    assert "interaction failed" in str(read(created(), completed("failed")).error)


def test_a_failure_that_only_a_status_update_reports_is_an_error() -> None:
    """The input ended without the terminal event; a failed interaction is no answer all the same."""
    told = read(
        created(),
        start(0, "model_output"),
        delta(0, "text", text="a"),
        event("interaction.status_update", interaction_id="i1", status="failed"),
    )

    assert isinstance(told.error, ProviderError)
    assert (told.message.text, told.reason) == ("a", "error")


@pytest.mark.parametrize("status", ["in_progress", "queued"])
def test_a_whole_interaction_that_goes_on_in_the_background_is_not_complete(status: str) -> None:
    steps = [{"type": "model_output", "content": [{"type": "text", "text": "a"}]}]
    told = read({"id": "i1", "object": "interaction", "status": status, "steps": steps})

    assert isinstance(told.error, StreamTruncated)
    assert (told.message.text, told.reason) == ("a", None)


def test_the_error_of_an_output_is_kept() -> None:
    told = step("model_output", error={"code": 3, "message": "m"})

    assert told.error is None
    assert told.data["model_output"] == [{"error": {"code": 3, "message": "m"}}]


def test_errors_of_an_interaction_that_did_not_fail_are_kept() -> None:
    told = read(created(), completed(errors=[{"message": "m"}]))

    assert told.data == {"errors": [{"message": "m"}]}


def test_an_error_event_is_the_providers() -> None:
    told = read(created(), event("error", error={"code": "resource_exhausted", "message": "slow down"}))

    assert (told.failure.code, told.failure.kind) == ("resource_exhausted", "rate_limited")


def test_an_error_within_a_step_is_content() -> None:
    told = read(created(), event("step.stop", index=0, error={"code": 3}), completed())

    assert told.error is None
    assert told.data == {"error": {"code": 3}}


def test_a_status_that_is_an_end_completes_an_input_without_its_last_event() -> None:
    """The word for the end had come."""
    told = read(
        created(),
        start(0, "model_output"),
        delta(0, "text", text="a"),
        stop(0),
        event("interaction.status_update", interaction_id="i1", status="completed", usage=USAGE),
    )

    assert (told.raw_reason, told.ending) == ("completed", "complete")
    assert told.rules == {"done_missing"}


def test_an_end_without_a_status_has_the_last_one_that_came() -> None:
    """One of an interaction that goes on says nothing, and the end without content is a cut."""
    update = event("interaction.status_update", interaction_id="i1", status="incomplete")
    told, empty = (read(created(), *more, event("interaction.completed")) for more in ([update], []))

    assert (told.raw_reason, told.rules) == ("incomplete", {"finish_missing"})
    assert (empty.ending, empty.rules) == ("truncated", {"finish_missing"})
