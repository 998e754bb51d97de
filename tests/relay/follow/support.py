"""Journals in memory, and readers of them over ASGI."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.asgi import Client, response_to
from tokenstream import Decoder, Message, relay
from tokenstream.errors import StreamError
from tokenstream.events import TextDelta
from tokenstream.relay.journal import Journal, MemoryJournal


@asynccontextmanager
async def memory_journal(**options: Any) -> AsyncGenerator[MemoryJournal]:
    chosen: dict[str, Any] = {"drain": 0.0, **options}
    async with MemoryJournal(**chosen) as journal:
        yield journal


async def answer_to(journal: Journal, id: str, said: Any = None, **options: Any) -> Client:
    return await response_to(relay.follow(journal, id, said, **options), "GET")


def read_body(client: Client, protocol: Any) -> tuple[Message, StreamError | None]:
    decoder = Decoder(protocol)
    decoder.feed(client.body)
    decoder.end()
    return decoder.message, decoder.error


async def failing(error: Exception, *texts: str) -> AsyncGenerator[Any]:
    for text in texts:
        yield TextDelta(text)
    raise error


def without_notes(body: bytes) -> bytes:
    border = b"\n\n" if b"data:" in body else b"\n"
    blocks = [block for block in body.split(border) if b'"live"' not in block and not block.startswith(b":")]
    return border.join(block for block in blocks if block)
