"""The SDKs of openai, anthropic and google, each over a transport in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from functools import cache
from typing import Any

from tests.compare.conformance.answers import Answer, Call
from tests.compare.conformance.reader import HEADERS, PythonReader, answer_by, found

_ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Weather?"}]}


@contextlib.contextmanager
def http_client(body: bytes, package: str = "httpx2") -> Generator[Any]:
    http = found(package)
    served = http.MockTransport(
        lambda request: http.Response(200, headers=HEADERS, stream=http.ByteStream(body), request=request)
    )
    with http.Client(transport=served) as client:
        yield client


@contextlib.contextmanager
def openai_client(body: bytes, package: str = "httpx2") -> Generator[Any]:
    """Give openai's client over such a transport; version 3 is made on httpx2, version 2 on httpx."""
    with http_client(body, package) as http:
        yield found("openai").OpenAI(
            api_key="k", base_url="http://sdk.test/v1", max_retries=0, http_client=http
        )


def _openai_usage(usage: Any) -> list[int | None] | None:
    return None if usage is None else [usage.prompt_tokens, usage.completion_tokens]


# -- openai -------------------------------------------------------------------


def _openai_create(body: bytes, answer: Answer) -> None:
    """Add up the chunks in the loop of the guide to function calling."""
    calls: dict[int, Any] = {}
    with openai_client(body) as client:
        for chunk in client.chat.completions.create(
            **_ASKED, stream=True, stream_options={"include_usage": True}
        ):
            answer.usage = _openai_usage(chunk.usage) or answer.usage
            for choice in chunk.choices:
                answer.role = choice.delta.role or answer.role
                answer.text += choice.delta.content or ""
                answer.finish = choice.finish_reason or answer.finish
                add_calls(choice.delta, calls)
    for call in calls.values():
        answer.calls.append(Call.of_text(call.function.name, call.function.arguments, call.id))


def add_calls(delta: Any, calls: dict[int, Any]) -> None:
    """Add up the fragments of calls, as in the loop of openai's guide to function calling."""
    for call in delta.tool_calls or []:
        if call.index not in calls:
            calls[call.index] = call
        else:
            kept = calls[call.index].function
            kept.arguments = (kept.arguments or "") + (call.function.arguments or "")


def _openai_stream(body: bytes, answer: Answer) -> None:
    """Take the deltas and the finished calls from the events, and the rest from the final completion."""
    with (
        openai_client(body) as client,
        client.chat.completions.stream(**_ASKED, stream_options={"include_usage": True}) as stream,
    ):
        for event in stream:
            if event.type == "content.delta":
                answer.text += event.delta
            elif event.type == "tool_calls.function.arguments.done":
                answer.calls.append(Call.of_text(event.name, event.arguments))
        completion = stream.get_final_completion()
    said_to_be_done = answer.calls
    choice = completion.choices[0]
    answer.text, answer.role = choice.message.content or "", choice.message.role
    answer.finish, answer.usage = choice.finish_reason, _openai_usage(completion.usage)
    answer.calls = [
        Call.of_text(call.function.name, call.function.arguments, call.id)
        for call in choice.message.tool_calls or ()
    ]
    whole = [(call.name, call.arguments) for call in answer.calls]
    answer.calls += [call for call in said_to_be_done if (call.name, call.arguments) not in whole]


# -- anthropic ----------------------------------------------------------------


def _anthropic_stream(body: bytes, answer: Answer) -> None:
    """Take the text and the finished blocks from the events, and the rest from the final message."""
    with http_client(body) as http:
        client = found("anthropic").Anthropic(
            api_key="k", base_url="http://sdk.test", max_retries=0, http_client=http
        )
        asked = {**_ASKED, "model": "claude-sonnet-4-6", "max_tokens": 99}
        with client.messages.stream(**asked) as stream:
            for event in stream:
                if event.type == "text":
                    answer.text += event.text
                elif event.type == "content_block_stop" and event.content_block.type == "tool_use":
                    answer.calls.append(_anthropic_call(event.content_block))
            message = stream.get_final_message()
    answer.text = "".join([block.text for block in message.content if block.type == "text"])
    answer.calls = [_anthropic_call(block) for block in message.content if block.type == "tool_use"]
    answer.role, answer.finish = message.role, message.stop_reason
    answer.usage = [message.usage.input_tokens, message.usage.output_tokens]


def _anthropic_call(block: Any) -> Call:
    return Call(block.name, block.input, block.id, valid=isinstance(block.input, dict))


# -- google-genai ---------------------------------------------------------------


@cache
def _google_client() -> tuple[Any, list[bytes]]:
    """Return the SDK's client, whose making takes a tenth of a second, and the place for its next body."""
    genai, httpx2 = found("google.genai"), found("httpx2")
    bodies: list[bytes] = []
    served = httpx2.MockTransport(
        lambda request: httpx2.Response(
            200, headers=HEADERS, stream=httpx2.ByteStream(bodies.pop()), request=request
        )
    )
    http = httpx2.Client(transport=served)
    options = genai.types.HttpOptions(base_url="http://sdk.test", httpx_client=http)
    return genai.Client(api_key="k", http_options=options), bodies


def _google(body: bytes, answer: Answer) -> None:
    """Take the parts of each chunk of the stream."""
    client, bodies = _google_client()
    bodies.append(body)
    for chunk in client.models.generate_content_stream(model="gemini-3.5-flash", contents="Weather?"):
        answer.text += "".join([part.text for part in chunk.parts or () if part.text])
        answer.calls += [Call(call.name, call.args or {}, call.id) for call in chunk.function_calls or ()]
        if usage := chunk.usage_metadata:
            answer.usage = [usage.prompt_token_count, usage.candidates_token_count]
        for candidate in chunk.candidates or ():
            answer.finish = candidate.finish_reason.value if candidate.finish_reason else answer.finish


READERS = [
    PythonReader(
        "openai create(stream=True)",
        how="`client.chat.completions.create(stream=True)`, its chunks added up in the loop of its guide to "
        "function calling",
        packages=("openai", "httpx2"),
        answer_of={"openai-chat": answer_by(_openai_create)},
        claims=frozenset({"role", "usage"}),
    ),
    PythonReader(
        "openai stream()",
        how="`client.chat.completions.stream()`, its events and `get_final_completion()`",
        packages=("openai", "httpx2"),
        answer_of={"openai-chat": answer_by(_openai_stream)},
        claims=frozenset({"role", "usage"}),
    ),
    PythonReader(
        "anthropic stream()",
        how="`client.messages.stream()`, its events and `get_final_message()`",
        packages=("anthropic", "httpx2"),
        answer_of={"anthropic": answer_by(_anthropic_stream)},
        claims=frozenset({"role", "usage"}),
    ),
    PythonReader(
        "google-genai stream",
        how="`client.models.generate_content_stream()`, its chunks one by one",
        packages=("google-genai", "httpx2"),
        modules=("google.genai", "httpx2"),
        answer_of={"gemini": answer_by(_google)},
        claims=frozenset({"usage"}),
    ),
]
