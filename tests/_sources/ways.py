"""Every way in over HTTP: real libraries and real SDKs, each as a user hands its stream over."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.stream.bodies import chunk
from tests.support.wire import DONE, sse

CHAT = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    DONE,
]
"""An answer as openai-chat sends it."""


def _event(name: str, **fields: Any) -> bytes:
    return sse({"type": name, **fields}, event=name)


def _text(text: str) -> bytes:
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


CLAUDE = [
    _event(
        "message_start",
        message={
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    )
    + _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    _text("Hel"),
    _text("lo"),
    _event("content_block_stop", index=0)
    + _event(
        "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 3}
    ),
    _event("message_stop"),
]
"""The same answer as anthropic sends it."""

Ask: TypeAlias = Callable[[], Any]
"""Gives what a user hands to `Stream`, for one request more of the same client."""
AsyncAsk: TypeAlias = Callable[[], Awaitable[Any]]
"""The same for `AsyncStream`; what it gives when it was awaited may be awaitable itself."""


@dataclass(frozen=True)
class Way:
    """A way in."""

    name: str
    needs: tuple[str, ...]
    """Modules without which it cannot be tried."""
    body: list[bytes]
    open: Callable[[str], AbstractContextManager[Ask]]
    """Opens a client, and gives what asks with it, any number of times."""
    reachable: bool = True
    """Whether a blocked read can be woken."""
    reuses: bool = True
    """Whether a connection whose answer was read whole carries the client's next request."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class AsyncWay:
    """An asynchronous way in."""

    name: str
    needs: tuple[str, ...]
    body: list[bytes]
    open: Callable[[str], AbstractAsyncContextManager[AsyncAsk]]
    backends: tuple[str, ...] = ("asyncio", "trio")
    reuses: bool = True

    def __str__(self) -> str:
        return self.name


def _load(name: str) -> Any:
    return importlib.import_module(name)


# -- libraries that only carry bytes ----------------------------------------


def _httpx(library: str, hand_over: Callable[[Any, str], Any]) -> Callable[[str], Any]:
    @contextmanager
    def opened(url: str) -> Generator[Any]:
        with _load(library).Client(timeout=None) as client:
            yield lambda: hand_over(client, url)

    return opened


def _httpx_async(library: str, hand_over: Callable[[Any, str], Any]) -> Callable[[str], Any]:
    @asynccontextmanager
    async def opened(url: str) -> AsyncGenerator[Any]:
        async with _load(library).AsyncClient(timeout=None) as client:

            async def ask() -> Any:
                return hand_over(client, url)

            yield ask

    return opened


def _sent(client: Any, url: str) -> Any:
    return client.send(client.build_request("POST", url), stream=True)


def _event_source(client: Any, url: str) -> Any:
    return _load("httpx_sse").EventSource(_sent(client, url))


def _chunks(client: Any, url: str) -> Iterator[bytes]:
    with client.stream("POST", url) as response:
        yield from response.iter_raw()


async def _async_chunks(client: Any, url: str) -> AsyncIterator[bytes]:
    async with client.stream("POST", url) as response:
        async for chunk in response.aiter_raw():
            yield chunk


async def _async_event_source(client: Any, url: str) -> Any:
    return _load("httpx_sse").EventSource(await _sent(client, url))


@contextmanager
def _requests(url: str) -> Generator[Any]:
    with _load("requests").Session() as session:
        yield lambda: session.post(url, stream=True)


@contextmanager
def _urllib3(url: str) -> Generator[Any]:
    with _load("urllib3").PoolManager() as pool:
        yield lambda: pool.request("POST", url, preload_content=False, retries=False)


def _aiohttp(*, awaited: bool) -> Callable[[str], Any]:
    @asynccontextmanager
    async def opened(url: str) -> AsyncGenerator[Any]:
        aiohttp = _load("aiohttp")
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:

            async def ask() -> Any:
                asked = session.post(url)
                return (await asked) if awaited else asked

            yield ask

    return opened


# -- SDKs --------------------------------------------------------------------

_ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "q"}]}


def _sdk(library: str, kind: str, hand_over: Callable[[Any], Any]) -> Callable[[str], Any]:
    @contextmanager
    def opened(url: str) -> Generator[Any]:
        with getattr(_load(library), kind)(base_url=url, api_key="k", max_retries=0, timeout=None) as client:
            yield lambda: hand_over(client)

    return opened


def _sdk_async(library: str, kind: str, hand_over: Callable[[Any], Any]) -> Callable[[str], Any]:
    @asynccontextmanager
    async def opened(url: str) -> AsyncGenerator[Any]:
        client = getattr(_load(library), kind)(base_url=url, api_key="k", max_retries=0, timeout=None)
        async with client:

            async def ask() -> Any:
                return hand_over(client)

            yield ask

    return opened


def _chat(client: Any) -> Any:
    return client.chat.completions.create(**_ASKED, stream=True)


def _chat_helper(client: Any) -> Any:
    return client.chat.completions.stream(**_ASKED)


def _chat_raw(client: Any) -> Any:
    return client.chat.completions.with_raw_response.create(**_ASKED, stream=True)


def _chat_streamed(client: Any) -> Any:
    return client.chat.completions.with_streaming_response.create(**_ASKED, stream=True)


def _claude(client: Any) -> Any:
    return client.messages.create(**_ASKED, max_tokens=9, stream=True)


def _claude_helper(client: Any) -> Any:
    return client.messages.stream(**_ASKED, max_tokens=9)


def _claude_raw(client: Any) -> Any:
    return client.messages.with_raw_response.create(**_ASKED, max_tokens=9, stream=True)


def _around(ask: Callable[[Any], Any]) -> Callable[[Any], Iterator[Any]]:
    """Hide the response, as wrappers for observability do."""

    def passed(client: Any) -> Iterator[Any]:
        with ask(client) as stream:
            yield from stream

    return passed


def _around_async(ask: Callable[[Any], Any]) -> Callable[[Any], AsyncIterator[Any]]:
    async def passed(client: Any) -> AsyncIterator[Any]:
        asked = ask(client)
        async with asked if hasattr(asked, "__aenter__") else await asked as stream:
            async for item in stream:
                yield item

    return passed


_OPENAI, _ANTHROPIC = ("openai",), ("anthropic",)
WAYS = [
    Way("httpx", ("httpx",), CHAT, _httpx("httpx", _sent)),
    Way("httpx2", ("httpx2",), CHAT, _httpx("httpx2", _sent)),
    Way("httpx-stream", ("httpx",), CHAT, _httpx("httpx", lambda client, url: client.stream("POST", url))),
    Way("httpx-sse", ("httpx_sse",), CHAT, _httpx("httpx", _event_source)),
    Way("requests", ("requests",), CHAT, _requests),
    Way("urllib3", ("urllib3",), CHAT, _urllib3),
    Way("openai", _OPENAI, CHAT, _sdk("openai", "OpenAI", _chat)),
    Way("openai-helper", _OPENAI, CHAT, _sdk("openai", "OpenAI", _chat_helper)),
    Way("openai-raw", _OPENAI, CHAT, _sdk("openai", "OpenAI", _chat_raw)),
    Way("openai-streamed", _OPENAI, CHAT, _sdk("openai", "OpenAI", _chat_streamed)),
    # The SDK leaves the body at `[DONE]`, so what comes after that is not read.
    Way(
        "openai-hidden",
        _OPENAI,
        CHAT,
        _sdk("openai", "OpenAI", _around(_chat)),
        reachable=False,
        reuses=False,
    ),
    Way(
        "openai-helper-hidden",
        _OPENAI,
        CHAT,
        _sdk("openai", "OpenAI", _around(_chat_helper)),
        reachable=False,
        reuses=False,
    ),
    Way("anthropic", _ANTHROPIC, CLAUDE, _sdk("anthropic", "Anthropic", _claude)),
    Way("anthropic-helper", _ANTHROPIC, CLAUDE, _sdk("anthropic", "Anthropic", _claude_helper)),
    Way("anthropic-raw", _ANTHROPIC, CLAUDE, _sdk("anthropic", "Anthropic", _claude_raw)),
    Way(
        "anthropic-hidden",
        _ANTHROPIC,
        CLAUDE,
        _sdk("anthropic", "Anthropic", _around(_claude)),
        reachable=False,
    ),
    Way(
        "anthropic-helper-hidden",
        _ANTHROPIC,
        CLAUDE,
        _sdk("anthropic", "Anthropic", _around(_claude_helper)),
        reachable=False,
    ),
    Way("iterable-of-bytes", ("httpx",), CHAT, _httpx("httpx", _chunks), reachable=False),
]
"""What a `Stream` takes that comes over HTTP."""

ASYNC_WAYS = [
    AsyncWay("httpx", ("httpx",), CHAT, _httpx_async("httpx", _sent)),
    AsyncWay("httpx2", ("httpx2",), CHAT, _httpx_async("httpx2", _sent)),
    AsyncWay(
        "httpx-stream",
        ("httpx",),
        CHAT,
        _httpx_async("httpx", lambda client, url: client.stream("POST", url)),
    ),
    AsyncWay("httpx-sse", ("httpx_sse",), CHAT, _httpx_async("httpx", _async_event_source)),
    AsyncWay("aiohttp", ("aiohttp",), CHAT, _aiohttp(awaited=True), backends=("asyncio",)),
    AsyncWay("aiohttp-unawaited", ("aiohttp",), CHAT, _aiohttp(awaited=False), backends=("asyncio",)),
    AsyncWay("openai", _OPENAI, CHAT, _sdk_async("openai", "AsyncOpenAI", _chat)),
    AsyncWay("openai-helper", _OPENAI, CHAT, _sdk_async("openai", "AsyncOpenAI", _chat_helper)),
    AsyncWay("openai-raw", _OPENAI, CHAT, _sdk_async("openai", "AsyncOpenAI", _chat_raw)),
    AsyncWay("openai-streamed", _OPENAI, CHAT, _sdk_async("openai", "AsyncOpenAI", _chat_streamed)),
    AsyncWay(
        "openai-hidden",
        _OPENAI,
        CHAT,
        _sdk_async("openai", "AsyncOpenAI", _around_async(_chat)),
        reuses=False,
    ),
    AsyncWay(
        "openai-helper-hidden",
        _OPENAI,
        CHAT,
        _sdk_async("openai", "AsyncOpenAI", _around_async(_chat_helper)),
        reuses=False,
    ),
    AsyncWay("anthropic", _ANTHROPIC, CLAUDE, _sdk_async("anthropic", "AsyncAnthropic", _claude)),
    AsyncWay(
        "anthropic-helper", _ANTHROPIC, CLAUDE, _sdk_async("anthropic", "AsyncAnthropic", _claude_helper)
    ),
    AsyncWay("anthropic-raw", _ANTHROPIC, CLAUDE, _sdk_async("anthropic", "AsyncAnthropic", _claude_raw)),
    AsyncWay(
        "anthropic-hidden",
        _ANTHROPIC,
        CLAUDE,
        _sdk_async("anthropic", "AsyncAnthropic", _around_async(_claude)),
    ),
    AsyncWay(
        "anthropic-helper-hidden",
        _ANTHROPIC,
        CLAUDE,
        _sdk_async("anthropic", "AsyncAnthropic", _around_async(_claude_helper)),
    ),
    AsyncWay("iterable-of-bytes", ("httpx",), CHAT, _httpx_async("httpx", _async_chunks)),
]
"""What an `AsyncStream` takes that comes over HTTP."""
