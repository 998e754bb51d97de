"""Types for annotations only: of sources that `Stream` and `AsyncStream` accept, and of other libraries.

They are protocols, so that no library has to be imported. Type checkers report an error if a source is
passed to an `AsyncStream` and its type shows that it is sync, or the reverse; only an asynchronous
generator, which belongs to no event loop, may be passed to both. The protocols of other libraries have the
members that the adapters use, and no more; each may stand for the classes of several versions.
"""

from __future__ import annotations

import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import IO, Any, ClassVar, Protocol, TypeAlias

from typing_extensions import ReadOnly, TypedDict

from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource


class EitherResponse(Protocol):
    """An httpx or httpx2 response; its type does not show if it is sync or async."""

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]: ...
    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]: ...


class _EventSource(Protocol):
    """An httpx-sse `EventSource`, which is sync or async like its response."""

    @property
    def response(self) -> EitherResponse: ...
    def iter_sse(self) -> Iterator[Any]: ...


class _RawResponse(Protocol):
    """The result of an SDK's `with_raw_response` or `with_streaming_response`."""

    @property
    def http_response(self) -> EitherResponse: ...


class _HasAiohttpBytes(Protocol):
    def iter_any(self) -> AsyncIterable[bytes]: ...


class _HasAiohttpContent(Protocol):
    @property
    def content(self) -> _HasAiohttpBytes: ...
    @property
    def real_url(self) -> object: ...


class _LiveSession(Protocol):
    def receive(self) -> AsyncIterator[Any]: ...
    async def send_client_content(self) -> None: ...


class _Model(Protocol):
    """An SDK object that is a pydantic model."""

    def model_dump(self) -> dict[str, Any]: ...


class _DictModel(Protocol):
    """An SDK object that can convert itself to a dict."""

    def to_dict(self) -> dict[str, Any]: ...


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


class _RunPart(Protocol):
    """A part of a run, from the client of a LangGraph server."""

    @property
    def event(self) -> str: ...
    @property
    def data(self) -> Any: ...  # noqa: ANN401 - JSON


class _AwsStream(TypedDict):
    """A response of aiobotocore's `converse_stream`."""

    stream: ReadOnly[AsyncIterable[_Item]]


class _AwsBody(TypedDict):
    """A response of aiobotocore's `invoke_model_with_response_stream`."""

    body: ReadOnly[AsyncIterable[_Item]]


_DecodedPayload: TypeAlias = Mapping[str, Any] | _Model | _DictModel | _Dataclass | _RunPart
_Item: TypeAlias = bytes | bytearray | memoryview | str | _DecodedPayload
"""An item of a source: a piece of a body, or a payload."""
_WholeBody: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes] | IO[str]
_AnySource: TypeAlias = _WholeBody | EitherResponse | _EventSource | _RawResponse
_Sync: TypeAlias = _AnySource | Iterable[_Item]
_InPieces: TypeAlias = list[Any] | tuple[_Item, ...]
"""A body in pieces. The type of lists is `list[Any]`, because `list` is invariant in its items."""
_Async: TypeAlias = (
    _AnySource | _InPieces | _HasAiohttpContent | _LiveSession | _AwsStream | _AwsBody | AsyncIterable[_Item]
)
_AsyncBlock: TypeAlias = AbstractAsyncContextManager[_Async]

_InThread: TypeAlias = AsyncGenerator[_Item, Any]
"""The asynchronous source that a `Stream` reads in a thread. Passing an SDK's one is mostly a mistake."""

SyncReadable: TypeAlias = _Sync | AbstractContextManager[_Sync] | _InThread | SyncSource | LazySource
"""The sources that `Stream` accepts."""
AsyncReadable: TypeAlias = _Async | _AsyncBlock | Awaitable[_Async | _AsyncBlock] | AsyncSource | LazySource
"""The sources that `AsyncStream` accepts."""


class Headers(Protocol):
    def items(self) -> Iterable[tuple[str, str]]: ...


class Urllib3Response(Protocol):
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

    def close(self) -> object: ...
    def geturl(self) -> str | None: ...  # responses of HTTP/2 raise `NotImplementedError`
    def read1(self, amount: int, /, *, decode_content: bool) -> bytes: ...  # urllib3 2.2 and later
    def shutdown(self) -> object: ...  # urllib3 2.3 and later
    def stream(self, amount: int, /, *, decode_content: bool) -> Iterator[bytes]: ...
    def tell(self) -> int: ...  # the number of bytes that were read


class BotocoreEventStream(Protocol):
    """An event stream of botocore, which boto3 returns."""

    _raw_stream: Urllib3Response

    def close(self) -> object: ...


class RequestsResponse(Protocol):
    content: bytes
    headers: Headers
    raw: Any
    reason: str | None
    status_code: int
    url: str | None

    def close(self) -> object: ...


class HTTPClientResponse(Protocol):
    chunk_left: int | None
    fp: object
    length: int | None
    reason: str | None
    status: int

    def close(self) -> object: ...
    def getheaders(self) -> Iterable[tuple[str, str]]: ...
    def isclosed(self) -> bool: ...
    def read1(self, amount: int, /) -> bytes: ...


class AiohttpContent(Protocol):
    def exception(self) -> BaseException | None: ...  # the error that ended the body
    def is_eof(self) -> bool: ...  # True once the whole body has arrived
    def iter_any(self) -> AsyncIterator[bytes]: ...


class EventTransport(Protocol):
    """A transport of an event loop, through which a connection is read."""

    def abort(self) -> object: ...
    def get_extra_info(self, name: str, /) -> object: ...  # None if there is none with this name


class AiohttpConnection(Protocol):
    @property
    def transport(self) -> EventTransport | None: ...  # None once the connection is closed


class AiohttpResponse(Protocol):
    @property
    def closed(self) -> bool: ...  # True once the response has no connection
    @property
    def connection(self) -> AiohttpConnection | None: ...  # None after the body, and once closed
    @property
    def content(self) -> AiohttpContent: ...
    @property
    def headers(self) -> Any: ...  # noqa: ANN401 - pyright takes aiohttp's property for another thing
    @property
    def reason(self) -> str | None: ...
    @property
    def status(self) -> int: ...
    @property
    def url(self) -> object: ...
    def close(self) -> object: ...
