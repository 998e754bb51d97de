"""The class of responses that are Starlette's, too, as FastAPI and type checkers require."""

from __future__ import annotations

import starlette.responses

from tokenstream.relay._asgi.response import Response


class StarletteResponse(Response, starlette.responses.Response):
    """An answer as an ASGI application, with Starlette's `headers` and `set_cookie`."""

    # Starlette's constructor, which would set it, is not called: the chunks are the body.
    body = b""
