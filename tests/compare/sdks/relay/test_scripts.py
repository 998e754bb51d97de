"""Clients of others read from a script's bytes what it says: the providers' SDKs, and clients of browsers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.compare.sdks.relay.judges.client_answer import ClientAnswer
from tests.compare.sdks.relay.judges.npm import read_in_node
from tests.compare.sdks.relay.judges.python_sdks import READERS as SDKS
from tests.compare.sdks.relay.judges.said import differences
from tests.support.effort import examples, trials
from tests.support.packages import needed
from tests.support.scripts import scripts
from tests.support.sent import sent
from tokenstream import testing
from tokenstream.relay import ProtocolName
from tokenstream.testing import Recording, Script

Reader = Callable[["Recording"], ClientAnswer]

# google-genai inherits from a class of aiohttp's that warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

_PATIENT = [HealthCheck.too_slow, HealthCheck.filter_too_much]
"""Checks that scripts fail on a busy machine, or where a format has no place for much."""
_MANY = trials(300, one_in=8)
_MESSAGES = [{"role": "user", "content": "Weather?"}]
_ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": _MESSAGES}
_SLOW_DOWN = testing.script().text("Hel").error("Slow down", kind="rate_limited")


def few(test: Callable[..., None]) -> Callable[..., None]:
    """Run a law for a few scripts, and for 300 in a thorough run."""
    number = trials(300, one_in=60)
    limits = settings(max_examples=number, deadline=None, suppress_health_check=_PATIENT)
    return given(data=st.data())(limits(test))


# -- SDKs over HTTP -----------------------------------------------------------------


@cache
def _http() -> tuple[Any, list[Recording]]:
    httpx2, played = needed("httpx2"), list["Recording"]()

    def answer(request: Any) -> Any:
        stream = httpx2.ByteStream(played[-1].body)
        return httpx2.Response(200, headers=dict(played[-1].headers), stream=stream, request=request)

    return httpx2.Client(transport=httpx2.MockTransport(answer)), played


def _answering(recording: Recording) -> Any:
    client, played = _http()
    played[:] = [recording]
    return client


def _by_sdk(name: str) -> Reader:
    def read(recording: Recording) -> ClientAnswer:
        answer = ClientAnswer()
        SDKS[name](_answering(recording), "http://sdk.test", answer)
        return answer

    return read


def _by_completions(recording: Recording) -> ClientAnswer:
    openai, answer = needed("openai"), ClientAnswer()
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=_answering(recording))
    for chunk in client.completions.create(model="m", prompt="p", stream=True):
        for choice in chunk.choices:
            answer.text += choice.text
            answer.end = choice.finish_reason or answer.end
    return answer


def _by_ollama(recording: Recording) -> ClientAnswer:
    """Add up the lines of `ollama.Client.chat`."""
    ollama, answer = needed("ollama"), ClientAnswer()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=recording.body))
    with ollama.Client(host="http://sdk.test", transport=transport) as client:
        lines = list(client.chat("m", _ASKED["messages"], stream=True))
    for line in lines:
        answer.text += line.message.content or ""
        answer.reasoning += line.message.thinking or ""
        for call in line.message.tool_calls or ():
            answer.calls.append(["", call.function.name, json.dumps(dict(call.function.arguments))])
        answer.end = line.done_reason or answer.end
        answer.counts = {"input_tokens": line.prompt_eval_count, "output_tokens": line.eval_count}
    assert [False] * (len(lines) - 1) + [True] == [line.done for line in lines]
    return answer


# -- Bedrock ------------------------------------------------------------------------


@cache
def _bedrock_of_anthropic() -> Any:
    needed("botocore")
    keys = {"aws_access_key": "k", "aws_secret_key": "k", "aws_region": "us-east-1"}
    return needed("anthropic").AnthropicBedrock(**keys, max_retries=0, http_client=_http()[0])


def _by_anthropic_bedrock(recording: Recording) -> ClientAnswer:
    """Take what the accumulator comes to over the SDK's own reader of event streams."""
    _answering(recording)
    with _bedrock_of_anthropic().messages.stream(**_ASKED) as stream:
        message = stream.get_final_message()
    answer = ClientAnswer(end=message.stop_reason, counts=_counts(message.usage))
    for block in message.content:
        answer.text += getattr(block, "text", "")
        answer.reasoning += getattr(block, "thinking", "")
        if block.type == "tool_use":
            answer.calls.append([block.id, block.name, json.dumps(block.input)])
    return answer


def _counts(usage: Any) -> dict[str, int | None]:
    return {"input_tokens": usage.input_tokens or 0, "output_tokens": usage.output_tokens}


class _Raw:
    """A body as urllib3 gives it to botocore."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def stream(self) -> Iterator[bytes]:
        return iter(self._chunks)


@cache
def _shape(operation: str, member: str) -> Any:
    service = needed("botocore.session").get_session().get_service_model("bedrock-runtime")
    return service.operation_model(operation).output_shape.members[member]


def _event_stream(operation: str, member: str, recording: Recording) -> Any:
    """Return what boto3's client would return for a body."""
    parser = needed("botocore.parsers").EventStreamJSONParser()
    raw = _Raw(recording.chunks(100))
    return needed("botocore.eventstream").EventStream(raw, _shape(operation, member), parser, operation)


def _by_invoke_model(recording: Recording) -> ClientAnswer:
    """Add up Anthropic's events, which are in the chunks."""
    answer, calls = ClientAnswer(), dict[int, list[Any]]()
    for chunk in _event_stream("InvokeModelWithResponseStream", "body", recording):
        event = _declared("anthropic.types", "RawMessageStreamEvent").validate_json(chunk["chunk"]["bytes"])
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            calls[event.index] = [event.content_block.id, event.content_block.name, ""]
        elif event.type == "content_block_delta":
            answer.text += getattr(event.delta, "text", "")
            answer.reasoning += getattr(event.delta, "thinking", "")
            if event.delta.type == "input_json_delta":
                calls[event.index][2] += event.delta.partial_json
        elif event.type == "message_delta":
            answer.end, answer.counts = event.delta.stop_reason, _counts(event.usage)
    answer.calls += calls.values()
    return answer


def _by_converse(recording: Recording) -> ClientAnswer:
    """Add up the events in the loop of the guide to ConverseStream."""
    answer, calls = ClientAnswer(), dict[int, list[Any]]()
    for event in _event_stream("ConverseStream", "stream", recording):
        ((name, body),) = event.items()
        if name == "contentBlockStart":
            tool = body["start"]["toolUse"]
            calls[body["contentBlockIndex"]] = [tool["toolUseId"], tool["name"], ""]
        elif name == "contentBlockDelta":
            delta = body["delta"]
            answer.text += delta.get("text", "")
            answer.reasoning += delta.get("reasoningContent", {}).get("text", "")
            if "toolUse" in delta:
                calls[body["contentBlockIndex"]][2] += delta["toolUse"]["input"]
        elif name == "messageStop":
            answer.end = body["stopReason"]
        elif name == "metadata":
            usage = body["usage"]
            answer.counts = {"input_tokens": usage["inputTokens"], "output_tokens": usage["outputTokens"]}
    answer.calls += calls.values()
    return answer


# -- what they read -----------------------------------------------------------------

READERS: dict[str, tuple[str, Reader]] = {
    "openai, chat": ("openai-chat", _by_sdk("openai of Python, chat")),
    "openai, responses": ("openai-responses", _by_sdk("openai of Python, responses")),
    "openai, completions": ("openai-completions", _by_completions),
    "anthropic": ("anthropic", _by_sdk("anthropic of Python")),
    "google-genai": ("gemini", _by_sdk("google-genai of Python")),
    "ollama": ("ollama", _by_ollama),
    "AnthropicBedrock": ("bedrock-invoke", _by_anthropic_bedrock),
    "boto3, invoke_model_with_response_stream": ("bedrock-invoke", _by_invoke_model),
    "boto3, converse_stream": ("bedrock-converse", _by_converse),
}
readers = pytest.mark.parametrize("reader", READERS)
_STOPS: dict[str, dict[str | None, str]] = {
    "openai-completions": {},
    "bedrock-invoke": {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "pause": "pause_turn",
    },
    "bedrock-converse": {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "guardrail_intervened",
        "error": "malformed_model_output",
    },
}
"""The words for our finish reasons that differ from ours, in formats that no relay sends."""


def _check(script: Script, format: Any, given: ClientAnswer) -> None:
    if format not in _STOPS:
        assert {} == differences([script.message], format, given)
        return
    message = script.message
    usage = message.usage
    assert (message.text, message.reasoning) == (given.text, given.reasoning)
    assert [(call.id, call.name, call.arguments) for call in message.tool_calls] == [
        (id, name, json.loads(arguments or "{}")) for id, name, arguments in given.calls
    ]
    assert _STOPS[format].get(message.finish_reason, message.finish_reason) == given.end
    if given.counts is not None:
        counts = {"input_tokens": usage.input_tokens or 0, "output_tokens": usage.output_tokens or 0}
        assert counts == given.counts


@pytest.mark.few_rows(3)
@readers
@few
def test_an_sdk_reads_what_a_script_says(reader: str, data: st.DataObject) -> None:
    format, read = READERS[reader]
    script = data.draw(scripts(format))
    # Ollama's client cuts lines at this character, as httpx does; Ollama's server escapes the others.
    assume(format != "ollama" or b"\xc2\x85" not in script.recording(format).body)
    _check(script, format, read(script.recording(format)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "client, protocol", [("ai ui-message", "ui-message"), ("ag-ui", "ag-ui"), ("ollama", "ollama")]
)
def test_a_client_of_npm_reads_what_many_scripts_say(client: str, protocol: ProtocolName) -> None:
    """All in one process: the client's own transport, schema and accumulator."""
    drawn: list[Script] = []

    @given(scripts(protocol))
    @examples(_MANY, suppress_health_check=_PATIENT, database=None)
    def draw(script: Script) -> None:
        drawn.append(script)

    draw()
    asked: dict[str, tuple[str, ProtocolName, bytes]] = {
        str(at): (client, protocol, script.recording(protocol).body) for at, script in enumerate(drawn)
    }
    read = read_in_node(asked)

    assert len(drawn) >= examples(_MANY).max_examples
    for script, answer in zip(drawn, read.values(), strict=True):
        _check(script, protocol, answer)


_RICH = (
    testing.script(id="r1", model="m")
    .citation(url="https://tides.example", title="Tides", text="Cold.")
    .usage(input_tokens=9, output_tokens=7, cached_tokens=2)
)
_ALL = _RICH.reasoning("Hm", signature="c2ln").text("It is cold.").tool_call("get_weather", {"city": "Oslo"})


@pytest.mark.parametrize(
    "reader, script",
    [
        ("google-genai", _RICH.media(b"\x89PNG", "image/png").finish()),
        ("anthropic", _ALL.citation(title="B").finish("stop_sequence")),
    ],
)
def test_an_sdk_reads_sources_images_and_all_counts(reader: str, script: Script) -> None:
    format, read = READERS[reader]
    _check(script, format, read(script.recording(format)))


# -- what they declare --------------------------------------------------------------


@cache
def _declared(module: str, name: str) -> TypeAdapter[Any]:
    return TypeAdapter(getattr(needed(module), name))


_CHAT = testing.script().reasoning("Hm").text("It is ").tool_call("get_weather", {"city": "Oslo"})
_COUNTED = _CHAT.usage(input_tokens=7, output_tokens=3)
_PLAIN = testing.script().text("Hel", "lo").usage(input_tokens=7, output_tokens=3)
_ANTHROPIC = ("anthropic.types", "RawMessageStreamEvent")
_RESPONSES = ("openai.types.responses", "ResponseStreamEvent")
_AG_UI = ("ag_ui.core", "Event")


@pytest.mark.parametrize(
    "format, declared, script",
    [
        ("openai-chat", ("openai.types.chat", "ChatCompletionChunk"), _COUNTED.finish("tool_calls")),
        ("openai-responses", _RESPONSES, _COUNTED.finish("stop")),
        ("openai-responses", _RESPONSES, _PLAIN.finish("content_filter")),
        ("anthropic", _ANTHROPIC, _ALL.finish("stop_sequence")),
        ("bedrock-invoke", _ANTHROPIC, _ALL.finish("stop_sequence")),
        ("ag-ui", _AG_UI, _COUNTED.finish("tool_calls")),
        ("ag-ui", _AG_UI, testing.script().text("Hi").error("Busy")),
        ("ag-ui", _AG_UI, testing.script().text("Hi").usage(input_tokens=1, cached_tokens=2).finish("pause")),
    ],
)
def test_every_payload_is_what_the_sdk_declares(
    format: str, declared: tuple[str, str], script: Script
) -> None:
    """Nothing that is required lacks, and no value is of another kind."""
    for _, payload in sent(script, format):
        if payload == "[DONE]":
            continue
        if payload.get("type") == "response.function_call_arguments.done":
            # Some versions declare a name, which no recorded answer has.
            payload["name"] = "get_weather"
        event = _declared(*declared).validate_json(json.dumps(payload))
        if declared == _AG_UI:
            assert payload == event.model_dump(mode="json", by_alias=True)


# -- what they raise ----------------------------------------------------------------


def _raised(module: str, name: str) -> Any:
    return getattr(needed(module), name)


_ERRORS = {
    "openai, chat": ("openai", "APIError", "Slow down"),
    "openai, completions": ("openai", "APIError", "Slow down"),
    "anthropic": ("anthropic", "APIStatusError", "Slow down"),
    "google-genai": ("google.genai.errors", "ClientError", "429 RESOURCE_EXHAUSTED.*Slow down"),
    "ollama": ("ollama", "ResponseError", "Slow down"),
    "boto3, invoke_model_with_response_stream": (
        "botocore.exceptions",
        "EventStreamError",
        r"\(throttlingException\).*Slow down",
    ),
    "boto3, converse_stream": (
        "botocore.exceptions",
        "EventStreamError",
        r"\(throttlingException\).*Slow down",
    ),
}


@pytest.mark.parametrize("reader", _ERRORS)
def test_an_sdk_raises_what_a_script_fails_with(reader: str) -> None:
    """An error of the SDK's own class, with the script's words and the provider's name for its kind."""
    module, name, says = _ERRORS[reader]
    format, read = READERS[reader]
    with pytest.raises(_raised(module, name), match=says) as caught:
        read(_SLOW_DOWN.recording(format))
    if module == "openai":
        assert ("rate_limit_exceeded", "rate_limit_error") == (caught.value.code, caught.value.type)
