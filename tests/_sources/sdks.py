"""What holds for the streams of any SDK or HTTP client; a test class of one says how they are opened.

The SDKs' own loops need asyncio, or leave generators behind on trio, of which trio warns.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from typing import Any, ClassVar, TypeAlias

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import ENDS, WAYS, AnyOpener, AsyncOpener, Body, Opener
from tests.support.either import Each, got, inside, run_in, stream_in
from tests.support.loopback import Loopback, chunked, sized
from tests.support.wire import sse
from tokenstream import tap
from tokenstream.errors import StreamError, StreamTruncated

__all__ = [
    "GARBAGE",
    "AsyncOpeners",
    "AtOnce",
    "Closing",
    "Cut",
    "Garbage",
    "Openers",
    "Reading",
    "asks_of",
    "async_openers_of",
    "on_asyncio",
    "openers_of",
    "opening",
    "opening_async",
    "seen",
    "seen_async",
]

Openers: TypeAlias = Mapping[str, tuple[Opener, Body]]
AsyncOpeners: TypeAlias = Mapping[str, tuple[AsyncOpener, Body]]

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def opening(client: Callable[[str], Any], ask: Callable[[Any], Any], *, is_entered: bool = False) -> Opener:
    @contextmanager
    def opened(url: str) -> Generator[Any]:
        with client(url) as own, ask(own) if is_entered else nullcontext(ask(own)) as source:
            yield source

    return opened


def opening_async(
    client: Callable[[str], Any],
    ask: Callable[[Any], Any],
    *,
    is_awaited: bool = False,
    is_entered: bool = False,
) -> AsyncOpener:
    """Return the same for an asynchronous client, whose request may be awaited."""

    @asynccontextmanager
    async def opened(url: str) -> AsyncGenerator[Any]:
        async with client(url) as own:
            asked = await ask(own) if is_awaited else ask(own)
            async with asked if is_entered else nullcontext(asked) as source:
                yield source

    return opened


def asks_of(api: Callable[[Any], Any], **asked: Any) -> Mapping[str, Callable[[Any], Any]]:
    """Return the ways in which openai's and anthropic's clients are asked for a stream."""
    return {
        "create": lambda client: api(client).create(**asked, stream=True),
        "stream": lambda client: api(client).stream(**asked),
        "raw response": lambda client: api(client).with_raw_response.create(**asked, stream=True),
        "streaming response": lambda client: api(client).with_streaming_response.create(**asked, stream=True),
    }


def openers_of(client: Callable[[str], Any], asks: Mapping[str, Callable[[Any], Any]]) -> dict[str, Opener]:
    return {
        "create": opening(client, asks["create"]),
        "stream helper": opening(client, asks["stream"], is_entered=True),
        "stream manager": opening(client, asks["stream"]),
        "raw response": opening(client, asks["raw response"]),
        "streaming response": opening(client, asks["streaming response"]),
    }


def async_openers_of(
    client: Callable[[str], Any], asks: Mapping[str, Callable[[Any], Any]]
) -> dict[str, AsyncOpener]:
    return {
        "create": opening_async(client, asks["create"], is_awaited=True),
        "create not awaited": opening_async(client, asks["create"]),
        "stream helper": opening_async(client, asks["stream"], is_entered=True),
        "stream manager": opening_async(client, asks["stream"]),
        "raw response": opening_async(client, asks["raw response"]),
        "streaming response": opening_async(client, asks["streaming response"]),
    }


def seen(items: Any) -> Iterator[Any]:
    """Stand for a tool that observes: a generator around the SDK's stream."""
    yield from items


async def seen_async(items: Any) -> AsyncIterator[Any]:
    """Stand for the same in an event loop."""
    async for item in items:
        yield item


_PRIVATE = "what nobody else may read"
_SSE = "text/event-stream"
GARBAGE: Mapping[str, tuple[bytes, str]] = {
    "a page": (f"<html><body>{_PRIVATE}</body></html>".encode(), "text/html"),
    "a page as events": (f"<html><body>{_PRIVATE}</body></html>".encode(), _SSE),
    "text": (_PRIVATE.encode(), "text/plain"),
    "no JSON": (f'{{"a": {_PRIVATE} <<<}}'.encode(), "application/json"),
    "another object": (json.dumps({"a": _PRIVATE}).encode(), "application/json"),
    "an array": (json.dumps([_PRIVATE, 5]).encode(), "application/json"),
    "events that are no JSON": (sse(f'{{"a": {_PRIVATE} <<<'), _SSE),
    "events of no format": (sse({"a": _PRIVATE}), _SSE),
    "events of another shape": (sse({"choices": _PRIVATE, "candidates": [_PRIVATE], "type": 5}), _SSE),
    "bytes": (bytes(range(128, 256)) + _PRIVATE.encode(), "application/octet-stream"),
}
"""What a gateway may answer with status 200, and the type that it gives it."""


class _Opened:
    """Runs each test for every way in which an SDK opens a stream."""

    openers: ClassVar[Openers]
    async_openers: ClassVar[AsyncOpeners]
    framings: ClassVar[Sequence[str]] = ("chunked",)
    """How the body is framed where it is sent in pieces."""
    garbage: ClassVar[Mapping[str, tuple[bytes, str]]] = {}
    """Bodies that are no stream, with their content types."""
    untapped: ClassVar[frozenset[str]] = frozenset()
    """The ways that open what is no loop of the SDK's, so that there is nothing to tap."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        rows = [pytest.param("sync", *row, id=way) for way, row in self.openers.items()]
        rows += [pytest.param("asyncio", *row, id=f"{way} async") for way, row in self.async_openers.items()]
        if "tapped" in metafunc.fixturenames:
            untapped = {f"{way}{async_}" for way in self.untapped for async_ in ("", " async")}
            metafunc.parametrize("colour, tapped, body", [row for row in rows if row.id not in untapped])
        elif "opener" in metafunc.fixturenames:
            metafunc.parametrize("colour, opener, body", rows)
        if "garbage" in metafunc.fixturenames:
            metafunc.parametrize("garbage", list(self.garbage.values()), ids=list(self.garbage))
        if "framing" in metafunc.fixturenames:
            metafunc.parametrize("framing", self.framings)


class Reading(_Opened):
    """A tap of a stream of the SDK says what its bytes say."""

    items: ClassVar[str]
    """What the full names of the classes of the SDK's objects begin with."""

    def test_beside_the_loop_over_the_sdk_the_message_grows(
        self, colour: str, tapped: AnyOpener, body: Body
    ) -> None:
        """`tap` yields the SDK's own objects, and sees all of the answer."""

        async def read(url: str) -> tuple[Any, list[Any]]:
            async with inside(tapped(url)) as source, inside(tap(source)) as tap_of_it:
                return tap_of_it, [item async for item in Each(tap_of_it)]

        with Loopback(chunked(body.frames)) as server:
            stream, came = run_in(colour, read, server.url)

        names = {f"{type(item).__module__}.{type(item).__name__}" for item in came}
        assert {True} == {name.startswith(self.items) for name in names}, names
        assert body.message == stream.message
        assert stream.error is None


class AtOnce(_Opened):
    """A stream of the SDK gives what has come."""

    def test_each_event_is_there_as_soon_as_it_was_sent(
        self, colour: str, opener: AnyOpener, body: Body, framing: str
    ) -> None:
        """Nothing is read ahead of what was asked for, and no read waits for more than has come."""
        run_in(colour, scenarios.gives_each_event_at_once, opener, body, framing)


class Cut(_Opened):
    """A stream of the SDK knows its end."""

    @pytest.mark.parametrize("end", ENDS)
    def test_a_cut_connection_is_no_end(self, colour: str, opener: AnyOpener, body: Body, end: Any) -> None:
        """The stream raises and keeps the partial."""
        run_in(colour, scenarios.tells_a_cut_from_an_end, opener, body, end)


class Closing(_Opened):
    """A stream of the SDK lets go of its connection."""

    @pytest.mark.parametrize("way", WAYS)
    def test_the_server_sees_the_connection_closed(
        self, colour: str, opener: AnyOpener, body: Body, way: str
    ) -> None:
        run_in(colour, scenarios.closes, opener, body, way)


class Garbage(_Opened):
    """An answer that is no stream is the server's fault, whatever the SDK makes of it."""

    garbage = GARBAGE

    def test_garbage_is_none_of_the_callers_nor_of_the_networks(
        self, colour: str, opener: AnyOpener, body: Body, garbage: tuple[bytes, str]
    ) -> None:
        """The error is a `StreamError` that says so, and does not quote what came."""
        sent, content_type = garbage

        async def told(url: str) -> StreamError | None:
            async with AsyncExitStack() as stack:
                try:
                    source = await stack.enter_async_context(inside(opener(url)))
                except Exception:  # noqa: BLE001 - the SDK's own, before there is anything to hand over
                    return None
                async with inside(stream_in(colour)(source)) as stream:
                    with pytest.raises(StreamError) as caught:
                        await got(stream.final())
                return caught.value

        with Loopback(sized(sent, content_type=content_type)) as server:
            error = run_in(colour, told, server.url)

        # Where an SDK drops what it cannot read, all that is left is that nothing came.
        assert error is None or isinstance(error, StreamTruncated) or error.kind != "network"
        assert _PRIVATE not in str(error)
