"""Answers whose HTTP client is closed: the last to be left while a journal ends, or named as the cause."""

from __future__ import annotations

import runpy

import anyio
import httpx
import pytest

from tests.project import ROOT
from tests.relay.journals import in_memory
from tests.support.timing import PATIENCE
from tokenstream import aconnect, relay, testing
from tokenstream.errors import StreamInterrupted

pytestmark = pytest.mark.anyio

_SCRIPT = testing.script(rate=100).text(*(f"{number} " for number in range(60))).finish("stop")


async def test_a_journal_inside_its_client_finishes_every_answer() -> None:
    """The journal's block ends first, and its answers have the time that `drain` gives them."""
    storage = in_memory()
    with testing.serve(_SCRIPT, pace="recorded") as provider:
        async with httpx.AsyncClient() as client, relay.Journal(storage) as journal:
            address = f"{provider.url}/v1/chat/completions"
            id = await journal.start(aconnect(address, json={}, client=client), open_within=PATIENCE)
    page = await storage.read(id, 0, 1_000)

    assert page is not None
    assert b'{"type":"end","ending":"complete"}' == page.records[-1]


async def test_a_client_that_is_closed_under_an_answer_is_named_as_the_cause() -> None:
    """The error says which order is right, and not that the network has failed."""
    with testing.serve(_SCRIPT, pace="recorded") as provider:
        client = httpx.AsyncClient()
        address = f"{provider.url}/v1/chat/completions"
        async with aconnect(address, json={}, client=client) as stream:
            while not stream.message.text:
                await anext(stream)

            async def close() -> None:
                await anyio.wait_all_tasks_blocked()
                await client.aclose()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close)
                with pytest.raises(StreamInterrupted, match="async with client, journal") as caught:
                    async for _ in stream:
                        pass

                assert "network" == caught.value.kind
                assert caught.value.partial.text.startswith("0 ")


async def test_the_example_leaves_its_client_last(monkeypatch: pytest.MonkeyPatch) -> None:
    with testing.serve(_SCRIPT, pace="recorded") as provider:
        monkeypatch.setenv("CHAT_URL", f"{provider.url}/v1/chat/completions")
        monkeypatch.setenv("CHAT_KEY", "made-up")
        storage = in_memory()
        monkeypatch.setattr(relay, "MemoryJournal", lambda: relay.Journal(storage))
        names = runpy.run_path(str(ROOT / "examples" / "chat" / "app.py"))
        app, journal = names["app"], names["journal"]
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app):
            async with httpx.AsyncClient(transport=transport, base_url="http://chat") as browser:
                chat = (await browser.post("/api/chats")).json()["id"]
                turn = await browser.post(f"/api/chats/{chat}/turns", json={"question": "How?"})
                id, owner = turn.json()["answer"], browser.cookies["owner"]
            entries = journal.follow(id, owner=owner)
            await anext(entries)
        page = await storage.read(id, 0, 1_000)

    assert page is not None
    assert b'{"type":"end","ending":"complete"}' == page.records[-1]
