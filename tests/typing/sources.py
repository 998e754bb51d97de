"""What users may hand to `Stream` and `AsyncStream`; checked by mypy and pyright, never run.

That a checker refuses the wrong colour is said by types here: an overload tells
apart what is a `SyncReadable` and what is none.
"""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, assert_type, overload

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import requests
import urllib3
from httpx_sse import EventSource, aconnect_sse, connect_sse

from tokenstream._sources.typing import AsyncReadable, SyncReadable

Taken: TypeAlias = Literal["taken"]
Refused: TypeAlias = str
"""What the wider overload gives."""


@overload
def sync(source: SyncReadable) -> Taken: ...
@overload
def sync(source: object) -> Refused: ...
def sync(source: object) -> str:
    return str(source)


@overload
def asynchronous(source: AsyncReadable) -> Taken: ...
@overload
def asynchronous(source: object) -> Refused: ...
def asynchronous(source: object) -> str:
    return str(source)


def bodies(path: Path, chunks: Iterator[bytes], payloads: Iterable[dict[str, Any]]) -> None:
    """What is at hand serves both; an iterable serves a `for` loop."""
    assert_type(sync(b""), Taken)
    assert_type(sync(""), Taken)
    assert_type(sync(memoryview(b"")), Taken)
    assert_type(sync(path), Taken)
    assert_type(sync(path.open("rb")), Taken)
    assert_type(sync(path.open(encoding="utf-8")), Taken)
    assert_type(sync(io.BytesIO(b"")), Taken)
    assert_type(sync([b""]), Taken)
    assert_type(sync(chunks), Taken)
    taken: SyncReadable = payloads
    assert_type(sync(taken), Taken)
    assert_type(asynchronous(b""), Taken)
    assert_type(asynchronous(""), Taken)
    assert_type(asynchronous(path), Taken)
    assert_type(asynchronous(path.open("rb")), Taken)
    assert_type(asynchronous([b""]), Taken)
    assert_type(asynchronous(chunks), Refused)
    assert_type(asynchronous(payloads), Refused)
    assert_type(sync(7), Refused)
    assert_type(sync(None), Refused)
    assert_type(asynchronous(None), Refused)


@dataclass
class Piece:
    text: str


def iterables(
    pieces: Iterable[Piece],
    made: AsyncGenerator[bytes],
    chunks: AsyncIterator[bytes],
    texts: AsyncIterator[str],
    asked: Awaitable[bytes],
) -> None:
    """Asynchronous ones serve an `async for` loop; a generator serves a `for` loop, too, in a thread."""
    assert_type(sync(pieces), Taken)
    assert_type(sync(made), Taken)
    assert_type(asynchronous(made), Taken)
    assert_type(sync(chunks), Refused)
    assert_type(sync(asked), Refused)
    assert_type(asynchronous(chunks), Taken)
    assert_type(asynchronous(texts), Taken)
    assert_type(asynchronous(asked), Taken)


def responses(
    response: httpx.Response,
    response2: httpx2.Response,
    required: requests.Response,
    low: urllib3.BaseHTTPResponse,
    loop: aiohttp.ClientResponse,
) -> None:
    """Of httpx no type tells the colour; of the others it does."""
    assert_type(sync(response), Taken)
    assert_type(sync(response2), Taken)
    assert_type(sync(EventSource(response)), Taken)
    assert_type(sync(required), Taken)
    assert_type(sync(low), Taken)
    assert_type(sync(loop), Refused)
    assert_type(asynchronous(response), Taken)
    assert_type(asynchronous(response2), Taken)
    assert_type(asynchronous(EventSource(response)), Taken)
    assert_type(asynchronous(loop), Taken)
    assert_type(asynchronous(required), Refused)
    assert_type(asynchronous(low), Refused)


def requests_that_are_not_sent(
    client: httpx.Client, async_client: httpx.AsyncClient, session: aiohttp.ClientSession
) -> None:
    """Managers and awaitables are opened by the stream; a client is not."""
    assert_type(sync(client.stream("GET", "url")), Taken)
    assert_type(sync(connect_sse(client, "GET", "url")), Taken)
    assert_type(sync(async_client.stream("GET", "url")), Refused)
    assert_type(sync(client), Refused)
    assert_type(asynchronous(async_client.stream("GET", "url")), Taken)
    assert_type(asynchronous(aconnect_sse(async_client, "GET", "url")), Taken)
    assert_type(asynchronous(async_client.get("url")), Taken)
    assert_type(asynchronous(session.get("url")), Taken)
    assert_type(asynchronous(client.stream("GET", "url")), Refused)
    assert_type(asynchronous(async_client), Refused)


def openai_streams(client: openai.OpenAI) -> None:
    chat = client.chat.completions
    assert_type(sync(chat.create(model="m", messages=[], stream=True)), Taken)
    assert_type(sync(chat.stream(model="m", messages=[])), Taken)
    with chat.stream(model="m", messages=[]) as stream:
        assert_type(sync(stream), Taken)
    raw = chat.with_raw_response.create(model="m", messages=[], stream=True)
    assert_type(sync(raw), Taken)
    streaming = chat.with_streaming_response.create(model="m", messages=[], stream=True)
    assert_type(sync(streaming), Taken)

    def seen() -> Generator[Any]:
        yield from stream

    taken: SyncReadable = seen()
    assert_type(sync(taken), Taken)
    assert_type(asynchronous(chat.create(model="m", messages=[], stream=True)), Refused)
    assert_type(sync(chat.create(model="m", messages=[])), Refused)
    assert_type(sync(client), Refused)


async def async_openai_streams(client: openai.AsyncOpenAI) -> None:
    chat = client.chat.completions
    created = chat.create(model="m", messages=[], stream=True)
    assert_type(asynchronous(created), Taken)
    assert_type(asynchronous(await created), Taken)
    assert_type(asynchronous(chat.stream(model="m", messages=[])), Taken)
    raw = chat.with_raw_response.create(model="m", messages=[], stream=True)
    assert_type(asynchronous(raw), Taken)
    streaming = chat.with_streaming_response.create(model="m", messages=[], stream=True)
    assert_type(asynchronous(streaming), Taken)
    assert_type(sync(created), Refused)
    assert_type(sync(await created), Refused)


def anthropic_streams(client: anthropic.Anthropic) -> None:
    created = client.messages.create(model="m", max_tokens=1, messages=[], stream=True)
    assert_type(sync(created), Taken)
    manager = client.messages.stream(model="m", max_tokens=1, messages=[])
    assert_type(sync(manager), Taken)
    with manager as stream:
        assert_type(sync(stream), Taken)
        assert_type(sync(stream.text_stream), Taken)
    assert_type(asynchronous(manager), Refused)
    whole = client.messages.create(model="m", max_tokens=1, messages=[])
    assert_type(sync(whole), Refused)


class Head(TypedDict):
    """What boto3 puts beside a stream."""

    HTTPStatusCode: int


class ConverseStreamResponse(TypedDict):
    """A response of boto3 as its stubs describe it; any mapping is an iterable of text, too."""

    stream: Iterator[dict[str, object]]
    ResponseMetadata: Head


class AioConverseStreamResponse(TypedDict):
    """The same of aiobotocore."""

    stream: AsyncIterator[dict[str, object]]
    ResponseMetadata: Head


class AioInvokeResponse(TypedDict):
    body: AsyncIterator[dict[str, object]]
    contentType: str


def responses_of_boto3(
    response: ConverseStreamResponse, aio: AioConverseStreamResponse, invoked: AioInvokeResponse
) -> None:
    """A response is taken with the stream that it holds, whose type tells the colour."""
    assert_type(sync(response), Taken)
    assert_type(sync(response["stream"]), Taken)
    assert_type(asynchronous(response), Refused)
    assert_type(asynchronous(response["stream"]), Refused)
    assert_type(asynchronous(aio), Taken)
    assert_type(asynchronous(aio["stream"]), Taken)
    assert_type(asynchronous(invoked), Taken)
    assert_type(asynchronous(invoked["body"]), Taken)
