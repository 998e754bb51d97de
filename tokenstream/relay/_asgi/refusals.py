"""Responses to send instead of an answer that failed before its first event, and headers as ASGI has them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from tokenstream.errors import AnswerFailure
from tokenstream.relay._encoders import load

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream._basics.waits import HeaderFields
    from tokenstream.relay._asgi.response import Receive, Scope, Send
    from tokenstream.relay._attribution import ServedAnswer
    from tokenstream.relay._incident import Incident

RawHeaders: TypeAlias = "list[tuple[bytes, bytes]]"


def make_refusal(
    incident: Incident, served: ServedAnswer, protocol: str = "tokenstream"
) -> tuple[int, RawHeaders, bytes]:
    """Return the status, the headers and the body of the response that reports a failure of an answer.

    An error of the answer itself has what the API of a protocol has there, for its SDKs.
    """
    kind: Any = incident.kind
    headers = {"x-answer-id": quote_id(served.id), **(incident.headers or {})}
    if not incident.message:
        return incident.status, encode_headers(headers), b""
    error = {
        "type": kind,
        "message": incident.message,
        "retryable": incident.retryable,
        "may_repeat": incident.may_repeat,
    }
    if incident.retry_after is not None and incident.retryable:
        error["retry_after"] = max(math.ceil(incident.retry_after), 0)
        headers["retry-after"] = str(error["retry_after"])
    if incident.whose == "application" and not incident.retryable:
        # The SDKs of OpenAI and Anthropic would ask again after a status 500.
        headers["x-should-retry"] = "false"
    body = {}
    if isinstance(incident.error, AnswerFailure):
        body = load(protocol).make_error_body(kind, incident.message)
    if body:
        error = {**error, "kind": kind, **body["error"]}
    return incident.status, *encode_json({**body, "error": error}, headers)


def encode_json(value: Json, headers: HeaderFields) -> tuple[RawHeaders, bytes]:
    """Return the headers and the body of a response that consists of a JSON value."""
    body = json.dumps(value, separators=(",", ":")).encode()
    named = {"content-type": "application/json", "cache-control": "no-store", **headers}
    return encode_headers({**named, "content-length": str(len(body))}), body


class WholeResponse:
    """A complete response, whose public attributes have the names of Starlette's."""

    def __init__(self, status: int, headers: RawHeaders, body: bytes = b"") -> None:
        self.status_code, self.raw_headers, self.body = status, headers, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def quote_id(id: object) -> str:
    """Return an answer's id for a header: an id may contain any characters, but a header only some of them.

    The id may be invalid, because a client has chosen it: the response is a refusal then, without the header.
    """
    return quote(id, safe="", errors="replace") if isinstance(id, str) else ""


def encode_headers(headers: HeaderFields) -> RawHeaders:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
