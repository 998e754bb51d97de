"""Answers that were written in some protocol, served over HTTP to clients of others, each at its own path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.support.served import by_uvicorn
from tokenstream import relay
from tokenstream.relay import ProtocolName

_PIECE, _PIECES = 97, 60
"""The size of a piece in bytes; of long bodies, the number of pieces."""


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    size = max(_PIECE, len(body) // _PIECES)
    for at in range(0, len(body), size):
        yield body[at : at + size]
        await asyncio.sleep(0)


@contextmanager
def served(bodies: Mapping[str, tuple[ProtocolName, bytes]]) -> Generator[Mapping[str, str]]:
    """Serve the bodies of answers in small pieces, and yield the address of each.

    Whatever a client adds to the address, such as `/chat/completions`, the answer is the same.
    """
    numbered = [*bodies.values()]

    async def answer(request: Any) -> StreamingResponse:
        protocol, body = numbered[request.path_params["number"]]
        return StreamingResponse(_pieces(body), headers=dict(relay.headers(protocol)))

    route = Route("/{number:int}{rest:path}", answer, methods=["POST"])
    with by_uvicorn(Starlette(routes=[route])) as url:
        yield {name: f"{url}{number}" for number, name in enumerate(bodies)}
