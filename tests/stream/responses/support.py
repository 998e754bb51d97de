"""Connections of several answers, and both ways to read them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import websockets.sync.client as sync_client

from tests._sources.sockets import event, open_socket, talk
from tests.support.either import stream_in
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamError

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection


on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
SESSION = event("session.created", session={"model": "gpt-realtime"})
LIMITS = event("rate_limits.updated", rate_limits=[{"name": "tokens"}])
FAILED = {"status_details": {"error": {"code": "rate_limit_exceeded", "message": "busy"}}}


@contextmanager
def opened(script: Callable[[ServerConnection], None] = talk) -> Generator[Any]:
    with open_socket(script) as url, sync_client.connect(url) as connection:
        yield connection


def saying(*messages: str, code: int = 1000) -> Callable[[ServerConnection], None]:
    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
        connection.close(code, "why" if code != 1000 else "")

    return script


class Items:
    """A source of either colour that gives items and knows whether it was closed."""

    def __init__(self, *items: Any, error: Exception | None = None) -> None:
        self.items = list(items)
        self.error = error
        self.closed = False
        self.given = 0

    def next(self) -> Any:
        if self.items:
            self.given += 1
            return self.items.pop(0)
        if self.error is not None:
            raise self.error
        return None

    def __iter__(self) -> Iterator[Any]:
        while (item := self.next()) is not None:
            yield item

    def close(self) -> None:
        self.closed = True


class AsyncItems(Items):
    __iter__: Any = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (item := self.next()) is not None:
            await anyio.lowlevel.checkpoint()
            yield item


def giving(colour: str, *items: Any, error: Exception | None = None) -> Any:
    return stream_in(colour)((Items if colour == "sync" else AsyncItems)(*items, error=error))


def error_of(response: Stream) -> StreamError | None:
    try:
        response.final()
    except StreamError as error:
        return error
    return None


def tell(response: Stream | AsyncStream, error: StreamError | None) -> tuple[Any, ...]:
    message = response.message
    return message.id, message.text, message.ending, None if error is None else type(error)
