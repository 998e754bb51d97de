"""Every way in over HTTP: real libraries and real SDKs, each as a user hands its stream over."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from tokenstream import testing

_HELLO = testing.script().text("Hel", "lo").finish("stop")
CHAT = _HELLO.chunks("openai-chat")
"""An answer as openai-chat sends it."""
_START, _OPEN, *_REST = _HELLO.chunks("anthropic")
CLAUDE = [_START + _OPEN, *_REST]
"""The same answer as anthropic sends it; the first text is the second chunk here, too."""
_Ask: TypeAlias = Callable[[Any, str], Any]
"""Asks with a client at an address, and gives what a user hands over."""


@dataclass(frozen=True)
class Way:
    """A way in."""

    name: str
    needs: str
    """The module without which it cannot be tried."""
    body: Sequence[bytes]
    open: Callable[[str], Any]
    """Opens a client, and gives what asks with it, any number of times."""
    backends: Sequence[str] = ()
    """The event loops of an asynchronous one. What it gives when it was awaited may be awaitable itself."""
    reachable: bool = True
    """Whether a blocked read can be woken."""
    reuses: bool = True
    """Whether a connection whose answer was read whole carries the client's next request."""

    def __str__(self) -> str:
        return self.name


def _way(name: str, client: Callable[[str], Any], ask: _Ask, *, needs: str = "", **more: Any) -> Way:
    @contextmanager
    def opened(url: str) -> Generator[Any]:
        with client(url) as own:
            yield lambda: ask(own, url)

    return Way(name, needs or name.partition("-")[0], more.pop("body", CHAT), opened, **more)


def _async_way(
    name: str,
    client: Callable[[str], Any],
    ask: _Ask,
    *,
    needs: str = "",
    awaited: bool = False,
    backends: Sequence[str] = ("asyncio", "trio"),
    **more: Any,
) -> Way:
    @asynccontextmanager
    async def opened(url: str) -> AsyncGenerator[Any]:
        async with client(url) as own:

            async def asked() -> Any:
                given = ask(own, url)
                return await given if awaited else given

            yield asked

    return Way(name, needs or name.partition("-")[0], more.pop("body", CHAT), opened, backends, **more)


def _client(library: str, kind: str, **options: Any) -> Callable[[str], Any]:
    return lambda _: getattr(importlib.import_module(library), kind)(**options)


# -- libraries that only carry bytes ----------------------------------------


def _sent(client: Any, url: str) -> Any:
    return client.send(client.build_request("POST", url), stream=True)


def _stream(client: Any, url: str) -> Any:
    return client.stream("POST", url)


def _posted(client: Any, url: str) -> Any:
    return client.post(url)


def _event_source(client: Any, url: str) -> Any:
    return importlib.import_module("httpx_sse").EventSource(_sent(client, url))


async def _async_event_source(client: Any, url: str) -> Any:
    return importlib.import_module("httpx_sse").EventSource(await _sent(client, url))


def _chunks(client: Any, url: str) -> Iterator[bytes]:
    with client.stream("POST", url) as response:
        yield from response.iter_raw()


async def _async_chunks(client: Any, url: str) -> AsyncIterator[bytes]:
    async with client.stream("POST", url) as response:
        async for chunk in response.aiter_raw():
            yield chunk


def _session(_: str) -> Any:
    aiohttp = importlib.import_module("aiohttp")
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))


# -- SDKs --------------------------------------------------------------------

_ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
_CLAUDE_ASKED = {**_ASKED, "max_tokens": 9}
_CHATS: dict[str, _Ask] = {
    "": lambda client, _: client.chat.completions.create(**_ASKED, stream=True),
    "-helper": lambda client, _: client.chat.completions.stream(**_ASKED),
    "-raw": lambda client, _: client.chat.completions.with_raw_response.create(**_ASKED, stream=True),
    "-streamed": lambda client, _: client.chat.completions.with_streaming_response.create(
        **_ASKED, stream=True
    ),
}
_CLAUDES: dict[str, _Ask] = {
    "": lambda client, _: client.messages.create(**_CLAUDE_ASKED, stream=True),
    "-helper": lambda client, _: client.messages.stream(**_CLAUDE_ASKED),
    "-raw": lambda client, _: client.messages.with_raw_response.create(**_CLAUDE_ASKED, stream=True),
}


def _around(ask: _Ask) -> _Ask:
    """Hide the response, as wrappers for observability do."""

    def passed(client: Any, url: str) -> Iterator[Any]:
        with ask(client, url) as stream:
            yield from stream

    return passed


def _around_async(ask: _Ask) -> _Ask:
    async def passed(client: Any, url: str) -> AsyncIterator[Any]:
        asked = ask(client, url)
        async with asked if hasattr(asked, "__aenter__") else await asked as stream:
            async for item in stream:
                yield item

    return passed


def _of_sdks(way: Callable[..., Way], prefix: str, around: Callable[[_Ask], _Ask]) -> Iterator[Way]:
    for kind, body, asks in (("OpenAI", CHAT, _CHATS), ("Anthropic", CLAUDE, _CLAUDES)):
        library = kind.lower()

        def client(url: str, library: str = library, kind: str = prefix + kind) -> Any:
            options: dict[str, Any] = {"api_key": "k", "max_retries": 0, "timeout": None}
            return getattr(importlib.import_module(library), kind)(base_url=url, **options)

        for end, ask in asks.items():
            yield way(f"{library}{end}", client, ask, body=body)
        for end in ("", "-helper"):
            # openai leaves the body at `[DONE]`, so what comes after that is not read.
            hidden = {"reachable": False, "reuses": kind != "OpenAI"}
            yield way(f"{library}{end}-hidden", client, around(asks[end]), body=body, **hidden)


_HTTPX = _client("httpx", "Client", timeout=None)
WAYS = [
    _way("httpx", _HTTPX, _sent),
    _way("httpx2", _client("httpx2", "Client", timeout=None), _sent),
    _way("httpx-stream", _HTTPX, _stream),
    _way("httpx-sse", _HTTPX, _event_source, needs="httpx_sse"),
    _way("requests", _client("requests", "Session"), lambda client, url: client.post(url, stream=True)),
    _way(
        "urllib3",
        _client("urllib3", "PoolManager"),
        lambda client, url: client.request("POST", url, preload_content=False, retries=False),
    ),
    *_of_sdks(_way, "", _around),
    _way("iterable-of-bytes", _HTTPX, _chunks, needs="httpx", reachable=False),
]
"""What a `Stream` takes that comes over HTTP."""

_ASYNC_HTTPX = _client("httpx", "AsyncClient", timeout=None)
ASYNC_WAYS = [
    _async_way("httpx", _ASYNC_HTTPX, _sent),
    _async_way("httpx2", _client("httpx2", "AsyncClient", timeout=None), _sent),
    _async_way("httpx-stream", _ASYNC_HTTPX, _stream),
    _async_way("httpx-sse", _ASYNC_HTTPX, _async_event_source, needs="httpx_sse"),
    _async_way("aiohttp", _session, _posted, awaited=True, backends=("asyncio",)),
    _async_way("aiohttp-unawaited", _session, _posted, backends=("asyncio",)),
    *_of_sdks(_async_way, "Async", _around_async),
    _async_way("iterable-of-bytes", _ASYNC_HTTPX, _async_chunks, needs="httpx"),
]
"""What an `AsyncStream` takes that comes over HTTP."""
