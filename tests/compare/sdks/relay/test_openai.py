"""The SDK of openai reads from a script's bytes what the script says."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from tests.compare.sdks.relay.heard import Heard, Law, body_of, few
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from hypothesis import strategies as st

    from tokenstream.testing import Script

openai: Any = needed("openai")
httpx2: Any = needed("httpx2")

CUT = {"length": "length", "content_filter": "content_filter"}
ENDS: dict[str, dict[str, str]] = {
    "openai-chat": {"stop": "stop", "tool_calls": "tool_calls", **CUT},
    "openai-completions": {"stop": "stop", **CUT},
    "openai-responses": {
        "stop": "completed",
        "tool_calls": "completed",
        "length": "max_output_tokens",
        "content_filter": "content_filter",
    },
}
"""The SDKs' words for our finish reasons, by format."""
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Weather?"}]}


# -- the SDKs -----------------------------------------------------------------


@cache
def _client() -> tuple[Any, list[bytes]]:
    """Return openai's client, which is slow to make, and the place for its next answer."""
    bodies: list[bytes] = []

    def answer(request: Any) -> Any:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(bodies.pop()), request=request)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://sdk.test/v1", max_retries=0, http_client=http), bodies


def _answering(body: bytes) -> Any:
    client, bodies = _client()
    bodies[:] = [body]
    return client


def _chat_chunks(body: bytes) -> Heard:
    """Add up the chunks in the loop of the guide to function calling."""
    heard, calls = Heard(), dict[int, Any]()
    for chunk in _answering(body).chat.completions.create(**ASKED, stream=True):
        for choice in chunk.choices:
            heard.text += choice.delta.content or ""
            heard.refusal += choice.delta.refusal or ""
            heard.end = choice.finish_reason or heard.end
            for call in choice.delta.tool_calls or ():
                if call.index not in calls:
                    calls[call.index] = call
                else:
                    calls[call.index].function.arguments += call.function.arguments
    for call in calls.values():
        heard.call(call.id, call.function.name, call.function.arguments)
    return heard


def _chat_stream(body: bytes) -> Heard:
    """Take what the SDK's own accumulator comes to; some endings are errors there."""
    with _answering(body).chat.completions.stream(**ASKED) as stream:
        try:
            completion = stream.get_final_completion()
        except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
            completion = stream.current_completion_snapshot
    (choice,) = completion.choices
    message = choice.message
    heard = Heard(message.content or "", refusal=message.refusal or "", end=choice.finish_reason)
    for call in message.tool_calls or ():
        heard.call(call.id, call.function.name, call.function.arguments)
    return heard


def _completions(body: bytes) -> Heard:
    heard = Heard()
    for chunk in _answering(body).completions.create(model="m", prompt="p", stream=True):
        for choice in chunk.choices:
            heard.text += choice.text
            heard.end = choice.finish_reason or heard.end
    return heard


def _of_response(response: Any) -> Heard:
    details = response.incomplete_details
    heard = Heard(response.output_text, end=response.status if details is None else details.reason)
    for item in response.output:
        if item.type == "function_call":
            heard.call(item.call_id, item.name, item.arguments)
        elif item.type == "message":
            heard.refusal += "".join([part.refusal for part in item.content if part.type == "refusal"])
    return heard


def _responses_events(body: bytes) -> Heard:
    """Add up the deltas; the response at the end says the same."""
    text = arguments = ""
    last: Any = None
    for number, event in enumerate(_answering(body).responses.create(model="m", input="i", stream=True)):
        assert number == event.sequence_number
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.function_call_arguments.delta":
            arguments += event.delta
        last = event
    assert text == last.response.output_text
    called = [item.arguments for item in last.response.output if item.type == "function_call"]
    assert arguments == "".join(called)
    return _of_response(last.response)


def _responses_stream(body: bytes) -> Heard:
    """Take what the SDK's own accumulator comes to; it gives no response that is incomplete."""
    last: Any = None
    with _answering(body).responses.stream(model="m", input="i") as stream:
        for event in stream:
            last = event
    return _of_response(last.response)


READERS: dict[str, tuple[str, Callable[[bytes], Heard]]] = {
    "chat.completions.create": ("openai-chat", _chat_chunks),
    "chat.completions.stream": ("openai-chat", _chat_stream),
    "completions.create": ("openai-completions", _completions),
    "responses.create": ("openai-responses", _responses_events),
    "responses.stream": ("openai-responses", _responses_stream),
}
readers = pytest.mark.parametrize("reader", READERS)


LAW: Law[bytes] = Law(ENDS, ("refusal",), played=body_of, readers=READERS)


@pytest.mark.few_rows(3)
@readers
@few
def test_an_sdk_reads_what_a_script_says(reader: str, data: st.DataObject) -> None:
    """Text, refusal, tool calls with their ids and arguments, and the finish reason."""
    said, heard = LAW.drawn(reader, data)
    assert said == heard


WHOLE = (
    testing.script()
    .reasoning("Hm")
    .text("It is ")
    .tool_call("get_weather", {"city": "Oslo"})
    .usage(input_tokens=7, output_tokens=3)
)
PLAIN = testing.script().text("Hel", "lo").usage(input_tokens=7, output_tokens=3)
MODELS: dict[str, tuple[str, str, Script]] = {
    "openai-chat": ("openai.types.chat", "ChatCompletionChunk", WHOLE.finish("tool_calls")),
    "openai-responses": ("openai.types.responses", "ResponseStreamEvent", WHOLE.finish("stop")),
    "openai-responses cut": ("openai.types.responses", "ResponseStreamEvent", PLAIN.finish("content_filter")),
}


@pytest.mark.parametrize("case", MODELS)
def test_every_payload_is_what_the_sdk_declares(case: str) -> None:
    """Nothing that is required lacks, and no value is of another kind."""
    module, name, script = MODELS[case]
    model = TypeAdapter(getattr(needed(module), name))
    format = case.split(maxsplit=1)[0]
    for chunk in script.chunks(format):
        *_, data = chunk.decode().strip().partition("data: ")
        if data != "[DONE]":
            payload = json.loads(data)
            if payload.get("type") == "response.function_call_arguments.done":
                # Some versions declare a name, which no recorded answer has.
                payload["name"] = "get_weather"
            model.validate_python(payload)


def test_an_error_of_a_script_is_an_error_of_the_sdk() -> None:
    script = testing.script().text("Hel").error("Slow down", kind="rate_limited")
    for read, format in ((_chat_chunks, "openai-chat"), (_completions, "openai-completions")):
        with pytest.raises(openai.APIError, match="Slow down") as caught:
            read(body_of(script, format))
        assert ("rate_limit_exceeded", "rate_limit_error") == (caught.value.code, caught.value.type)
