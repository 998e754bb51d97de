"""The head of an HTTP response, and what its body says when its status is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from tokenstream._json import decode
from tokenstream.errors import LimitExceeded, NotAStream, ProtocolError, StatusError
from tokenstream.formats._errors import kind_of_status, provider_error
from tokenstream.formats._read import is_dict, is_list
from tokenstream.framing import SSEParser
from tokenstream.framing.sniff import title_of
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.limits import Limits

__all__ = ["ErrorBody", "ResponseHead", "retry_after_of", "status_error"]


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
    url: str = ""

    @property
    def content_type(self) -> str | None:
        """What the server says of the body."""
        return self.headers.get("content-type")

    @property
    def request_id(self) -> str | None:
        """The provider's name for the request, for its support."""
        for name in _REQUEST_IDS:
            if name in self.headers:
                return self.headers[name]
        return None


_REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "x-generation-id",
    "x-amzn-requestid",
    "apim-request-id",
    "cf-ray",
)


_LOWEST_ERROR_STATUS = 400
_MOST_DIGITS = 12
_MOST_BODY = 64 * 1024
"""Bytes of an error body that are looked at."""


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
    takes_text = False
    comments = 0
    name: str | None = None
    frames_seen = 0
    tail = b""

    def __init__(self, head: ResponseHead, *, limits: Limits) -> None:
        self._head = head
        self._limits = limits
        self._body = bytearray()

    def frames(self, chunk: bytes) -> list[Any]:
        """Keep what there is room for."""
        self._body += chunk[: max(0, _MOST_BODY - len(self._body))]
        if len(self._body) >= _MOST_BODY:
            self.end()
        # One frame, so that its reader looks for the error.
        return [chunk]

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


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, or None.

    It says so in milliseconds (`retry-after-ms`), in seconds, or as a date
    (`retry-after`), which is compared with the server's own `date`.

    Example:
        >>> retry_after_of({"retry-after": "2"}), retry_after_of({"retry-after-ms": "150"})
        (2.0, 0.15)
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if 0 < len(value) <= _MOST_DIGITS and value.isascii() and value.replace(".", "", 1).isdecimal():
            return float(value) / unit
    return _seconds_until(headers.get("retry-after", ""), headers.get("date", ""))


def _seconds_until(date: str, now: str) -> float | None:
    try:
        seconds = (parsedate_to_datetime(date) - parsedate_to_datetime(now)).total_seconds()
    except (ValueError, TypeError):
        return None
    return max(0.0, seconds)


def status_error(status: int, headers: Mapping[str, str]) -> StatusError:
    """Return the error of a response whose body is not at hand."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return _status_error(ResponseHead(status=status, headers=lowered), b"", DEFAULT_LIMITS)


def _redirected(head: ResponseHead, body: bytes, limits: Limits) -> StreamError:
    target = head.headers.get("location", "nowhere")
    error = NotAStream(
        f"the server redirects to {target} (status {head.status}): redirects are not followed, "
        "because credentials must not reach another host; ask there if that is meant",
        body=str(body[: limits.tail], "utf-8", "replace"),
    )
    error.request_id = head.request_id
    return error


def _status_error(head: ResponseHead, body: bytes, limits: Limits) -> StatusError:
    text = str(body, "utf-8", "replace")
    said = _first_object(body, limits)
    found = provider_error({"error": said.get("error", said)}) if said else None
    kind = kind_of_status(head.status)
    message = f"the server answered with status {head.status}"
    if head.reason:
        message += f" {head.reason}"
    retry_after = retry_after_of(head.headers)
    retryable: bool | None = None
    if found is not None:
        message += f"; {found}"
        if found.retryable is False and found.kind != "unknown":
            retryable = False
        kind = found.kind if kind in ("unknown", "rate_limited") and found.kind != "unknown" else kind
    elif title_of(text):
        message += f"; its body is a web page titled {title_of(text)!r}"
    error = StatusError(
        message,
        status=head.status,
        code=found.code if found is not None else None,
        type=found.type if found is not None else None,
        body=text[: limits.tail],
        kind=kind,
        retryable=retryable,
        retry_after=retry_after,
    )
    error.request_id = head.request_id
    return error


def _first_object(body: bytes, limits: Limits) -> dict[str, Any] | None:
    """Find the JSON object in an error body: the body itself, or the data of its first SSE event."""
    payloads = [body]
    if body.lstrip()[:5] in (b"data:", b"event"):
        payloads = [event.payload for event in SSEParser(limits=limits).feed(body + b"\n\n")]
    for payload in payloads:
        try:
            data: object = decode(payload, limits)
        except (ProtocolError, LimitExceeded):
            continue
        if is_list(data) and data:
            data = data[0]
        if is_dict(data):
            return data
    return None
