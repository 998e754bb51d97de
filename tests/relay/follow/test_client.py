"""Our own client follows a journal, also over cuts."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from tests.relay.follow.support import answer_to, failing, memory_journal
from tests.relay.journals import Answer, read
from tests.support.asgi import Client
from tokenstream import Retry, Stream, aconnect, relay
from tokenstream.errors import StreamInterrupted

pytestmark = pytest.mark.anyio


class _Cutting(httpx.AsyncBaseTransport):
    """Asks an application, and breaks each response off somewhere.

    Args:
        app: The application.
        seed: Decides where.
    """

    def __init__(self, app: Any, seed: int) -> None:
        self.app = app
        self.source = random.Random(seed)
        self.asked: list[str | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        client = Client(method="GET")
        client.scope["path"] = request.url.path
        client.scope["headers"] = request.headers.raw
        self.asked.append(request.headers.get("last-event-id"))
        await client.call(self.app)
        body, cut = client.body, self.source.randint(0, 400)

        async def pieces() -> AsyncGenerator[bytes]:
            yield body[:cut]
            if cut < len(body):
                raise httpx.ReadError("cut")

        return httpx.Response(client.status or 0, headers=client.headers, content=pieces())


@pytest.mark.slow
async def test_our_own_client_follows_a_journal_over_cuts() -> None:
    """`connect` with `Retry(mode="resume")` asks again from its position, and ends with the answer once."""
    words = [f"word {number} " for number in range(30)]
    async with memory_journal() as journal:
        id = await journal.start(Answer(*words, over=True).stream)
        await read(journal, id)
        for seed in range(8):
            transport = _Cutting(relay.routes(journal), seed)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                again = Retry(mode="resume", wait=0, attempts=100)
                async with aconnect(f"http://here/{id}", method="GET", client=client, retry=again) as stream:
                    pieces = [piece async for piece in stream.text]

            assert "".join(words) == "".join(pieces)
            assert "complete" == stream.message.ending
            assert len(transport.asked) > 1
            assert transport.asked[-1] is not None


async def test_our_own_client_follows_a_journal() -> None:
    """What a journal sends is a stream of ours, with its ending and its error."""
    async with memory_journal(lease=math.inf) as journal:
        id = await journal.start(failing(StreamInterrupted("cut"), "Hel"))
        client = await answer_to(journal, id)
        stream = Stream([client.body], format="tokenstream")
        with pytest.raises(StreamInterrupted) as caught:
            stream.final()

    assert "Hel" == caught.value.partial.text
