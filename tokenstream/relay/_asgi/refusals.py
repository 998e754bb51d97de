"""Refusals: responses to send instead of an answer that failed before its first event."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from tokenstream.errors import StreamError
from tokenstream.relay._encoders import load
from tokenstream.relay._incident import Incident, judge_error

if TYPE_CHECKING:
    from tokenstream.relay._attribution import ServedAnswer
    from tokenstream.relay._protocols import HeaderFields
    from tokenstream.relay.journal._errors import JournalError

RawHeaders: TypeAlias = "list[tuple[bytes, bytes]]"
"""Headers as ASGI has them."""
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response sent in place of an answer that failed before it began."""

    status: int
    body: bytes
    """JSON that describes the error."""
    headers: HeaderFields = field(default_factory=dict[str, str])
    """Further headers, such as Retry-After."""
    incident: Incident | None = None
    """The reason, which is logged when the response is sent; None if nothing has failed."""

    def make_headers(self, served: ServedAnswer) -> RawHeaders:
        """Return the headers of the whole response, with the id in an answer's record."""
        headers = {"x-answer-id": quote_id(served.id), **self.headers}
        if self.status != _NO_CONTENT:
            headers = {"content-type": "application/json", "content-length": str(len(self.body)), **headers}
        return encode_headers(headers)

    def report(self, served: ServedAnswer, status: int | None) -> None:
        """Log what has failed; its reader gets a status, unless the head was sent; None if it has gone."""
        incident = self.incident
        if incident is not None and incident.cause and (incident.error is not None or status is not None):
            served.report_incident(incident, status)


def make_refusal(incident: Incident, protocol: str = "tokenstream", **headers: str) -> Refusal:
    """Return the response that reports a failure, with what the API of a protocol has there, for its SDKs."""
    kind: Any = incident.kind
    error = {
        "type": kind,
        "message": incident.message,
        "retryable": incident.retryable,
        "may_repeat": incident.may_repeat,
    }
    if incident.retry_after is not None and incident.retryable:
        error["retry_after"] = max(math.ceil(incident.retry_after), 0)
        headers["retry-after"] = str(error["retry_after"])
    body = load(protocol).make_error_body(kind, incident.message)
    if body:
        error = {**error, "kind": kind, **body["error"]}
    sent = json.dumps({**body, "error": error}, separators=(",", ":")).encode()
    return Refusal(incident.status, sent, headers, incident)


def refuse_error(error: StreamError | JournalError, protocol: str = "tokenstream") -> Refusal:
    """Return the response for an answer that failed before its first event, or that a journal cannot take."""
    if isinstance(error, StreamError):
        return make_refusal(judge_error(error), protocol)
    from tokenstream.relay.journal._errors import judge_journal_error

    return make_refusal(judge_journal_error(error))


def quote_id(id: object) -> str:
    """Return an answer's id for a header: an id may contain any characters, but a header only some of them.

    The id may be invalid, because a client has chosen it: the response is a refusal then, without the header.
    """
    return quote(id, safe="", errors="replace") if isinstance(id, str) else ""


def encode_headers(headers: HeaderFields) -> RawHeaders:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
