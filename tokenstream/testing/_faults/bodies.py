"""Faults that change or replace the body: garbled bytes, broken JSON, other line ends, another answer."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.framing._lines import BOM
from tokenstream.testing._faults.base import fault
from tokenstream.testing._recordings.frames import framing_of
from tokenstream.testing._recordings.places import Edit, find_event, find_offset, splice
from tokenstream.testing._recordings.recording import Arrival
from tokenstream.testing._serve.replies import refusal

if TYPE_CHECKING:
    from tokenstream.testing._recordings.recording import Recording

_LONE_LF = re.compile(rb"(?<!\r)\n")

_PAGE = b"<!DOCTYPE html>\n<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"
_TITLES = {200: b"Sign in", 502: b"502 Bad Gateway", 503: b"503 Service Unavailable"}
_HTML_HEADERS = {"content-type": "text/html; charset=utf-8"}


@fault
def garble(
    recording: Recording,
    *,
    at: float | None = None,
    event: int | None = None,
    size: int = 4,
    seed: int = 0,
    data: bytes | None = None,
) -> Recording:
    r"""Overwrite some bytes.

    Args:
        at: Offset of the first byte, as for `cut`: an int is a number of bytes, a float is a fraction of
            the body. By default, it is in the middle.
        event: Number of an event; if passed instead of `at`, the overwritten bytes follow that event.
        size: Number of bytes to change; fewer are changed if the body ends before that.
        seed: Seed of the random replacements; the same seed gives the same bytes.
        data: Bytes to write, such as `b"\xff"`, which is invalid UTF-8; `size` and `seed` then do
            nothing. None for random bytes.

    Raises:
        MisuseError: On replay, if no bytes follow the offset or the event.
    """
    if size < 1 or data == b"":
        raise MisuseError("garble() overwrites one byte at least: neither size=0 nor data=b'' does")
    offset = find_offset(recording, at, event)
    old = recording.body[offset : offset + (size if data is None else len(data))]
    if not old:
        raise MisuseError(f"nothing is left to garble after byte {offset:,} of {recording.name!r}")
    generator = random.Random(seed)  # noqa: S311 - no secret
    new = bytes(byte ^ generator.randint(1, 255) for byte in old) if data is None else data
    # One edit for each byte, so that no chunk boundary moves.
    edits = [Edit(offset + index, offset + index + 1, new[index : index + 1]) for index in range(len(old))]
    return splice(recording, edits)


@fault
def bad_json(recording: Recording, *, event: int | None = None) -> Recording:
    """Break the JSON of one event.

    Args:
        event: Number of the event, from 1, or from the end with -1 for the last; by default the
            event in the middle.

    Raises:
        MisuseError: On replay, if there is no event with that number, or it is not a JSON object.
    """
    index, spans = find_event(recording, event)
    begin, end = spans[index]
    brace = recording.body.rfind(b"}", begin, end)
    if brace < 0:
        raise MisuseError(
            f"event {index + 1} of {recording.name!r} holds no JSON object that could be broken"
        )
    return splice(recording, [Edit(brace, brace + 1, b"!")])


@fault
def crlf(recording: Recording) -> Recording:
    """End lines with CR LF instead of LF.

    Raises:
        MisuseError: On replay, if the body is not text in lines.
    """
    _require_text(recording)
    return splice(recording, [Edit(*match.span(), b"\r\n") for match in _LONE_LF.finditer(recording.body)])


@fault
def bom(recording: Recording) -> Recording:
    """Begin the body with a byte order mark.

    Raises:
        MisuseError: On replay, if the body is not text.
    """
    _require_text(recording)
    return splice(recording, [Edit(begin=0, end=0, data=BOM)])


def _require_text(recording: Recording) -> None:
    """Raise `MisuseError` if a body is not text in lines."""
    if framing_of(recording) not in {"sse", "ndjson", "json"}:
        raise MisuseError(f"the body of {recording.name!r} is not text in lines")


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
