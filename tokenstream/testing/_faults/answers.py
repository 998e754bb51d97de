"""Faults that replace the whole answer, or its content type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.testing._faults.base import fault
from tokenstream.testing._recordings.recording import Arrival
from tokenstream.testing._serve.replies import refusal

if TYPE_CHECKING:
    from tokenstream.testing._recordings.recording import Recording

_PAGE = b"<!DOCTYPE html>\n<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"
_TITLES = {200: b"Sign in", 502: b"502 Bad Gateway", 503: b"503 Service Unavailable"}
_HTML_HEADERS = {"content-type": "text/html; charset=utf-8"}


@fault
def html_instead(recording: Recording, status: int = 502) -> Recording:
    """Replace the answer with a web page: a proxy's error page or a login page.

    Args:
        status: The HTTP status of the page; with 200 it looks like a success.

    Raises:
        MisuseError: On replay, if `status` is not an HTTP status.
    """
    _check_status(status)
    title = _TITLES.get(status, b"%d" % status)
    return _replace_answer(recording, _PAGE % (title, title), status=status, headers=_HTML_HEADERS)


@fault
def status(
    recording: Recording,
    code: int = 529,
    *,
    message: str = "Overloaded",
    retry_after: float | None = None,
) -> Recording:
    """Replace the answer with a refusal: a status and the JSON body of an error.

    Args:
        code: The HTTP status; with 200 the error looks like a success.
        message: The provider's error message.
        retry_after: Value of the `retry-after` header, in seconds; None for no such header.

    Raises:
        MisuseError: On replay, if `code` is not an HTTP status.

    Example:
        >>> from tokenstream import testing
        >>> from tokenstream.errors import StatusError
        >>> hello = testing.script().text("Hello").finish()
        >>> try:
        ...     hello.stream(fault=testing.faults.status(429, message="Slow down", retry_after=2)).final()
        ... except StatusError as error:
        ...     print(error.status, error.kind, error.retry_after)
        429 rate_limited 2.0
    """
    _check_status(code)
    reply = refusal(code, message)
    headers = {"content-type": reply.content_type}
    if retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    return _replace_answer(
        recording, b"".join(data for _, data in reply.chunks), status=code, headers=headers
    )


@fault
def empty(recording: Recording) -> Recording:
    """Replace the body with an empty one."""
    return recording.replaced(arrivals=(), breaks=None)


@fault
def wrong_content_type(
    recording: Recording, content_type: str | None = "application/octet-stream"
) -> Recording:
    """Give the body another content type.

    Args:
        content_type: The content type to send; None to send none.
    """
    headers = {name: text for name, text in recording.headers.items() if name != "content-type"}
    if content_type is not None:
        headers["content-type"] = content_type
    return recording.replaced(headers=headers)


def _check_status(status: object) -> None:
    """Raise `MisuseError` for a value that cannot be the status of an answer."""
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise MisuseError(f"{status!r} is not the status of an answer: pass one from 200 to 599")


def _replace_answer(recording: Recording, body: bytes, *, status: int, headers: dict[str, str]) -> Recording:
    """Return a recording with another answer, whose whole body arrives at the time of the old first chunk."""
    at = recording.arrivals[0].at if recording.arrivals else 0.0
    return recording.replaced(
        arrivals=(Arrival(at, body),), status=status, headers=headers, messages=False, breaks=None
    )
