"""Refusals: responses to send instead of an answer that failed before its first event."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from tokenstream._values.error_kinds import ERROR_KINDS
from tokenstream.errors import (
    CostExceeded,
    GuardFailed,
    ProviderError,
    PurseUnavailable,
    StatusError,
    StreamError,
    StreamStalled,
)
from tokenstream.relay._encoders import load
from tokenstream.stream._log import INFO, WARNING

if TYPE_CHECKING:
    from tokenstream.relay._attribution import ServedAnswer
    from tokenstream.relay._protocols import HeaderFields
    from tokenstream.relay.journal._errors import JournalError

RawHeaders: TypeAlias = "list[tuple[bytes, bytes]]"
"""Headers as ASGI has them."""
_NO_CONTENT = 204
_REQUEST_TIMEOUT, _BAD_GATEWAY, _UNAVAILABLE, _GATEWAY_TIMEOUT = 408, 502, 503, 504
_SENT_BY_STATUS = {429: 429, _UNAVAILABLE: _UNAVAILABLE, 529: _UNAVAILABLE}
"""Maps statuses of the provider, whatever its error's kind is, to the statuses to send."""
_OWN: dict[type[StreamError], tuple[int, str]] = {
    # The SDKs of providers ask again after 429 and 500, and not after 402.
    CostExceeded: (402, "The budget has no room for the answer."),
    PurseUnavailable: (_UNAVAILABLE, "The budget for answers cannot be read now."),
    GuardFailed: (500, "A guard of the answer has failed."),
}
"""The statuses and the messages of errors that are none of the provider's."""
_TIMEOUT_MESSAGE = "The provider did not answer in time."


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response sent in place of an answer that failed before it began."""

    status: int
    body: bytes
    """JSON that describes the error."""
    headers: HeaderFields = field(default_factory=dict[str, str])
    """Further headers, such as Retry-After."""
    error: StreamError | JournalError | None = None
    """The reason, which is logged when the response is sent; None if nothing has failed."""

    def make_headers(self, served: ServedAnswer) -> RawHeaders:
        """Return the headers of the whole response, with the id in an answer's record."""
        headers = {"x-answer-id": quote_id(served.id), **self.headers}
        if self.status != _NO_CONTENT:
            headers = {"content-type": "application/json", "content-length": str(len(self.body)), **headers}
        return encode_headers(headers)

    def report(self, served: ServedAnswer, status: int | None) -> None:
        """Log what has failed; its reader gets a status, unless the head was sent; None if it has gone."""
        error = self.error
        if isinstance(error, StreamError):
            served.report(error, status)
        elif error is not None and error.retry_after is not None and status is not None:
            from tokenstream.relay.journal._errors import describe_failure

            # An owner who asks too often must not fill the log with warnings.
            level = INFO if error.kind == "too_many_answers" else WARNING
            served.report_refusal(level, describe_failure(error), status)


def error_body(
    kind: Any,  # noqa: ANN401 - a kind of error, or a word of the relay's own
    message: str,
    *,
    retryable: bool,
    protocol: str = "tokenstream",
    **more: object,
) -> bytes:
    """Return the JSON body of an error response, with what the API of a protocol has there, for its SDKs.

    Of the relay's own refusals, `may_repeat` says if a page may send the request again unasked: only if it
    has reached no model.
    """
    error = {"type": kind, "message": message, "retryable": retryable, **more}
    body = load(protocol).make_error_body(kind, message)
    if body:
        error = {**error, "kind": kind, **body["error"]}
    return json.dumps({**body, "error": error}, separators=(",", ":")).encode()


def status_of(error: StreamError) -> int:
    """Return the HTTP status for an answer that failed before its first event.

    If the provider has refused this server's request, the status is 502 and not 4xx, because the
    client did nothing wrong.
    """
    if type(error) in _OWN:
        return _OWN[type(error)][0]
    if _is_timeout(error):
        return _GATEWAY_TIMEOUT
    status = _SENT_BY_STATUS.get(error.status) if isinstance(error, StatusError) else None
    return status or ERROR_KINDS[error.kind].refusal_status


def refuse_failed(error: StreamError, protocol: str = "tokenstream") -> Refusal:
    """Return the response for an answer that failed before its first event."""
    status = status_of(error)
    # Not the error's own message: it may quote the provider's, which may be private.
    message = _OWN[type(error)][1] if type(error) in _OWN else ERROR_KINDS[error.kind].refusal
    if status == _GATEWAY_TIMEOUT:
        message = _TIMEOUT_MESSAGE
    after, headers = {}, dict[str, str]()
    if error.retry_after is not None and error.retryable:
        after = {"retry_after": max(math.ceil(error.retry_after), 0)}
        headers = {"retry-after": str(after["retry_after"])}
    body = error_body(error.kind, message, retryable=error.retryable, protocol=protocol, **after)
    return Refusal(status, body, headers, error)


def quote_id(id: object) -> str:
    """Return an answer's id for a header: an id may contain any characters, but a header only some of them.

    The id may be invalid, because a client has chosen it: the response is a refusal then, without the header.
    """
    return quote(id, safe="", errors="replace") if isinstance(id, str) else ""


def encode_headers(headers: HeaderFields) -> RawHeaders:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def refuse_journal_error(error: JournalError) -> Refusal:
    from tokenstream.relay.journal._errors import ROWS

    row, is_temporary = ROWS[error.kind], error.retry_after is not None
    more: dict[str, Any] = {"may_repeat": True} if row is ROWS["unavailable"] else {}
    body = error_body(row.type, row.message, retryable=is_temporary, **more)
    headers = {"retry-after": f"{error.retry_after:.0f}"} if is_temporary else {}
    return Refusal(error.status, body, headers, error)


def _is_timeout(error: StreamError) -> bool:
    """Return True if the failure is a timeout, of the provider or of a server on the way."""
    if isinstance(error, StatusError):
        return error.status in {_REQUEST_TIMEOUT, _GATEWAY_TIMEOUT}
    if isinstance(error, ProviderError):
        # The provider has reported an error, and so was not silent.
        return False
    # The exceptions of the HTTP clients have no common class, but names such as `ReadTimeout`.
    return isinstance(error, StreamStalled) or "timeout" in type(error.__cause__).__name__.lower()
