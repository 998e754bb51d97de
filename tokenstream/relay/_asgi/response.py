"""Responses: ASGI applications that send one answer, with a Starlette subclass if Starlette is imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.relay._asgi.asking import read_asked
from tokenstream.relay._asgi.http_delivery import HTTPDelivery, ResponseTiming, encode_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.relay._asgi.writing import Outlet


class Response:
    """An answer as an ASGI application, for one request.

    `relay.respond` and `relay.follow` return a `Response`. Return it from an endpoint of
    Starlette, FastAPI or Litestar; elsewhere call it.

    Args:
        outlet: Supplies the chunks.
        timing: The times for the head, heartbeats and a reader that has gone; None for the default times.
        status: The HTTP status if the answer begins.
        headers: Headers that extend or replace those of the protocol; None for no others.

    Raises:
        MisuseError: From a call: the response was called before, or for something other than HTTP.
    """

    def __init__(
        self,
        outlet: Outlet,
        *,
        timing: ResponseTiming | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        extra_headers = {name.lower(): value for name, value in (headers or {}).items()}
        all_headers = {name.lower(): value for name, value in outlet.headers.items()} | extra_headers
        self._outlet: Outlet | None = outlet
        self._timing = ResponseTiming() if timing is None else timing
        # The public attributes have the names of Starlette's.
        self.status_code = status
        self.raw_headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in all_headers.items()
        ]
        self.media_type: str | None = None
        # FastAPI stores an endpoint's background tasks here.
        self.background: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - frameworks differ in their types
        """Send the answer.

        Args:
            scope: The request's ASGI scope.
            receive: The ASGI callable `receive`.
            send: The ASGI callable `send`.

        Raises:
            MisuseError: The answer was sent already, or the scope is not an HTTP request's.
            StreamError: The answer has failed, and its protocol cannot report that to the reader.
        """
        outlet, self._outlet = self._outlet, None
        if outlet is None:
            raise MisuseError("this response was sent already: make one for each request")
        if scope["type"] != "http":
            # The answer was not touched, so a later call may still send it.
            self._outlet = outlet
            raise MisuseError(
                f"a relay answers requests over HTTP, and this is {scope['type']!r}: call it in an "
                "endpoint, and take relay.websocket() for WebSockets"
            )
        status = self.status_code
        headers = self._with_prepared(outlet, await outlet.prepare(read_asked(scope)))
        if scope["method"] == "HEAD":
            # The answer is closed without being read.
            refusal = await outlet.open_head()
            async with outlet:
                pass
            if refusal is not None:
                status, headers = refusal.status, encode_headers(refusal)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            delivery = HTTPDelivery(outlet, (status, headers), self._timing, receive, send)
            await delivery.run()
            if delivery.is_shutting_down:
                await outlet.run_out()
        if self.background is not None:
            await self.background()

    def _with_prepared(self, outlet: Outlet, prepared: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return the headers of the response to one request.

        A header for this request replaces the header of that name in the response object, unless the
        application has set the header of the object itself.

        Args:
            outlet: The outlet, whose default headers the response object had at first.
            prepared: The headers for this request, by lower-case name.
        """
        headers = self.raw_headers
        for name, value in prepared.items():
            key, outlet_value = name.encode("latin-1"), outlet.headers.get(name)
            default = None if outlet_value is None else (key, outlet_value.encode("latin-1"))
            # A header with another value than the outlet's default was set by the application.
            set_by_application = any(pair[0] == key and pair != default for pair in headers)
            if not set_by_application:
                headers = [*(pair for pair in headers if pair[0] != key), (key, value.encode("latin-1"))]
        return headers


def make_response(
    outlet: Outlet,
    *,
    timing: ResponseTiming | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response for an outlet; if Starlette is imported, it is also a Starlette `Response`.

    Args:
        timing: The times for the head, heartbeats and a reader that has gone; None for the default times.
        status: The HTTP status if the answer begins.
        headers: Headers that extend or replace those of the protocol; None for no others.
    """
    response_class = Response
    if "starlette.responses" in sys.modules:
        from tokenstream.relay._asgi.starlette import StarletteResponse

        response_class = StarletteResponse
    return response_class(outlet, timing=timing, status=status, headers=headers)
