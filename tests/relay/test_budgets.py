"""What the readers of a relay get when a budget ends an answer, or can't be asked."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from tests.support.asgi import Client
from tests.support.packages import needed
from tokenstream import AsyncStream, Purse, Retry, Stream, Usage, aconnect, relay, testing
from tokenstream import Route as Provider
from tokenstream.errors import MisuseError, StreamError

ASKED = {"model": "m", "stream": True, "max_tokens": 50, "messages": []}
SAID = testing.script().text(*["four"] * 200).finish("stop")
PROTOCOLS = ["tokenstream", "openai-chat", "anthropic", "ui-message", "ag-ui"]
WAYS = ["respond", "journal", "endpoints"]


def price(usage: Usage) -> float:
    return float(usage.output_tokens or 0)


def make_app(way: str, protocol: Any, most: Any, journal: relay.MemoryJournal) -> Starlette:
    """Return an application with one endpoint, at which an answer may cost `most`."""

    def ask(*_: object) -> AsyncStream:
        client = httpx.AsyncClient(transport=testing.transport(SAID))
        route = Provider("https://p.test/v1/chat/completions", json=ASKED, client=client, price=price)
        return aconnect(route, retry=Retry(wait=0, most=most))

    async def respond(_: object) -> Any:
        return relay.respond(ask(), protocol=protocol, journal=journal if way == "journal" else None)

    if way == "endpoints":
        return Starlette(routes=[Mount("/", relay.endpoints(journal, ask, protocol=protocol))])
    return Starlette(routes=[Route("/", respond, methods=["POST"])])


def post(way: str, protocol: str, most: Any) -> httpx.Response:
    """Ask once, and follow the address of the answer if there is one; return the last response."""

    async def send() -> httpx.Response:
        async with relay.MemoryJournal() as journal:
            transport = httpx.ASGITransport(make_app(way, protocol, most, journal))
            async with httpx.AsyncClient(transport=transport, base_url="http://relay.test") as client:
                response = await client.post("/", json={})
                if response.status_code == 201:
                    response = await client.get(response.headers["location"])
                return response

    return anyio.run(send)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_for_which_there_is_no_room_is_a_402_with_json(
    way: str, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        response = post(way, protocol, Purse(most=10))

    assert response.status_code == 402
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert (error.get("kind", error["type"]), error["retryable"]) == ("quota", False)
    assert {each.levelname for each in caplog.records if "tokenstream" in each.name} == {"INFO"}


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("openai-chat", {"type": "insufficient_quota", "param": None, "code": "insufficient_quota"}),
        ("openai-responses", {"type": "insufficient_quota", "param": None, "code": "insufficient_quota"}),
        ("anthropic", {"type": "billing_error"}),
        ("gemini", {"code": 402, "status": "RESOURCE_EXHAUSTED"}),
    ],
)
def test_the_error_has_the_words_of_the_protocols_api(protocol: str, body: dict[str, Any]) -> None:
    """An SDK finds the type, the code and the message where it looks for them."""
    told = post("respond", protocol, Purse(most=10)).json()

    ours = {"kind": "quota", "retryable": False, "message": "The budget has no room for the answer."}
    assert told["error"] == {**told["error"], **body, **ours}
    assert told.get("type") == ("error" if protocol == "anthropic" else None)


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_an_sdk_reads_the_error_and_asks_once(protocol: str) -> None:
    """With its own options, an SDK would ask again after a status 429 or 500."""
    sdk, asked = needed(protocol), list[str]()

    async def ask() -> Any:
        async with relay.MemoryJournal() as journal:
            name = {"openai": "openai-chat"}.get(protocol, protocol)
            app = make_app("respond", name, Purse(most=10), journal)

            async def at_root(scope: Any, receive: Any, send: Any) -> None:
                asked.append(scope["path"])
                await app({**scope, "path": "/"}, receive, send)

            http: Any = sys.modules[sdk.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0]]
            client = http.AsyncClient(transport=http.ASGITransport(at_root))
            if protocol == "openai":
                api = sdk.AsyncOpenAI(api_key="k", base_url="http://x/v1", http_client=client)
                return await api.chat.completions.create(model="m", messages=[], stream=True)
            api = sdk.AsyncAnthropic(api_key="k", base_url="http://x", http_client=client)
            return await api.messages.create(model="m", messages=[], max_tokens=9, stream=True)

    with pytest.raises(sdk.APIStatusError) as caught:
        anyio.run(ask)

    assert (402, 1) == (caught.value.status_code, len(asked))
    assert "The budget has no room for the answer." in str(caught.value)
    assert caught.value.type == {"openai": "insufficient_quota"}.get(protocol, "billing_error")
    assert getattr(caught.value, "code", None) == ("insufficient_quota" if protocol == "openai" else None)


def test_a_mistake_of_the_application_is_a_500_with_json() -> None:
    """A request without the output limit that a purse needs: clients are not to ask again."""
    client = Client()
    asked = {name: value for name, value in ASKED.items() if name != "max_tokens"}
    route = Provider("https://p.test/v1/chat/completions", json=asked, price=price)

    async def ask() -> None:
        with pytest.raises(MisuseError, match="max_tokens"):
            await client.call(relay.respond(aconnect(route, retry=Retry(most=Purse(most=60)))))

    anyio.run(ask)

    assert (500, "false") == (client.status, client.headers["x-should-retry"])
    assert ("server", False) == (client.json["error"]["type"], client.json["error"]["retryable"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("most", [Purse(most=100), 100.0], ids=["purse", "most"])
def test_an_answer_that_is_stopped_ends_with_a_quota(way: str, most: Any) -> None:
    """Which this library reads as the failure of another server, with the partial answer."""
    if isinstance(most, Purse):
        most = Purse(most=100)
    response = post(way, "tokenstream", most)

    assert response.status_code == 200
    told = json.loads(response.content.split(b"data: ")[-1])
    assert (told["kind"], told["retryable"], told["ending"]) == ("quota", False, "truncated")
    with pytest.raises(StreamError, match="the budget") as caught, Stream([response.content]) as stream:
        stream.final()
    assert (caught.value.kind, caught.value.retryable) == ("quota", False)
    assert caught.value.partial.text.startswith("fourfour")


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ("openai-chat", b'"code":"insufficient_quota"'),
        ("anthropic", b'"type":"error"'),
        ("ui-message", b'{"type":"error","errorText":"Insufficient quota"}'),
        ("ag-ui", b"RUN_ERROR"),
    ],
)
def test_other_protocols_have_their_own_error(protocol: str, words: bytes) -> None:
    assert words in post("respond", protocol, Purse(most=100)).content[-250:]


@pytest.mark.parametrize("way", WAYS)
def test_a_purse_that_is_gone_is_a_503(way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of the place leaves the process."""
    response = post(way, "openai-chat", Purse(most=10, file=tmp_path / "gone" / "purse"))

    assert response.status_code == 503
    assert response.json()["error"]["retryable"] is True
    assert str(tmp_path) not in response.text
    assert {each.levelname for each in caplog.records if "tokenstream" in each.name} == {"WARNING"}
