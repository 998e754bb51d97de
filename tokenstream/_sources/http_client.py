"""Adapter for http.client's responses, as urllib.request returns them, and the limit of their reads."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenstream._connection.head import ResponseHead, lower_header_names
from tokenstream._sources.kinds import SyncSource, is_response_like
from tokenstream._sources.plain import CHUNK_SIZE
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

    from tokenstream._sources.foreign import HTTPClientResponse
    from tokenstream._sources.kinds import SupportsReadLimit


class SocketLimit:
    """Sets the timeout of a socket before each `recv` for a body.

    To limit each read of the body is not enough: one read may call `recv` again and again, if a server
    sends the length of a chunk byte by byte.

    Args:
        file: The file through which http.client reads one response from its socket. This object replaces
            the file's method `readinto` by one of its own, and so keeps only a weak reference to the file.
    """

    __slots__ = ("_file", "_limit", "_own", "_socket")

    def __init__(self, file: object, socket: Any) -> None:  # noqa: ANN401 - of http.client
        self._file = ref(file)
        self._socket = socket
        self._limit: SupportsReadLimit | None = None
        self._own: float | None = None
        """The timeout that the socket had, which is never exceeded."""

    def keep(self, limit: SupportsReadLimit) -> None:
        """Limit how long all reads from now on wait."""
        self._limit = limit
        self._own = self._socket.gettimeout()
        # The file is that of this response alone, even if its connection goes on to other ones.
        file: Any = self._file()
        file.readinto = self._read_into

    def give_back(self) -> None:
        """Set the timeout that the socket had before, because its connection goes on to other responses."""
        if self._limit is not None:
            self._set_timeout(self._own)

    def _read_into(self, buffer: object) -> object:
        """Read bytes into a buffer within the limit; return the number of bytes."""
        if self._limit is not None:
            self._set_timeout(self._limit.seconds(self._own))
        file: Any = self._file()
        return file.__class__.readinto(file, buffer)

    def _set_timeout(self, seconds: float | None) -> None:
        # The socket may be closed; then the next read raises an error.
        with suppress(OSError):
            self._socket.settimeout(seconds)


def find_socket_limit(response: object) -> SocketLimit | None:
    """Return an object that limits the reads of a response; None if the socket cannot be found."""
    file = getattr(getattr(response, "fp", None), "raw", None)
    socket = getattr(file, "_sock", None)
    return None if socket is None else SocketLimit(file, socket)


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
