"""Types of the sources that `Stream` and `AsyncStream` accept, for annotations only.

They are protocols, so that no library has to be imported. Type checkers report an error if a source is
passed to an `AsyncStream` and its type shows that it is sync, or the reverse; only an asynchronous
generator, which belongs to no event loop, may be passed to both.
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

from tokenstream._sources.kinds import AsyncSource, Deferred, SyncSource


class _EitherResponse(Protocol):
    """An httpx or httpx2 response; its type does not show if it is sync or async."""

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]: ...

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]: ...


class _EventSource(Protocol):
    """An httpx-sse `EventSource`, which is sync or async like its response."""

    @property
    def response(self) -> _EitherResponse: ...

    def iter_sse(self) -> Iterator[Any]: ...

    def aiter_sse(self) -> AsyncIterator[Any]: ...


class _RawResponse(Protocol):
    """The result of an SDK's `with_raw_response` or `with_streaming_response`."""

    @property
    def http_response(self) -> _EitherResponse: ...


class _HasAiohttpBytes(Protocol):
    """The body of an aiohttp response."""

    def iter_any(self) -> AsyncIterable[bytes]: ...


class _HasAiohttpContent(Protocol):
    """An aiohttp response."""

    @property
    def content(self) -> _HasAiohttpBytes: ...

    @property
    def real_url(self) -> object: ...


class _LiveSession(Protocol):
    """A google-genai session."""

    def receive(self) -> AsyncIterator[Any]: ...

    async def send_client_content(self) -> None: ...


class _Model(Protocol):
    """An SDK object that is a pydantic model."""

    def model_dump(self) -> dict[str, Any]: ...


class _DictModel(Protocol):
    """An SDK object that can convert itself to a dict."""

    def to_dict(self) -> dict[str, Any]: ...


class _Dataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class _AwsStream(TypedDict):
    """A response of aiobotocore's `converse_stream`."""

    stream: ReadOnly[AsyncIterable[_Item]]


class _AwsBody(TypedDict):
    """A response of aiobotocore's `invoke_model_with_response_stream`."""

    body: ReadOnly[AsyncIterable[_Item]]


_Item: TypeAlias = bytes | bytearray | memoryview | str | Mapping[str, Any] | _Model | _DictModel | _Dataclass
"""An item of a source: a piece of a body, or a payload."""
_Body: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes] | IO[str]
"""A whole body, or a file."""
_Either: TypeAlias = _Body | _EitherResponse | _EventSource | _RawResponse
_Sync: TypeAlias = _Either | Iterable[_Item]
_InPieces: TypeAlias = list[Any] | tuple[_Item, ...]
"""A body in pieces. The type of lists is `list[Any]`, because `list` is invariant in its items."""
_Async: TypeAlias = (
    _Either | _InPieces | _HasAiohttpContent | _LiveSession | _AwsStream | _AwsBody | AsyncIterable[_Item]
)
_AsyncManager: TypeAlias = AbstractAsyncContextManager[_Async]

_Threaded: TypeAlias = AsyncGenerator[_Item, Any]
"""The asynchronous source that a `Stream` reads in a thread. Passing an SDK's one is mostly a mistake."""

SyncReadable: TypeAlias = _Sync | AbstractContextManager[_Sync] | _Threaded | SyncSource | Deferred
"""The sources that `Stream` accepts."""
AsyncReadable: TypeAlias = _Async | _AsyncManager | Awaitable[_Async | _AsyncManager] | AsyncSource | Deferred
"""The sources that `AsyncStream` accepts."""
