"""The SDKs of anthropic and boto3 read from a script's bytes what the script says."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from tests.compare.sdks.relay.heard import Heard, Law, few
from tests.relay.sent import sent
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from hypothesis import strategies as st

    from tokenstream.testing import Recording

ENDS: dict[str, dict[str, str]] = {
    "anthropic": {
        "stop": "end_turn",
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "pause": "pause_turn",
        "refusal": "refusal",
    },
    "bedrock-converse": {
        "stop": "end_turn",
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "guardrail_intervened",
        "error": "malformed_model_output",
    },
}
"""The SDKs' words for our finish reasons, by format."""
ENDS["bedrock-invoke"] = ENDS["anthropic"]
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Weather?"}]}


# -- anthropic ----------------------------------------------------------------


@cache
def _client(name: str) -> tuple[Any, list[Recording]]:
    """Return a client of anthropic's, which is slow to make, and the place for its next answer."""
    httpx2: Any = needed("httpx2")
    anthropic: Any = needed("anthropic")
    played: list[Recording] = []

    def answer(request: Any) -> Any:
        (recording,) = played
        stream = httpx2.ByteStream(recording.body)
        return httpx2.Response(200, headers=dict(recording.headers), stream=stream, request=request)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    keys = {"api_key": "k", "base_url": "http://sdk.test"}
    if name == "AnthropicBedrock":
        needed("botocore")
        keys = {"aws_access_key": "k", "aws_secret_key": "k", "aws_region": "us-east-1"}
    return getattr(anthropic, name)(**keys, max_retries=0, http_client=http), played


def _answering(name: str, recording: Recording) -> Any:
    client, played = _client(name)
    played[:] = [recording]
    return client.messages


def _events(recording: Recording) -> Heard:
    """Add up the events of the wire."""
    return _added(_answering("Anthropic", recording).create(**ASKED, stream=True))


def _added(events: Iterable[Any]) -> Heard:
    heard, inputs, calls = Heard(), dict[int, str](), dict[int, Any]()
    for event in events:
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            calls[event.index], inputs[event.index] = event.content_block, ""
        elif event.type == "content_block_delta":
            heard.text += getattr(event.delta, "text", "")
            heard.reasoning += getattr(event.delta, "thinking", "")
            if event.delta.type == "input_json_delta":
                inputs[event.index] += event.delta.partial_json
        elif event.type == "message_delta":
            heard.end = event.delta.stop_reason
            heard.counts = (event.usage.input_tokens or 0, event.usage.output_tokens)
    for index, call in calls.items():
        heard.call(call.id, call.name, inputs[index])
    return heard


def _of_message(message: Any) -> Heard:
    heard = Heard(end=message.stop_reason, counts=(message.usage.input_tokens, message.usage.output_tokens))
    for block in message.content:
        heard.text += getattr(block, "text", "")
        heard.reasoning += getattr(block, "thinking", "")
        if block.type == "tool_use":
            heard.calls.append((block.id, block.name, block.input))
    return heard


def _helper(recording: Recording) -> Heard:
    """Take what the SDK's own accumulator comes to."""
    with _answering("Anthropic", recording).stream(**ASKED) as stream:
        return _of_message(stream.get_final_message())


def _through_bedrock(recording: Recording) -> Heard:
    """Take what the accumulator comes to over the SDK's own reader of event streams."""
    with _answering("AnthropicBedrock", recording).stream(**ASKED) as stream:
        return _of_message(stream.get_final_message())


@cache
def _declared() -> TypeAdapter[Any]:
    """Return what anthropic's SDK declares its events to be."""
    declared: Any = needed("anthropic.types")
    return TypeAdapter(declared.RawMessageStreamEvent)


# -- boto3 ----------------------------------------------------------------------


class _Raw:
    """A body as urllib3 gives it to botocore."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def stream(self) -> Generator[bytes]:
        yield from self._chunks


@cache
def _shape(operation: str, member: str) -> Any:
    service = needed("botocore.session").get_session().get_service_model("bedrock-runtime")
    return service.operation_model(operation).output_shape.members[member]


def _event_stream(operation: str, member: str, recording: Recording) -> Any:
    """Return what boto3's client would return for a body."""
    parser = needed("botocore.parsers").EventStreamJSONParser()
    raw = _Raw(recording.chunks(100))
    return needed("botocore.eventstream").EventStream(raw, _shape(operation, member), parser, operation)


def _invoked(recording: Recording) -> Heard:
    """Take Anthropic's events out of the chunks."""
    stream = _event_stream("InvokeModelWithResponseStream", "body", recording)
    return _added(_declared().validate_json(event["chunk"]["bytes"]) for event in stream)


def _conversed(recording: Recording) -> Heard:
    """Add up the events in the loop of the guide to ConverseStream."""
    heard, inputs, calls = Heard(), dict[int, str](), dict[int, Any]()
    for event in _event_stream("ConverseStream", "stream", recording):
        ((name, body),) = event.items()
        if name == "contentBlockStart":
            calls[body["contentBlockIndex"]] = body["start"]["toolUse"]
            inputs[body["contentBlockIndex"]] = ""
        elif name == "contentBlockDelta":
            delta = body["delta"]
            heard.text += delta.get("text", "")
            heard.reasoning += delta.get("reasoningContent", {}).get("text", "")
            if "toolUse" in delta:
                inputs[body["contentBlockIndex"]] += delta["toolUse"]["input"]
        elif name == "messageStop":
            heard.end = body["stopReason"]
        elif name == "metadata":
            heard.counts = (body["usage"]["inputTokens"], body["usage"]["outputTokens"])
    for index, call in calls.items():
        heard.call(call["toolUseId"], call["name"], inputs[index])
    return heard


# -- what they read -----------------------------------------------------------------

READERS: dict[str, tuple[str, Callable[[Recording], Heard]]] = {
    "anthropic messages.create": ("anthropic", _events),
    "anthropic messages.stream": ("anthropic", _helper),
    "AnthropicBedrock messages.stream": ("bedrock-invoke", _through_bedrock),
    "boto3 invoke_model_with_response_stream": ("bedrock-invoke", _invoked),
    "boto3 converse_stream": ("bedrock-converse", _conversed),
}
readers = pytest.mark.parametrize("reader", READERS)


LAW: Law[Recording] = Law(
    ENDS, ("reasoning", "counts"), played=lambda script, format: script.recording(format), readers=READERS
)


@pytest.mark.few_rows(3)
@readers
@few
def test_an_sdk_reads_what_a_script_says(reader: str, data: st.DataObject) -> None:
    """Text, reasoning, tool calls with their ids and arguments, token counts, and the finish reason."""
    said, heard = LAW.drawn(reader, data)
    assert said == heard


ALL = (
    testing.script()
    .reasoning("Hm", signature="c2ln")
    .text("It is cold.")
    .citation(url="https://example.org/a", title="A", text="Cold.")
    .citation(title="B")
    .tool_call("get_weather", {"city": "Oslo"})
    .usage(input_tokens=7, output_tokens=3, cached_tokens=2)
    .finish("stop_sequence")
)


def test_every_payload_is_what_anthropics_sdk_declares() -> None:
    """Nothing that is required lacks, and no value is of another kind."""
    for format in ("anthropic", "bedrock-invoke"):
        for name, payload in sent(ALL, format):
            event = _declared().validate_json(json.dumps(payload))
            assert payload["type"] == event.type, name


def test_anthropics_sdk_raises_what_a_script_fails_with() -> None:
    """The error event is an error of the API, with the script's words."""
    anthropic: Any = needed("anthropic")
    failing = testing.script().text("Hel").error("Try later").recording("anthropic")
    with pytest.raises(anthropic.APIStatusError, match="Try later"):
        _events(failing)


@pytest.mark.parametrize("reader", ["boto3 converse_stream", "boto3 invoke_model_with_response_stream"])
def test_boto3_raises_what_a_script_fails_with(reader: str) -> None:
    """The exception is an error of the event stream, under its name."""
    format, read = READERS[reader]
    error = needed("botocore.exceptions").EventStreamError
    failing = testing.script().text("Hel").error("Slow down", kind="rate_limited").recording(format)
    with pytest.raises(error, match=r"\(throttlingException\).*Slow down"):
        read(failing)
