"""Providers of three APIs behind in-memory transports, each with the behaviour of its next requests."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anyio
import httpx

from tests.recovery.unseen import URLS, payload_of, text_sent_back
from tests.support.either import connect_in, read_all
from tests.support.timing import wait_for
from tokenstream import Message, testing
from tokenstream.errors import StreamError
from tokenstream.recovery import AttemptReport, Retry, Route

TRUTH = "A river does not mind a stone. It parts, goes around it, and is one river again by the evening."
"""The answer of each provider, so that a continuation can be told from another answer."""

_ERRORS: dict[str, tuple[int, dict[str, Any]]] = {
    "openai-chat": (503, {"error": {"message": "down", "type": "server_error", "code": None}}),
    "anthropic": (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "gemini": (503, {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
}


@dataclass
class Behaviour:
    fault: str = "whole"
    """The fault: whole, reset, early_end, error_event, status, refused, html, stall, connect."""
    after: int = 0
    """Number of words that it sends before the fault."""
    status: int = 401
    """The status of a refusal."""
    body: Any = None
    """The body of a refusal, as JSON."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Headers of an error response."""
    script: Any = None
    """A script in place of the truth."""


WHOLE = Behaviour()


class Provider:
    """A provider of one API, which answers each request as planned; after the plan, with the whole truth.

    Args:
        format: The API.
        plan: The behaviours, in order.
    """

    def __init__(self, format: str, *plan: Behaviour) -> None:
        self.format = format
        self.url = URLS[format]
        self.requests: list[httpx.Request] = []
        self.open = 0
        """Number of bodies that were not closed."""
        self.sent = 0
        """Number of chunks of bodies that were read."""
        self.delay = 0.0
        """Seconds before each response."""
        self.when: Callable[[], object] = lambda: True
        """Returns what is true once a response may begin."""
        self._plan = [*plan]

    def add(self, behaviour: Behaviour) -> None:
        self._plan.append(behaviour)

    @property
    def payloads(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def payload(self) -> dict[str, Any]:
        return payload_of(self.format)

    def client(self, *, is_async: bool = False) -> Any:
        if is_async:
            return httpx.AsyncClient(transport=httpx.MockTransport(self._answer_async))
        return httpx.Client(transport=httpx.MockTransport(self._answer_slowly))

    def then(self, **options: Any) -> Callable[[bool], Retry]:
        """Return what makes the options of a stream that asks here next."""
        return lambda is_async: Retry(routes=[self.route(is_async=is_async)], **options)

    def route(self, *, is_async: bool = False, **options: Any) -> Route:
        return Route(self.url, json=self.payload, client=self.client(is_async=is_async), **options)

    async def _answer_async(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(self.delay)
        while not self.when():  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.002)
        return self._answer(request)

    def _answer_slowly(self, request: httpx.Request) -> httpx.Response:
        time.sleep(self.delay)
        wait_for(lambda: bool(self.when()))
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        behaviour = self._plan.pop(0) if self._plan else WHOLE
        if behaviour.fault == "connect":
            raise httpx.ConnectError("no route to host", request=request)
        if behaviour.fault == "status":
            status, body = _ERRORS[self.format]
            return httpx.Response(status, json=body, headers=behaviour.headers)
        if behaviour.fault == "refused":
            body = behaviour.body or {"error": {"message": "no", "type": "invalid_request_error"}}
            return httpx.Response(behaviour.status, json=body, headers=behaviour.headers)
        if behaviour.fault == "html":
            return httpx.Response(200, text="<html>busy</html>", headers={"content-type": "text/html"})
        text = rest_of(json.loads(request.content))
        said = testing.script().text(*pieces(text)).usage(input_tokens=7, output_tokens=20)
        chunks = (behaviour.script or said.finish()).chunks(self.format)
        if behaviour.fault != "whole":
            chunks = _first_chunks(chunks, behaviour.after)
        sent = _Body(self, chunks, behaviour.fault, request)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=sent)


def tokens_of(request: httpx.Request) -> int:
    """Estimate the tokens of a request's JSON without the spaces that httpx before 0.28 writes into it."""
    payload = json.loads(request.content or "null")
    return math.ceil(len(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()) / 4)


@cache
def error_event(format: str) -> bytes:
    """Return the event with which a provider reports an error in the middle of an answer."""
    chunks = testing.script().text("x").error("down").chunks(format)
    return next(chunk for chunk in reversed(chunks) if b"down" in chunk)


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(
        self, provider: Provider, chunks: Sequence[bytes], fault: str, request: httpx.Request
    ) -> None:
        self._provider, self._chunks, self._fault, self._request = provider, chunks, fault, request
        self._is_open = True
        provider.open += 1

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._provider.sent += 1
            yield chunk
        if self._fault == "error_event":
            yield error_event(self._provider.format)
        if self._fault == "reset":
            raise httpx.ReadError("connection reset", request=self._request)
        if self._fault == "stall":
            raise httpx.ReadTimeout("silent", request=self._request)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            await anyio.lowlevel.checkpoint()
            yield chunk

    def close(self) -> None:
        self._provider.open -= self._is_open
        self._is_open = False

    async def aclose(self) -> None:
        self.close()


class SlowBody(httpx.AsyncByteStream):
    """A body that begins with a number of chunks, and goes on after a while."""

    def __init__(self, chunks: list[bytes], at_once: int, seconds: float) -> None:
        self._chunks, self._at_once, self._seconds = chunks, at_once, seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks[: self._at_once]:
            yield chunk
        await anyio.sleep(self._seconds)
        for chunk in self._chunks[self._at_once :]:
            yield chunk


def _first_chunks(chunks: Sequence[bytes], words: int) -> list[bytes]:
    if words == 0:
        return []
    kept: list[bytes] = []
    for chunk in chunks:
        kept.append(chunk)
        words -= _says_something(chunk)
        if words <= 0:
            break
    return kept


def _says_something(chunk: bytes) -> bool:
    data = chunk.partition(b"data: ")[2].strip()
    return any(mark in data for mark in (b'"content":"', b'"text_delta"', b'"text":"')) and b'""' not in data


def pieces(text: str) -> list[str]:
    """Return a text in words, each with the space before it."""
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)]


def rest_of(payload: Any) -> str:
    """Return what a model writes for a payload: the truth, or the last words of the answer and the rest."""
    before = text_sent_back(payload)
    assert TRUTH.startswith(before), "another text is continued than was sent"
    return TRUTH[max(0, len(before) - 40) :]


@dataclass
class Read:
    """The text, the message and the error that a user has at the end."""

    text: str
    given: list[Any]
    message: Message
    error: StreamError | None
    reports: tuple[AttemptReport, ...]


def read(
    world: str, first: Provider, retry: Callable[[bool], Retry], *, view: str = "text", **options: Any
) -> Read:
    """Ask the first provider, and others as the policy says, and return what was read."""
    is_async = world != "sync"
    asked: dict[str, Any] = {"json": first.payload, "client": first.client(is_async=is_async)}
    return _read(world, first.url, retry(is_async), view, asked | options)


def ask(world: str, first: Provider, retry: Retry, **options: Any) -> Read:
    """Ask a provider by a `Route`, and return the text that was read."""
    return read_route(world, first.route(is_async=world != "sync", **options), retry)


def read_route(world: str, route: Route, retry: Retry, *, view: str = "text") -> Read:
    return _read(world, route, retry, view, {})


def _read(world: str, asked: str | Route, retry: Retry, view: str, options: dict[str, Any]) -> Read:
    given, stream, error = read_all(
        world, lambda: connect_in(world)(asked, retry=retry, **options), lambda stream: getattr(stream, view)
    )
    text = "".join(map(str, given)) if view == "text" else ""
    return Read(text, given, stream.message, error, stream.attempts)
