"""Responses that refuse a request, and the errors that a user gets for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tokenstream import Stream
from tokenstream.errors import StatusError, StreamError


def error_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes] = b"",
    *,
    url: str | None = None,
    **options: Any,
) -> StreamError:
    """Return the error of a stream around a response, which has no reason phrase, as HTTP/2 has none.

    Args:
        url: The address that was asked; None for a response that does not know it.
    """
    response = httpx.Response(
        status,
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=body,
        request=None if url is None else httpx.Request("POST", url),
        extensions={"reason_phrase": b""},
    )
    try:
        Stream(response, **options).final()
    except StreamError as error:
        return error
    message = f"status {status} gives no error"
    raise AssertionError(message)


def status_error_of(status: int, headers: Mapping[str, str], payload: Any = None) -> StatusError:
    error = error_of(status, headers, b"" if payload is None else json.dumps(payload).encode())
    assert isinstance(error, StatusError)
    return error
