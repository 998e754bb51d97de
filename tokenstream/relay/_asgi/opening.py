"""The response for an answer that failed before its first event: a status and a JSON body."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.errors import GuardFailed, ProviderError, StatusError, StreamStalled
from tokenstream.relay._asgi.outlet import Refusal, error_body

if TYPE_CHECKING:
    from tokenstream.errors import ErrorKind, StreamError

_BAD_GATEWAY, _UNAVAILABLE, _TIMEOUT = 502, 503, 504
_STATUSES: dict[ErrorKind, int] = {"rate_limited": 429, "overloaded": _UNAVAILABLE}
"""Maps kinds of errors to HTTP statuses; all others, between this server and the provider, get 502."""
_SAID: dict[ErrorKind, str] = {
    "rate_limited": "The provider asks to wait before the next request.",
    "overloaded": "The provider is overloaded.",
    "network": "The provider could not be reached, or its answer broke off before it began.",
    "invalid_request": "The provider refused the request that this server made.",
    "authentication": "The provider refused this server.",
    "server": "The provider failed.",
}
_SAID_LATE = "The provider did not answer in time."


def status_of(error: StreamError) -> int:
    """Return the HTTP status for an answer that failed before its first event.

    If the provider has refused this server's request, the status is 502 and not 4xx, because the
    client did nothing wrong.

    Args:
        error: The error.

    Example:
        >>> from tokenstream.errors import StatusError
        >>> status_of(StatusError("HTTP 404", status=404, kind="invalid_request"))
        502
        >>> status_of(StatusError("HTTP 529", status=529, kind="overloaded"))
        503
    """
    if isinstance(error, GuardFailed):
        return 500
    if _is_late(error):
        return _TIMEOUT
    return _STATUSES.get(error.kind, _BAD_GATEWAY)


def refusal_of(error: StreamError, late: bytes | None) -> Refusal:
    """Return the response for an answer that failed before its first event.

    Args:
        error: The error.
        late: The error as an event of the protocol, to be sent if the head was sent already; None if the
            protocol has no event for errors.
    """
    status = status_of(error)
    said = _SAID_LATE if status == _TIMEOUT else _SAID.get(error.kind, "The provider gave no answer.")
    wait = None if error.retry_after is None else max(math.ceil(error.retry_after), 0)
    more = {} if wait is None else {"retry_after": wait}
    body = error_body(error.kind, said, retryable=error.retryable, **more)
    return Refusal(status, body, {} if wait is None else {"retry-after": str(wait)}, late, error)


def _is_late(error: StreamError) -> bool:
    """Return True if the failure is a timeout, of the provider or of a server on the way."""
    if isinstance(error, StatusError):
        return error.status in {408, _TIMEOUT}
    if isinstance(error, ProviderError):
        return False
    return isinstance(error, StreamStalled) or "timeout" in type(error.__cause__).__name__.lower()
