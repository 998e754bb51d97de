"""Adapters for responses of http.client, urllib3, requests and boto3, with the limit of their reads.

An event stream of boto3 reads a response of urllib3, and is in a dict with the rest of AWS's response.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard
from weakref import ref

from tokenstream._basics.untrusted import is_dict
from tokenstream._connection.head import LOWEST_ERROR_STATUS, make_head
from tokenstream._connection.status import status_error
from tokenstream._sources.kinds import SupportsReadLimit, SyncSource, do_nothing, is_response_like
from tokenstream._sources.plain import CHUNK_SIZE
from tokenstream.errors import MisuseError, ProtocolError, StreamError
from tokenstream.formats._kit.errors import provider_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._basics.loose import Action
    from tokenstream._connection.head import ResponseHead
    from tokenstream._sources.typing import (
        BotocoreEventStream,
        HTTPClientResponse,
        RequestsResponse,
        Urllib3Response,
    )

_REQUESTS = ("iter_content", "raw", "status_code", "headers")
_URLLIB3 = ("release_conn", "read_chunked", "status", "headers")
_ALREADY_READ = "the response was already read or closed; pass it unread"


class SocketLimit:
    """Sets the timeout of a socket before each `recv` for a body.

    To limit each read of the body is not enough: one read may call `recv` again and again, if a server
    sends the length of a chunk byte by byte.

    Args:
        file: The file through which http.client reads one response from its socket. This object replaces
            the file's method `readinto` by one of its own, and so keeps only a weak reference to the file.
    """

    def __init__(self, file: object, socket: Any) -> None:  # noqa: ANN401 - of http.client
        self._file = ref(file)
        self.socket = socket
        self._limit: SupportsReadLimit | None = None
        self._own: float | None = None
        """The timeout that the socket had, which is never exceeded."""

    @property
    def patience(self) -> float | None:
        """The socket's timeout, in seconds; None for none."""
        seconds: float | None = self.socket.gettimeout()
        return seconds

    def keep(self, limit: SupportsReadLimit) -> None:
        """Limit how long all reads from now on wait."""
        self._limit = limit
        self._own = self.patience
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
            self.socket.settimeout(seconds)


def find_socket_limit(response: object) -> SocketLimit | None:
    file = getattr(getattr(response, "fp", None), "raw", None)
    socket = getattr(file, "_sock", None)
    return None if socket is None else SocketLimit(file, socket)


_NAMES = ("getheaders", "isclosed", "read1", "reason")
_SHUT_RDWR = 2


def is_http_client(source: object) -> TypeGuard[HTTPClientResponse]:
    return is_response_like(source, _NAMES)


def from_http_client(response: HTTPClientResponse) -> SyncSource:
    url = getattr(response, "url", None)
    head = make_head(response.status, response.getheaders(), response.reason, url)
    body = _HttpClientBody(response, head.headers.get("content-length"))
    # Without `fp`, the response is closed, so its socket must not be shut down any more.
    return SyncSource(
        iter(body),
        body.close,
        head,
        head.content_coding,
        socket=lambda: None if response.fp is None or body.limit is None else body.limit.socket,
        patience=0.0 if body.limit is None else body.limit.patience,
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
        self.limit = find_socket_limit(response)
        """Has the socket, and the limit of the reads; None if the socket cannot be found."""
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
            raise MisuseError(_ALREADY_READ)
        try:
            while chunk := response.read1(CHUNK_SIZE):
                yield chunk
        finally:
            if self.limit is not None:
                # Further requests may use the connection.
                self.limit.give_back()
        if response.length:
            # http.client itself would accept the end of the connection as the end of the body.
            raise ConnectionResetError(f"{response.length} bytes of the body did not arrive")
        self._was_read_to_end = True

    def close(self) -> None:
        """Close the response; if the body was not read to its end, shut down the connection first."""
        try:
            if self.limit is not None and not self._was_read_to_end:
                self.limit.socket.shutdown(_SHUT_RDWR)
        except OSError:
            # The server has already closed the connection.
            return
        finally:
            self._response.close()


def is_requests(source: object) -> TypeGuard[RequestsResponse]:
    return is_response_like(source, _REQUESTS, "status_code")


def is_urllib3(source: object) -> TypeGuard[Urllib3Response]:
    return is_response_like(source, _URLLIB3)


def was_read(response: object) -> bool:
    """Return True if the body of a response was already read, even if it was not stored."""
    raw = response.raw if is_requests(response) else response
    # A requests response without a urllib3 response was created by hand, with its body.
    return not is_urllib3(raw) or _is_closed(raw)


def from_requests(response: RequestsResponse) -> SyncSource:
    request = getattr(response, "request", None)
    headers = response.headers.items()
    head = make_head(response.status_code, headers, response.reason, response.url, request)
    if was_read(response):
        # The response was created by hand, with its body, or its body was read, and decoded, already.
        return SyncSource(_read_requests_body(response), do_nothing, head)
    return _make_live_source(response.raw, head, response.close)


def from_urllib3(response: Urllib3Response) -> SyncSource:
    head = make_head(response.status, response.headers.items(), response.reason, _url_of(response))
    if _is_closed(response):
        # urllib3 has decoded the body, unless decode_content was turned off.
        coding = "" if response.decode_content else head.content_coding
        return SyncSource(_read_urllib3_body(response), do_nothing, head, coding)
    return _make_live_source(response, head, response.close)


def _make_live_source(raw: Urllib3Response, head: ResponseHead, close: Action) -> SyncSource:
    """Return a source that reads a response's body from its connection, still compressed."""
    # Below urllib3's response is one of http.client. urllib3 sets the timeout of its socket for each
    # request, so it need not be given back.
    limit = find_socket_limit(getattr(raw, "_fp", None))
    return SyncSource(
        _read_chunks(raw),
        close,
        head,
        head.content_coding,
        socket=_make_socket_finder(raw),
        patience=0.0 if limit is None else limit.patience,
        keep_limit=None if limit is None else limit.keep,
    )


def _url_of(response: Urllib3Response) -> str:
    try:
        return response.geturl() or ""
    except NotImplementedError:
        # urllib3's HTTP/2 responses do not know their address.
        return ""


def _is_closed(raw: Urllib3Response) -> bool:
    """Return True if the body is no longer read from the connection."""
    # urllib3 reads the whole body of an HTTP/2 response at once, but does not report it as closed.
    return bool(raw.closed) or raw.version == 20


def _read_requests_body(response: RequestsResponse) -> Iterator[bytes]:
    """Yield the stored body of a requests response; raise if the body was read but not stored."""
    # A response that was created by hand has no urllib3 response in `raw`.
    was_stored = getattr(response, "_content_consumed", True)
    # A response without a body, such as one to HEAD, lacks nothing.
    if not was_stored and is_urllib3(response.raw) and _had_body(response.raw):
        raise MisuseError(_ALREADY_READ)
    try:
        yield response.content
    except RuntimeError as error:
        # A loop over the response has read the body without storing it.
        raise MisuseError(_ALREADY_READ) from error


def _read_urllib3_body(raw: Urllib3Response) -> Iterator[bytes]:
    """Yield the stored body of a urllib3 response; raise if the body was read but not stored."""
    data = raw.data or b""
    if not data and getattr(raw, "_body", None) is None and _had_body(raw):
        raise MisuseError(_ALREADY_READ)
    yield data


def _has_begun(raw: Urllib3Response) -> bool:
    """Return True if a part of the body was read already."""
    return bool(raw.tell() or getattr(raw, "_uncached_read_occurred", False))


def _had_body(raw: Urllib3Response) -> bool:
    """Return True if a closed response had a body, which is lost unless it was stored."""
    return _has_begun(raw) or bool(raw.chunked) or bool(raw.length_remaining)


def _read_chunks(raw: Urllib3Response) -> Iterator[bytes]:
    """Yield the bytes of a body as they arrive, without decoding the content coding."""
    if _has_begun(raw):
        raise MisuseError(_ALREADY_READ)
    if hasattr(raw, "read1"):
        # `stream()` is not used, because it waits until the requested number of bytes has arrived.
        while chunk := raw.read1(CHUNK_SIZE, decode_content=False):
            yield chunk
    else:
        # urllib3 before 2.2: chunked bodies are yielded chunk by chunk. Other bodies are read byte by
        # byte, because any larger number of bytes would be waited for.
        yield from raw.stream(CHUNK_SIZE if raw.chunked else 1, decode_content=False)


def _make_socket_finder(raw: Urllib3Response) -> Action:
    """Return a function that returns a response's socket, and None once it is in its pool again."""
    socket = getattr(raw.connection, "sock", None)
    if socket is None and raw.connection is not None and hasattr(raw, "shutdown"):
        # If the end of the connection ends the body, urllib3 has detached the socket from the connection.
        socket = _ShutdownHandle(raw)

    def find() -> object:
        return socket if raw.connection is not None else None

    return find


class _ShutdownHandle:
    """Replaces a socket that can only be shut down through its response."""

    def __init__(self, raw: Urllib3Response) -> None:
        self._raw = raw

    def shutdown(self, how: int) -> None:
        """Shut down the connection, which ends a read that is in progress."""
        try:
            self._raw.shutdown()
        except (RuntimeError, ValueError) as error:
            raise OSError("the connection is closed") from error


_STREAM_KEYS = ("stream", "body", "Body")
"""Keys under which the stream is in the responses of `converse_stream`,
`invoke_model_with_response_stream` and SageMaker's `invoke_endpoint_with_response_stream`."""
_DAMAGED_STREAM = frozenset(
    {"ChecksumMismatch", "DuplicateHeader", "InvalidHeadersLength", "InvalidPayloadLength"}
)
"""Names of botocore's exceptions for an event stream whose bytes were changed on the way."""


def is_event_stream(source: object) -> TypeGuard[BotocoreEventStream]:
    """Return True for a boto3 event stream that reads a urllib3 response, whose bytes are the events.

    The events of SageMaker are pieces of another body, so these are taken from boto3.
    """
    is_in_pieces = getattr(source, "_operation_name", None) == "InvokeEndpointWithResponseStream"
    return not is_in_pieces and is_urllib3(getattr(source, "_raw_stream", None))


def from_event_stream(source: BotocoreEventStream) -> SyncSource:
    """Return the source through which a `Stream` reads the urllib3 response beneath an event stream."""
    raw = source._raw_stream  # noqa: SLF001 - it has no other name
    return replace(from_urllib3(raw), close=source.close)


def boto3_stream_of(source: Any) -> object:  # noqa: ANN401 - anything that is handed over
    key = boto3_stream_key_of(source)
    return source if key is None else source[key]


def boto3_stream_key_of(source: object) -> str | None:
    if not is_dict(source) or not is_boto3_response(source):
        return None
    return next((name for name in _STREAM_KEYS if name in source), None)


def is_boto3_response(source: object) -> bool:
    return is_dict(source) and "ResponseMetadata" in source


def convert_aws_error(error: Exception, names: set[str]) -> StreamError | None:
    """Convert a botocore exception, by the names of its classes; None if it is not about a response."""
    if names & _DAMAGED_STREAM:
        return ProtocolError(
            f"the event stream cannot be read ({type(error).__name__}): the body was changed on its way; "
            "check any proxy in between"
        )
    response: object = getattr(error, "response", None)
    error_fields: object = response.get("Error") if is_dict(response) else None
    if "ClientError" not in names or not is_dict(response) or not is_dict(error_fields):
        return None
    details = {"code": error_fields.get("Code"), "message": error_fields.get("Message")}
    metadata: object = response.get("ResponseMetadata")
    status: object = metadata.get("HTTPStatusCode") if is_dict(metadata) else None
    if is_dict(metadata) and isinstance(status, int) and status >= LOWEST_ERROR_STATUS:
        import json

        headers: object = metadata.get("HTTPHeaders")
        # `status_error` reads the details from a body, as in a response of any other library.
        body = json.dumps({"error": details}, default=str).encode()
        return status_error(status, headers if is_dict(headers) else {}, body)
    return provider_error({"error": details})
