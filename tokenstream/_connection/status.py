"""The head of an HTTP response, and the error in its body if the status is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.error_marks import add_code_hint, mark_cause
from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._basics.waits import reset_of, retry_after_of
from tokenstream.errors import LimitExceeded, NotAStream, ProtocolError, StatusError
from tokenstream.formats import _registry as registry
from tokenstream.formats._base import Format, name_of
from tokenstream.formats._kit.errors import (
    error_kind,
    is_final,
    kind_of_status,
    provider_error,
    read_repeated_headers,
)
from tokenstream.formats._kit.whole import Wholeness
from tokenstream.framing import SSEParser
from tokenstream.framing._sniff import sniff, title_of
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from urllib.parse import SplitResult

    from tokenstream.errors import ErrorKind, ProviderError, StreamError
    from tokenstream.events import Event
    from tokenstream.limits import Limits
    from tokenstream.message import Ending

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
    """The address of the response, which may contain a key."""
    received_at: float | None = field(default=None, repr=False, compare=False)
    """Time of arrival, in seconds since the epoch; None if it was not measured."""

    @property
    def content_type(self) -> str | None:
        """The media type that the server states for the body; None if it states none."""
        return self.headers.get("content-type")

    @property
    def content_coding(self) -> str:
        """The compression of the body, such as "gzip"; "" if there is none."""
        return self.headers.get("content-encoding", "")

    @property
    def place(self) -> str:
        """The address without the parts that may be secret: user, password and query."""
        return _place_of(self.url)

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, to be quoted to its support; None if the provider sent none."""
        for name in REQUEST_IDS:
            if name in self.headers:
                return self.headers[name]
        return None


def _place_of(url: str) -> str:
    """Return an address without user, password and query; "" if it is malformed."""
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
"""Headers that contain a request's id, in lower case."""


_LOWEST_ERROR_STATUS = 400
_MOST_BODY = 64 * 1024
"""The number of bytes of an error body that are read."""
_MOST_WORDS = 200
"""The number of characters of a plain-text body, or of an address, that an error message contains."""
_NOT_MODIFIED = 304
_TOO_MANY_REQUESTS, _LOWEST_SERVER_STATUS = 429, 500
_BOM = b"\xef\xbb\xbf"
_PORTS = {"http": 80, "https": 443}
_ADVICE: dict[ErrorKind, str] = {
    "authentication": "check the API key and its permissions",
    "invalid_request": "the same request will fail again: correct it; the server's explanation is in .body",
    "overloaded": "ask again later",
    "rate_limited": "ask again later",
    "server": "ask again later",
}
_SHOULD_RETRY = {"true": True, "false": False}


class ErrorBody(Format):
    """Reads the body of a response with an error status: a format without events, only an error.

    Args:
        head: The response's head.
        limits: `Limits.tail` bounds the part of the body that the error keeps.
        pings: Unused; every format has this parameter.
        named: The format that the caller expects for the answer, if named.

    Example:
        >>> body = ErrorBody(ResponseHead(status=429))
        >>> body.feed(b'{"error": "slow down"}'), body.ended, body.end()
        ([], True, [])
        >>> str(body.error)
        'the server answered with status 429; the provider reports an error: slow down; ask again later'
    """

    __slots__ = ("_body", "_document", "_head", "_named")

    name: ClassVar[str] = ""
    framing: ClassVar[str] = "body"

    def __init__(
        self,
        head: ResponseHead,
        *,
        limits: Limits | None = None,
        pings: bool = False,
        named: str | type[Format] | Format | None = None,
    ) -> None:
        super().__init__(limits=limits, pings=pings)
        self._head = head
        self._named = None if named is None else registry.create(named, limits=self.limits, pings=False)
        self._body = bytearray()
        self._document = Wholeness()

    def fresh(self, *, limits: Limits, pings: bool) -> ErrorBody:
        """Return a new reader for the body of the same response."""
        return type(self)(self._head, limits=limits, pings=pings, named=self._named)

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:  # noqa: ARG003 - any format is asked
        """Return False: an error body is recognised by the status, never by a payload."""
        return False

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Do nothing: an error body has no payloads."""

    def feed(self, frame: Any, *, now: float = 0.0) -> list[Event]:  # noqa: ANN401 - a piece of the body
        """Collect a piece of the body, up to a limit; set `ended` once the body is one whole JSON document.

        Args:
            frame: A piece of the body.
            now: Unused; every stage has this parameter.
        """
        piece = frame[: max(0, _MOST_BODY - len(self._body))]
        self._body += piece
        # latin-1 suffices: JSON's punctuation is ASCII, whose bytes occur in no other UTF-8 character.
        self._document.add(str(piece.removeprefix(_BOM), "latin-1"))
        self.ended = self._document.whole
        if len(self._body) >= _MOST_BODY:
            self.end()
        return []

    @property
    def finished(self) -> bool:
        """Always False: an error is not an answer."""
        return False

    @property
    def verdict(self) -> Ending:
        """The ending if the stream is stopped before the error is raised: always "stopped"."""
        return "stopped"

    @property
    def withheld(self) -> StreamError | None:
        """The error of the body so far, however the input ended."""
        self.end()
        return self.error

    def end(self, *, now: float = 0.0) -> list[Event]:
        """End the body, and set `error` to the error that it describes.

        Args:
            now: Unused; every stage has this parameter.
        """
        if self.error is None:
            head, body = self._head, bytes(self._body)
            self.error = (
                _status_error(head, body, self.limits, self._named)
                if head.status >= _LOWEST_ERROR_STATUS
                else _redirected(head, body, self.limits)
            )
        return []


def status_error(status: int, headers: Mapping[str, str], body: bytes = b"") -> StatusError:
    """Return the error for a response with an error status and, if available, its body."""
    return _status_error(ResponseHead(status=status, headers=lowered(headers.items())), body, DEFAULT_LIMITS)


def lowered(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers as a dict with lower-case names, as `ResponseHead` expects them."""
    return {name.lower(): value for name, value in headers}


def _redirected(head: ResponseHead, body: bytes, limits: Limits) -> StreamError:
    """Return the error for a redirect that was not followed, or for status 304."""
    target = head.headers.get("location")
    named = f"status {head.status} {head.reason}".rstrip()
    hint = ""
    if target is not None:
        place, same = _target_of(head.url, target)
        message = f"the server redirects to {place} ({named}), which was not followed" + (
            " by default: use that address"
            if same
            else ", because credentials must not reach another origin; use that address if it is intended"
        )
        hint = ", or set follow_redirects=True in the request" if same else ""
    elif head.status == _NOT_MODIFIED:
        message = (
            f"the server answered with {named} and no body: remove If-None-Match or If-Modified-Since "
            "from the request's headers"
        )
    else:
        message = f"the server redirects ({named}) but does not say where to; check the address"
    error = NotAStream(message, body=str(body[: limits.tail], "utf-8", "replace"))
    error.request_id = head.request_id
    if target is not None:
        mark_cause(error, "redirect")
    return add_code_hint(error, hint)


def _target_of(url: str, location: str) -> tuple[str, bool]:
    """Return a redirect's target without its secrets, and True if it has the same origin as `url`."""
    try:
        from urllib.parse import urljoin, urlsplit

        target = urljoin(url, location)
        same = _origin_of(urlsplit(target)) == _origin_of(urlsplit(url))
    except ValueError:
        return "an invalid address", False
    place = _place_of(target)
    return place if len(place) <= _MOST_WORDS else f"{place[: _MOST_WORDS - 1]}…", same


def _origin_of(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _status_error(
    head: ResponseHead, body: bytes, limits: Limits, named: Format | None = None
) -> StatusError:
    """Return the error for an error status, with what the body and the headers say about it.

    Args:
        head: The response's head.
        body: The response's body.
        limits: Bounds on untrusted input.
        named: The format that the caller expects, which may know the provider's errors better.
    """
    text = str(body, "utf-8", "replace")
    found, said = _said_in(body, limits)
    kind, retryable = _judged(head, found, named)
    retry_after = _wait_of(head, found, said)
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


def _judged(
    head: ResponseHead, found: ProviderError | None, named: Format | None
) -> tuple[ErrorKind, bool | None]:
    """Return the kind of an error status; also True or False if that already decides `retryable`."""
    kind = kind_of_status(head.status)
    retryable: bool | None = False if is_final(head.status) else None
    kind_of_exception, again = error_kind(_exception_of(head))
    if found is not None and named is not None and named.judge(found):
        kind, retryable = found.kind, found.retryable
    elif kind_of_exception != "unknown":
        kind, retryable = kind_of_exception, again
    elif found is not None and found.kind != "unknown" and kind in ("unknown", "rate_limited"):
        # A status that names the server as the cause takes precedence over the words in the body.
        retryable = None if found.retryable else False
        kind = found.kind
    return kind, _SHOULD_RETRY.get(head.headers.get("x-should-retry", ""), retryable)


def _wait_of(head: ResponseHead, found: ProviderError | None, said: dict[str, Any]) -> float | None:
    """Return the wait that a server asks for, in its headers, in its body, or by its rate limits."""
    wait = retry_after_of(head.headers, head.received_at)
    if wait is None and found is not None:
        wait = found.retry_after
    limited = head.status == _TOO_MANY_REQUESTS
    if wait is None and (limited or head.status >= _LOWEST_SERVER_STATUS):
        # A gateway's body may repeat the provider's headers; the date is that of the gateway.
        repeated = {"date": head.headers.get("date", ""), **read_repeated_headers(said)}
        for headers in (head.headers, repeated):
            wait = reset_of(headers, head.received_at, limited=limited) if wait is None else wait
    return wait


def _exception_of(head: ResponseHead) -> str | None:
    """Return the name of the exception, which AWS sends only in the head."""
    return head.headers.get("x-amzn-errortype", "").partition(":")[0] or None


def _words_of(text: str, found: ProviderError | None) -> str:
    """Return the part of the error's message that describes the body."""
    if found is not None:
        return f"; {found}"
    if text.lstrip("\ufeff \t\r\n")[:1] == "<":
        title = title_of(text)
        return f"; its body is a web page titled {title!r}" if title else "; its body is a web page"
    words = " ".join(text[: 2 * _MOST_WORDS].split())
    # Bodies that are not text, or are JSON that may repeat the request, appear only in `.body`.
    if not words or not words.isprintable() or words[:1] in "{[":
        return ""
    return f"; its body says: {words if len(words) <= _MOST_WORDS else f'{words[: _MOST_WORDS - 1]}…'}"


def _advice(status: int, kind: ErrorKind, retry_after: float | None, *, again: bool | None) -> str:
    """Return what to do about an error status, for the end of its message."""
    if again is False and is_final(status):
        return "asking again will not help: check the address, and any proxy in between"
    if again is False and _ADVICE.get(kind) == "ask again later":
        return "asking again will not help: check your plan and its limits"
    if retry_after is not None:
        return f"ask again in {retry_after:g} s"
    if status == 404:
        return "check the address and the model's name"
    return _ADVICE.get(kind, "the server's explanation is in .body")


def _said_in(body: bytes, limits: Limits) -> tuple[ProviderError | None, dict[str, Any]]:
    """Return the provider's error in an error body, and the JSON object in which it was found."""
    if sniff(body, None, over=True) != "sse":
        data = _object_in(body, limits)
        return (None, {}) if data is None else (provider_error(data, "error"), data)
    for event in SSEParser(limits=limits).feed(body + b"\n\n"):
        data = _object_in(event.payload, limits)
        if data is not None:
            return provider_error(data, "error"), data
        if name_of(event) == "error":
            said = {"error": str(event.payload, "utf-8", "replace")}
            return provider_error(said, "error"), said
    return None, {}


def _object_in(payload: bytes, limits: Limits) -> dict[str, Any] | None:
    """Return the JSON object in a payload, or at the start of an array in it; None if there is none."""
    try:
        data: object = decode(payload.removeprefix(_BOM), limits)
    except (ProtocolError, LimitExceeded):
        return None
    if is_list(data) and data:
        data = data[0]
    return data if is_dict(data) else None
