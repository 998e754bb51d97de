"""What an editor infers of a relay: responses that every framework takes, and pieces of the right colour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal, assert_type

from fastapi import FastAPI, WebSocket
from litestar import get
from litestar.types import ASGIApp
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenstream import AsyncSession, AsyncStream, Router, Steps, Stream, aconnect, relay
from tokenstream.relay import MemoryJournal
from tokenstream.relay.journal import Entry
from tokenstream.steps import RunEvents

app = FastAPI()


async def starlette_endpoint(request: Request) -> Response:
    """A response of the relay is one of Starlette's."""
    response = relay.respond(aconnect("https://made.up", json=await request.json()))
    response.set_cookie("seen", "yes")
    return response


route = Route("/", starlette_endpoint)


@app.get("/")
async def fastapi_endpoint() -> Response:
    return relay.respond(aconnect("https://made.up"), protocol="ui-message", shape=lambda text: text.words())


@get("/")
async def litestar_endpoint() -> ASGIApp:
    return relay.respond(aconnect("https://made.up"))


@app.websocket("/")
async def socket(ws: WebSocket) -> None:
    assert_type(await relay.websocket(ws, aconnect("https://made.up")), bool)
    async with AsyncSession(lambda: None) as session:
        assert_type(await relay.websocket(ws, session=session, router=Router()), bool)
        relay.websocket(ws, aconnect("https://made.up"), session=session)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]


async def follow(journal: MemoryJournal, id: str) -> Response:
    assert_type(await journal.start(aconnect("https://made.up"), id=id, owner="somebody"), str)
    assert_type([entry async for entry in journal.follow(id, after=3)], list[Entry])
    assert_type(await relay.stop(journal, id), Literal["stopped", "ended", "unknown"])
    app.mount("/tokenstream", relay.assets)
    assert_type(relay.assets.directory, Path)
    app.mount("/answers", relay.endpoints(journal, lambda body: aconnect("https://made.up", json=body)))
    relay.respond(aconnect("https://made.up"), journal=journal, id=id, timing=relay.Timing(grace=30))
    relay.respond(aconnect("https://made.up"), grace=30)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    return relay.follow(journal, id, "17", owner="somebody")


def told(error: relay.JournalError) -> None:
    """The facts that an endpoint asks of a journal's error."""
    assert_type(error.status, int)
    assert_type(error.retry_after, float | None)
    if error.kind == "unknown_answer":
        assert_type(error.kind, Literal["unknown_answer"])
    relay.Timing(keep_alive="often")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def pieces(stream: Stream, other: AsyncStream, run: Steps) -> None:
    assert_type(relay.encode(stream), Iterator[bytes])
    assert_type(relay.encode(other, "ui-message"), AsyncIterator[bytes])
    assert_type(relay.payloads(stream), Iterator[dict[str, Any]])
    assert_type(run.events(), RunEvents)
    relay.respond(run.events())
    relay.respond(stream)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def losses(answer: Stream, protocol: relay.ProtocolName) -> None:
    """The names of losses are known; a format that is none of the protocols is not taken."""
    assert "usage" in relay.losses(protocol)
    relay.losses(protocol)["carrier pigeon"]  # type: ignore[index] # pyright: ignore[reportArgumentType]
    relay.encode(answer, "cohere")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
