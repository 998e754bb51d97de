"""Adapter for responses of the standard library's http.client, which urllib.request returns, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._connection.head import ResponseHead, lower_header_names
from tokenstream._sources.kinds import SyncSource, is_response_like
from tokenstream._sources.plain import CHUNK_SIZE
from tokenstream._sources.socket_limit import find_socket_limit
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

    from tokenstream._sources.foreign import HTTPClientResponse

_NAMES = ("getheaders", "isclosed", "read1", "reason")
_SHUT_RDWR = 2


def is_http_client(source: object) -> TypeGuard[HTTPClientResponse]:
    """Return True for an http.client response."""
    return is_response_like(source, _NAMES)


def from_http_client(response: HTTPClientResponse) -> SyncSource:
    """Return the source through which a `Stream` reads an http.client response."""
    head = ResponseHead(
        status=response.status,
        headers=lower_header_names(response.getheaders()),
        reason=response.reason or "",
        url=getattr(response, "url", None) or "",
    )
    body = _HttpClientBody(response, head.headers.get("content-length"))
    # Without `fp`, the response is closed, so its socket must not be shut down any more.
    return SyncSource(
        iter(body),
        body.close,
        head,
        head.content_coding,
        socket=lambda: None if response.fp is None else body.socket,
        keep_limit=None if body.limit is None else body.limit.keep,
    )


class _HttpClientBody:
    """Iterates over the bytes of a body as they arrive, without decoding the content coding.

    Args:
        length: The value of the response's header Content-Length; None if there is none.
    """

    def __init__(self, response: HTTPClientResponse, length: str | None) -> None:
        self._response = response
        self._was_read_to_end = False
        self.socket: Any = getattr(getattr(response.fp, "raw", None), "_sock", None)
        self.limit = find_socket_limit(response)
        """Keeps the limit of the reads; None if the socket cannot be found."""
        # `response.length` is the number of bytes that remain to be read, `length` that of the whole body.
        is_length_known = response.length is not None and length is not None
        # A 304 has no body, although its header has the length that the body would have.
        were_bytes_read = is_length_known and response.status != 304 and str(response.length) != length
        is_in_a_chunk = isinstance(response.chunk_left, int)
        self._has_begun = response.isclosed() or is_in_a_chunk or were_bytes_read

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes; raise if the response was already read, or if the body ends too early."""
        response = self._response
        if self._has_begun:
            raise MisuseError("the response was already read or closed; pass it unread")
        try:
            while chunk := response.read1(CHUNK_SIZE):
                yield chunk
        finally:
            self._end_limit()
        if response.length:
            # http.client itself would accept the end of the connection as the end of the body.
            raise ConnectionResetError(f"{response.length} bytes of the body did not arrive")
        self._was_read_to_end = True

    def _end_limit(self) -> None:
        """Set the socket's own timeout again, because further requests may use the connection."""
        if self.limit is not None:
            self.limit.give_back()

    def close(self) -> None:
        """Close the response; if the body was not read to its end, shut down the connection first."""
        try:
            if self.socket is not None and not self._was_read_to_end:
                self.socket.shutdown(_SHUT_RDWR)
        except OSError:
            # The server has already closed the connection.
            return
        finally:
            self._response.close()
