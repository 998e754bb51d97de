"""What a request says of itself, in each API's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.otel.support import told_of
from tests.support.tables import in_one_test

_URL = "https://api.example.com/v1/chat/completions"


def _requested(payload: Any) -> dict[str, Any]:
    """Return what a trace tells of the parameters of a request."""
    told = told_of(_URL, payload)
    return {
        name.removeprefix("gen_ai.request."): list(value) if isinstance(value, tuple) else value
        for name, value in told.items()
        if name.startswith("gen_ai.request.")
        and name not in ("gen_ai.request.stream", "gen_ai.request.model")
    }


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (
            {"max_tokens": 5, "temperature": 0, "k": 3, "p": 0.5},
            {"max_tokens": 5, "temperature": 0.0, "top_k": 3.0, "top_p": 0.5},
        ),
        ({"max_output_tokens": 5, "frequency_penalty": 0.1}, {"max_tokens": 5, "frequency_penalty": 0.1}),
        ({"n": 2, "seed": 7, "stop": "END"}, {"choice.count": 2, "seed": 7, "stop_sequences": ["END"]}),
        ({"n": 1, "stop": []}, {}),
        (
            {"generationConfig": {"maxOutputTokens": 5, "topK": 3, "stopSequences": ["a", "b"]}},
            {"max_tokens": 5, "top_k": 3.0, "stop_sequences": ["a", "b"]},
        ),
        ({"inferenceConfig": {"maxTokens": 5, "topP": 1}}, {"max_tokens": 5, "top_p": 1.0}),
        ({"options": {"num_predict": 5, "presence_penalty": 1}}, {"max_tokens": 5, "presence_penalty": 1.0}),
        ({"temperature": "hot", "max_tokens": True, "seed": None, "stop": [7]}, {}),
    ],
)
def test_parameters_are_read_in_the_words_of_each_api(payload: Any, told: dict[str, Any]) -> None:
    """What is no number where one belongs is not told."""
    assert told == _requested(payload)


@in_one_test(
    ("payload", "kind"),
    [
        ({"response_format": {"type": "json_schema"}}, "json"),
        ({"text": {"format": {"type": "json_object"}}}, "json"),
        ({"text": {"format": {"type": "text"}}}, "text"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "json"),
        ({"generationConfig": {"responseMimeType": "application/json"}}, "json"),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "image"),
        ({"modalities": ["text", "audio"]}, "speech"),
        ({"format": "json"}, "json"),
        ({"format": {"type": "object"}}, None),
        ({}, None),
    ],
)
def test_the_kind_of_output_is_the_one_that_is_asked_for(payload: Any, kind: str | None) -> None:
    assert kind == told_of(_URL, payload).get("gen_ai.output.type")


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://g.example/v1beta/models/gemini-3:streamGenerateContent?alt=sse", "gemini-3"),
        ("https://b.example/model/eu.anthropic.claude%3A0/converse-stream", "eu.anthropic.claude:0"),
        ("https://a.openai.azure.com/openai/deployments/mine/chat/completions", "mine"),
        ("https://api.openai.com/v1/chat/completions", None),
    ],
)
def test_an_address_may_name_the_model(url: str, model: str | None) -> None:
    assert model == told_of(url, {}).get("gen_ai.request.model")
    assert "m" == told_of(url, {"model": "m"})["gen_ai.request.model"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://localhost:8000/v1", {"server.address": "localhost", "server.port": 8000}),
        ("http://[::1]/v1", {"server.address": "::1", "server.port": 80}),
        ("http://host:99999999/", {}),
        ("no address", {}),
        ("", {}),
    ],
)
def test_the_place_is_host_and_port(url: str, place: dict[str, Any]) -> None:
    told = told_of(url)

    assert place == {name: told[name] for name in ("server.address", "server.port") if name in told}


_json: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["n", "stop", "format", "text", "options", "model", "modalities", "type"]), inner
        )
    ),
    max_leaves=8,
)


@pytest.mark.slow
@given(_json)
def test_no_payload_is_too_odd(payload: Any) -> None:
    """A request is the caller's own, and may hold anything; what is told is what OpenTelemetry takes."""
    told = told_of(_URL, payload)

    assert all(isinstance(value, str | int | float | tuple) for value in told.values())
    assert "400" == told["error.type"]
