"""Cohere v2: finish reasons, errors, usage and cuts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.cohere.payloads import (
    USAGE,
    answer,
    arguments,
    block,
    end,
    frame,
    read_by,
    start,
    stop,
    text,
    tool,
)
from tests.formats.cohere.support import read
from tests.support.formats import Cohere
from tokenstream.errors import ProviderError


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
    came = read(*answer(block(0), text(0, "Hi"), stop(0), reason=word))

    assert (reason, word) == (came.message.finish_reason, came.message.raw_finish_reason)
    assert came.format.ended


@pytest.mark.parametrize("error", ["the model crashed", {"message": "the model crashed"}])
def test_an_error_is_the_providers_and_keeps_what_came(error: Any) -> None:
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


def test_an_error_that_is_beside_the_delta_is_read() -> None:
    """The end says more than the error: the finish reason, and the usage."""
    came = read(start(), {**end("ERROR"), "error": "bad"})

    assert isinstance(came.error, ProviderError)
    assert "bad" in str(came.error)
    assert "error" == came.message.finish_reason


def test_a_bare_message_is_an_error() -> None:
    """Cohere's API words its errors so, and a gateway may send one in mid-stream."""
    came = read_by(Cohere(), frame(start()), b'{"message":"invalid api token"}')

    assert isinstance(came.error, ProviderError)
    assert "invalid api token" in str(came.error)
    assert 1 == came.departures["error_unmarked"]


def test_usage_counts_tokens_before_billed_units() -> None:
    """Numbers come as floats; the report is kept as sent."""
    came = read(*answer())
    usage = came.message.usage

    assert (60, 6, 16, USAGE) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.provider_data,
    )

    billed = read(start(), end(usage={"billed_units": {"input_tokens": 3}})).message.usage
    assert billed is not None
    assert (3, None) == (billed.input_tokens, billed.output_tokens)
