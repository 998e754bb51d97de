"""Requests for answers: what each asks for, fingerprints to compare them, and pages of other sites."""

from __future__ import annotations

import json
import re
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast
from urllib.parse import unquote

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream.errors import MisuseError
from tokenstream.relay._events_in import converted_refusals
from tokenstream.relay._incident import Incident

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping

    from tokenstream.events import Event

AnswerSource: TypeAlias = (
    "AsyncIterable[Event] | Callable[[], AsyncIterable[Event] | Awaitable[AsyncIterable[Event]]]"
)
"""An answer, or a function without arguments, sync or async, that makes it."""

_HASH_DIGITS = 32
CROSS_SITE = "pages of other sites may not send requests"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@]+", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


class SourceRefused(Exception):
    """Raised by a function that makes an answer, to have the request refused."""

    def __init__(self, incident: Incident) -> None:
        super().__init__()
        self.incident = incident


class AskedPosition(NamedTuple):
    """The parts of a request that say which answer it asks for, and from which position on."""

    method: str
    path: str
    """The path of the request, with the path at which the application is mounted."""
    position: str
    """The header `Last-Event-ID`; "" if it is absent."""
    id: str | None
    """The answer's id in the header `X-Answer-Id`; None if it is absent."""
    key: str | None
    """The header `Idempotency-Key`; None if it is absent."""
    sent_path: str
    """The path as the client has sent it, still encoded; "" if the server or the framework hides it."""

    @property
    def continues(self) -> bool:
        """True if the request names an answer or a position, and so must not begin a new answer."""
        return bool(self.position) or self.id is not None


def read_asked(scope: Mapping[str, Any]) -> AskedPosition:
    sent = (scope.get("raw_path") or b"").decode("latin-1")
    # ASGI has the root path in `path`, too, but some servers leave it out.
    id, root, path = read_header(scope, "x-answer-id"), scope.get("root_path", ""), scope["path"]
    whole = unquote(sent)
    if not path.startswith(root):
        path = root + path
    elif len(whole) > len(path) and whole.rstrip("/").endswith(path.rstrip("/")):
        # A mount of Litestar cuts its path off, and leaves it in the raw path only.
        path = whole
    return AskedPosition(
        scope["method"],
        path,
        read_header(scope, "last-event-id"),
        unquote(id) if id else None,
        read_header(scope, "idempotency-key") or None,
        # A server may send only a part of the path.
        sent if whole == path else "",
    )


def read_header(scope: Mapping[str, Any], name: str) -> str:
    """Return a header, named in lower case, of an ASGI request; "" if it is absent.

    Several headers with this name are joined, so that together they equal no single one.
    """
    key = name.encode()
    values = [value for each, value in scope.get("headers", ()) if each.lower() == key]
    return b", ".join(values).decode("latin-1")


def fingerprint(key: str | None, body: object) -> str | None:
    """Return the hashes of a request's key and body, either of which may be unknown, as one text."""
    if key is None and body is None:
        return None
    if isinstance(body, bytes):
        content = body
    else:
        try:
            content = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        except (TypeError, ValueError) as error:
            raise MisuseError(
                f"body= is the request's body, as bytes or as a JSON value, and not {type(body).__name__}"
            ) from error
    return f"{'' if key is None else _hash(key.encode())}:{'' if body is None else _hash(content)}"


def is_same_request(asked: str | None, stored: str | None) -> bool:
    """Return False if two requests have different keys or bodies; an unknown key or body fits every other."""
    if asked is None or stored is None:
        return True
    pairs = zip(asked.split(":"), stored.split(":"), strict=False)
    return all(one == other for one, other in pairs if one and other)


async def make_source(source: AnswerSource) -> AsyncIterable[Event]:
    """Return the answer that `source` is, or that it makes if it is a function."""
    # An answer may be callable as well.
    if not callable(source) or hasattr(source, "__aiter__"):
        return cast("AsyncIterable[Event]", source)
    with converted_refusals():
        made = source()
        return await made if is_awaitable(made) else made


def _hash(content: bytes) -> str:
    """Return the beginning of a hash of a key or body, long enough to tell requests apart."""
    return sha256(content).hexdigest()[:_HASH_DIGITS]


# -- refusals ---------------------------------------------------------------------


_MESSAGES = {
    "invalid_id": "The answer's id must be a text of 1 to 256 characters.",
    "no_answer_id": "A position belongs to an answer: send the answer's id in X-Answer-Id.",
    "not_kept": "This answer is not kept, so it cannot be continued.",
    "other_request": "This answer was asked for with another body or key.",
    "key_reused": "This Idempotency-Key was sent with another body before.",
}


def refuse(code: str) -> Incident:
    """Return the record (400, 409 or 422) of a request that belongs to no answer as it is."""
    status = {"invalid_id": 400, "key_reused": 422}.get(code, 409)
    return Incident(code, "reader", status, _MESSAGES[code])


# -- pages of other sites -----------------------------------------------------------


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
        from tokenstream.relay._asgi.sockets import wrap_socket

        return wrap_socket(request).read_header
    return partial(read_header, request if scope is None else scope)


def _normalize(origin: str) -> str:
    """Return an origin in lower case, without the default port of its scheme."""
    origin = origin.lower()
    return _without_port(origin.partition("://")[0], origin)


def _without_port(scheme: str, text: str) -> str:
    return text.removesuffix(_DEFAULT_PORTS.get(scheme, "\n"))
