"""The backend of examples/agent_page where its journal takes no more answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import httpx
import pytest

from tests.support.packages import needed
from tokenstream import Event, relay
from tokenstream.events import TextDelta

needed("fastapi")
pytestmark = pytest.mark.anyio


async def _wait_for_ever() -> AsyncGenerator[Event]:
    yield TextDelta("Hm")
    await anyio.sleep_forever()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_question_that_cannot_be_kept_does_not_bar_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the journal is full, the page is told to try later; then the user may ask again."""
    from examples.agent_page import agent, app

    monkeypatch.setattr(agent, "BASE", "http://127.0.0.1:9")
    async with relay.MemoryJournal(max_answers=1, drain=0) as journal:
        monkeypatch.setattr(app, "journal", journal)
        first = await journal.start(_wait_for_ever())
        transport = httpx.ASGITransport(app.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here.test") as client:
            await client.get("/api/answers")  # sets the cookie
            question = {"question": "Read"}
            full = await client.post("/api/answers", json=question)
            assert [] == (await client.get("/api/answers")).json()
            await journal.stop(first)
            room = await client.post("/api/answers", json=question)

    assert [503, 200] == [full.status_code, room.status_code]
