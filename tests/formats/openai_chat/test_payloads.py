"""OpenAI Chat: errors, how a chunk is recognised, and fields and events that are carried or joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, answer, chunk, read, text
from tests.formats.openai_chat.support import USAGE
from tests.formats.told import DONE
from tests.support.formats import OpenAIChat
from tests.support.tables import in_one_test
from tokenstream.errors import ProviderError
from tokenstream.events import Unknown
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

    assert (kind, "a", "failed") == (got.failure.kind, got.message.text, got.ending)
    assert words in str(got.failure)


def test_what_comes_with_an_error_is_delivered_first() -> None:
    """OpenRouter puts the last text, the finish reason and the usage beside the error."""
    got = read(
        ROLE,
        text("a"),
        {**chunk({"content": "b"}, "error"), "error": {"code": 502, "message": "m"}, "usage": USAGE},
        DONE,
    )

    assert isinstance(got.error, ProviderError)
    assert ("ab", "error", 9) == (got.message.text, got.raw_reason, got.message.usage.input_tokens)


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


def test_a_field_that_repeats_itself_is_reported_once() -> None:
    got = answer(*[{**chunk({"content": piece, "channel": "c"}), "provider": "P"} for piece in "abc"])

    assert ["channel", "created", "provider"] == sorted(name for name, _ in got.fields)


def test_a_field_that_changes_is_sent_again() -> None:
    got = answer(*[chunk({"content": "a", "channel": name}) for name in ("x", "x", "y", "x")])

    assert ["x", "y", "x"] == [value for name, value in got.fields if name == "channel"]
    assert "x" == got.data["channel"]


def test_padding_and_empty_fields_say_nothing() -> None:
    """Obfuscation, nulls and empty values are dropped."""
    got = answer(
        {**chunk({"content": "a", "tool_calls": [], "x": ""}, y={}), "obfuscation": "q", "p": "w", "z": None}
    )

    assert ({}, set()) == (got.carried, got.rules)


def test_the_time_of_each_chunk_is_that_of_the_first() -> None:
    """Some servers send a new `created` with every chunk."""
    got = answer(*[{**text("a"), "created": HEAD["created"] + n} for n in range(4)])

    assert ("aaaa", HEAD["created"]) == (got.message.text, got.data["created"])


def test_log_probabilities_add_up() -> None:
    one, two, three = ({"token": t, "logprob": -0.5} for t in "abc")
    got = answer(
        text("a", logprobs={"content": [one], "refusal": None}),
        text("b", logprobs={"content": [two], "refusal": [three]}),
    )

    assert [one, two] == got.data["logprobs"]
    assert [three] == got.data["logprobs.refusal"]


@pytest.mark.parametrize("logprobs, expected", [(-0.5, [-0.5]), ([1], [1]), ({"tokens": ["a"]}, None)])
def test_log_probabilities_of_another_shape_are_carried(logprobs: Any, expected: Any) -> None:
    """Older servers send numbers, or parallel lists."""
    data = answer(text("a", logprobs=logprobs)).data

    assert expected == data.get("logprobs")
    assert expected is not None or ["a"] == data["logprobs.tokens"]


def test_token_ids_add_up() -> None:
    """VLLM sends lists of them, Together one in each delta."""
    got = answer(
        text("a", token_ids=[1, 2]), text("b", token_ids=[3]), chunk({"content": "c", "token_id": 4})
    )

    assert ([1, 2, 3], [4]) == (got.data["token_ids"], got.data["token_id"])


def test_a_payload_that_is_no_chunk_is_an_unknown_event() -> None:
    got = answer(text("a"), {"type": "news", "n": 1}, ServerSentEvent(b'{"n": 2}', event="metadata"))

    assert [("news", {"type": "news", "n": 1}), ("metadata", {"n": 2})] == [
        (event.name, event.data) for event in got.events if isinstance(event, Unknown)
    ]


def test_pings_are_heartbeats() -> None:
    """A heartbeat gives no event, and neither does an event without data."""
    assert answer().events == answer(ServerSentEvent(b"{}", event="ping"), b"").events


@in_one_test(
    "field, payload, values",
    [
        ("delta", chunk, [7, True, "a", ["a"]]),
        ("message", lambda value: chunk(message=value), [7, "a", [1]]),
        ("refusal", lambda value: chunk({"refusal": value}), [7, True, 0.5]),
        ("audio", lambda value: chunk({"audio": value}), [7]),
        ("tool_calls", lambda value: chunk({"tool_calls": value}), [7, True, "x"]),
        ("function_call", lambda value: chunk({"function_call": value}), [7, True, "x"]),
        ("usage", lambda value: chunk({}, usage=value), [7, "many", [1]]),
        ("usage", lambda value: {**text(""), "usage": value}, [7, "many", [1]]),
        ("x_groq", lambda value: {**text(""), "x_groq": value}, [7, "many", [1]]),
        ("choices", lambda value: {**HEAD, "choices": value}, ["none"]),
    ],
)
def test_a_field_of_the_wrong_type_is_carried(
    field: str, payload: Callable[[Any], Any], values: list[Any]
) -> None:
    for value in values:
        got = answer(text("a"), payload(value), text("b"))

        assert (None, "ab", value) == (got.error, got.message.text, got.carried[field])
