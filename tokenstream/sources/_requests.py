"""Responses of requests and urllib3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources._kinds import SyncSource, do_nothing, is_like
from tokenstream.status import ResponseHead, lowered

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["from_requests", "from_urllib3", "is_requests", "is_urllib3", "was_read"]

_REQUESTS = ("iter_content", "raw", "status_code", "headers")
_URLLIB3 = ("release_conn", "read_chunked", "status", "headers")
_AT_A_TIME = 65_536
_READ_BEFORE = "the response was read or closed before; hand it over unread"


def is_requests(source: object) -> bool:
    """Tell whether something is a response of requests."""
    return is_like(source, _REQUESTS, "status_code")


def is_urllib3(source: object) -> bool:
    """Tell whether something is a response of urllib3."""
    return is_like(source, _URLLIB3)


def was_read(response: Any) -> bool:  # noqa: ANN401 - of requests or of urllib3
    """Tell whether a response's body is at hand, or gone."""
    raw = response.raw if is_requests(response) else response
    return not is_urllib3(raw) or _is_over(raw)


def from_requests(response: Any) -> SyncSource:  # noqa: ANN401 - of requests
    """Return a response of requests as a `Stream` reads it."""
    head = ResponseHead(
        status=response.status_code,
        headers=lowered(response.headers.items()),
        reason=response.reason or "",
        url=response.url or "",
    )
    raw = response.raw
    if not is_urllib3(raw) or _is_over(raw):
        return SyncSource(_content(response), do_nothing, head)
    return _live(raw, head, response.close)


def from_urllib3(response: Any) -> SyncSource:  # noqa: ANN401 - of urllib3
    """Return a response of urllib3 as a `Stream` reads it."""
    head = ResponseHead(
        status=response.status,
        headers=lowered(response.headers.items()),
        reason=response.reason or "",
        url=_url_of(response),
    )
    if _is_over(response):
        # The content coding is off unless that was refused.
        coding = "" if response.decode_content else head.content_coding
        return SyncSource(_data(response), do_nothing, head, coding)
    return _live(response, head, response.close)


def _live(raw: Any, head: ResponseHead, close: Any) -> SyncSource:  # noqa: ANN401 - of urllib3
    return SyncSource(_body(raw), close, head, head.content_coding, socket=_socket_finder(raw))


def _url_of(response: Any) -> str:  # noqa: ANN401 - of urllib3
    try:
        return response.geturl() or ""
    except NotImplementedError:
        # One of HTTP/2 does not say.
        return ""


def _is_over(raw: Any) -> bool:  # noqa: ANN401 - of urllib3
    # One of HTTP/2 was read whole, and says of itself that it is a file that is open.
    return bool(raw.closed) or raw.version == 20


def _content(response: Any) -> Iterator[bytes]:  # noqa: ANN401 - of requests
    # A response that was made by hand has none of urllib3's beneath.
    if (
        is_urllib3(response.raw)
        and not getattr(response, "_content_consumed", True)
        and _is_gone(response.raw)
    ):
        raise MisuseError(_READ_BEFORE)
    try:
        yield response.content
    except RuntimeError as error:
        raise MisuseError(_READ_BEFORE) from error


def _data(raw: Any) -> Iterator[bytes]:  # noqa: ANN401 - of urllib3
    data = raw.data or b""
    if not data and getattr(raw, "_body", None) is None and _is_gone(raw):
        raise MisuseError(_READ_BEFORE)
    yield data


def _is_begun(raw: Any) -> bool:  # noqa: ANN401 - of urllib3
    return bool(raw.tell() or getattr(raw, "_uncached_read_occurred", False))


def _is_gone(raw: Any) -> bool:  # noqa: ANN401 - of urllib3
    """Tell whether the body of a closed response was not empty, so that it was read or closed before."""
    return _is_begun(raw) or bool(raw.chunked) or bool(raw.length_remaining)


def _body(raw: Any) -> Iterator[bytes]:  # noqa: ANN401 - of urllib3
    """Give the bytes of a body as they come, with their content coding."""
    if _is_begun(raw):
        raise MisuseError(_READ_BEFORE)
    if hasattr(raw, "read1"):
        # `stream()` waits until it has as many bytes as it was asked for.
        while chunk := raw.read1(_AT_A_TIME, decode_content=False):
            yield chunk
    else:
        # Before 2.2: chunks come one by one, of what is not chunked only single bytes come at once.
        yield from raw.stream(_AT_A_TIME if raw.chunked else 1, decode_content=False)


def _socket_finder(raw: Any) -> Any:  # noqa: ANN401 - of urllib3
    """Return what finds the socket of a response; once that is given back to its pool, none is found.

    The socket's object is taken now, not its number, which another one may get later.
    """
    found = getattr(raw.connection, "sock", None)
    if found is None and raw.connection is not None and hasattr(raw, "shutdown"):
        # A body that ends with its connection has taken the socket away from it.
        found = _Shutdown(raw)

    def find() -> Any:  # noqa: ANN401 - a socket
        return found if raw.connection is not None else None

    return find


class _Shutdown:
    """Stands for a socket that only its response can shut down."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - of urllib3
        self._raw = raw

    def shutdown(self, how: int) -> None:
        """End the read that is in progress."""
        try:
            self._raw.shutdown()
        except (RuntimeError, ValueError) as error:
            raise OSError("the connection is closed") from error
