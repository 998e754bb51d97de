"""Asking over both drivers, and what a server answers."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import anyio

from tests.stream.bodies import ANSWER
from tests.support.either import at_once, connect_in, got, inside
from tests.support.replies import reply, serve_in_time
from tests.support.timing import PATIENCE
from tokenstream.errors import StreamError
from tokenstream.message import Message
from tokenstream.testing import Recording
from tokenstream.testing._serve.replies import Exchange

PATH = "/v1/chat/completions"
WHOLE = reply([(0.0, item) for item in ANSWER])


def read(answer: Recording, **options: Any) -> tuple[Message | None, StreamError | None, Exchange]:
    """Ask over both drivers, and with aiohttp, and return what they agree on."""
    found = []
    readers = [read_sync, read_async]
    if "extensions" not in options:
        # A trace is httpx's.
        readers += [read_with_aiohttp, read_with_own_session]
    for both in readers:
        with serve_in_time({PATH: answer}) as server:
            message, error = both(server.url + PATH, options)
            exchange = server.exchanges[0]
            assert exchange.over.wait(PATIENCE)
        found.append((message, error, exchange))
    (message, error, exchange), *others = found
    for other, other_error, _ in others:
        assert message == other
        assert type(error) is type(other_error)
    return message, error, exchange


async def _ask(colour: str, url: str, options: Any) -> tuple[Message | None, StreamError | None]:
    async with inside(connect_in(colour)(url, **options)) as stream:
        try:
            return await got(stream.final()), None
        except StreamError as error:
            assert stream.closed
            return None, error


def read_sync(url: str, options: Any) -> tuple[Message | None, StreamError | None]:
    return at_once(_ask("sync", url, options))


def read_async(url: str, options: Any) -> tuple[Message | None, StreamError | None]:
    return anyio.run(_ask, "asyncio", url, options)


def read_with_aiohttp(url: str, options: Any) -> tuple[Message | None, StreamError | None]:
    async def main() -> tuple[Message | None, StreamError | None]:
        async with aiohttp.ClientSession() as session:
            return await _ask("asyncio", url, {**options, "client": session})

    return asyncio.run(main())


def read_with_own_session(url: str, options: Any) -> tuple[Message | None, StreamError | None]:
    return asyncio.run(_ask("asyncio", url, {**options, "client": "aiohttp"}))
