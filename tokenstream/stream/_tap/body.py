"""Bodies of httpx and httpx2 responses that show a watcher each chunk that is read from them."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from tokenstream._sources.httpx import from_async_response, from_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tokenstream._basics.loose import FromHTTPX
    from tokenstream._connection.head import ResponseHead

_SYNC, _ASYNC = "SyncByteStream", "AsyncByteStream"


class BodyWatcher(Protocol):
    """Watcher of a response body: receives the response's head, the bytes and the end."""

    def note_head(self, head: ResponseHead | None, coding: str) -> None:
        """Receive the response's head and content coding."""
        ...

    def see(self, chunk: bytes) -> None:
        """Receive a chunk."""
        ...

    def end(self) -> None:
        """Record that the source has ended."""
        ...

    def note_read_error(self, error: BaseException, *, final: bool) -> None:
        """Record that a read raised an exception.

        Args:
            final: True if nothing more can be read from the source. It matters only if the read was
                cancelled or interrupted, since any other error ends the message anyway.
        """
        ...

    def stop(self) -> None:
        """Record that the code that reads the source has closed it."""
        ...


def can_watch_body(response: FromHTTPX) -> bool:
    """Return True if a response's body is still unread, and can be replaced by a wrapper."""
    if response.is_stream_consumed is not False or response.is_closed is not False:
        return False
    return bool(_find_bases(response.stream))


def is_asynchronous(response: FromHTTPX) -> bool:
    """Return True if a response's body is read in an `async for` loop."""
    return not isinstance(response.stream, Iterable)


def watch_body(response: FromHTTPX, onlooker: BodyWatcher) -> None:
    """Replace a response's body by a wrapper that shows a watcher every chunk which is read from the body."""
    make_source = from_async_response if is_asynchronous(response) else from_response
    source = make_source(response)
    onlooker.note_head(source.head, source.coding)
    body = response.stream
    response.stream = _make_watched_class(_find_bases(body))(body, onlooker)


class _WatchedBody:
    """A wrapper of a response's body that reports to a watcher; has all attributes of that body."""

    def __init__(self, body: FromHTTPX, onlooker: BodyWatcher) -> None:
        self._body = body
        self._onlooker = onlooker

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the body has
        # A copy is made without `__init__`, and so has no body.
        if name == "_body":
            raise AttributeError(name)
        return getattr(self._body, name)


class _SyncWatchedBody(_WatchedBody):
    """A wrapper of a body that is read in a `for` loop; shows each chunk to the watcher."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body's chunks; show each chunk, and the end or an error, to the watcher."""
        see, onlooker = self._onlooker.see, self._onlooker
        try:
            for chunk in self._body:
                see(chunk)
                yield chunk
        except GeneratorExit:
            # The reading code left the loop; its call of `close` is reported separately.
            raise
        except BaseException as error:
            # A body cannot be read any further after an exception.
            onlooker.note_read_error(error, final=True)
            raise
        onlooker.end()

    def close(self) -> None:
        """Report to the watcher that the body is closed, and close the body."""
        try:
            self._onlooker.stop()
        finally:
            self._body.close()


class _AsyncWatchedBody(_WatchedBody):
    """A wrapper of a body that is read in an `async for` loop; shows each chunk to the watcher."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body's chunks; show each chunk, and the end or an error, to the watcher."""
        see, onlooker = self._onlooker.see, self._onlooker
        chunks = self._body.__aiter__()
        try:
            async for chunk in chunks:
                see(chunk)
                yield chunk
        except GeneratorExit:
            # The reading code left the loop; its call of `aclose` is reported separately.
            raise
        except BaseException as error:
            # A body cannot be read any further after an exception.
            onlooker.note_read_error(error, final=True)
            raise
        finally:
            # Otherwise the event loop would close the generator later, in another task.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        onlooker.end()

    async def aclose(self) -> None:
        """Report to the watcher that the body is closed, and close the body."""
        try:
            self._onlooker.stop()
        finally:
            await self._body.aclose()


def _find_bases(body: object) -> tuple[type, ...]:
    """Return the byte-stream classes of httpx or httpx2 that a body inherits from, without an import."""
    return tuple(base for base in type(body).__mro__ if base.__name__ in (_SYNC, _ASYNC))


@functools.cache
def _make_watched_class(bases: tuple[type, ...]) -> Any:  # noqa: ANN401 - a class that httpx or httpx2 knows
    """Return a class of wrappers that also inherits from the byte-stream classes of httpx or httpx2."""
    names = {base.__name__ for base in bases}
    ours = [kind for name, kind in ((_SYNC, _SyncWatchedBody), (_ASYNC, _AsyncWatchedBody)) if name in names]
    return type("ShownBody", (*ours, *bases), {})
