"""Views that are closed, or that nobody holds any more: they let go of a stream that only they held."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.stream.async_sources import HEL, is_closed, open_after, readers, until
from tests.stream.bodies import ANSWER, AsyncSource, Source
from tests.support.either import Each, got, in_each_loop, inside, stream_in
from tests.support.timing import PATIENCE
from tests.support.views import VIEWS
from tokenstream import AsyncStream, Stream, aconnect, connect

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
every_view = pytest.mark.parametrize("view_of", VIEWS.values(), ids=VIEWS.keys())


@every_view
def test_a_closed_view_lets_go_of_a_stream_that_only_it_holds(view_of: Callable[[Any], Any]) -> None:
    """What a WSGI server calls when its client has gone closes the source at once, and says so."""
    source = Source(ANSWER)
    view = view_of(Stream(source))
    with pytest.warns(ResourceWarning, match="never closed: use `with`"):
        view.close()

    assert source.closed == 1
    view.close()


@pytest.mark.anyio
@every_view
async def test_a_closed_asynchronous_view_lets_go_too(view_of: Callable[[Any], Any]) -> None:
    """`aclosing` is the caller's way to say so."""
    with pytest.warns(ResourceWarning, match="never closed: use `async with`"):
        async with aclosing(view_of(AsyncStream(AsyncSource(ANSWER)))):
            pass


def test_closing_a_view_cuts_the_connection() -> None:
    async def main(url: str) -> None:
        view = aconnect(url).text
        assert await anext(view) == "Hel"
        with pytest.warns(ResourceWarning, match="never closed"):
            await view.aclose()
        await until(lambda: not readers())

    with open_after(HEL) as server:
        text = connect(server.url).text
        with pytest.warns(ResourceWarning, match="never closed"), closing(text):
            assert next(text) == "Hel"
        asyncio.run(main(server.url))

        assert server.connection(0).closed_within()
        assert server.connection(1).closed_within()


def test_a_view_that_is_closed_leaves_a_stream_that_is_held_elsewhere_open() -> None:
    source = Source(ANSWER)
    with Stream(source) as stream:
        first, other = stream.text, stream.text
        assert next(first) == "Let "
        first.close()

        assert list(first) == []
        assert list(first) == []
        assert source.closed == 0
        assert list(other) == ["Let ", "me ", "see."]


@in_each_loop
async def test_a_closed_view_is_over_and_so_is_what_is_made_of_it(colour: str) -> None:
    async with inside(stream_in(colour)(ANSWER)) as stream:
        calls = stream.tool_calls
        await got(calls.close() if colour == "sync" else calls.aclose())

        assert [call async for call in Each(calls)] == []
        assert [call async for call in Each(calls.when_complete())] == []
        assert [call.id async for call in Each(stream.tool_calls)] == ["call_a", "call_b"]


async def iterated_in_threads(items: Iterator[str]) -> AsyncIterator[str]:
    """Do what Starlette and FastAPI do with an iterator that they are to send."""
    while (item := await anyio.to_thread.run_sync(next, items, None)) is not None:
        yield item


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_view_that_a_server_drops_closes_the_connection_when_it_is_collected(colour: str) -> None:
    """Starlette cancels the task that sends, and closes nothing: collecting what is left does."""

    async def send(url: str, sent: anyio.Event) -> None:
        pieces = aconnect(url).text if colour == "async" else iterated_in_threads(connect(url).text)
        async for _ in pieces:
            sent.set()
            if colour == "sync":
                await anyio.sleep_forever()

    async def main(url: str) -> None:
        async with anyio.create_task_group() as tasks:
            sent = anyio.Event()
            tasks.start_soon(send, url, sent)
            await sent.wait()
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(PATIENCE):
            while not is_told():
                gc.collect()
                await anyio.sleep(0.01)

    def is_told() -> bool:
        return any("never closed" in str(each.message) for each in told)

    with open_after(HEL) as server:
        with warnings.catch_warnings(record=True) as told:
            # The collector may find the socket first, which then warns, too.
            warnings.simplefilter("always", ResourceWarning)
            asyncio.run(main(server.url))

        assert is_told()
        assert is_closed(server)
