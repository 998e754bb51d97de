"""Requests of other sites' pages, which browsers send with the user's cookies, are refused unless allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import websockets.asyncio.server
import websockets.sync.client
from fastapi import FastAPI, WebSocket
from litestar import Litestar
from litestar import WebSocket as LitestarWebSocket
from litestar.handlers import websocket
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.relay.follow.support import memory_journal
from tests.support.asgi import response_to
from tests.support.served import by_uvicorn, by_websockets
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, relay
from tokenstream.errors import MisuseError

pytestmark = pytest.mark.anyio

HERE = "chat.example:8000"
PAGE = "https://page.example"
_CASES = [
    # No page has sent these.
    ({}, False),
    ({"sec-fetch-site": "none"}, False),
    # The browser knows best: a proxy may have changed the host.
    ({"sec-fetch-site": "same-origin", "origin": "https://else.example"}, False),
    ({"sec-fetch-site": "same-site", "origin": "http://localhost:3000"}, False),
    ({"sec-fetch-site": "cross-site"}, True),
    ({"sec-fetch-site": "Cross-Site"}, True),
    ({"sec-fetch-site": "cross-site", "origin": f"https://{HERE}"}, True),
    ({"sec-fetch-site": "cross-site, same-origin"}, True),
    # Browsers without that header.
    ({"origin": f"http://{HERE}"}, False),
    ({"origin": "HTTPS://Chat.Example:8000"}, False),
    ({"origin": "https://chat.example"}, True),
    ({"origin": "http://chat.example:8001"}, True),
    ({"origin": "https://chat.example:8000.evil.example"}, True),
    ({"origin": "https://evil.example"}, True),
    ({"origin": "null"}, True),
    ({"origin": "null", "host": ""}, True),
    ({"origin": HERE}, True),
    ({"origin": "https://evil.example", "host": "evil.example"}, False),
    ({"origin": "https://chat.example", "host": "chat.example:443"}, False),
    ({"origin": "https://chat.example:443", "host": "chat.example"}, False),
    ({"origin": "http://chat.example", "host": "chat.example:443"}, True),
]


def _scope(headers: dict[str, str]) -> dict[str, Any]:
    named = {"host": HERE, **headers}
    return {"headers": [(name.encode(), value.encode()) for name, value in named.items()]}


class _OldConnection:
    """A connection of the server in `websockets.legacy`, which has the headers, and no request."""

    recv = send = close = None

    def __init__(self, **headers: str) -> None:
        self.request_headers = Headers(headers)


@pytest.mark.parametrize("headers, refused", _CASES)
def test_the_browser_s_own_headers_tell_whose_page_asks(headers: dict[str, str], refused: bool) -> None:
    """What the browser says counts, then the origin and the host; a program sends neither."""
    assert refused is relay.is_cross_site(_scope(headers))
    assert refused is relay.is_cross_site(_OldConnection(**{"host": HERE, **headers}))


@pytest.mark.parametrize("headers, _", _CASES)
def test_an_origin_that_is_named_may_ask(headers: dict[str, str], _: bool) -> None:
    said = {**headers, "origin": PAGE}
    foreign = {**headers, "sec-fetch-site": "cross-site", "origin": "https://page.example.evil.example"}

    for named in (PAGE, "https://PAGE.example:443", "*"):
        assert not relay.is_cross_site(_scope(said), origins=[named])
    assert relay.is_cross_site(_scope(foreign), origins=[PAGE])
    assert relay.is_cross_site(
        _scope({**said, "sec-fetch-site": "cross-site"}), origins=["http://page.example"]
    )


def test_two_origins_in_a_request_are_none_of_those_allowed() -> None:
    """A proxy or a client that sends a header twice does not get past the check with the second one."""
    scope = {"headers": [(b"host", b"h"), (b"origin", b"http://h"), (b"Origin", b"https://evil.example")]}

    assert relay.is_cross_site(scope)
    assert relay.is_cross_site({"headers": [(b"origin", b"http://h"), (b"host", b"h"), (b"host", b"e")]})


@pytest.mark.parametrize(
    "origins", [PAGE, ["page.example"], ["https://page.example/"], ["null"], [""], [None], ["https://*.x"]]
)
def test_what_is_no_list_of_origins_is_refused_where_it_is_given(origins: Any) -> None:
    """A text would be read as letters; an address with a path, or a wildcard, equals no origin."""
    with pytest.raises(MisuseError, match="origin"):
        relay.is_cross_site(_scope({}), origins=origins)
    with pytest.raises(MisuseError, match="origin"):
        relay.endpoints(relay.MemoryJournal(), origins=origins)
    respond: Any = relay.respond
    with pytest.raises(MisuseError, match=r"is_cross_site\(request, origins=\[…\]\) .* a list of the hosts"):
        respond([], origins=origins)
    with pytest.raises(MisuseError, match="list the hosts one by one"):
        relay.endpoints(relay.MemoryJournal(), origins=["https://*.x"])


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(MisuseError):
        relay.is_cross_site(object())


# -- routes ---------------------------------------------------------------------------


_BODY = {"text": "Hi"}


async def test_routes_refuse_every_request_of_another_site() -> None:
    """Nothing is asked, followed or stopped, and the user is not even looked up."""
    asked: list[Any] = []

    def answer(body: Any) -> AsyncStream:
        asked.append(body)
        return AsyncStream([body["text"]], format="pieces")

    def owner(_: Any) -> str:
        asked.append("owner")
        return "ann"

    async with memory_journal() as journal:
        begun = await response_to(relay.endpoints(journal, answer, owner=owner), "POST", "/", _BODY)
        id = begun.json["id"]
        asked.clear()
        app = relay.endpoints(journal, answer, owner=owner, origins=[PAGE])
        requests = [("POST", "/"), ("GET", f"/{id}"), ("HEAD", f"/{id}"), ("POST", f"/{id}/stop")]
        refused = [
            await response_to(app, method, path, _BODY, **headers)
            for method, path in requests
            for headers in (
                {"sec_fetch_site": "cross-site"},
                {"origin": "https://evil.example"},
                {"sec_fetch_site": "cross-site", "origin": "https://evil.example", "cookie": "user=ann"},
            )
        ]
        assert [403] * 12 == [client.status for client in refused]
        assert "cross_site" == refused[0].json["error"]["type"]
        assert [] == asked
        allowed = [
            await response_to(app, method, path, _BODY, sec_fetch_site="cross-site", origin=PAGE)
            for method, path in requests
        ]

    assert [201, 200, 200, 200] == [client.status for client in allowed]


async def test_a_body_that_is_not_declared_as_json_is_refused() -> None:
    """The forms of other sites can't say that they send JSON, but their scripts can leave the type out."""

    def answer(body: Any) -> AsyncStream:
        return AsyncStream([body["text"]], format="pieces")

    kinds = {
        "": 415,
        "text/plain": 415,
        "text/plain;charset=UTF-8": 415,
        "application/x-www-form-urlencoded": 415,
        "multipart/form-data; boundary=json": 415,
        "application/jsonp": 415,
        "application/json": 201,
        "Application/JSON; charset=utf-8": 201,
        "application/vnd.api+json": 201,
    }
    async with memory_journal() as journal:
        app = relay.endpoints(journal, answer)
        sent = {kind: await response_to(app, body=_BODY, content_type=kind) for kind in kinds}
        broken = await response_to(app, body=b"{")

    assert kinds == {kind: client.status for kind, client in sent.items()}
    assert 400 == broken.status


# -- WebSockets -------------------------------------------------------------------------

_read: list[str] = []


async def _pieces() -> Any:
    _read.append("read")
    yield "Hello"


def _answer() -> AsyncStream:
    return AsyncStream(_pieces(), format="pieces")


def _fastapi() -> Any:
    app = FastAPI()

    @app.websocket("/")
    async def plain(ws: WebSocket) -> None:
        await relay.websocket(ws, _answer(), origins=[PAGE])

    @app.websocket("/accepted")
    async def accepted(ws: WebSocket) -> None:
        await ws.accept()
        assert not await relay.websocket(ws, _answer(), origins=[PAGE])

    return app


def _litestar() -> Any:
    @websocket("/")
    async def plain(socket: LitestarWebSocket[Any, Any, Any]) -> None:
        await relay.websocket(socket, _answer(), origins=[PAGE])

    return Litestar([plain], openapi_config=None, logging_config=None)


async def _handle(ws: Any) -> None:
    await relay.websocket(ws, _answer(), origins=[PAGE])


_SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "fastapi": lambda: by_uvicorn(_fastapi()),
    "litestar": lambda: by_uvicorn(_litestar()),
    "websockets": lambda: by_websockets(_handle),
}


@pytest.fixture(params=_SERVERS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Yield a kind of server, and the address of its WebSocket."""
    with _SERVERS[request.param]() as url:
        yield request.param, url.replace("http", "ws", 1)


def _first(url: str, **headers: str) -> Any:
    with websockets.sync.client.connect(url, additional_headers=headers, open_timeout=PATIENCE) as ws:
        try:
            return json.loads(ws.recv(timeout=PATIENCE))["type"]
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


def test_a_websocket_of_another_site_is_refused(served: tuple[str, str]) -> None:
    kind, url = served
    _read.clear()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        if kind == "websockets":
            assert 1008 == _first(url, **headers)
        else:
            with pytest.raises(InvalidStatus) as caught:
                _first(url, **headers)
            assert 403 == caught.value.response.status_code
    if kind == "fastapi":
        assert 1008 == _first(f"{url}accepted", Origin="https://evil.example")
    assert [] == _read

    assert ["message_start"] * 3 == [
        _first(url),
        _first(url, Origin=PAGE),
        _first(url, Origin=url.replace("ws", "http", 1).rstrip("/")),
    ]
