"""One failure is told alike to the page, the log, the span and the caller, and nobody asks again unasked."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pytest

from tests.otel.backend import Backend
from tests.support.asgi import Client
from tests.support.packages import needed
from tokenstream import AsyncStream, Retry, aconnect, relay, testing
from tokenstream.errors import StatusError, StreamError
from tokenstream.events import Event
from tokenstream.otel import observe

pytestmark = pytest.mark.anyio

_URL = "https://api.openai.com/v1/chat/completions"
_CHUNKS = testing.script().text("Hel", "lo ", "you").finish("stop").chunks("openai-chat")
_REFUSED = b'{"error": {"message": "zebra"}}'


class _Reset(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"".join(_CHUNKS[:3])
        await anyio.lowlevel.checkpoint()
        raise httpx.ReadError("")


def _respond(status: int, content: Any, kind: str = "text/event-stream", **headers: str) -> httpx.Response:
    named = {"content-type": kind, "x-request-id": "req_7", **headers}
    if isinstance(content, _Reset):
        return httpx.Response(status, headers=named, stream=content)
    return httpx.Response(status, headers=named, content=content)


_FAILURES: dict[str, tuple[Callable[[], httpx.Response] | Exception, int]] = {
    "refused connection": (httpx.ConnectError("[Errno 111] Connection refused"), 502),
    "silence": (httpx.ReadTimeout("late"), 504),
    "overload": (lambda: _respond(503, _REFUSED), 503),
    "rate limit": (lambda: _respond(429, _REFUSED), 429),
    "wrong key": (lambda: _respond(401, _REFUSED, **{"retry-after": "7"}), 502),
    "login": (lambda: _respond(302, b"", location="https://login.example/zebra"), 502),
    "web page": (lambda: _respond(200, b"<title>zebra</title>", "text/html"), 502),
    "words of a proxy": (lambda: _respond(200, b"upstream zebra error", "text/plain"), 502),
    "unknown dialect": (lambda: _respond(200, b'data: {"zebra": "zebra"}\n\n' * 2), 502),
    "nothing": (lambda: _respond(200, b""), 502),
    "cut": (lambda: _respond(200, b"".join(_CHUNKS[:3])), 200),
    "reset": (lambda: _respond(200, _Reset()), 200),
    "error event": (lambda: _respond(200, b"%bdata: %b\n\n" % (b"".join(_CHUNKS[:3]), _REFUSED)), 200),
    "no JSON": (lambda: _respond(200, b"%bdata: {zebra\n\n" % b"".join(_CHUNKS[:3])), 200),
}


class _Provider:
    """Fails in one way, and counts the requests."""

    def __init__(self, failure: Callable[[], httpx.Response] | Exception) -> None:
        self.failure, self.requests = failure, 0
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def answer(self, _: httpx.Request) -> httpx.Response:
        self.requests += 1
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure()

    def ask(self, retry: Retry | None) -> AsyncStream:
        return aconnect(_URL, json={"model": "m"}, client=self.client, retry=retry)

    def ask_sdk(self, _: Retry | None) -> AsyncStream:
        sdk = needed("openai").AsyncOpenAI(api_key="made-up", max_retries=0, http_client=self.client)
        return AsyncStream(sdk.chat.completions.create(model="m", messages=[], stream=True))


async def _pass_on(stream: AsyncStream) -> AsyncIterator[Event]:
    async for event in stream:
        yield event


def _error_sent(client: Client) -> dict[str, Any]:
    """Return what the page is told, in the body of a refusal or in the last event."""
    if client.status != 200:
        told: dict[str, Any] = client.json["error"]
        return told
    last: dict[str, Any] = json.loads(client.body.strip().rpartition(b"data: ")[2])
    return {**last, "type": last["kind"]}


@pytest.mark.parametrize("retry", [None, Retry(attempts=2, wait=0)], ids=["once", "retry"])
@pytest.mark.parametrize("way", ["respond", "endpoints", "generator", "SDK"])
@pytest.mark.parametrize("failure", _FAILURES)
async def test_a_failure_is_told_alike_and_asks_no_more_than_it_may(
    failure: str, way: str, retry: Retry | None, caplog: pytest.LogCaptureFixture
) -> None:
    made, status = _FAILURES[failure]
    asked, backend, client = _Provider(made), Backend(), Client()
    ask = asked.ask_sdk if way == "SDK" else asked.ask
    most = 1 if retry is None or way == "SDK" else 2
    with pytest.raises(StreamError) as caught:
        await ask(retry).final()
    error, by_caller, asked.requests = caught.value, asked.requests, 0
    caplog.clear()
    stream: Any = observe(ask(retry), **backend.takes)
    async with relay.MemoryJournal(drain=0) as journal:
        client.scope["headers"].append((b"accept", b"text/event-stream"))
        apps: dict[str, Any] = {
            "endpoints": relay.endpoints(journal, lambda _: stream),
            "generator": relay.respond(_pass_on(stream)),
        }
        await client.call(apps.get(way) or relay.respond(stream))
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    line, told = record.getMessage(), _error_sent(client)

    assert by_caller <= most
    assert asked.requests == (most if error.retryable and status != 200 else 1)
    # The page has the kind, and may decide nothing by itself.
    assert (client.status, told["type"], told["retryable"]) == (status, error.kind, error.retryable)
    assert not told.get("may_repeat", False)
    # The log has the words of the caller's error, and the span its class.
    assert f"): {error.sentence}" in line
    # Of an SDK's stream, the address is known with its first item.
    assert ("api.openai.com" in line) is ((failure, way) != ("nothing", "SDK"))
    named = str(error.status) if isinstance(error, StatusError) else type(error).__name__
    assert (backend.answer.attributes or {})["error.type"] == named
    assert "zebra" not in f"{line} {vars(record)} {client.body!r}"
