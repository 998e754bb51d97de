"""An answer of several providers behind a relay: one answer, with one id."""

from __future__ import annotations

from typing import Any

import anyio
import httpx

from tests.recovery.routes.providers import TRUTH, Behaviour, Provider
from tokenstream import Retry, Stream, aconnect, relay
from tokenstream.events import MessageStart, Resumed


def test_a_browser_gets_one_answer_with_one_id() -> None:
    """The id of the journal does not change where another provider goes on, and nothing is sent twice."""

    async def ask() -> httpx.Response:
        first, second = Provider("openai-chat", Behaviour("reset", 9)), Provider("anthropic")
        retry = Retry(attempts=1, routes=[second.route(is_async=True)])
        client = first.client(is_async=True)
        stream = aconnect(first.url, json=first.payload, client=client, retry=retry)
        async with relay.MemoryJournal() as journal:
            app: Any = relay.respond(stream, journal=journal)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as browser:
                return await browser.get("http://relay.test/")

    response = anyio.run(ask)

    events = list(Stream(response))
    assert "".join([getattr(event, "text", "") for event in events]) == TRUTH
    assert [type(event) for event in events].count(MessageStart) == 1
    assert [event.format for event in events if isinstance(event, Resumed)] == ["anthropic"]
    assert response.headers["x-answer-id"]
