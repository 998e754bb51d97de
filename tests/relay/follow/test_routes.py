"""The routes that start, follow and stop an answer."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from litestar import Litestar, asgi

from tests.relay.follow.support import failing, memory_journal, read_body, without_notes
from tests.relay.journals import read
from tests.support.asgi import Client, response_to
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Stream, relay
from tokenstream.errors import ProviderError

pytestmark = pytest.mark.anyio


def _answering(body: Any) -> AsyncStream:
    return AsyncStream([body["text"]], format="pieces")


def _owner(scope: Any) -> str | None:
    found = dict(scope["headers"]).get(b"user")
    if found is None:
        raise PermissionError
    return str(found.decode())


async def test_routes_start_follow_and_stop() -> None:
    for root in ("", "/api/answers"):
        async with memory_journal() as journal:
            call = partial(response_to, relay.endpoints(journal, _answering))
            started = await call("POST", "/", {"text": "Hello"}, root=root)
            id = started.json["id"]
            followed = await call("GET", f"/{id}", root=root)
            rest = await call("GET", f"/{id}", root=root, last_event_id="2")
            asked = await call("GET", f"/{id}", root=root, query="x=1&after=2")
            nothing = await call("GET", f"/{id}", root=root, last_event_id=str(len(await read(journal, id))))
            stopped = await call("POST", f"/{id}/stop", root=root)

        assert (201, f"{root}/{id}") == (started.status, started.headers["location"])
        assert [200, 200, 200, 204, 200] == [
            each.status for each in (followed, rest, asked, nothing, stopped)
        ]
        assert "Hello" == read_body(followed, "tokenstream")[0].text
        assert rest.body == asked.body
        assert {"state": "ended"} == stopped.json


@pytest.mark.parametrize("path", ["/api/answers", "/api/answers/"])
async def test_an_answer_has_its_whole_address_behind_a_mount_of_litestar(path: str) -> None:
    """Litestar tells a mounted application nowhere but in the raw path at which path it is mounted."""
    async with memory_journal() as journal:
        routes = asgi("/api/answers", is_mount=True, copy_scope=True)(relay.endpoints(journal, _answering))
        app: Any = Litestar([routes], openapi_config=None, logging_config=None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            started = await client.post(path, json={"text": "Hello"})
            followed = await client.get(started.headers["location"])

    assert f"/api/answers/{started.json()['id']}" == started.headers["location"]
    assert "Hello" == Stream(followed.content).final().text


async def test_a_start_gives_the_answer_itself_to_who_accepts_it() -> None:
    async with memory_journal() as journal:
        call = partial(response_to, relay.endpoints(journal, _answering, protocol="ui-message"))
        client = await call("POST", "/", {"text": "Hello"}, accept="text/event-stream")
        again = await call("GET", client.headers["location"])

    assert [200, 200] == [client.status, again.status]
    assert without_notes(client.body) == without_notes(again.body)


async def test_routes_refuse_what_they_cannot_do() -> None:
    """Each kind of bad request has its status, and a body of JSON that says why and quotes nothing."""
    async with memory_journal() as journal:

        async def answering(body: Any) -> Any:
            if body.get("fail"):
                return failing(ProviderError("private", kind="rate_limited", retry_after=3.0))
            if "text" not in body:
                raise ValueError("private")
            return _answering(body)

        call = partial(response_to, relay.endpoints(journal, answering, max_body=1_000, owner=_owner))
        started = await call("POST", "/", {"text": "Hello"}, user="ann")
        id = started.json["id"]
        cases = [
            (400, await call("POST", "/", b"{", user="ann")),
            (400, await call("POST", "/", b"[" * 900, user="ann")),
            (400, await call("POST", "/", b"\xff", user="ann")),
            (400, await call("POST", "/", {"private": 1}, user="ann")),
            (413, await call("POST", "/", {"text": "x" * 1_000}, user="ann")),
            (429, await call("POST", "/", {"fail": 1}, user="ann")),
            (403, await call("POST", "/", {"text": "Hello"})),
            (403, await call("GET", f"/{id}")),
            (404, await call("GET", f"/{id}", user="bob")),
            (404, await call("POST", f"/{id}/stop", user="bob")),
            (404, await call("GET", f"/{id}/else", user="ann")),
            (405, await call("GET", "/", user="ann")),
            (405, await call("OPTIONS", "/", user="ann")),
            (405, await call("DELETE", f"/{id}", user="ann")),
            (405, await call("GET", f"/{id}/stop", user="ann")),
            (400, await call("GET", f"/{id}", user="ann", last_event_id="x")),
            (400, await call("GET", f"/{id}", user="ann", query="after=99")),
        ]
        own = await call("GET", f"/{id}", user="ann")
        none = await response_to(relay.endpoints(journal), "POST", "/", {})

    assert [status for status, _ in cases] == [client.status for _, client in cases]
    assert all(client.json["error"]["message"] for _, client in cases)
    assert b"private" not in b"".join(client.body for _, client in cases)
    assert (200, 404) == (own.status, none.status)
    assert "POST" == cases[11][1].headers["allow"]


async def test_a_body_that_does_not_end_is_refused_in_time() -> None:
    """What is beyond the bound is not waited for."""
    async with memory_journal() as journal:
        client = Client()

        async def receive() -> Any:
            return {"type": "http.request", "body": b"x" * 400, "more_body": True}

        with anyio.fail_after(PATIENCE):
            await relay.endpoints(journal, _answering, max_body=1_000)(client.scope, receive, client.send)

    assert 413 == client.status
