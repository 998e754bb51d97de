"""What holds for the streams of any SDK; a test class of an SDK says how its streams are opened.

The SDKs' own loops need asyncio, or leave generators behind on trio, of which trio warns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any, ClassVar, TypeAlias

import pytest

from tests.sources import scenarios
from tests.sources.scenarios import ENDS, WAYS, AsyncOpener, Body, Opener
from tests.support.loopback import Loopback, chunked, sized
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream, tap
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
    "on_asyncio",
]

Openers: TypeAlias = Mapping[str, tuple[Opener, Body]]
AsyncOpeners: TypeAlias = Mapping[str, tuple[AsyncOpener, Body]]

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


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
        for name, rows in (("opener", self.openers), ("async_opener", self.async_openers)):
            tapped = {way: row for way, row in rows.items() if way not in self.untapped}
            for fixture, found in ((name, rows), (f"tapped_{name}", tapped)):
                if fixture in metafunc.fixturenames:
                    metafunc.parametrize((fixture, "body"), list(found.values()), ids=list(found))
        if "garbage" in metafunc.fixturenames:
            metafunc.parametrize("garbage", list(self.garbage.values()), ids=list(self.garbage))
        if "framing" in metafunc.fixturenames:
            metafunc.parametrize("framing", self.framings)


class Reading(_Opened):
    """A tap of a stream of the SDK says what its bytes say."""

    items: ClassVar[str]
    """What the full names of the classes of the SDK's objects begin with."""

    def test_beside_the_loop_over_the_sdk_the_message_grows(self, tapped_opener: Opener, body: Body) -> None:
        """`tap` yields the SDK's own objects, and sees all of the answer."""
        with Loopback(chunked(body.frames)) as server, tapped_opener(server.url) as source:
            tapped = tap(source)
            came = list(tapped)

        self._came_whole(tapped, came, body)

    @on_asyncio
    async def test_beside_an_async_loop_over_the_sdk_the_message_grows(
        self, tapped_async_opener: AsyncOpener, body: Body
    ) -> None:
        """The same for `async for`."""
        with Loopback(chunked(body.frames)) as server:
            async with tapped_async_opener(server.url) as source:
                tapped: Any = tap(source)
                async with tapped:
                    came = [item async for item in tapped]

        self._came_whole(tapped, came, body)

    def _came_whole(self, tapped: Any, came: list[Any], body: Body) -> None:
        names = {f"{type(item).__module__}.{type(item).__name__}" for item in came}
        assert {True} == {name.startswith(self.items) for name in names}, names
        assert body.message == tapped.message
        assert tapped.error is None


class AtOnce(_Opened):
    """A stream of the SDK gives what has come."""

    def test_each_event_is_there_as_soon_as_it_was_sent(
        self, opener: Opener, body: Body, framing: str
    ) -> None:
        """Nothing is read ahead of what was asked for, and no read waits for more than has come."""
        scenarios.gives_each_event_at_once(opener, body, framing)

    @on_asyncio
    async def test_each_event_is_there_at_once_in_an_async_loop(
        self, async_opener: AsyncOpener, body: Body
    ) -> None:
        """The same for `async for`."""
        await scenarios.gives_each_event_at_once_async(async_opener, body, "chunked")


class Cut(_Opened):
    """A stream of the SDK knows its end."""

    @pytest.mark.parametrize("end", ENDS)
    def test_a_cut_connection_is_no_end(self, opener: Opener, body: Body, end: Any) -> None:
        """The stream raises and keeps the partial."""
        scenarios.tells_a_cut_from_an_end(opener, body, end)

    @on_asyncio
    async def test_a_cut_connection_is_no_end_in_an_async_loop(
        self, async_opener: AsyncOpener, body: Body
    ) -> None:
        """The same for `async for`."""
        await scenarios.tells_a_cut_from_an_end_async(async_opener, body)


class Closing(_Opened):
    """A stream of the SDK lets go of its connection."""

    @pytest.mark.parametrize("way", WAYS)
    def test_the_server_sees_the_connection_closed(self, opener: Opener, body: Body, way: str) -> None:
        """By `close`, at the end of `with`, and by `stop`."""
        scenarios.closes(opener, body, way)

    @on_asyncio
    @pytest.mark.parametrize("way", WAYS)
    async def test_the_server_sees_the_connection_of_an_async_stream_closed(
        self, async_opener: AsyncOpener, body: Body, way: str
    ) -> None:
        """By `aclose`, at the end of `async with`, and by `stop`."""
        await scenarios.closes_async(async_opener, body, way)


class Garbage(_Opened):
    """An answer that is no stream is the server's fault, whatever the SDK makes of it."""

    garbage = GARBAGE

    def test_garbage_is_none_of_the_callers_nor_of_the_networks(
        self, opener: Opener, body: Body, garbage: tuple[bytes, str]
    ) -> None:
        """The error is a `StreamError` that says so, and does not quote what came."""
        sent, content_type = garbage
        with Loopback(sized(sent, content_type=content_type)) as server, ExitStack() as stack:
            try:
                source = stack.enter_context(opener(server.url))
            except Exception:  # noqa: BLE001 - the SDK's own, before there is anything to hand over
                return
            with pytest.raises(StreamError) as caught:
                Stream(source).final()

        self._is_told(caught.value)

    @on_asyncio
    async def test_garbage_is_none_of_the_callers_nor_of_the_networks_in_an_async_loop(
        self, async_opener: AsyncOpener, body: Body, garbage: tuple[bytes, str]
    ) -> None:
        """The same for `async for`, also where it is awaited first."""
        sent, content_type = garbage
        with Loopback(sized(sent, content_type=content_type)) as server:
            async with AsyncExitStack() as stack:
                try:
                    source = await stack.enter_async_context(async_opener(server.url))
                except Exception:  # noqa: BLE001 - the SDK's own, before there is anything to hand over
                    return
                async with AsyncStream(source) as stream:
                    with pytest.raises(StreamError) as caught:
                        await stream.final()

        self._is_told(caught.value)

    def _is_told(self, error: StreamError) -> None:
        # Where an SDK drops what it cannot read, all that is left is that nothing came.
        assert isinstance(error, StreamTruncated) or error.kind != "network"
        assert _PRIVATE not in str(error)
