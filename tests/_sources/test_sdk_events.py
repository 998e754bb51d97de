"""The events of the providers' SDKs: an answer that they give on is the answer of its bytes."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import product
from typing import Any

import httpx
import pytest

from tests.support.arrivals import arrivals_of, content_type_of, drawn, is_array, read
from tests.support.beside import needs_recordings
from tests.support.either import at_once
from tests.support.packages import needed
from tests.support.recordings import Recorded, folder_of, ours, series_of, shared
from tests.support.tables import in_one_test
from tokenstream import Stream

anthropic, boto3, cohere, genai = map(needed, ("anthropic", "boto3", "cohere", "google.genai"))
awsrequest, httpx2, mistralai = map(needed, ("botocore.awsrequest", "httpx2", "mistralai.client"))
ollama, openai, urllib3 = map(needed, ("ollama", "openai", "urllib3"))

_URL = "http://ways.test/"


class _Sent:
    """The body with which the server answers, and its type."""

    body = b""
    type = ""


def _http(library: Any) -> Any:
    """Return the arguments of a client over HTTP that is answered with what is sent, out of memory."""

    def answer(request: Any) -> Any:
        headers = {"content-type": _Sent.type}
        return library.Response(200, headers=headers, content=_Sent.body, request=request)

    return {"transport": library.MockTransport(answer), "trust_env": False}


def _answer_of_aws(**_: Any) -> Any:
    raw = urllib3.HTTPResponse(io.BytesIO(_Sent.body), preload_content=False)
    return awsrequest.AWSResponse(_URL, 200, {}, raw)


@cache
def _client_of(sdk: str) -> Any:
    http, http2 = httpx.Client(**_http(httpx)), httpx2.Client(**_http(httpx2))
    key = {"api_key": "k", "base_url": _URL}
    if sdk == "bedrock":
        keys = {"aws_access_key_id": "made-up", "aws_secret_access_key": "made-up"}
        client = boto3.client("bedrock-runtime", region_name="us-east-1", **keys)
        client.meta.events.register("before-send", _answer_of_aws)
        return client
    made: dict[str, Callable[[], Any]] = {
        "openai": lambda: openai.OpenAI(**key, max_retries=0, http_client=http2),
        "anthropic": lambda: anthropic.Anthropic(**key, max_retries=0, http_client=http2),
        "cohere": lambda: cohere.ClientV2(**key, httpx_client=http),
        "cohere-v1": lambda: cohere.Client(**key, httpx_client=http),
        "mistral": lambda: mistralai.Mistral(api_key="k", server_url=_URL, client=http2),
        "ollama": lambda: ollama.Client(host=_URL, **_http(httpx)),
        "google": lambda: genai.Client(api_key="k", http_options={"base_url": _URL, "httpx_client": http2}),
    }
    return made[sdk]()


_ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
_SDKS: dict[str, Callable[[], Any]] = {
    "openai-chat": lambda: _client_of("openai").chat.completions.create(**_ASKED, stream=True),
    "openai-responses": lambda: _client_of("openai").responses.create(model="m", input="q", stream=True),
    "openai-completions": lambda: _client_of("openai").completions.create(model="m", prompt="q", stream=True),
    "anthropic": lambda: _client_of("anthropic").messages.create(**_ASKED, max_tokens=9, stream=True),
    "cohere": lambda: _client_of("cohere").chat_stream(**_ASKED),
    "cohere-v1": lambda: _client_of("cohere-v1").chat_stream(model="m", message="q"),
    "mistral": lambda: _client_of("mistral").chat.stream(**_ASKED),
    "mistral-conversations": lambda: _client_of("mistral").beta.conversations.start_stream(
        model="m", inputs="q"
    ),
    "ollama": lambda: _client_of("ollama").chat(**_ASKED, stream=True),
    "ollama-generate": lambda: _client_of("ollama").generate("m", "q", stream=True),
    "gemini": lambda: _client_of("google").models.generate_content_stream(model="m", contents="q"),
    "gemini-interactions": lambda: _client_of("google").interactions.create(
        model="m", input="q", stream=True
    ),
    "bedrock-converse": lambda: _client_of("bedrock").converse_stream(modelId="m", messages=[])["stream"],
    "bedrock-invoke": lambda: _client_of("bedrock").invoke_model_with_response_stream(
        modelId="m", body=b"{}"
    )["body"],
}
"""For each route of a provider: asks with the provider's SDK."""


def _route_of(recorded: Recorded) -> str | None:
    """Return the route whose SDK reads an answer, if there is one."""
    folder = folder_of(recorded)
    if is_array(recorded):
        return None
    if recorded.format == "ollama" and b'"response":' in recorded.body:
        return "ollama-generate"
    if recorded.format == "cohere" and recorded.body.startswith(b"{"):
        return "cohere-v1"
    return next((route for route in (folder, recorded.format) if route in _SDKS), None)


_KEPT = {
    "done_missing",
    "finish_missing",
    "data_after_end",
    "end_repeated",
    "blank_line_missing",
    "event_name_missing",
    "error_unmarked",
}
"""Departures that only the bytes show: an SDK keeps the framing and the end mark to itself."""
_DROPPED = {"gemini": {"provider_data", "finish_message"}, "ollama": {"provider_data", "id"}}
"""Fields that an SDK's objects lack; those of the other SDKs lack unknown fields of the provider."""
_OTHER_BY_SDK = {
    # The end mark is the only end, or the answer was not streamed.
    "openai-chat/chat-llama-cpp-python-forced-tool-document": "truncated",
    "openai-chat/chat-snowflake-cortex-pydai-684feae8": "truncated",
    "openai-chat/chat-snowflake-cortex-pydai-c3a80582": "truncated",
    # The SDK raises in place of the chunk whose reason says that it is no end.
    "openai-chat/chat-openrouter-pydai-baafd4cb": "complete",
}
"""Endings of the answers that end otherwise in an SDK's events."""


def _plain(value: Any, dropped: set[str]) -> Any:
    """Return a dump of a message without some fields, with arguments as values and without citations."""
    if isinstance(value, dict):
        pairs = {name: _plain(item, dropped) for name, item in value.items() if name not in dropped}
        if isinstance(pairs.get("arguments_text"), str):
            with suppress(ValueError):
                pairs["arguments_text"] = json.loads(pairs["arguments_text"])
        return pairs
    if isinstance(value, list | tuple):
        return [_plain(item, dropped) for item in value if not _is_citation(item)]
    return value


def _is_citation(item: Any) -> bool:
    return isinstance(item, dict) and item.get("kind") == "citation"


def _as_by_sdk(seen: dict[str, Any], format: str) -> dict[str, Any]:
    """Return what an SDK's events can tell of an answer."""
    dropped = _DROPPED.get(format, {"provider_data"})
    return {
        **seen,
        "messages": _plain([message.model_dump() for message in seen["messages"]], dropped),
        "departures": {name: count for name, count in seen["departures"].items() if name not in _KEPT},
    }


def _obeys_by_sdk(recorded: Recorded, arrivals: dict[str, list[bytes]], names: list[Any]) -> None:
    for (arrival, pieces), name in product(arrivals.items(), names):
        body = b"".join(pieces)
        _Sent.body, _Sent.type = body, content_type_of(body)
        expected = _as_by_sdk(at_once(read(Stream(body))), recorded.format)
        # A generator hides the response, so that only the SDK's objects are there to read.
        events = (event for event in _SDKS[_route_of(recorded) or ""]())
        seen = _as_by_sdk(at_once(read(Stream(events, format=name))), recorded.format)
        if arrival == "whole" and recorded.name in _OTHER_BY_SDK:
            expected = {"ending": _OTHER_BY_SDK[recorded.name]}

        differing = {field for field, value in expected.items() if value != seen[field]}
        assert set() == differing, f"{arrival}, {name or 'detected'}"


def _name(recorded: Recorded) -> str:
    return recorded.name


def _with_sdk(recordings: list[Recorded]) -> list[Recorded]:
    return [recorded for recorded in recordings if _route_of(recorded)]


def _arrivals_by_sdk(recorded: Recorded) -> dict[str, list[bytes]]:
    arrivals = arrivals_of(recorded, error_is_last=True)
    if _route_of(recorded) in {"mistral", "mistral-conversations"}:
        # The SDK cannot read an error within a stream.
        arrivals.pop("error", None)
    return arrivals


_FEW = {"openai-chat/tool_call", "anthropic/web_search"}
"""Of the SDKs that other tests need, too."""


@in_one_test("recorded", [recorded for recorded in _with_sdk(ours()) if recorded.name in _FEW], ids=_name)
def test_an_answer_is_the_same_by_the_events_of_an_sdk(recorded: Recorded) -> None:
    _obeys_by_sdk(recorded, drawn(_arrivals_by_sdk(recorded), recorded), [None, recorded.format])


# mistralai loads a package for conversations that asks for what Python 3.14 has removed.
@pytest.mark.filterwarnings("ignore:ast:DeprecationWarning")
@pytest.mark.slow
@in_one_test("recorded", _with_sdk(ours()), ids=_name, by=folder_of)
def test_every_answer_is_the_same_by_the_events_of_an_sdk(recorded: Recorded) -> None:
    """Whole, cut, joined late, and with an error at its end."""
    _obeys_by_sdk(recorded, _arrivals_by_sdk(recorded), [None, recorded.format])


@needs_recordings
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* is not a valid:UserWarning")
@in_one_test("recorded", _with_sdk(shared()), ids=_name, by=series_of)
def test_an_answer_of_a_real_server_is_the_same_by_the_events_of_an_sdk(recorded: Recorded) -> None:
    names = [random.Random(recorded.name).choice([None, recorded.format])]
    _obeys_by_sdk(recorded, drawn(_arrivals_by_sdk(recorded), recorded), names)
