"""The backends that the pages on relays show: behind compressing middlewares, too, tokens come one by one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.packages import needed
from tests.support.proxies import program
from tests.support.served import Hand, by_uvicorn, by_wsgi
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Stream, relay

pytestmark = pytest.mark.slow

BLOCKS = [
    block.code
    for name in ("relay.md", "relay/details.md")
    for block in blocks((ROOT / "docs" / "guides" / name).read_text(encoding="utf-8"), "python")
]


@contextmanager
def _upstream(hand: Hand) -> Generator[str, None, None]:
    """Serve a provider, whose tokens come when those before were read."""

    async def answer(_: Request) -> Response:
        return relay.respond(AsyncStream(hand.agive(), format="pieces"), protocol="openai-chat")

    with by_uvicorn(Starlette(routes=[Route("/", answer, methods=["POST"])])) as url:
        yield url


def _shown(name: str, url: str) -> Any:
    """Return the function of the last block that defines it: the first page begins with another `chat`."""
    code = [code for code in BLOCKS if f"def {name}(" in code][-1]
    body = [line for line in code.splitlines() if line and "import" not in line]
    assert len(body) <= 10
    namespace: dict[str, Any] = {"url": url, "headers": {}, "__name__": __name__}
    exec(compile(code, "docs/guides/relay", "exec"), namespace)
    return namespace["backend" if name == "flask_chat" else name]


def _by_django(view: Any, *, over_asgi: bool) -> AbstractContextManager[str]:
    settings = needed("django.conf").settings
    changed, path = needed("django.test.utils").override_settings, needed("django.urls").path
    if not settings.configured:
        settings.configure(SECRET_KEY="k", ALLOWED_HOSTS=["*"])
    middleware = ["django.middleware.gzip.GZipMiddleware"]

    @contextmanager
    def serve() -> Generator[str, None, None]:
        with changed(ROOT_URLCONF=(path("", view),), MIDDLEWARE=middleware):
            if over_asgi:
                with by_uvicorn(needed("django.core.asgi").get_asgi_application()) as url:
                    yield url
            else:
                with by_wsgi(needed("django.core.wsgi").get_wsgi_application()) as url:
                    yield url

    return serve()


def _by_starlette(view: Any) -> AbstractContextManager[str]:
    gzip = Middleware(GZipMiddleware, minimum_size=1)
    return by_uvicorn(Starlette(routes=[Route("/", view, methods=["POST"])], middleware=[gzip]))


def _backend(name: str, upstream: str) -> AbstractContextManager[str]:
    needed({"flask_chat": "flask", "chat": "sse_starlette"}.get(name, "django"))
    shown = _shown(name, upstream)
    if name == "chat":
        return _by_starlette(shown)
    return (
        by_wsgi(shown) if name == "flask_chat" else _by_django(shown, over_asgi=name == "django_async_chat")
    )


BACKENDS = {"chat": "", "flask_chat": "flask", "django_chat": "", "django_async_chat": ""}
"""The path of each, by the name of its function on the page."""
each = pytest.mark.parametrize("name", BACKENDS)


@each
def test_tokens_come_one_by_one(name: str) -> None:
    """Each is read before the provider says the next one; the whole is the answer."""
    hand = Hand()
    with (
        _upstream(hand) as upstream,
        _backend(name, upstream) as url,
        httpx.stream("POST", url + BACKENDS[name], json={}, headers={"Accept-Encoding": "gzip"}) as response,
    ):
        pieces = response.iter_raw()
        body = hand.follow(lambda: next(pieces, b""))

    assert (200, "text/event-stream; charset=utf-8") == (
        response.status_code,
        response.headers["content-type"],
    )
    assert "no-transform" in response.headers["cache-control"]
    assert "gzip" != response.headers.get("content-encoding")
    assert "".join(hand.words) == Stream([body], format="ui-message").final().text


@each
def test_the_provider_is_let_go_when_the_reader_leaves(name: str) -> None:
    hand = Hand(further=200)
    with _upstream(hand) as upstream, _backend(name, upstream) as url:
        with httpx.stream("POST", url + BACKENDS[name], json={}) as response:
            pieces = response.iter_raw()
            hand.follow(lambda: next(pieces, b""), until="one,")
        if name in ("flask_chat", "django_chat"):
            for _ in hand.words:
                hand.let()
                if hand.closed.wait(0.02):
                    break

        assert hand.closed.wait(PATIENCE)
        assert hand.given < len(hand.words)


def test_payloads_are_events_of_sse_starlette() -> None:
    sse = needed("sse_starlette")
    hand = Hand()

    async def view(_: Request) -> Any:
        answer = relay.payloads(AsyncStream(hand.agive(), format="pieces"), "ui-message")
        return sse.EventSourceResponse(sse.JSONServerSentEvent(each) async for each in answer)

    with _by_starlette(view) as url, httpx.stream("POST", url) as response:
        pieces = response.iter_raw()
        body = hand.follow(lambda: next(pieces, b""))

    assert "".join(hand.words) == Stream([body], format="ui-message").final().text


@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson", "openai-chat", "ui-message", "text"])
def test_curl_shows_each_token_before_the_next_one_comes(protocol: Any) -> None:
    """Although a middleware compresses what it may, and curl would take that."""
    hand = Hand()

    async def view(_: Request) -> Response:
        return relay.respond(AsyncStream(hand.agive(), format="pieces"), protocol=protocol)

    command = [program("curl", "curl"), "-sSN", "--max-time", "4", "--compressed", "-X", "POST"]
    with _by_starlette(view) as url, subprocess.Popen([*command, url], stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        shown = curl.stdout.fileno()
        body = hand.follow(lambda: os.read(shown, 65_536))

    assert 0 == curl.returncode
    assert all(word.strip().encode() in body for word in hand.words)
    assert hand.closed.wait(PATIENCE)
