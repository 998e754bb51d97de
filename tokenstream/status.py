"""The head of an HTTP response, and what its body says when its status is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenstream._json import decode
from tokenstream.errors import LimitExceeded, NotAStream, ProtocolError, StatusError
from tokenstream.formats._errors import LONGEST_WAIT, error_kind, kind_of_status, provider_error
from tokenstream.formats._read import is_dict, is_list
from tokenstream.formats._whole import Wholeness
from tokenstream.formats.base import name_of
from tokenstream.framing import SSEParser
from tokenstream.framing.sniff import sniff, title_of
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from urllib.parse import SplitResult

    from tokenstream.errors import ErrorKind, ProviderError, StreamError
    from tokenstream.events import Event
    from tokenstream.limits import Limits

__all__ = ["REQUEST_IDS", "ErrorBody", "ResponseHead", "retry_after_of", "status_error"]


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of an HTTP response.

    Example:
        >>> ResponseHead(status=200, headers={"content-type": "text/event-stream"}).content_type
        'text/event-stream'
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The response's headers, by lower-case name."""
    reason: str = ""
    url: str = field(default="", repr=False)
    """The address that answered, which may hold a key."""
    received_at: float | None = field(default=None, repr=False, compare=False)
    """When it came, in seconds since the epoch; None where nobody looked."""

    @property
    def content_type(self) -> str | None:
        """What the server says of the body."""
        return self.headers.get("content-type")

    @property
    def content_coding(self) -> str:
        """What is on the bytes of the body, such as "gzip"; "" where nothing is."""
        return self.headers.get("content-encoding", "")

    @property
    def place(self) -> str:
        """The address without what may be secret: user, password and query."""
        return _place_of(self.url)

    @property
    def request_id(self) -> str | None:
        """The provider's name for the request, for its support."""
        for name in REQUEST_IDS:
            if name in self.headers:
                return self.headers[name]
        return None


def _place_of(url: str) -> str:
    from urllib.parse import urlsplit, urlunsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "x-generation-id",
    "x-amzn-requestid",
    "apim-request-id",
    "cf-ray",
)
"""Headers in which servers name a request, by lower-case name."""


_LOWEST_ERROR_STATUS = 400
_MOST_DIGITS = 12
_MOST_BODY = 64 * 1024
"""Bytes of an error body that are looked at."""
_MOST_WORDS = 200
"""Characters of a body of plain text that an error's message shows, and of an address."""
_NOT_MODIFIED = 304
_BOM = b"\xef\xbb\xbf"
_PORTS = {"http": 80, "https": 443}
_ADVICE: dict[ErrorKind, str] = {
    "authentication": "check the key, and what it is allowed to do",
    "invalid_request": "the same request will fail again: mend it; what the server says of it is in .body",
    "overloaded": "ask again later",
    "rate_limited": "ask again later",
    "server": "ask again later",
}
_SHOULD_RETRY = {"true": True, "false": False}


class ErrorBody:
    """Reads the body of a response with an error status, as a connection that gives no events.

    Args:
        head: The response's head.
        limits: `Limits.tail` bounds what the error keeps of the body.
    """

    error: StreamError | None = None
    framing = None
    format = None
    finished = False
    unfinished_choices: tuple[int, ...] = ()
    resting = False
    takes_text = False
    comments = 0
    name: str | None = None
    frames_seen = 0
    last_event_id: str | None = None
    tail = b""

    def __init__(self, head: ResponseHead, *, limits: Limits) -> None:
        self._head = head
        self._limits = limits
        self._body = bytearray()
        self._document = Wholeness()

    def frames(self, chunk: bytes) -> list[Any]:
        """Keep what there is room for."""
        room = max(0, _MOST_BODY - len(self._body))
        self._body += chunk[:room]
        # Its marks are ASCII: in UTF-8 no other character holds them.
        self._document.add(str(chunk[:room].removeprefix(_BOM), "latin-1"))
        if len(self._body) >= _MOST_BODY:
            self.end()
        # One frame, so that its reader looks for the error.
        return [chunk]

    @property
    def ended(self) -> bool:
        """Whether the body is one whole JSON document: what is to come says nothing more."""
        return self._document.whole

    def take_payloads(self) -> None:
        """Take payloads for what they are: none of an error's body."""

    def shortcut(self) -> None:
        """Return no function that would read a chunk at a glance."""

    def events(self, frame: object) -> list[Event]:
        """Give none."""
        return []

    def end(self, *, broken: bool = False) -> list[Event]:
        """The body is over: say what it says; what had come of it says enough."""
        if self.error is None:
            read = _status_error if self._head.status >= _LOWEST_ERROR_STATUS else _redirected
            self.error = read(self._head, bytes(self._body), self._limits)
        return []

    def abandon(self) -> list[Event]:
        """Say what the body says."""
        return self.end()


def retry_after_of(headers: Mapping[str, str], received_at: float | None = None) -> float | None:
    """Return the seconds that a server asks to wait, or None.

    It says so in milliseconds (`retry-after-ms`), in seconds, or as a date
    (`retry-after`), which is compared with the server's own `date`, or with
    our clock where it sends none. More than a day is told as a day.

    Args:
        headers: The response's headers, by lower-case name.
        received_at: When they came, in seconds since the epoch.

    Example:
        >>> retry_after_of({"retry-after": "2"}), retry_after_of({"retry-after-ms": "150"})
        (2.0, 0.15)
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if 0 < len(value) <= _MOST_DIGITS and value.isascii() and value.replace(".", "", 1).isdecimal():
            return min(float(value) / unit, LONGEST_WAIT)
    then = _seconds_of(headers.get("retry-after", ""))
    now = _seconds_of(headers.get("date", ""))
    if now is None:
        now = received_at
    return None if then is None or now is None else min(max(0.0, then - now), LONGEST_WAIT)


def _seconds_of(date: str) -> float | None:
    """Return a date in seconds since the epoch; None where it is none, or names no zone."""
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(date)
        return None if found.tzinfo is None else found.timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def status_error(status: int, headers: Mapping[str, str], body: bytes = b"") -> StatusError:
    """Return the error of a response, and of its body where that is at hand."""
    return _status_error(ResponseHead(status=status, headers=lowered(headers.items())), body, DEFAULT_LIMITS)


def lowered(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name, as a `ResponseHead` has them."""
    return {name.lower(): value for name, value in headers}


def _redirected(head: ResponseHead, body: bytes, limits: Limits) -> StreamError:
    target = head.headers.get("location")
    named = f"status {head.status} {head.reason}".rstrip()
    if target is not None:
        place, same = _target_of(head.url, target)
        message = f"the server redirects to {place} ({named}), which was not followed" + (
            ", as no redirect is unasked: ask at that address, or let the request follow_redirects=True"
            if same
            else ", because credentials must not reach another origin; ask there if that is meant"
        )
    elif head.status == _NOT_MODIFIED:
        message = (
            f"the server answered with {named} and no body: leave out of the request what asks for that, "
            "If-None-Match or If-Modified-Since"
        )
    else:
        message = f"the server redirects ({named}) but does not say where to; check the address"
    error = NotAStream(message, body=str(body[: limits.tail], "utf-8", "replace"))
    error.request_id = head.request_id
    return error


def _target_of(url: str, location: str) -> tuple[str, bool]:
    """Return where a redirect leads, without what may be secret, and whether that is the same origin."""
    try:
        from urllib.parse import urljoin, urlsplit

        target = urljoin(url, location)
        same = _origin_of(urlsplit(target)) == _origin_of(urlsplit(url))
    except ValueError:
        return "an address that is none", False
    place = _place_of(target)
    return place if len(place) <= _MOST_WORDS else f"{place[: _MOST_WORDS - 1]}…", same


def _origin_of(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _status_error(head: ResponseHead, body: bytes, limits: Limits) -> StatusError:
    text = str(body, "utf-8", "replace")
    found = _said_in(body, limits)
    kind, retryable = _judged(head, found)
    retry_after = retry_after_of(head.headers, head.received_at)
    if retry_after is None and found is not None:
        retry_after = found.retry_after
    error = StatusError(
        f"the server answered with {f'status {head.status} {head.reason}'.rstrip()}"
        f"{_words_of(text, found)}; {_advice(head.status, kind, retry_after, again=retryable)}",
        status=head.status,
        code=found.code if found is not None else None,
        type=(found.type if found is not None else None) or _exception_of(head),
        body=text[: limits.tail],
        kind=kind,
        retryable=retryable,
        retry_after=retry_after,
    )
    error.request_id = (found.request_id if found is not None else None) or head.request_id
    return error


def _judged(head: ResponseHead, found: ProviderError | None) -> tuple[ErrorKind, bool | None]:
    """Return whose problem an error status is, and whether that decides about asking again."""
    kind = kind_of_status(head.status)
    retryable: bool | None = None
    named, again = error_kind(_exception_of(head))
    if named != "unknown":
        kind, retryable = named, again
    elif found is not None and found.kind != "unknown" and kind in ("unknown", "rate_limited"):
        # A status that names the server itself counts for more than the body's words.
        retryable = None if found.retryable else False
        kind = found.kind
    return kind, _SHOULD_RETRY.get(head.headers.get("x-should-retry", ""), retryable)


def _exception_of(head: ResponseHead) -> str | None:
    """Return the name of the exception that AWS tells in the head alone."""
    return head.headers.get("x-amzn-errortype", "").partition(":")[0] or None


def _words_of(text: str, found: ProviderError | None) -> str:
    """Return what an error body says, for the error's message."""
    if found is not None:
        return f"; {found}"
    if text.lstrip("\ufeff \t\r\n")[:1] == "<":
        title = title_of(text)
        return f"; its body is a web page titled {title!r}" if title else "; its body is a web page"
    words = " ".join(text[: 2 * _MOST_WORDS].split())
    # What is not text at all, or JSON that may repeat the request, is only in `.body`.
    if not words or not words.isprintable() or words[:1] in "{[":
        return ""
    return f"; its body says: {words if len(words) <= _MOST_WORDS else f'{words[: _MOST_WORDS - 1]}…'}"


def _advice(status: int, kind: ErrorKind, retry_after: float | None, *, again: bool | None) -> str:
    if again is False and _ADVICE.get(kind) == "ask again later":
        return "asking again will not help: check the plan and its limits"
    if retry_after is not None:
        return f"ask again in {retry_after:g} s"
    if status == 404:
        return "check the address and the model's name"
    return _ADVICE.get(kind, "what the server says of it is in .body")


def _said_in(body: bytes, limits: Limits) -> ProviderError | None:
    """Find the provider's error in an error body: in the body itself, or in an SSE event of it."""
    if sniff(body, None, over=True) != "sse":
        data = _object_in(body, limits)
        return None if data is None else provider_error(data, "error")
    for event in SSEParser(limits=limits).feed(body + b"\n\n"):
        data = _object_in(event.payload, limits)
        if data is not None:
            return provider_error(data, "error")
        if name_of(event) == "error":
            return provider_error({"error": str(event.payload, "utf-8", "replace")}, "error")
    return None


def _object_in(payload: bytes, limits: Limits) -> dict[str, Any] | None:
    try:
        data: object = decode(payload.removeprefix(_BOM), limits)
    except (ProtocolError, LimitExceeded):
        return None
    if is_list(data) and data:
        data = data[0]
    return data if is_dict(data) else None
