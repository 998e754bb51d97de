"""Replies for a test's server: chunks with the pause before each, refusals, and bodies cut into events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Literal

from tests.support.chunkings import per_event
from tests.support.loopback import EVENT_STREAM
from tokenstream import testing
from tokenstream.testing import Arrival, Recording, Request, Server

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
"""Types of error, where they differ from that of most statuses."""


def reply(
    chunks: Iterable[tuple[float, bytes]] = (),
    *,
    content_type: str = EVENT_STREAM,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cut: Literal["close", "reset", "stall"] | None = None,
) -> Recording:
    """Return a reply of chunks, each with the seconds to wait before it.

    Args:
        cut: The way in which the connection breaks after the chunks; None ends the body properly.
    """
    at, arrivals = 0.0, list[Arrival]()
    for pause, data in chunks:
        at += pause
        arrivals.append(Arrival(at, data))
    return Recording(
        tuple(arrivals), status=status, headers={"content-type": content_type, **(headers or {})}, breaks=cut
    )


def at_once(
    body: bytes | Iterable[bytes],
    *,
    content_type: str = EVENT_STREAM,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Recording:
    """Return a reply without pauses, whose chunks are given, or are the events of a body."""
    chunks = per_event(body) if isinstance(body, bytes) else body
    return reply(
        ((0.0, chunk) for chunk in chunks), content_type=content_type, status=status, headers=headers
    )


def refusal(status: int, message: str) -> Recording:
    """Return a reply that refuses a request, with an error in the JSON that most providers use."""
    usual = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "api_error"
    error = {"message": message, "type": _TYPES.get(status, usual), "param": None, "code": None}
    body = json.dumps({"type": "error", "error": error}).encode()
    return reply([(0.0, body)], content_type="application/json", status=status)


def serve_in_time(what: Recording | Mapping[str, Recording] | Callable[[Request], Recording]) -> Server:
    return testing.serve(what, pace="recorded")
