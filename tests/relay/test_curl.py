"""`curl -N` shows the tokens one by one."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from tests.support.proxies import program
from tests.support.served import Hand, by_uvicorn
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, relay

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson", "openai-chat", "ui-message", "text"])
def test_curl_shows_each_token_before_the_next_one_comes(protocol: Any) -> None:
    """Although a middleware compresses what it may, and curl would take that."""
    hand = Hand()

    async def endpoint(_: Request) -> Response:
        return relay.respond(AsyncStream(hand.agive(), format="pieces"), protocol=protocol)

    app = Starlette(routes=[Route("/", endpoint)], middleware=[Middleware(GZipMiddleware, minimum_size=1)])
    command = [program("curl", "curl"), "-sSN", "--max-time", "4", "--compressed"]
    with by_uvicorn(app) as url, subprocess.Popen([*command, url], stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        shown = curl.stdout.fileno()
        body = hand.follow(lambda: os.read(shown, 65_536))

    assert 0 == curl.returncode
    assert all(word.strip().encode() in body for word in hand.words)
    assert hand.closed.wait(PATIENCE)
