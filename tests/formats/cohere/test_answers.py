"""Cohere v2: whole answers, finish reasons, errors, usage and cuts, recognising, and reading at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.cohere.payloads import (
    USAGE,
    Payload,
    answer,
    arguments,
    block,
    cite,
    end,
    frame,
    read_by,
    start,
    stop,
    text,
    tool,
    written,
)
from tests.formats.cohere.support import read
from tests.support import registry
from tests.support.formats import Cohere
from tokenstream import Decoder
from tokenstream.errors import ProviderError
from tokenstream.events import MessageStart

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


# -- whole answers ------------------------------------------------------------


def test_a_whole_answer_is_read_and_recognised() -> None:
    """A server that refused to stream says the same in one document."""
    decoder = Decoder()
    decoder.feed(written(WHOLE))
    decoder.end()
    message = decoder.message

    assert ("cohere", "complete", "I will.Hm", "So.", "tool_calls", "m1") == (
        decoder.format,
        message.ending,
        message.reasoning,
        message.text,
        message.finish_reason,
        message.id,
    )
    assert [("a_1", True)] == [(call.id, call.complete) for call in message.tool_calls]
    assert [2] == [citation.cites for citation in message.citations]
    assert {"logprobs": [{"text": "So."}], "tier": "x", "extra": 1} == message.provider_data


def test_a_whole_answer_after_its_pieces_is_not_shown_twice() -> None:
    came = read_by(Cohere(), frame(start()), frame(block(0)), frame(text(0, "So.")), written(WHOLE))

    assert ("So.", {"content_twice": 1}) == (
        came.message.text,
        {name: count for name, count in came.departures.items() if name == "content_twice"},
    )


def test_content_may_be_plain_text() -> None:
    """Some gateways write it so."""
    whole = {"finish_reason": "COMPLETE", "message": {"role": "assistant", "content": "Hi"}}

    assert "Hi" == read_by(Cohere(), written(whole)).message.text


# -- recognising --------------------------------------------------------------


@pytest.mark.parametrize("payload", [start(), block(0), text(0, "Hi"), tool(0), cite(), end(), WHOLE])
def test_a_first_payload_is_recognised(payload: Payload) -> None:
    assert ("cohere", False) == registry.detect(payload, "")


def test_a_name_tells_where_the_type_is_missing() -> None:
    """A debug event, and a name without a field of its event, leave it to the next."""
    assert Cohere.recognises({"id": "m"}, "message-start") is True
    assert Cohere.recognises({}, "message-start") is None
    assert Cohere.recognises({"type": "debug", "prompt": "p"}, "debug") is None


# -- at a glance --------------------------------------------------------------


def test_a_head_that_comes_late_is_taken() -> None:
    """The end may be the only event with an id."""
    came = read({**end(), "id": "m9"})

    assert "m9" == came.message.id
    assert [MessageStart("m9", None)] == [each for each in came.events if isinstance(each, MessageStart)]


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

    assert (reason, word) == (came.reason, came.raw_reason)
    assert came.format.ended


@pytest.mark.parametrize("error", ["the model crashed", {"message": "the model crashed"}])
def test_an_error_is_the_providers_and_keeps_what_came(error: Any) -> None:
    came = read(
        start(), block(0), text(0, "Hel"), tool(0), arguments(0, '{"a": 1}'), end("ERROR", error=error)
    )

    assert "the model crashed" in str(came.failure)
    assert ("ERROR", "server", True) == (came.failure.type, came.failure.kind, came.failure.retryable)
    assert ("Hel", "error", 5) == (came.message.text, came.reason, came.message.usage.output_tokens)
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

    assert "bad" in str(came.failure)
    assert "error" == came.reason


def test_a_bare_message_is_an_error() -> None:
    """Cohere's API words its errors so, and a gateway may send one in mid-stream."""
    came = read_by(Cohere(), frame(start()), b'{"message":"invalid api token"}')

    assert "invalid api token" in str(came.failure)
    assert 1 == came.departures["error_unmarked"]


def test_usage_counts_billed_units_before_tokens() -> None:
    """Those that are not billed are in the context; the report is kept as sent, with floats."""
    usage = read(*answer()).message.usage

    assert (8, 5, 16, 60) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.context_tokens,
    )
    assert usage.provider_data == USAGE

    billed = read(start(), end(usage={"billed_units": {"input_tokens": 3}})).message.usage
    assert billed is not None
    assert (3, None) == (billed.input_tokens, billed.output_tokens)
