"""The providers of all routes, in memory: they write what they are asked for, break off, and send a bill."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anyio
import httpx

from tests.recovery.continuing import last_words
from tests.recovery.law.draws import CALLS, CUTS, KINDS, THOUGHTS, Draw, Fault
from tests.recovery.law.leaving import Leaver
from tests.recovery.routes.providers import error_event, tokens_of
from tests.recovery.unseen import text_sent_back
from tokenstream import Stream, testing
from tokenstream.errors import StreamError

PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
    "openai-responses": "/v1/responses",
    "ollama": "/api/chat",
}
OUTPUT_PRICES = (0.003, 0.005, 0.001)
INPUT_PRICE = 0.0001
LIMIT = 400
"""The output limit of each request, in tokens."""
PROSE = " It is done, as you have asked."


def payload_of(format: str, *, is_background: bool) -> dict[str, Any]:
    asked = "What is the tide?"
    if format == "gemini":
        turns = [{"role": "user", "parts": [{"text": asked}]}]
        return {"contents": turns, "generationConfig": {"maxOutputTokens": LIMIT}}
    payload: dict[str, Any] = {"model": "m", "stream": True}
    if format == "openai-responses":
        kept = {"background": True, "store": True} if is_background else {}
        return {**payload, "input": asked, "max_output_tokens": LIMIT, **kept}
    payload["messages"] = [{"role": "user", "content": asked}]
    limit: Any = {"options": {"num_predict": LIMIT}} if format == "ollama" else {"max_tokens": LIMIT}
    return {**payload, **limit}


@dataclass
class Bill:
    route: int
    fault: str
    format: str
    input: int
    is_asked: bool = False
    chunks: list[bytes] = field(default_factory=list[bytes])
    output: int = 0
    pulled: int = 0
    """The chunks that were read of it, over the first connection and those that resumed."""
    is_kept: bool = False
    """True if its provider writes the answer to its end, whoever reads it."""
    resumes: Bill | None = None
    """The bill of the request whose answer this one resumes, which has the tokens of both."""
    begins_call: bool = False
    """True if the reader has seen the beginning of a call in it, or in the answer with which it goes on."""

    def bounds(self, *, read_all: bool) -> tuple[float, float]:
        """Return the least and the most that may be told for it; `read_all` if all that was sent was read."""
        if self.resumes is not None:
            return 0.0, 0.0
        price = OUTPUT_PRICES[self.route]
        is_whole = self.pulled >= len(self.chunks)
        written = self.output if is_whole else size_of(self.chunks[: self.pulled], self.format) / 4
        most = self.output if self.is_kept else written
        # An estimate rounds each part, and the last chunk may be in pieces.
        slack = 14 if self.chunks else 0
        asked = self.input * INPUT_PRICE
        if not read_all:
            # Nobody knows whether a request that was left on its way has reached a model.
            return 0.0, asked * 1.1 + price * (most + slack)
        if not self.is_asked:
            return 0.0, 0.0
        return asked * 0.9 + price * max(0, written - slack), asked * 1.1 + price * (most + slack)


@cache
def _size_of(body: bytes, format: Any) -> int:
    stream = Stream([body], format=format)
    with suppress(StreamError):
        stream.final()
    message = stream.message
    words = [message.text, message.reasoning or "", *(call.arguments_text for call in message.tool_calls)]
    return sum(len(each.encode()) for each in words)


def size_of(chunks: list[bytes], format: str) -> int:
    """Return the bytes of text, of thoughts and of arguments in the chunks of an answer."""
    return _size_of(b"".join(chunks), format)


@cache
def write(format: str, kind: str, text: str, piece: int, number: int, asked: int) -> tuple[list[bytes], int]:
    """Return the chunks of an answer, and the tokens that its provider counts in it."""
    script, size = testing.script(id=f"answer-{number}"), 0
    for part in KINDS[kind]:
        if part == "thoughts":
            script = script.reasoning(THOUGHTS, **({"signature": "c2ln"} if format == "anthropic" else {}))
            size += len(THOUGHTS.encode())
        elif part == "text":
            pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
            script = script.text(*pieces) if pieces else script
            size += len(text.encode())
        else:
            arguments = json.dumps(CALLS[part])
            places = range(0, len(arguments), 9)
            pieces = [arguments[at : at + 9] for at in places]
            script = script.tool_call(part, pieces, id=f"call-{number}-{part}")
            size += len(arguments)
    output = math.ceil(size / 4)
    chunks = script.usage(input_tokens=asked, output_tokens=output).finish().chunks(format)
    if format == "anthropic":
        # Its first event has the count of the request, as the provider's own has.
        chunks[0] = chunks[0].replace(b'"input_tokens":0', b'"input_tokens":%d' % asked)
    return chunks, output


class Providers:
    """A transport behind which are the providers of all routes of a draw.

    Args:
        draw: The draw.
        leaver: Leaves at a step of a connection.
    """

    def __init__(self, draw: Draw, leaver: Leaver) -> None:
        self.draw, self.leaver = draw, leaver
        self.bills: list[Bill] = []
        self.open = 0
        """The number of bodies that were not closed."""
        self.wrong: list[str] = []
        """What no provider should have been asked for."""
        self.latest: Bill | None = None
        """The request with whose answer a continuation would go on."""
        self._asked = [0] * len(draw.routes)

    def client(self) -> Any:
        if self.draw.world == "sync":
            return httpx.Client(transport=httpx.MockTransport(self._answer))
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer_async))

    async def _answer_async(self, request: httpx.Request) -> httpx.Response:
        route = int(request.url.host[5])
        # A request on its way may reach the model, though nobody waits for the answer.
        bill = Bill(route, "left", self.draw.routes[route].format, tokens_of(request))
        is_paid = request.method == "POST" and not request.url.path.endswith("/cancel")
        if is_paid:
            self.bills.append(bill)
        self.leaver.passes("wire")
        for _ in range(self.draw.routes[route].delay + 1):
            await anyio.lowlevel.checkpoint()
        if is_paid:
            self.bills.remove(bill)
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.leaver.passes("wire")
        route = int(request.url.host[5])
        fault = self._next_fault(route)
        plan = self.draw.routes[route]
        bill = Bill(route, fault.name, plan.format, tokens_of(request))
        if request.method == "GET":
            return self._resume(request, bill, fault)
        if request.url.path.endswith("/cancel"):
            return httpx.Response(200, json={"status": "cancelled"})
        self.bills.append(bill)
        if (refusal := _refuse(request, fault)) is not None:
            return refusal
        bill.is_asked = True
        self._write(bill, json.loads(request.content))
        return self._send(bill, 0, fault)

    def _next_fault(self, route: int) -> Fault:
        faults = self.draw.routes[route].faults
        number = self._asked[route]
        self._asked[route] += 1
        return faults[number] if number < len(faults) else Fault()

    def _write(self, bill: Bill, payload: Any) -> None:
        """Write the answer to a request: the whole one, or the rest of it behind what is sent back."""
        draw, given = self.draw, text_sent_back(payload)
        text, kind = draw.text, draw.kind
        if given:
            if not draw.text.startswith(given.rstrip()):
                self.wrong.append(f"another text was sent back: {given[-40:]!r}")
            rest = draw.text[len(given.rstrip()) :]
            turns: Any = payload.get("contents") or payload.get("messages") or payload.get("input")
            text = rest if turns[-1]["role"] in ("assistant", "model") else last_words(given) + rest
            kind = kind.replace("thoughts", "text")
            bill.begins_call = self.latest is not None and self.latest.begins_call
            if bill.begins_call and draw.model != "calls again" and draw.hedge_after is None:
                kind, text = "text", text + (PROSE if draw.model == "prose" else "")
        self.latest = bill
        number = len(self.bills)
        chunks, bill.output = write(bill.format, kind, text, draw.piece, number, bill.input)
        bill.chunks = [*chunks]
        if draw.is_background and bill.format == "openai-responses":
            bill.is_kept = True
            bill.chunks = [chunk.replace(b'"background":false', b'"background":true') for chunk in chunks]

    def _resume(self, request: httpx.Request, bill: Bill, fault: Fault) -> httpx.Response:
        """Send the rest of an answer that is kept, after the event that was read last."""
        params = request.url.params
        id = request.url.path.rpartition("/")[2]
        kept = [each for each in self.bills if each.is_kept and f'"id":"{id}"'.encode() in each.chunks[0]]
        bill.resumes = kept[0] if kept else bill
        self.bills.append(bill)
        if "starting_after" not in params or not kept:
            return httpx.Response(404, json={"error": {"message": "gone", "type": "not_found"}})
        if (refusal := _refuse(request, fault)) is not None:
            return refusal
        return self._send(bill.resumes, int(params["starting_after"]) + 1, fault)

    def _send(self, bill: Bill, start: int, fault: Fault) -> httpx.Response:
        chunks: list[bytes] = bill.chunks[start:]
        if fault.name == "nothing":
            chunks = []
        elif fault.name in CUTS:
            chunks = chunks[: int(len(chunks) * fault.place)]
        if fault.name == "error event":
            chunks = [*chunks, error_event(bill.format)]
        kind = "application/x-ndjson" if bill.format == "ollama" else "text/event-stream"
        body = _Body(self, bill, start, chunks, fault.name)
        return httpx.Response(200, headers={"content-type": kind}, stream=body)


def _refuse(request: httpx.Request, fault: Fault) -> httpx.Response | None:
    """Return the response to a request that begins no answer, or raise; None if it begins one."""
    if fault.name == "connect":
        raise httpx.ConnectError("refused", request=request)
    if fault.name in ("status", "later"):
        headers = {"retry-after-ms": "0.1"} if fault.name == "later" else {}
        error = {"message": "busy", "type": "server_error"}
        return httpx.Response(fault.status, headers=headers, json={"error": error})
    return httpx.Response(200, html="<html>Log in</html>") if fault.name == "page" else None


_BREAKS: dict[str, httpx.TransportError] = {
    "reset": httpx.ReadError("connection reset"),
    "early end": httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    "silence": httpx.ReadTimeout("silent"),
}


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that ends with its fault, and notes what was read of it."""

    def __init__(self, providers: Providers, bill: Bill, start: int, chunks: list[bytes], fault: str) -> None:
        self._providers, self._bill, self._start = providers, bill, start
        self._chunks, self._fault, self._is_open = chunks, fault, True
        providers.open += 1

    def __iter__(self) -> Iterator[bytes]:
        for number, chunk in enumerate(self._chunks, self._start + 1):
            self._providers.leaver.passes("wire")
            self._bill.pulled = max(self._bill.pulled, min(number, len(self._bill.chunks)))
            self._bill.begins_call |= any(b'"%b"' % name.encode() in chunk for name in CALLS)
            yield chunk
        if self._fault in _BREAKS:
            raise _BREAKS[self._fault]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            await anyio.lowlevel.checkpoint()
            yield chunk

    def close(self) -> None:
        self._providers.open -= self._is_open
        self._is_open = False

    async def aclose(self) -> None:
        self.close()
