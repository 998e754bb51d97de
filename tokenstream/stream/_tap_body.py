"""Bodies of httpx's and httpx2's responses that show an onlooker each chunk as it passes."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from tokenstream.sources._httpx import from_async_response, from_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tokenstream.status import ResponseHead

__all__ = ["BodyWatcher", "can_be_shown", "is_asynchronous", "show"]

_SYNC, _ASYNC = "SyncByteStream", "AsyncByteStream"


class BodyWatcher(Protocol):
    """Is told of a body: of its head, of its bytes, and of how it ends."""

    def opened(self, head: ResponseHead | None, coding: str) -> None:
        """Take the head of the response, and the coding that is on its bytes."""
        ...

    def see(self, chunk: bytes) -> None:
        """Take what passes."""
        ...

    def end(self) -> None:
        """The source has ended."""
        ...

    def broke(self, error: BaseException, *, final: bool) -> None:
        """Reading the source raised; `final` where nothing can follow a cancellation or Ctrl-C."""
        ...

    def stop(self) -> None:
        """Who reads has closed the source."""
        ...


def can_be_shown(response: Any) -> bool:  # noqa: ANN401 - httpx's or httpx2's
    """Tell whether the body of a response is still to come, as a stream of bytes that can be replaced."""
    if response.is_stream_consumed is not False or response.is_closed is not False:
        return False
    return bool(_bases(response.stream))


def is_asynchronous(response: Any) -> bool:  # noqa: ANN401 - httpx's or httpx2's
    """Tell whether the body of a response is read in `async for`."""
    return not isinstance(response.stream, Iterable)


def show(response: Any, onlooker: BodyWatcher) -> None:  # noqa: ANN401 - httpx's or httpx2's
    """Have an onlooker see what is read of a response's body, whoever reads it."""
    find = from_async_response if is_asynchronous(response) else from_response
    found = find(response)
    onlooker.opened(found.head, found.coding)
    body = response.stream
    response.stream = _shown(_bases(body))(body, onlooker)


class _Shown:
    """A body beneath a response: what is asked of it is asked of the one that it stands for."""

    def __init__(self, body: Any, onlooker: BodyWatcher) -> None:  # noqa: ANN401 - httpx's or httpx2's
        self._body = body
        self._onlooker = onlooker

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the body has
        # Where `__init__` was passed over, in a copy say, there is no body to ask.
        if name == "_body":
            raise AttributeError(name)
        return getattr(self._body, name)


class _SyncShown(_Shown):
    def __iter__(self) -> Iterator[bytes]:
        see, onlooker = self._onlooker.see, self._onlooker
        try:
            for chunk in self._body:
                see(chunk)
                yield chunk
        except GeneratorExit:
            # Whoever reads leaves the body; closing is another matter.
            raise
        except BaseException as error:
            onlooker.broke(error, final=True)
            raise
        onlooker.end()

    def close(self) -> None:
        try:
            self._onlooker.stop()
        finally:
            self._body.close()


class _AsyncShown(_Shown):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        see, onlooker = self._onlooker.see, self._onlooker
        chunks = self._body.__aiter__()
        try:
            async for chunk in chunks:
                see(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            onlooker.broke(error, final=True)
            raise
        finally:
            # Left to the event loop, it would be closed later, in a task that is not the reader's.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        onlooker.end()

    async def aclose(self) -> None:
        try:
            self._onlooker.stop()
        finally:
            await self._body.aclose()


def _bases(body: object) -> tuple[type, ...]:
    """Return the classes by which httpx or httpx2 knows a body; neither needs to be imported for that."""
    return tuple(base for base in type(body).__mro__ if base.__name__ in (_SYNC, _ASYNC))


@functools.cache
def _shown(bases: tuple[type, ...]) -> Any:  # noqa: ANN401 - a class that httpx or httpx2 knows
    names = {base.__name__ for base in bases}
    ours = [kind for name, kind in ((_SYNC, _SyncShown), (_ASYNC, _AsyncShown)) if name in names]
    return type("ShownBody", (*ours, *bases), {})
