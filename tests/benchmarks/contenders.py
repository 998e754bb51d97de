"""Who reads the bodies: the floor, this library, and in `peers` the others."""

from __future__ import annotations

import asyncio
import atexit
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenstream import AsyncStream, Decoder, Stream

if TYPE_CHECKING:
    from tests.benchmarks.bodies import Body

__all__ = ["Contender", "each", "floor", "found", "ours", "runner", "text_of_payloads"]

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of reading a body.

    Args:
        name: What the table calls it.
        kind: "floor", "peer" or "ours".
        prepare: Does what is not timed, and returns what is.
        text: Returns the text of the body as this way of reading tells it.
    """

    name: str
    kind: str
    prepare: Callable[[Body], Run]
    text: Callable[[Body], str]


def found(name: str) -> Any:
    """Return a module that may be missing; None where it is."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


def text_of_payloads(payloads: list[Any]) -> str:
    """Return the text in decoded payloads of OpenAI Chat or Anthropic."""
    pieces = []
    for payload in payloads:
        pieces += [choice["delta"].get("content", "") for choice in payload.get("choices", ())]
        if payload.get("type") == "content_block_delta":
            pieces.append(payload["delta"]["text"])
    return "".join(pieces)


# -- the floor ----------------------------------------------------------------


def _decoding(loads: Callable[[bytes], Any]) -> Callable[[Body], Run]:
    def prepare(body: Body) -> Run:
        payloads = body.payloads

        def run() -> None:
            for payload in payloads:
                loads(payload)

        return run

    return prepare


def _decoder_only(name: str, loads: Callable[[bytes], Any]) -> Contender:
    def text(body: Body) -> str:
        return text_of_payloads([loads(payload) for payload in body.payloads])

    return Contender(name, "floor", _decoding(loads), text)


def floor() -> list[Contender]:
    """Return what does nothing but decode the payloads; `orjson.loads` first, where it is installed."""
    orjson = found("orjson")
    first = _decoder_only("orjson.loads", orjson.loads) if orjson else _decoder_only("json.loads", json.loads)
    return [first, _decoder_only("pydantic_core.from_json", import_module("pydantic_core").from_json)]


# -- this library -------------------------------------------------------------


def _decoder(body: Body) -> Run:
    chunks, format = body.chunks, body.format

    def run() -> str:
        decoder = Decoder(format)
        feed = decoder.feed
        for chunk in chunks:
            for _ in feed(chunk):
                pass
        decoder.end()
        return decoder.message.text

    return run


def _detecting(body: Body) -> Run:
    chunks = body.chunks

    def run() -> str:
        stream = Stream(iter(chunks))
        for _ in stream:
            pass
        return stream.message.text

    return run


def _stream(body: Body) -> Run:
    chunks, format = body.chunks, body.format

    def run() -> str:
        stream = Stream(iter(chunks), format=format)
        for _ in stream:
            pass
        return stream.message.text

    return run


def _text_view(body: Body) -> Run:
    chunks, format = body.chunks, body.format

    def run() -> str:
        return "".join(list(Stream(iter(chunks), format=format).text))

    return run


def _over_httpx(body: Body) -> Run:
    httpx = import_module("httpx")
    head = {"content-type": "text/event-stream"}
    response = httpx.Response(
        200, headers=head, content=iter(body.chunks), request=httpx.Request("POST", "https://a")
    )
    format = body.format

    def run() -> str:
        stream = Stream(response, format=format)
        for _ in stream:
            pass
        return stream.message.text

    return run


async def each(chunks: list[bytes]) -> AsyncIterator[bytes]:
    """Give chunks as an asynchronous source does."""
    for chunk in chunks:
        yield chunk


@cache
def runner() -> asyncio.Runner:
    """Return the event loop of all asynchronous readers."""
    made = asyncio.Runner()
    atexit.register(made.close)
    return made


def _async_stream(body: Body) -> Run:
    async def read() -> str:
        async with AsyncStream(each(body.chunks), format=body.format) as stream:
            async for _ in stream:
                pass
            return stream.message.text

    return lambda: runner().run(read())


def _contender(name: str, prepare: Callable[[Body], Run]) -> Contender:
    return Contender(name, "ours", prepare, lambda body: str(prepare(body)()))


def ours() -> list[Contender]:
    """Return the ways of reading that this library has, all defaults on."""
    return [
        _contender("tokenstream Decoder.feed", _decoder),
        _contender("tokenstream Stream", _stream),
        _contender("tokenstream Stream, format found out", _detecting),
        _contender("tokenstream Stream over an httpx response", _over_httpx),
        _contender("tokenstream Stream.text", _text_view),
        _contender("tokenstream AsyncStream", _async_stream),
    ]
