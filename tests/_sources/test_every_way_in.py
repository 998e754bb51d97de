"""Each source, in both colours: read, stopped from elsewhere, cancelled, broken, collected.

The server tells in each case when its client has closed.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests._sources.ways import ASYNC_WAYS, WAYS, Way
from tests.support.either import Each, inside, run_in
from tests.support.loopback import FIN, LAST_CHUNK, OPEN, REQUEST, Loopback, chunked_head, http_chunk
from tests.support.packages import needed
from tests.support.timing import at_once, tried_again, wait_for
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamInterrupted
from tokenstream.events import TextDelta

_SOON = 30.0
"""Seconds for what takes milliseconds on a machine that has nothing else to do."""
_ASYNC_ROWS = [
    pytest.param(way, backend, id=f"{way}-{backend}") for way in ASYNC_WAYS for backend in way.backends
]
every_way = pytest.mark.parametrize("way", WAYS, ids=str)
every_async_way = pytest.mark.parametrize("way, backend", _ASYNC_ROWS)


def _whole_twice(way: Way) -> Loopback:
    answer = [chunked_head(), *map(http_chunk, way.body), LAST_CHUNK]
    return Loopback([*answer, REQUEST, *answer, OPEN])


def _whole_at_once_twice(way: Way) -> Loopback:
    answer = chunked_head() + http_chunk(b"".join(way.body)) + LAST_CHUNK
    return Loopback([answer, REQUEST, answer, OPEN])


def _cut(way: Way) -> Loopback:
    return Loopback([chunked_head(), *map(http_chunk, way.body[:3]), FIN])


def _silent(way: Way, gate: threading.Event) -> Loopback:
    """Answer in part, and go on only when the gate is open."""
    first, rest = way.body[:2], way.body[2:3]
    return Loopback([chunked_head(), *map(http_chunk, first), gate, *map(http_chunk, rest), OPEN])


def _closes_at_once(server: Loopback, since: float) -> None:
    """Assert that the client closes, and within the time that the server may expect."""
    connection = server.connection()
    assert connection.closed_within(_SOON)
    at_once(since, connection.closed_at)


def _leaves_a_connection_to_use_or_none(way: Way, server: Loopback) -> None:
    """Assert that the first of two requests has left a connection that carried the second, or is closed."""
    requests = [len(connection.requests) for connection in server.connections]
    assert [2] == requests or (not way.reuses and server.connection().closed_within(_SOON))


def _holds_no_connection_back(server: Loopback) -> None:
    requests = [len(connection.requests) for connection in server.connections]
    assert [2] == requests or server.connection().closed_within(_SOON)


# -- both -------------------------------------------------------------------


async def _opened(way: Way, ask: Any) -> Any:
    return AsyncStream(await ask()) if way.backends else Stream(ask())


async def _see(way: Way, check: Callable[..., None], *about: Any) -> None:
    """Check what a server has seen; a loop goes on meanwhile, so that whoever closes in a task can."""
    if way.backends:
        await anyio.to_thread.run_sync(check, *about)
    else:
        check(*about)


async def _read_to_the_end(way: Way, server: Loopback) -> None:
    async with inside(way.open(server.url)) as ask:
        for _ in range(2):
            async with inside(await _opened(way, ask)) as stream:
                pieces = [piece async for piece in Each(stream.text)]

                assert ["Hel", "lo"] == pieces
                assert ("complete", "stop") == (stream.message.ending, stream.message.finish_reason)
                assert stream.closed
                assert {} == stream.departures.details
        _leaves_a_connection_to_use_or_none(way, server)


async def _stop_at_the_first_text(way: Way, server: Loopback) -> None:
    async with inside(way.open(server.url)) as ask:
        for _ in range(2):
            async with inside(await _opened(way, ask)) as stream:
                async for event in Each(stream):
                    if isinstance(event, TextDelta):
                        break

            assert ("Hel", "stopped") == (stream.message.text, stream.message.ending)
        await _see(way, _holds_no_connection_back, server)


async def _read_to_the_break(way: Way, server: Loopback) -> None:
    async with inside(way.open(server.url)) as ask:
        stream = await _opened(way, ask)
        pieces: list[str] = []
        with pytest.raises(StreamInterrupted) as caught:
            async for piece in Each(stream.text):
                pieces.append(piece)
        since = time.monotonic()

        assert ["Hel", "lo"] == pieces
        assert caught.value.partial == stream.message
        assert ("Hello", "truncated") == (stream.message.text, stream.message.ending)
        assert caught.value.retryable
        assert caught.value.__cause__ is not None
        await _see(way, _closes_at_once, server, since)


async def _drop(way: Way, server: Loopback) -> None:
    async with inside(way.open(server.url)) as ask:
        stream = await _opened(way, ask)
        assert "Hel" == await anext(Each(stream.text))
        with pytest.warns(ResourceWarning, match="never closed: use `(async )?with`"):
            del stream
            gc.collect()
            since = time.monotonic()

        await _see(way, _closes_at_once, server, since)


PROGRAMS: dict[str, tuple[Any, Callable[..., Loopback]]] = {
    # Text as it arrives, the whole message, and a connection for the client's next request.
    "read to its end": (_read_to_the_end, _whole_twice),
    # The end of the body has come, too, when the stream is stopped at its first text.
    "stopped after it came at once": (_stop_at_the_first_text, _whole_at_once_twice),
    # After what had come; the partial is on the error.
    "broken": (_read_to_the_break, _cut),
    # With a warning that says how to do better.
    "held by nobody": (_drop, lambda way: _silent(way, threading.Event())),
}
every_program = pytest.mark.parametrize("program, serve", PROGRAMS.values(), ids=PROGRAMS)


@every_way
@every_program
@tried_again
def test_it_ends_as_its_answer_does(way: Way, program: Any, serve: Any) -> None:
    """Read whole, stopped, broken or dropped, it leaves the message and the connection as it should."""
    needed(way.needs)
    with serve(way) as server:
        run_in("sync", program, way, server)


# openai leaves generators of its own at `[DONE]`, trio says so, and of each generator within the libraries.
@pytest.mark.few_rows(5)
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@every_program
@every_async_way
@tried_again
def test_it_ends_as_its_answer_does_async(way: Way, backend: str, program: Any, serve: Any) -> None:
    needed(way.needs)
    with serve(way) as server:
        run_in(backend, program, way, server)


# -- sync -------------------------------------------------------------------


@every_way
@tried_again
def test_a_stop_from_another_thread_ends_a_read_that_waits(way: Way) -> None:
    """The loop ends as at the end of the answer; what had come is kept; the server sees it."""
    needed(way.needs)
    gate = threading.Event()
    with _silent(way, gate) as server, way.open(server.url) as ask:
        stream = Stream(ask())
        pieces: list[str] = []
        reader = threading.Thread(target=lambda: pieces.extend(stream.text), daemon=True)
        reader.start()
        wait_for(lambda: stream.message.text == "Hel")
        since = time.monotonic()
        stream.stop("enough")
        returned_at = time.monotonic()
        assert stream.message.ending == "stopped"
        if not way.reachable:
            # Nobody can wake it: it ends when its source next answers.
            since = time.monotonic()
            gate.set()
        reader.join(_SOON)

        assert not reader.is_alive()
        assert (["Hel"], "Hel", "stopped") == (pieces, stream.message.text, stream.message.ending)
        assert stream.closed
        at_once(since, returned_at)
        _closes_at_once(server, since)


@every_way
@tried_again
def test_ctrl_c_within_a_block_closes_it(way: Way) -> None:
    """The interrupt passes unchanged; the partial is whole."""
    needed(way.needs)
    with _silent(way, threading.Event()) as server, way.open(server.url) as ask:
        stream = Stream(ask())
        since = time.monotonic()
        with pytest.raises(KeyboardInterrupt), stream:
            for _ in stream.text:
                since = time.monotonic()
                raise KeyboardInterrupt

        assert ("Hel", "stopped") == (stream.message.text, stream.message.ending)
        _closes_at_once(server, since)


# -- async ------------------------------------------------------------------


@pytest.mark.few_rows(4)
@every_async_way
@pytest.mark.parametrize("where", ["task", "thread"])
@tried_again
def test_a_stop_from_elsewhere_ends_a_read_that_waits_async(way: Way, backend: str, where: str) -> None:
    needed(way.needs)

    async def main(server: Loopback) -> None:
        since: list[float] = []
        async with way.open(server.url) as ask, AsyncStream(await ask()) as stream:

            async def stop() -> None:
                await _waits_for_more(stream)
                since.append(time.monotonic())
                if where == "task":
                    stream.stop("enough")
                else:
                    await anyio.to_thread.run_sync(stream.stop)

            pieces: list[str] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stop)
                with anyio.fail_after(_SOON):
                    async for piece in stream.text:
                        pieces.append(piece)

            assert (["Hel"], "stopped") == (pieces, stream.message.ending)
            await _see(way, _closes_at_once, server, since[0])

    with _silent(way, threading.Event()) as server:
        anyio.run(main, server, backend=backend)


@pytest.mark.few_rows(4)
@every_async_way
@tried_again
def test_a_cancelled_loop_closes_it(way: Way, backend: str) -> None:
    """The cancellation passes unchanged, the source is closed before it leaves, the partial is whole."""
    needed(way.needs)

    async def main(server: Loopback) -> None:
        since: list[float] = []
        async with way.open(server.url) as ask, anyio.create_task_group() as tasks:
            stream = AsyncStream(await ask())

            async def cancel() -> None:
                await _waits_for_more(stream)
                since.append(time.monotonic())
                scope.cancel()

            with anyio.CancelScope() as scope:
                async with stream:
                    tasks.start_soon(cancel)
                    async for _ in stream:
                        pass

            assert scope.cancelled_caught
            assert ("Hel", "stopped") == (stream.message.text, stream.message.ending)
            assert stream.closed
            await _see(way, _closes_at_once, server, since[0])

    with _silent(way, threading.Event()) as server:
        anyio.run(main, server, backend=backend)


async def _waits_for_more(stream: AsyncStream) -> None:
    """Return when the first text is there, and whoever reads has come to wait for the next."""
    with anyio.fail_after(_SOON):
        while stream.message.text != "Hel":  # noqa: ASYNC110 - nobody tells when a message has grown
            await anyio.sleep(0.002)
    await anyio.wait_all_tasks_blocked()
