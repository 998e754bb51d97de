"""The address of an answer, which the response that starts it has in `Location`, leads to the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from tests.relay.follow.support import memory_journal
from tests.support.asgi import Client, response_to
from tokenstream import AsyncStream, Stream, relay

pytestmark = pytest.mark.anyio

_NAMES = [
    "plain",
    "a%20b",
    "why%3F",
    "c%23",
    "100%25",
    "50%2541",
    "a%2Fb",
    "%C3%A9",
    "x%7Bid%7D",
    "a;b",
    "a%5Cb",
    "..%2F..",
]


def _hello() -> AsyncStream:
    return AsyncStream(["Hello"], format="pieces")


@pytest.mark.parametrize("name", _NAMES)
async def test_the_address_is_that_of_the_answer_whatever_is_in_its_path(name: str) -> None:
    """What the client has quoted stays quoted, so that a browser asks at the same place again."""
    async with memory_journal() as journal:

        async def start(_: Any) -> Response:
            return relay.respond(_hello(), journal=journal)

        async def follow(request: Any) -> Response:
            return relay.follow(journal, request.path_params["id"])

        app = Starlette(
            routes=[
                Route("/chats/{name:path}/answers", start, methods=["POST"]),
                Route("/chats/{name:path}/answers/{id}", follow),
            ]
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            address = f"/chats/{name}/answers"
            begun = await client.post(address)
            location = begun.headers["location"]
            followed = await client.get(urljoin(f"http://here{address}", location))

    assert 200 == followed.status_code
    assert "Hello" == Stream(followed.content).final().text


@pytest.mark.parametrize(
    "scope, expected",
    [
        # A server that does not tell what was sent.
        ({"path": "/why? #1", "raw_path": None}, "/why%3F%20%231"),
        ({"path": "/100%", "raw_path": b""}, "/100%25"),
        ({"path": "/{id}", "raw_path": None}, "/%7Bid%7D"),
        ({"path": "/a\r\nx: 1", "raw_path": b"/a%0D%0Ax:%201"}, "/a%0D%0Ax:%201"),
        # A path of two slashes would be another host's address.
        ({"path": "//evil.example/a", "raw_path": b"//evil.example/a"}, "/.//evil.example/a"),
        ({"path": "/a/", "raw_path": b"/a/"}, "/a"),
        ({"path": "/", "raw_path": b"/chat%20a/"}, "/chat%20a"),
        ({"path": "/b/", "raw_path": b"/chat/b"}, "/chat/b"),
        # Some servers leave the root path out of `path`, and all of what proxies have cut off is missing.
        ({"path": "/chat", "raw_path": b"/chat", "root_path": "/api"}, "/api/chat"),
        ({"path": "/api/chat", "raw_path": b"/chat", "root_path": "/api"}, "/api/chat"),
        ({"path": "/chat", "raw_path": b"/old"}, "/chat"),
        ({"path": "/chat", "raw_path": None}, "/chat"),
    ],
)
async def test_the_address_is_a_path_of_this_server(scope: dict[str, Any], expected: str) -> None:
    """An address is the request's or below; nothing in a path begins a query, a fragment or another host."""
    for method, address in (("POST", f"{expected}/id"), ("PUT", expected)):
        async with memory_journal() as journal:
            client = Client(method=method)
            client.scope |= scope
            await client.call(relay.respond(_hello(), journal=journal, id="id"))

        assert address == client.headers["location"]
        assert urljoin("http://here/", address).startswith("http://here/")


# -- keys that a page makes -----------------------------------------------------------------


async def test_a_page_that_makes_a_key_finds_its_answer_again() -> None:
    """Sent twice, the model is asked once; the answer's address is below the one of the mount."""
    asked: list[Any] = []

    async def pieces(body: Any) -> AsyncIterator[str]:
        asked.append(body)
        yield "Hello"

    def answer(body: Any) -> AsyncStream:
        return AsyncStream(pieces(body), format="pieces")

    async with memory_journal() as journal:
        routes = relay.endpoints(
            journal, answer, owner=lambda scope: dict(scope["headers"]).get(b"user", b"").decode()
        )
        app = Starlette(routes=[Mount("/answers", routes)])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            ann = {"user": "ann", "idempotency-key": "made-by-the-page"}
            begun = await client.post("/answers/", json="Why?", headers=ann)
            sse = {**ann, "accept": "text/event-stream"}
            again = await client.post("/answers/", json="Why?", headers=sse)
            other = await client.post("/answers/", json="How?", headers=ann)
            address = begun.headers["location"]
            bob = await client.post("/answers/", json="Why?", headers={**sse, "user": "bob"})
            followed = await client.get(address, headers=ann)
            stranger = await client.get(address, headers={"user": "bob"})
            put = await client.put(address, json="Why?", headers=ann)
            text = await client.post(
                "/answers/", content="Why?", headers={**ann, "content-type": "text/plain"}
            )

    assert 201 == begun.status_code
    assert f"/answers/{begun.json()['id']}" == address == again.headers["location"]
    assert address != bob.headers["location"]
    assert ["Hello"] * 3 == [Stream(each.content).final().text for each in (again, followed, bob)]
    assert [422, 404, 405, 415] == [each.status_code for each in (other, stranger, put, text)]
    assert ["Why?", "Why?"] == asked


@pytest.mark.parametrize(
    "body", [b'{"text":"\\ud800"}', b'"\xed\xa0\x80"', b'{"\\udfff":1}', b"NaN", b'{"a":-Infinity}', b"1e999"]
)
async def test_a_body_that_no_provider_could_be_sent_is_refused(body: bytes) -> None:
    """Half a surrogate pair and numbers that are none can be read by Python, and written by nobody."""
    async with memory_journal() as journal:
        app = relay.endpoints(journal, lambda _: _hello())
        bodies = body, b'{"text":"\\ud83c\\udf0a"}'
        assert [400, 201] == [(await response_to(app, body=each)).status for each in bodies]
