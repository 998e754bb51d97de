"""OpenAI Chat: errors in every shape, and how a chunk is recognised."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, answer, chunk, read, text
from tests.formats.openai_chat.support import USAGE
from tests.formats.told import DONE
from tests.support.formats import OpenAIChat
from tests.support.tables import in_one_test
from tokenstream.errors import ProviderError
from tokenstream.framing import ServerSentEvent

# -- errors --------------------------------------------------------------------------------------------


@in_one_test(
    "frame, kind, words",
    [
        (ServerSentEvent(b'{"code":400,"details":"m"}', event="error"), "invalid_request", "m"),
        (ServerSentEvent(b"busy, try later", event="error"), "unknown", "busy"),
        ({"error": "m"}, "unknown", "m"),
        ({"error": "m", "error_type": "overloaded"}, "overloaded", "m"),
        ({"x_groq": {"error": "m"}}, "unknown", "m"),
        (
            {**HEAD, "choices": [{"index": 0, "delta": {}, "error": {"code": 429, "message": "m"}}]},
            "rate_limited",
            "m",
        ),
        ({"code": "DataInspectionFailed", "message": "m", "request_id": "r"}, "unknown", "m"),
        ({"detail": [{"msg": "m"}]}, "unknown", ""),
    ],
)
def test_an_error_in_any_shape_ends_the_stream(frame: Any, kind: str, words: str) -> None:
    got = read(ROLE, text("a"), frame, text("b"), DONE)

    assert isinstance(got.error, ProviderError)
    assert (kind, "a", "failed") == (got.error.kind, got.message.text, got.message.ending)
    assert words in str(got.error)


def test_what_comes_with_an_error_is_delivered_first() -> None:
    """OpenRouter puts the last text, the finish reason and the usage beside the error."""
    got = read(
        ROLE,
        text("a"),
        {**chunk({"content": "b"}, "error"), "error": {"code": 502, "message": "m"}, "usage": USAGE},
        DONE,
    )

    assert isinstance(got.error, ProviderError)
    assert ("ab", "error", 9) == (
        got.message.text,
        got.message.raw_finish_reason,
        got.message.usage and got.message.usage.input_tokens,
    )


def test_an_error_with_broken_choices_is_still_the_providers_error() -> None:
    """What the provider says counts more than how it says it."""
    got = read(ROLE, {"error": {"message": "m"}, "choices": [7]})

    assert isinstance(got.error, ProviderError)


@pytest.mark.parametrize("fields", [{"error": None}, {"base_resp": {"status_code": 0}}, {"type": "chunk"}])
def test_what_only_looks_like_an_error_is_none(fields: Any) -> None:
    """`error: null` and a status of 0 are no errors."""
    got = answer({**text("a"), **fields}, chunk({}, error=[]))

    assert ("a", None) == (got.message.text, got.error)


# -- recognising ------------------------------------------------------------------------------------------


@in_one_test(
    "payload, expected",
    [
        (ROLE, True),
        ({"choices": [{"delta": {}}]}, True),
        ({"choices": [{"message": {}}]}, True),
        ({"object": "chat.completion", "choices": []}, True),
        ({"object": "text_completion", "choices": [{"delta": {"content": "a"}}]}, True),
        ({"choices": [], "prompt_filter_results": []}, True),
        ({"choices": []}, None),
        ({"choices": [{"index": 0, "finish_reason": None}]}, None),
        ({"choices": [{"index": 0}, {"index": 1}]}, None),
        ({"choices": [{"index": 0, "text": "a"}]}, False),
        ({"choices": [{"label": "a"}]}, False),
        ({"choices": ["a"]}, False),
        ({"object": "text_completion", "choices": [{"text": "a"}]}, False),
        ({"type": "message_start"}, False),
        ({"object": 7, "choices": 7}, False),
    ],
)
def test_a_chunk_is_recognised_by_what_it_holds(payload: Any, expected: bool | None) -> None:
    """An empty list of choices decides nothing, and neither does a choice that says nothing yet."""
    assert expected is OpenAIChat.recognises(payload, "")


def test_events_with_an_id_or_a_name_are_read_too() -> None:
    """The name of an SSE event says nothing here, save `error`."""
    frames = [
        ServerSentEvent(b'{"choices":[{"index":0,"delta":{"content":"a"}}]}', id=str(n)) for n in range(5)
    ]
    named = ServerSentEvent(frames[0].payload, event="completion")

    assert "aaaaaa" == read(*frames, named, FINISH, DONE).message.text
