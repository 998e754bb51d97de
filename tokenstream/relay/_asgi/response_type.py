"""The type `Response` for annotations, which FastAPI inspects.

Where Starlette is installed, the type is a subclass of Starlette's own `Response`, as FastAPI requires,
whichever of the two packages a program has imported first.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from tokenstream.relay._asgi.response import Response

if not TYPE_CHECKING and find_spec("starlette") is not None:
    import starlette.responses

    class StarletteResponse(Response, starlette.responses.Response):
        """An answer as an ASGI application, with Starlette's `headers` and `set_cookie`."""

        # Starlette's constructor, which would set it, is not called: the chunks are the body.
        body = b""

    Response = StarletteResponse

__all__ = ["Response"]
