"""Protocols of the objects of other libraries: the members that the adapters use, and no more.

The objects are recognised by their attributes, so that no library has to be imported, and each
protocol may stand for the classes of several versions. Only type checkers import this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator


class Headers(Protocol):
    """The headers of a response."""

    def get(self, name: str, default: str, /) -> str:
        """Return the value of a header, or the default."""
        ...

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names and values."""
        ...


class Urllib3Response(Protocol):
    """A response of urllib3."""

    chunked: bool
    closed: bool
    connection: object
    data: bytes | None
    decode_content: bool
    headers: Headers
    length_remaining: int | None
    reason: str | None
    status: int
    version: int

    def close(self) -> object:
        """Close the response."""
        ...

    def geturl(self) -> str | None:
        """Return the address; responses of HTTP/2 raise `NotImplementedError`."""
        ...

    def read1(self, amount: int, /, *, decode_content: bool) -> bytes:
        """Return bytes that have arrived; urllib3 before 2.2 lacks this method."""
        ...

    def shutdown(self) -> object:
        """Shut down the connection; urllib3 before 2.3 lacks this method."""
        ...

    def stream(self, amount: int, /, *, decode_content: bool) -> Iterator[bytes]:
        """Yield the body."""
        ...

    def tell(self) -> int:
        """Return the number of bytes that were read."""
        ...


class BotocoreEventStream(Protocol):
    """An event stream of botocore, which boto3 returns."""

    _raw_stream: Urllib3Response

    def close(self) -> object:
        """Close the response."""
        ...


class RequestsResponse(Protocol):
    """A response of requests."""

    content: bytes
    headers: Headers
    raw: object
    reason: str | None
    status_code: int
    url: str | None

    def close(self) -> object:
        """Close the response."""
        ...


class HTTPClientResponse(Protocol):
    """A response of http.client."""

    chunk_left: int | None
    fp: object
    length: int | None
    reason: str | None
    status: int

    def close(self) -> object:
        """Close the response."""
        ...

    def getheaders(self) -> Iterable[tuple[str, str]]:
        """Return names and values of the headers."""
        ...

    def isclosed(self) -> bool:
        """Return True once the response is closed."""
        ...

    def read1(self, amount: int, /) -> bytes:
        """Return bytes that have arrived."""
        ...


class AiohttpContent(Protocol):
    """The body of a response of aiohttp."""

    def exception(self) -> BaseException | None:
        """Return the error that ended the body."""
        ...

    def is_eof(self) -> bool:
        """Return True once the whole body has arrived."""
        ...

    def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes as they arrive."""
        ...


class EventTransport(Protocol):
    """A transport of an event loop, through which a connection is read."""

    def abort(self) -> object:
        """Close the connection at once."""
        ...

    def get_extra_info(self, name: str, /) -> object:
        """Return the object with this name, such as "socket"; None if there is none."""
        ...


class AiohttpConnection(Protocol):
    """The connection of a response of aiohttp."""

    @property
    def transport(self) -> EventTransport | None:
        """The transport; None once the connection is closed."""
        ...


class AiohttpResponse(Protocol):
    """A response of aiohttp."""

    @property
    def closed(self) -> bool:
        """True once the response has no connection."""
        ...

    @property
    def connection(self) -> AiohttpConnection | None:
        """The connection; None once the body has arrived, or the response is closed."""
        ...

    @property
    def content(self) -> AiohttpContent:
        """The body."""
        ...

    @property
    def headers(self) -> Any:  # noqa: ANN401 - pyright takes aiohttp's property for another thing
        """The headers."""
        ...

    @property
    def method(self) -> str:
        """The method of the request."""
        ...

    @property
    def reason(self) -> str | None:
        """The words after the status."""
        ...

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def url(self) -> object:
        """The address, whose `str` is the text."""
        ...

    def close(self) -> object:
        """Close the connection of the response."""
        ...
