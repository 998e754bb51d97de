"""Requests that pages of other sites send, and the origins whose pages may send requests all the same."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.relay._asgi.asking import read_header
from tokenstream.relay._asgi.sockets import wrap_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CROSS_SITE = "pages of other sites may not send requests"
"""The words with which a cross-site request is refused."""
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


def is_cross_site(request: object, *, origins: Iterable[str] = ()) -> bool:
    """Return True if a page of another site has sent a request, so that it must be refused.

    A browser sends a user's cookies also with requests of other sites' pages, unless the cookies' `SameSite`
    prevents that. `relay.endpoints` and `relay.websocket` refuse such requests by themselves; call this
    function in your own endpoints.

    The headers decide, which a page cannot set:

    1. An `Origin` in `origins` is allowed.
    2. `Sec-Fetch-Site: cross-site` is another site; any other value of this header is not.
    3. Without this header, an `Origin` that is not the request's `Host` is another site.
    4. Without both headers, no page has sent the request.

    Args:
        request: A request or WebSocket of Starlette, FastAPI or Litestar, its ASGI scope, or a server's
            connection of `websockets`.
        origins: The origins whose pages may send requests, such as `["https://page.example"]`; "*" for all.

    Raises:
        MisuseError: `request` is something else, or one of `origins` is no origin.

    Example:
        >>> scope = {"headers": [(b"host", b"chat.example"), (b"origin", b"https://a.example")]}
        >>> is_cross_site(scope), is_cross_site(scope, origins=["https://a.example"])
        (True, False)
    """
    return sent_cross_site(_make_header_reader(request), check_origins(origins))


def check_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return origins in the form in which they are compared; a single text is a mistake."""
    if isinstance(origins, str):
        raise MisuseError(f"origins= is a list of origins, such as [{origins!r}]")
    listed: list[Any] = list(origins)
    for origin in listed:
        if origin != "*" and not (isinstance(origin, str) and _ORIGIN.fullmatch(origin)):
            raise MisuseError(f"{origin!r} is no origin, such as 'https://page.example': a scheme and a host")
        if "*" in origin[1:]:
            raise MisuseError(f"{origin!r} has a wildcard, which no origin has: list the hosts one by one")
    return frozenset(origin if origin == "*" else _normalize(origin) for origin in listed)


def sent_cross_site(read: Callable[[str], str], origins: frozenset[str]) -> bool:
    """Return True if a page of another site has sent a request; `read` takes a header's lower-case name.

    See `is_cross_site`.
    """
    origin, site = read("origin"), read("sec-fetch-site").lower()
    if "*" in origins or (origin and _normalize(origin) in origins):
        return False
    if site:
        # Also if the header was sent several times.
        return "cross-site" in site
    # Whatever its scheme is: a proxy in front of the server may speak another one.
    scheme, _, host = _normalize(origin).partition("://")
    # An opaque origin, "null", has no host, and is not that of a request without one.
    return bool(origin) and not (host and host == _without_port(scheme, read("host").lower()))


def _make_header_reader(request: Any) -> Callable[[str], str]:  # noqa: ANN401 - one of several frameworks' types
    """Return the function that returns a header of a request; "" for an absent header."""
    scope: Any = getattr(request, "scope", None)
    if scope is None and not isinstance(request, dict):
        return wrap_socket(request).read_header
    return partial(read_header, request if scope is None else scope)


def _normalize(origin: str) -> str:
    """Return an origin in lower case, without the default port of its scheme."""
    origin = origin.lower()
    return _without_port(origin.partition("://")[0], origin)


def _without_port(scheme: str, text: str) -> str:
    return text.removesuffix(_DEFAULT_PORTS.get(scheme, "\n"))
