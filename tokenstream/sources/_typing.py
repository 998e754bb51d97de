"""What type checkers let `Stream` and `AsyncStream` take.

Only for annotations. What something can do decides here, too, so that no
library is needed; the wrong colour is flagged wherever a type tells it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import IO, Any, ClassVar, Protocol, TypeAlias

from typing_extensions import ReadOnly, TypedDict

from tokenstream.sources._kinds import AsyncSource, Deferred, SyncSource

__all__ = ["AsyncReadable", "SyncReadable"]


class _Response(Protocol):
    """A response of httpx or httpx2, of which no type tells the colour."""

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]: ...

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]: ...


class _EventSource(Protocol):
    """An httpx-sse `EventSource`, which has its response's colour."""

    @property
    def response(self) -> _Response: ...

    def iter_sse(self) -> Iterator[Any]: ...

    def aiter_sse(self) -> AsyncIterator[Any]: ...


class _RawResponse(Protocol):
    """What SDKs give for `with_raw_response` and `with_streaming_response`."""

    @property
    def http_response(self) -> _Response: ...


class _AiohttpContent(Protocol):
    """The body of a response of aiohttp."""

    def iter_any(self) -> AsyncIterable[bytes]: ...


class _AiohttpResponse(Protocol):
    """A response of aiohttp."""

    @property
    def content(self) -> _AiohttpContent: ...

    @property
    def real_url(self) -> object: ...


class _LiveSession(Protocol):
    """A session of google-genai."""

    def receive(self) -> AsyncIterator[Any]: ...

    async def send_client_content(self) -> None: ...


class _Model(Protocol):
    """An SDK's object, made of a payload with pydantic."""

    def model_dump(self) -> dict[str, Any]: ...


class _Made(Protocol):
    """An SDK's object that makes a dict of itself."""

    def to_dict(self) -> dict[str, Any]: ...


class _Dataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class _AwsStream(TypedDict):
    """A response of aiobotocore, which has its stream under this name."""

    stream: ReadOnly[AsyncIterable[_Item]]


class _AwsBody(TypedDict):
    """The same, of `invoke_model_with_response_stream`."""

    body: ReadOnly[AsyncIterable[_Item]]


_Item: TypeAlias = bytes | bytearray | memoryview | str | Mapping[str, Any] | _Model | _Made | _Dataclass
"""What a source may give: a piece of a body, or a payload."""
_Body: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes] | IO[str]
"""What is at hand."""
_Either: TypeAlias = _Body | _Response | _EventSource | _RawResponse
_Sync: TypeAlias = _Either | Iterable[_Item]
_AtHand: TypeAlias = list[Any] | tuple[_Item, ...]
"""The same in pieces; of a list no type tells that what it holds is only read."""
_Async: TypeAlias = (
    _Either | _AtHand | _AiohttpResponse | _LiveSession | _AwsStream | _AwsBody | AsyncIterable[_Item]
)
_AsyncManager: TypeAlias = AbstractAsyncContextManager[_Async]

SyncReadable: TypeAlias = _Sync | AbstractContextManager[_Sync] | SyncSource | Deferred
"""What `Stream` takes."""
AsyncReadable: TypeAlias = _Async | _AsyncManager | Awaitable[_Async | _AsyncManager] | AsyncSource | Deferred
"""What `AsyncStream` takes."""
