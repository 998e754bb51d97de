"""The endpoints that the pages on relays define are asked as a browser asks them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import websockets.sync.client
from fastapi import FastAPI, Response, WebSocket

from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.served import by_uvicorn
from tests.support.timing import PATIENCE
from tokenstream import Stream, aconnect, relay, testing

_ANSWER = "Let me look up the weather in Oslo."
_PROVIDER = "wss://api.openai.com"


def _shown(page: str, name: str, namespace: dict[str, Any], *, instead: str = _PROVIDER) -> FastAPI:
    """Return an application with the endpoint of a page, which uses names that it does not define."""
    text = (ROOT / "docs" / "guides" / page).read_text(encoding="utf-8")
    [code] = [block.code for block in blocks(text, "python") if f"def {name}(" in block.code]
    app = FastAPI()
    imported = {"Response": Response, "WebSocket": WebSocket, "aconnect": aconnect, "relay": relay}
    space = {**namespace, **imported, "__name__": __name__, "app": app}
    exec(compile(code.replace(_PROVIDER, instead), page, "exec", dont_inherit=True), space)
    return app


def _read_answer(socket: Any) -> Any:
    told = list[Any]()
    while not told or told[-1]["type"] not in {"end", "error"}:
        told.append(json.loads(socket.recv(timeout=PATIENCE)))
    return Stream(told, format="tokenstream").final()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_answer_is_sent_in_words_without_card_numbers(docs_namespace: dict[str, Any]) -> None:
    """A number never leaves the server, also if it comes in pieces."""
    script = testing.script().text("Charge 4000 00", "00 0000 0002, ", "please.").finish("stop")
    with testing.serve([script]) as provider:
        names = {**docs_namespace, "url": f"{provider.url}/v1/chat/completions"}
        transport = httpx.ASGITransport(app=_shown("relay.md", "careful", names))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            sent = await client.post("/careful")

    text = Stream([sent.content]).final().text
    assert text.startswith("Charge ")
    assert text.endswith(", please.")
    assert "0002" not in sent.text


@pytest.mark.slow
def test_questions_over_a_websocket_are_answered_one_after_the_other(docs_namespace: dict[str, Any]) -> None:
    app = _shown("relay/details.md", "socket", docs_namespace)
    with (
        by_uvicorn(app) as url,
        websockets.sync.client.connect(f"{url.replace('http', 'ws')}socket", proxy=None) as socket,
    ):
        for _ in range(2):
            socket.send(json.dumps({"n": 1}))
            assert _ANSWER == _read_answer(socket).text


@pytest.mark.slow
def test_a_conversation_over_a_websocket_is_that_of_a_session(docs_namespace: dict[str, Any]) -> None:
    answers = [testing.script().text(text).finish("stop") for text in ("Hello", "Bye")]
    with testing.serve(answers, sessions=True) as provider:
        app = _shown("relay/details.md", "conversation", docs_namespace, instead=provider.ws_url)
        with (
            by_uvicorn(app) as url,
            websockets.sync.client.connect(f"{url.replace('http', 'ws')}conversation", proxy=None) as socket,
        ):
            for question, answer in (("Hi", "Hello"), ("And?", "Bye")):
                socket.send(json.dumps({"type": "ask", "text": question}))
                assert answer == _read_answer(socket).text

    [exchange] = provider.exchanges
    assert 1 == str(exchange.received_json).count("And?")
