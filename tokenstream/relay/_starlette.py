"""The response of a relay as a `Response` of Starlette's, which FastAPI insists on."""

from __future__ import annotations

import starlette.responses

from tokenstream.relay._response import Response

__all__ = ["StarletteResponse"]


class StarletteResponse(Response, starlette.responses.Response):
    """An answer as an ASGI application, with the `headers` and `set_cookie` of Starlette's."""

    body = b""
