"""Readers that ask and never read are let go in time, and with them the provider's connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from fastapi import FastAPI, WebSocket
from starlette.responses import Response

from tests.relay.follow.support import failing, memory_journal
from tests.support.asgi import Client
from tests.support.served import by_uvicorn, by_websockets, lifespan_in
from tests.support.timing import PATIENCE, wait_for
from tokenstream import AsyncStream, relay
from tokenstream.errors import MisuseError, StreamError

pytestmark = pytest.mark.anyio

_SOON = 0.3
_TIMING = relay.Timing(send_timeout=_SOON)
"""The time that a send may take here, in seconds."""


class _Flood:
    """Gives more text than sockets hold, and never an end, and counts the readers that have left."""

    def __init__(self) -> None:
        self.closed = 0

    async def pieces(self) -> AsyncIterator[str]:
        try:
            for _ in range(800):
                await anyio.lowlevel.checkpoint()
                yield "flood " * 2_000
            await anyio.sleep_forever()
        finally:
            self.closed += 1

    def stream(self) -> AsyncStream:
        return AsyncStream(self.pieces(), format="pieces")


# -- without a server -------------------------------------------------------------------


async def test_a_reader_that_never_reads_is_let_go() -> None:
    flood = _Flood()
    client = Client(slow=anyio.sleep_forever)

    await client.call(relay.respond(flood.stream(), timing=_TIMING))

    assert (1, 200, False) == (flood.closed, client.status, client.ended)


async def test_a_reader_that_does_not_take_its_refusal_is_let_go() -> None:
    """A refusal is a send like any other."""
    client = Client(slow=anyio.sleep_forever)

    await client.call(relay.respond(failing(StreamError("too long")), timing=_TIMING))

    assert (502, False) == (client.status, client.ended)


async def test_an_answer_in_a_journal_goes_on_without_the_reader_that_was_let_go() -> None:
    async with memory_journal() as journal:
        stuck, other = Client(slow=anyio.sleep_forever), Client(method="GET")
        pieces = ["a", "b", "c"]
        answer = relay.respond(AsyncStream(pieces, format="pieces"), journal=journal, id="1", timing=_TIMING)
        await stuck.call(answer)
        await other.call(relay.follow(journal, "1", timing=_TIMING))

    assert not stuck.ended
    assert other.ended
    assert b"complete" in other.body


async def test_a_slow_reader_that_reads_is_kept() -> None:
    """The time counts for each send, and not for the answer."""
    sends = 0

    async def read_slowly() -> None:
        nonlocal sends
        sends += 1
        await anyio.sleep(_SOON / 3)

    async def pieces() -> AsyncIterator[str]:
        for number in range(8):
            # No piece before the one before it was read, so that no two are sent together.
            while sends < number:  # noqa: ASYNC110 - the reader has no event
                await anyio.sleep(0.001)
            yield f"{number} "

    client = Client(slow=read_slowly)
    await client.call(relay.respond(AsyncStream(pieces(), format="pieces"), timing=_TIMING))

    assert sends > 6
    assert client.ended


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_time_that_is_no_time_is_refused_where_it_is_given(seconds: float) -> None:
    """Zero is a time for the head and for the grace alone."""
    for name in ("send_timeout", "keep_alive"):
        with pytest.raises(MisuseError, match=f"{name}= must be more than 0 seconds"):
            relay.Timing(**{name: seconds})
    for name in ("open_within", "grace"):
        with pytest.raises(MisuseError, match="open_within= and grace= must not be negative"):
            relay.Timing(**{name: seconds or -1})


# -- with real servers and sockets ----------------------------------------------------------

_floods: list[_Flood] = []


def _flood() -> AsyncStream:
    _floods.append(_Flood())
    return _floods[-1].stream()


_journal = relay.MemoryJournal(drain=0)
_app = FastAPI(lifespan=lifespan_in(_journal))
_ends: list[str] = []


@_app.post("/plain")
async def plain() -> Response:
    return relay.respond(_flood(), timing=_TIMING)


@_app.post("/kept")
async def kept() -> Response:
    response = relay.respond(_flood(), journal=_journal, id="kept", timing=_TIMING)
    response.background = _note_end
    return response


async def _note_end() -> None:
    _ends.append("kept")


@_app.websocket("/socket")
async def in_fastapi(ws: WebSocket) -> None:
    assert not await relay.websocket(ws, _flood(), timing=_TIMING)
    _ends.append("socket")


@contextmanager
def _never_reading(url: str, request: str) -> Generator[socket.socket]:
    host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.connect((host, int(port)))
        reader.sendall(request.replace("\n", "\r\n").encode())
        yield reader


_POST = "POST /{} HTTP/1.1\nHost: here\nContent-Length: 0\n\n"
_UPGRADE = (
    "GET /socket HTTP/1.1\nHost: here\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n"
)


def test_a_socket_that_is_never_read_holds_no_provider() -> None:
    _floods.clear()
    _ends.clear()
    with by_uvicorn(_app, lifespan="on") as url:
        with _never_reading(url, _POST.format("plain")):
            wait_for(lambda: bool(_floods) and _floods[0].closed == 1)
        with _never_reading(url, _POST.format("kept")):
            wait_for(lambda: "kept" in _ends)
            assert 0 == _floods[1].closed
        with _never_reading(url, _UPGRADE):
            wait_for(lambda: "socket" in _ends)
            assert 1 == _floods[2].closed


def test_a_socket_of_websockets_that_is_never_read_is_let_go() -> None:
    """The server of the package `websockets` has another way to wait for its reader."""
    flood, ended = _Flood(), threading.Event()

    async def handle(ws: Any) -> None:
        assert not await relay.websocket(ws, flood.stream(), timing=_TIMING)
        ended.set()

    with by_websockets(handle) as url, _never_reading(url, _UPGRADE):
        assert ended.wait(PATIENCE)

    assert 1 == flood.closed
