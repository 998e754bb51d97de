"""Requests that are sent with an aiohttp session of the caller's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import httpx
import pytest

from tests._request.support import PATH, WHOLE
from tests.stream.bodies import ANSWER, later
from tests.support.loopback import Loopback, until_close
from tests.support.replies import reply, serve_in_time
from tokenstream import Deadlines, Retry, aconnect, connect
from tokenstream.errors import ConnectError, MisuseError, StatusError, StreamStalled
from tokenstream.testing import Server

OPTIONS: dict[str, dict[str, Any]] = {
    "json": {"json": {"stream": True, "text": "é"}},
    "content": {"content": b"as it is", "headers": {"Content-Type": "text/plain"}},
    "a body in pieces": {"content": [b"as ", b"it is"]},
    "a form": {"data": {"a": "1", "b": "é"}},
    "a file": {"files": {"f": ("name.txt", b"contents")}, "headers": {"X-Boundary": "any"}},
    "params": {"params": {"q": "a b", "n": 1}},
    "no body": {},
    "headers twice": {"headers": [("X-A", "1"), ("X-A", "2")]},
    "cookies": {"cookies": {"c": "1"}},
    "auth": {"auth": ("user", "pässword")},
}
_OF_THE_CLIENT = {"user-agent", "connection", "accept", "host", "content-length", "transfer-encoding"}


async def ask(url: str, client: Any, options: dict[str, Any]) -> str:
    options = dict(options)
    if isinstance(options.get("content"), list):
        options["content"] = later(options["content"])
    async with aconnect(url, client=client, **options) as stream:
        return (await stream.final()).text


@pytest.mark.parametrize("options", [each for name, each in OPTIONS.items() if name != "a file"])
def test_options_mean_the_same_as_with_httpx(options: dict[str, Any]) -> None:
    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            for client in (None, session):
                assert await ask(url, client, options) == "Let me see."

    with serve_in_time({PATH: WHOLE}) as server:
        asyncio.run(main(server.url + PATH))
        first, second = [exchange.request for exchange in server.exchanges]
    assert (first.method, first.path, first.body) == (second.method, second.path, second.body)
    headers = [
        {name: value for name, value in dict(each.headers).items() if name.lower() not in _OF_THE_CLIENT}
        for each in (first, second)
    ]
    assert headers[0] == headers[1]


def test_a_file_is_sent_as_with_httpx() -> None:
    """The boundary of the parts is a random one."""

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await ask(url, session, OPTIONS["a file"])

    with serve_in_time({PATH: WHOLE}) as server:
        asyncio.run(main(server.url + PATH))
        assert b'filename="name.txt"' in server.exchanges[0].request.body


def test_a_session_keeps_its_settings_and_stays_open() -> None:
    async def main(url: str) -> None:
        session = aiohttp.ClientSession(
            url, headers={"X-Own": "1"}, cookies={"c": "2"}, raise_for_status=True
        )
        async with session:
            for _ in range(2):
                assert await ask(PATH, session, {"json": {}, "headers": {"X-More": "3"}}) == "Let me see."
            assert not session.closed

    with serve_in_time({PATH: WHOLE}) as server:
        asyncio.run(main(server.url))
        sent = [exchange.request.headers for exchange in server.exchanges]
    assert [(each["x-own"], each["cookie"], each["x-more"]) for each in sent] == [("1", "c=2", "3")] * 2


def test_credentials_do_not_follow_a_redirect_to_another_origin() -> None:
    async def main(url: str) -> None:
        session = aiohttp.ClientSession(headers={"X-Session-Key": "s"}, cookies={"c": "2"})
        async with session:
            headers = {"Authorization": "Bearer r", "X-Api-Key": "k"}
            options = {"json": {"a": 1}, "headers": headers, "follow_redirects": True}
            assert await ask(url, session, options) == "Let me see."

    with serve_in_time({PATH: WHOLE}) as other:
        moved = reply(status=307, headers={"Location": other.url + PATH})
        with serve_in_time({PATH: moved}) as first:
            asyncio.run(main(first.url + PATH))
            sent = first.exchanges[0].request.headers
            assert (sent["x-session-key"], sent["authorization"], sent["x-api-key"]) == ("s", "Bearer r", "k")
        arrived = other.exchanges[0].request
    assert not {"x-session-key", "authorization", "x-api-key", "cookie"} & {
        name.lower() for name in arrived.headers
    }
    assert json.loads(arrived.body) == {"a": 1}


def test_what_a_session_cannot_do_is_refused_by_name() -> None:
    """A trace is httpx's; a `for` loop has no event loop."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(MisuseError, match="'trace', which aiohttp does not have"):
                await ask("http://localhost:9", session, {"extensions": {"trace": print}})
            with pytest.raises(MisuseError, match="asynchronous: use aconnect"):
                connect("http://localhost:9", client=session)

    asyncio.run(main())


def test_failures_are_reported_in_the_librarys_words() -> None:
    async def main(server: Server) -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(ConnectError, match="no connection to"):
                await ask("http://127.0.0.1:9", session, {})
            with pytest.raises(StatusError, match="503"):
                await ask(server.url + "/busy", session, {})
            with pytest.raises(StreamStalled) as stalled:
                await ask(server.url + "/slow", session, {"timeout": httpx.Timeout(5, read=0.05)})
            assert stalled.value.partial.text == "Let "
            with pytest.raises(StreamStalled, match="idle_bytes"):
                await ask(server.url + "/slow", session, {"deadlines": Deadlines(idle_bytes=0.05)})

    slow = reply([(0.0, ANSWER[2]), (2.0, ANSWER[3])])
    with serve_in_time({"/busy": reply([(0.0, b"{}")], status=503), "/slow": slow}) as server:
        asyncio.run(main(server))


def test_an_answer_may_last_longer_than_the_default_of_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session without timeouts of its own does not abort the answer after five minutes."""
    asked: list[aiohttp.ClientTimeout] = []
    request = aiohttp.ClientSession.request

    def noted(self: Any, *args: Any, **options: Any) -> Any:
        asked.append(options["timeout"])
        return request(self, *args, **options)

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await ask(url, session, {})
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=7)) as session:
            await ask(url, session, {})

    monkeypatch.setattr(aiohttp.ClientSession, "request", noted)
    with serve_in_time({PATH: WHOLE}) as server:
        asyncio.run(main(server.url + PATH))
    assert [each.total for each in asked] == [None, 7]


def test_another_attempt_uses_the_same_session() -> None:
    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            retry = Retry(attempts=2, again=True, wait=0.0)
            assert await ask(url, session, {"json": {}, "retry": retry}) == "Let me see."

    with Loopback(until_close(ANSWER[2]), until_close(*ANSWER)) as server:
        asyncio.run(main(server.url))
        assert len(server.connections) == 2
