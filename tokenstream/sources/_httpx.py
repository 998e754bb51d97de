"""What can be consumed, by what it can do and not by its class.

A source is opened by somebody else and closed by the stream. `SyncSource` and
`AsyncSource` are what a stream needs of it: chunks, a way to close, and the head
of the response where there is one.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from tokenstream.errors import MisuseError
from tokenstream.status import ResponseHead

if TYPE_CHECKING:
    from tokenstream.limits import Deadlines

__all__ = [
    "AsyncSource",
    "Deferred",
    "SyncSource",
    "async_source",
    "from_async_response",
    "from_response",
    "sync_source",
]


@dataclass(slots=True)
class SyncSource:
    """Chunks of a body, or payloads, from where they come."""

    chunks: Iterator[Any]
    close: Callable[[], None]
    head: ResponseHead | None = None
    waits: Deadlines | None = None
    """The deadlines that the transport's read timeout stands for, where it is ours."""


@dataclass(slots=True)
class AsyncSource:
    """Chunks of a body, or payloads, from where they come asynchronously."""

    chunks: AsyncIterator[Any]
    close: Callable[[], Awaitable[None]]
    head: ResponseHead | None = None
    waits: Deadlines | None = None
    """The deadlines that the transport's read timeout stands for, where it is ours."""


@dataclass(slots=True)
class Deferred:
    """A source that is opened by the first read, such as a request that has not been sent."""

    open: Callable[[], Any]
    """Returns a `SyncSource`, or an awaitable of an `AsyncSource`."""


def sync_source(source: Any) -> SyncSource | Deferred:  # noqa: ANN401 - told apart by what it can do
    """Return a source as a `Stream` reads it.

    Raises:
        MisuseError: It is none, or one for an `AsyncStream`.
    """
    if isinstance(source, SyncSource | Deferred):
        return source
    if _is_response(source):
        return from_response(source)
    if _is_iterable(source):
        chunks = iter(source)
        return SyncSource(chunks, getattr(chunks, "close", _do_nothing))
    if _is_async_iterable(source) or hasattr(source, "__await__") or hasattr(source, "__aenter__"):
        msg = f"{_named(source)} is asynchronous: read it with AsyncStream, in `async for`"
        raise MisuseError(msg)
    raise _no_source(source)


def async_source(source: Any) -> AsyncSource | Deferred:  # noqa: ANN401 - told apart by what it can do
    """Return a source as an `AsyncStream` reads it.

    Raises:
        MisuseError: It is none, or one for a `Stream`.
    """
    if isinstance(source, AsyncSource | Deferred):
        return source
    if _is_response(source):
        return from_async_response(source)
    if _is_async_iterable(source):
        chunks = aiter(source)
        return AsyncSource(chunks, getattr(chunks, "aclose", _do_nothing_async))
    if _is_iterable(source):
        msg = f"{_named(source)} is not asynchronous: read it with Stream, in `for`"
        raise MisuseError(msg)
    raise _no_source(source)


def from_response(response: Any) -> SyncSource:  # noqa: ANN401 - httpx's or httpx2's
    """Return an httpx or httpx2 response as a `Stream` reads it."""
    head = _head_of(response)
    if _was_read(response):
        return SyncSource(iter([response.content]), response.close, head)
    if not isinstance(response.stream, Iterable):
        msg = "the response is an asynchronous one: read it with AsyncStream, in `async for`"
        raise MisuseError(msg)
    chunks = response.iter_bytes() if _is_encoded(head) else response.iter_raw()
    return SyncSource(chunks, response.close, head)


def from_async_response(response: Any) -> AsyncSource:  # noqa: ANN401 - httpx's or httpx2's
    """Return an asynchronous httpx or httpx2 response as an `AsyncStream` reads it."""
    head = _head_of(response)
    if _was_read(response):
        return AsyncSource(_each(response.content), _do_nothing_async, head)
    if not isinstance(response.stream, AsyncIterable):
        msg = "the response is not an asynchronous one: read it with Stream, in `for`"
        raise MisuseError(msg)
    chunks = response.aiter_bytes() if _is_encoded(head) else response.aiter_raw()
    return AsyncSource(chunks, response.aclose, head)


def _is_iterable(source: object) -> TypeGuard[Iterable[Any]]:
    # A str, bytes or a dict has items too, but no chunks.
    return isinstance(source, Iterable) and not isinstance(source, str | bytes | Mapping)


def _is_async_iterable(source: object) -> TypeGuard[AsyncIterable[Any]]:
    return isinstance(source, AsyncIterable)


def _is_response(source: object) -> bool:
    return all(
        hasattr(source, name) for name in ("iter_raw", "aiter_raw", "status_code", "headers", "stream")
    )


def _was_read(response: Any) -> bool:  # noqa: ANN401 - httpx's or httpx2's
    return bool(response.is_stream_consumed) and hasattr(response, "_content")


def _is_encoded(head: ResponseHead) -> bool:
    # httpx decompresses in `iter_bytes` alone; for a plain body that costs twice as much as `iter_raw`.
    return head.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity")


def _head_of(response: Any) -> ResponseHead:  # noqa: ANN401 - httpx's or httpx2's
    return ResponseHead(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        reason=response.reason_phrase,
        url=_url_of(response),
    )


def _url_of(response: Any) -> str:  # noqa: ANN401 - httpx's or httpx2's
    try:
        return str(response.url)
    except RuntimeError:
        # A response that was made by hand has no request.
        return ""


async def _each(item: bytes) -> AsyncIterator[bytes]:
    yield item


def _do_nothing() -> None:
    """Close what needs no closing."""


async def _do_nothing_async() -> None:
    """Close what needs no closing."""


def _named(source: object) -> str:
    kind = type(source)
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__


def _no_source(source: object) -> MisuseError:
    return MisuseError(
        f"{_named(source)} is nothing that can be read: Stream takes an httpx or httpx2 response or an "
        "iterable of bytes, AsyncStream takes the asynchronous ones"
    )
