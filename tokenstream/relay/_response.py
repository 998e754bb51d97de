"""A plain ASGI application that sends one answer; where Starlette is in use, a `Response` of its as well."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.relay._delivery import Delivery, Pace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.relay._outlet import Outlet

__all__ = ["Response", "response"]


class Response:
    """An answer as an ASGI application, for one request.

    `relay.respond` and `relay.follow` return it. An endpoint of Starlette, FastAPI
    or Litestar returns it in its turn; anywhere else it is called.

    Args:
        outlet: Gives the chunks.
        pace: How long to wait for what.
        status: The HTTP status of an answer that begins.
        headers: Headers beside those of the protocol, or in their place.

    Raises:
        MisuseError: From the call, where it is called again, or not for a request over HTTP.
    """

    def __init__(
        self,
        outlet: Outlet,
        *,
        pace: Pace | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        own = {name.lower(): value for name, value in (headers or {}).items()}
        told = {name.lower(): value for name, value in outlet.headers.items()}
        self._outlet: Outlet | None = outlet
        self._pace = Pace() if pace is None else pace
        self.status_code = status
        self.raw_headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in {**told, **own}.items()
        ]
        self.media_type: str | None = None
        # FastAPI puts the tasks of its endpoints there.
        self.background: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - each framework's own
        """Send the answer.

        Args:
            scope: What the server says of the request.
            receive: Gives what the client sends.
            send: Sends to the client.
        """
        outlet, self._outlet = self._outlet, None
        if outlet is None:
            raise MisuseError("this response was sent already: make one for each request")
        if scope["type"] != "http":
            self._outlet = outlet
            raise MisuseError(
                f"a relay answers requests over HTTP, and this is {scope['type']!r}: call it in an "
                "endpoint, and take relay.websocket() for WebSockets"
            )
        head = (self.status_code, self.raw_headers)
        if scope["method"] == "HEAD":
            outlet.stop("only its head was asked for")
            async with outlet:
                pass
            await send({"type": "http.response.start", "status": head[0], "headers": head[1]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await Delivery(outlet, head, self._pace, receive, send).run()
        if self.background is not None:
            await self.background()


def response(
    outlet: Outlet,
    *,
    pace: Pace | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response of an outlet: one of Starlette's as well where Starlette was imported.

    Args:
        outlet: Gives the chunks.
        pace: How long to wait for what.
        status: The HTTP status of an answer that begins.
        headers: Headers beside those of the protocol, or in their place.
    """
    kind = Response
    if "starlette.responses" in sys.modules:
        from tokenstream.relay._starlette import StarletteResponse

        kind = StarletteResponse
    return kind(outlet, pace=pace, status=status, headers=headers)
