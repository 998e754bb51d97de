"""A page whose script is a bundle."""

from __future__ import annotations

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

_PAGE = '<!doctype html><div id="root"></div><script src="/bundle.js" type="module"></script>'


def routes_of(script: bytes) -> list[Route]:
    return [
        Route("/", lambda _: HTMLResponse(_PAGE)),
        Route("/bundle.js", lambda _: Response(script, media_type="text/javascript")),
    ]
