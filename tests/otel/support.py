"""Traces of requests whose servers exist only in the test."""

from __future__ import annotations

from typing import Any

import httpx

from tests.otel.backend import Backend
from tokenstream import MisuseError, StreamError, connect, testing
from tokenstream.otel import observe

REFUSAL = b'{"error": {"message": "no"}}'


def told_of(url: str, payload: Any = None, *, format: Any = None) -> dict[str, Any]:
    """Return the attributes of the span of a request; a refusal is in no format."""
    body = REFUSAL if format is None else b"".join(testing.script().text("Hi").finish().chunks(format))
    answer = httpx.Response(400 if format is None else 200, content=body)
    backend = Backend()
    with httpx.Client(transport=httpx.MockTransport(lambda _: answer)) as client:
        stream = observe(connect(url, json=payload, client=client, format=format), **backend.takes)
        try:
            stream.final()
        except (StreamError, MisuseError):
            assert format is None
    return backend.told


def told_without_address(format: Any) -> dict[str, Any]:
    """Return the attributes of the span of an answer of which no address is known."""
    backend = Backend()
    observe(testing.script().text("Hi").finish().stream(format), **backend.takes).final()
    return backend.told
