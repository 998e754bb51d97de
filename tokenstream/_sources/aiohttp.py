"""Adapter for aiohttp responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from tokenstream._connection.head import make_head
from tokenstream._sources.kinds import AsyncSource, SyncSource, do_nothing, is_response_like
from tokenstream._sources.plain import read_at_once
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tokenstream._sources.typing import AiohttpResponse, EventTransport

_NAMES = ("status", "headers", "content", "release", "real_url")


def is_aiohttp(source: object) -> TypeGuard[AiohttpResponse]:
    return is_response_like(source, _NAMES) and hasattr(getattr(source, "content", None), "iter_any")


def from_aiohttp(response: AiohttpResponse) -> AsyncSource:
    request = getattr(response, "request_info", None)
    head = make_head(response.status, response.headers.items(), response.reason, str(response.url), request)
    stored_body = getattr(response, "_body", None)
    if stored_body is not None:
        # The application has already awaited `response.read()`.
        return read_at_once(SyncSource(iter([stored_body]), do_nothing, head, _coding_of(response)))

    async def close() -> None:
        """Close the response without waiting for the server, even over TLS."""
        # After the end of the body, the connection is in its pool already; before that, this cuts it.
        transport = _transport_of(response)
        response.close()
        if transport is not None:
            # With TLS, `close` alone would wait until the server sends its close_notify.
            transport.abort()

    # A timeout for the whole answer does not count here, because aiohttp itself ends the answer.
    protocol: object = getattr(getattr(response, "connection", None), "protocol", None)
    return AsyncSource(
        _AiohttpBody(response),
        close,
        head,
        _coding_of(response),
        socket=lambda: _socket_of(response),
        patience=getattr(protocol, "read_timeout", 0.0),
    )


def _coding_of(response: AiohttpResponse) -> str:
    """Return the content coding of the body if aiohttp does not decode it; otherwise ""."""
    coding: str = response.headers.get("content-encoding", "")
    if not coding:
        return ""
    # Newer versions count the compressed bytes of a body that they decode, and have None for other bodies.
    if getattr(response.content, "total_compressed_bytes", None) is not None:
        return ""
    if hasattr(response.content, "total_compressed_bytes"):
        return coding
    # With older versions, ask the session.
    # A response whose body has arrived completely no longer has a session.
    session = getattr(response, "_session", None)
    return "" if session is None or session.auto_decompress else coding


def _socket_of(response: AiohttpResponse) -> object:
    transport = _transport_of(response)
    return None if transport is None else transport.get_extra_info("socket")


def _transport_of(response: AiohttpResponse) -> EventTransport | None:
    return None if response.connection is None else response.connection.transport


class _AiohttpBody:
    """Iterates over the bytes of a body as they arrive."""

    def __init__(self, response: AiohttpResponse) -> None:
        self._content = response.content
        self._pieces = self._content.iter_any()
        self._error: Exception | None = None
        """The error that the next read raises."""
        # A response also closes itself at the end of its body; that is not misuse.
        reached_end = self._content.exception() is None and self._content.is_eof()
        was_closed = response.closed and not reached_end
        # `_cursor` is aiohttp's private count of the bytes read.
        was_read = getattr(self._content, "_cursor", 0) > 0
        if was_closed or was_read:
            self._error = MisuseError("the response was already read or closed; pass it unread")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes; raise aiohttp's error once all bytes that arrived before it are read."""
        if self._error is not None:
            raise self._error
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            raise
        except Exception as error:
            # aiohttp raises an error even if earlier bytes are unread: return these bytes first.
            read_buffer = getattr(self._content, "_read_nowait", None)
            unread: bytes = read_buffer(-1) if read_buffer is not None else b""
            if not unread:
                raise
            self._error = error
            return unread
