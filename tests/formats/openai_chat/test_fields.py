"""OpenAI Chat: fields and events that are carried or joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.formats.openai_chat.payloads import HEAD, answer, chunk, text
from tests.support.tables import in_one_test
from tokenstream.events import Unknown
from tokenstream.framing import ServerSentEvent


def test_a_field_that_repeats_itself_is_reported_once() -> None:
    got = answer(*[{**chunk({"content": piece, "channel": "c"}), "provider": "P"} for piece in "abc"])

    assert ["channel", "created", "provider"] == sorted(name for name, _ in got.fields)


def test_a_field_that_changes_is_sent_again() -> None:
    got = answer(*[chunk({"content": "a", "channel": name}) for name in ("x", "x", "y", "x")])

    assert ["x", "y", "x"] == [value for name, value in got.fields if name == "channel"]
    assert "x" == got.message.provider_data["channel"]


def test_padding_and_empty_fields_say_nothing() -> None:
    """Obfuscation, nulls and empty values are dropped."""
    got = answer(
        {**chunk({"content": "a", "tool_calls": [], "x": ""}, y={}), "obfuscation": "q", "p": "w", "z": None}
    )

    assert ({}, set()) == (got.carried, got.rules)


def test_the_time_of_each_chunk_is_that_of_the_first() -> None:
    """Some servers send a new `created` with every chunk."""
    got = answer(*[{**text("a"), "created": HEAD["created"] + n} for n in range(4)])

    assert ("aaaa", HEAD["created"]) == (got.message.text, got.message.provider_data["created"])


def test_log_probabilities_add_up() -> None:
    one, two, three = ({"token": t, "logprob": -0.5} for t in "abc")
    got = answer(
        text("a", logprobs={"content": [one], "refusal": None}),
        text("b", logprobs={"content": [two], "refusal": [three]}),
    )

    assert [one, two] == got.message.provider_data["logprobs"]
    assert [three] == got.message.provider_data["logprobs.refusal"]


@pytest.mark.parametrize("logprobs, expected", [(-0.5, [-0.5]), ([1], [1]), ({"tokens": ["a"]}, None)])
def test_log_probabilities_of_another_shape_are_carried(logprobs: Any, expected: Any) -> None:
    """Older servers send numbers, or parallel lists."""
    data = answer(text("a", logprobs=logprobs)).message.provider_data

    assert expected == data.get("logprobs")
    assert expected is not None or ["a"] == data["logprobs.tokens"]


def test_token_ids_add_up() -> None:
    """VLLM sends lists of them, Together one in each delta."""
    got = answer(
        text("a", token_ids=[1, 2]), text("b", token_ids=[3]), chunk({"content": "c", "token_id": 4})
    )

    assert ([1, 2, 3], [4]) == (got.message.provider_data["token_ids"], got.message.provider_data["token_id"])


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
