"""A finish reason that is due: where the host always sends one, an end mark without any is a cut."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Retry, Stream, aconnect, connect
from tokenstream.errors import StreamTruncated


def _sse(*payloads: Any, done: bool = False) -> bytes:
    frames = [f"event: {each.get('type', 'message')}\ndata: {json.dumps(each)}\n\n" for each in payloads]
    return "".join([*frames, "data: [DONE]\n\n" if done else ""]).encode()


def _chat(*deltas: str, reasons: tuple[str | None, ...] = ()) -> bytes:
    """Return chunks of OpenAI's chat API, each with its reason, and then the sentinel."""
    padded = [*reasons, *[None] * len(deltas)]
    choices = [
        {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        for text, reason in zip(deltas, padded, strict=False)
    ]
    head = {"id": "c", "object": "chat.completion.chunk", "model": "m"}
    return _sse(*[{**head, "choices": [each]} for each in choices], done=True)


MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {}}
BLOCK = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
]
REASON = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
STOP = {"type": "message_stop"}

CHAT, MESSAGES = _chat("Hel", "lo"), _sse(*BLOCK, STOP)
DUE = {
    "OpenAI": ("https://api.openai.com/v1/chat/completions", CHAT),
    "OpenAI in a region": ("https://eu.api.openai.com/v1/chat/completions", CHAT),
    "Azure": ("https://firm.openai.azure.com/openai/deployments/m/chat/completions", CHAT),
    "Anthropic": ("https://api.anthropic.com/v1/messages", MESSAGES),
    "Gemini": ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", CHAT),
}
OTHERS = {
    "a gateway": ("https://gateway.example/v1/chat/completions", CHAT),
    "a name that ends alike": ("https://notapi.openai.com/v1/chat/completions", CHAT),
    "a name within another": ("https://api.openai.com.example/v1/chat/completions", CHAT),
    "another host of Anthropic's": ("https://console.anthropic.com/v1/messages", MESSAGES),
    "a copy of Messages": ("https://gateway.example/v1/messages", MESSAGES),
    "Groq": ("https://api.groq.com/openai/v1/chat/completions", CHAT),
}


class Answers(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that gives one body after the other."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = [*bodies]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, content=self.bodies.pop(0), request=request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


@in_one_test("url, body", DUE.values(), ids=DUE)
def test_a_mark_without_a_due_reason_is_a_cut(url: str, body: bytes) -> None:
    client = httpx.Client(transport=Answers(body, body))
    for stream in (connect(url, json={}, client=client), Stream(client.get(url))):
        with pytest.raises(StreamTruncated) as caught:
            stream.final()
        assert (stream.message.text, stream.message.ending) == ("Hello", "truncated")
        assert caught.value.retryable


@in_one_test("url, body", OTHERS.values(), ids=OTHERS)
def test_every_other_host_may_leave_it_out(url: str, body: bytes) -> None:
    stream = connect(url, json={}, client=httpx.Client(transport=Answers(body)))

    assert (stream.final().text, stream.message.ending) == ("Hello", "complete")
    assert stream.departures["finish_missing"].details == {"finish_missing": 1}


@pytest.mark.anyio
async def test_it_is_asked_again() -> None:
    url, whole = DUE["OpenAI"][0], _chat("Hello", "", reasons=(None, "stop"))
    client = httpx.AsyncClient(transport=Answers(CHAT, whole))
    async with aconnect(url, json={}, client=client, retry=Retry(mode="restart", wait=0)) as stream:
        message = await stream.final()

    assert (message.ending, message.finish_reason, len(stream.attempts)) == ("complete", "stop", 2)
    assert isinstance(stream, AsyncStream)


REASONS = {
    "with the last piece": _chat("Hel", "lo", reasons=(None, "stop")),
    "void by later content, and confirmed by the mark": _chat("Hel", "lo", reasons=("stop", None)),
}


@in_one_test("body", REASONS.values(), ids=REASONS)
def test_a_reason_that_the_mark_confirms_is_one(body: bytes) -> None:
    stream = connect(DUE["OpenAI"][0], json={}, client=httpx.Client(transport=Answers(body)))

    assert (stream.final().text, stream.message.ending) == ("Hello", "complete")
    assert stream.message.finish_reason == "stop"


def test_the_reason_of_a_message_is_one() -> None:
    body = _sse(*BLOCK, REASON, STOP)
    stream = connect(DUE["Anthropic"][0], json={}, client=httpx.Client(transport=Answers(body)))

    assert (stream.final().ending, stream.message.finish_reason) == ("complete", "stop")
