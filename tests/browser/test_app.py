"""The backend of examples/chat by itself: who may see an answer, from where on, and as which patches."""

from __future__ import annotations

import json
import runpy
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

import examples.chat.replayed
from tests.project import ROOT
from tokenstream import Stream, relay, testing

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def browser() -> AsyncGenerator[httpx.AsyncClient]:
    """A browser, as far as HTTP goes."""
    app = runpy.run_path(str(ROOT / "examples" / "chat" / "app.py"))["app"]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://chat") as client,
    ):
        yield client


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at a backend whose model does not wait."""
    monkeypatch.setattr(examples.chat.replayed, "PACE", 0.0)
    async with browser() as made:
        yield made


async def asked(client: httpx.AsyncClient, question: str, *, form: bool = False) -> tuple[str, str]:
    """Ask in a new chat; returns its address and the answer's."""
    chat = (await client.post("/api/chats")).json()["id"]
    turn = await client.post(f"/api/chats/{chat}/turns", json={"question": question, "form": form})
    return f"/api/chats/{chat}", f"/api/answers/{turn.json()['answer']}"


def objects(body: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: ")]


async def test_an_answer_is_sent_from_where_the_page_was(client: httpx.AsyncClient) -> None:
    _, answer = await asked(client, "How?")
    whole = await client.get(answer)
    last = max(int(line[4:]) for line in whole.text.splitlines() if line.startswith("id: "))
    rest = await client.get(answer, headers={"Last-Event-ID": "20"})
    done = await client.get(answer, headers={"Last-Event-ID": str(last)})

    assert Stream(whole.content).final().text == examples.chat.replayed.LONG
    assert whole.headers["x-accel-buffering"] == "no"
    assert [said for said in objects(rest.text) if said["type"] != "live"] == objects(whole.text)[-last:][20:]
    assert done.status_code == 204


async def test_a_form_has_the_same_patches_each_time(client: httpx.AsyncClient) -> None:
    _, answer = await asked(client, "A recipe", form=True)
    whole = await client.get(f"{answer}/form")
    rest = await client.get(f"{answer}/form", headers={"Last-Event-ID": "7"})

    patches = objects(whole.text)
    assert patches[-1] == {"type": "end", "ending": "complete"}
    assert len(patches) > 50
    assert objects(rest.text) == patches[7:]
    assert rest.text.startswith("id: 8\n")


async def test_questions_of_two_tabs_have_numbers_of_their_own(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked in one moment, too, of a journal that is waited for: a number says which is asked again."""
    start = relay.MemoryJournal.start

    async def start_late(*given: Any, **named: Any) -> str:
        await anyio.sleep(0.01)
        return await start(*given, **named)

    monkeypatch.setattr(relay.MemoryJournal, "start", start_late)
    chat = (await client.post("/api/chats")).json()["id"]

    async def ask(question: str) -> None:
        await client.post(f"/api/chats/{chat}/turns", json={"question": question})

    async with anyio.create_task_group() as tabs:
        for question in "abcd":
            tabs.start_soon(ask, question)
    turns = (await client.get(f"/api/chats/{chat}")).json()
    again = (await client.post(f"/api/chats/{chat}/turns/2/again")).json()

    assert [turn["id"] for turn in turns] == [0, 1, 2, 3]
    assert again["question"] == turns[2]["question"]


async def test_strangers_and_wrong_words_are_refused(client: httpx.AsyncClient) -> None:
    """Nobody is told whether there is somebody else's answer."""
    chat, answer = await asked(client, "A recipe", form=True)
    refused = {
        (404, "GET", "/api/chats/none"),
        (404, "GET", "/api/answers/none"),
        (404, "GET", "/api/answers/none/form"),
        (404, "POST", f"{chat}/turns/7/again"),
        (404, "POST", f"{chat}/turns/-1/again"),
        (422, "POST", f"{chat}/turns"),
        (422, "GET", "/app.py"),
    }
    for status, method, path in refused:
        assert status == (await client.request(method, path)).status_code, path
    for position in ("x", "-1", "99999", "1" * 40):
        headers = {"Last-Event-ID": position}
        assert (await client.get(answer, headers=headers)).status_code == 400
    await client.get(answer)
    client.cookies.clear()
    assert (await client.post(f"{answer}/stop")).json() == {"state": "unknown"}
    for method, path in [
        ("GET", chat),
        ("GET", answer),
        ("GET", f"{answer}/form"),
        ("POST", f"{chat}/turns/0/again"),
    ]:
        assert (await client.request(method, path)).status_code == 404, path


async def test_a_real_model_is_asked_where_its_address_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with testing.serve(testing.script().text("From ", "afar.").finish()) as model:
        for name, value in {"URL": f"{model.url}/v1/chat/completions", "MODEL": "m", "KEY": "k"}.items():
            monkeypatch.setenv(f"CHAT_{name}", value)
        async with browser() as client:
            _, answer = await asked(client, "Where?", form=True)
            said = Stream((await client.get(answer)).content).final()
        (request,) = model.requests

    assert said.text == "From afar."
    assert request.json["model"] == "m"
    assert request.json["messages"] == [{"role": "user", "content": "Where?"}]
    assert request.json["response_format"]["json_schema"]["name"] == "Recipe"
    assert request.headers["authorization"] == "Bearer k"
