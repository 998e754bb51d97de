"""What is opened by the first read: awaitables, and context managers of either colour."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from tokenstream.errors import MisuseError
from tokenstream.sources._failures import opening_failed
from tokenstream.sources._kinds import Deferred
from tokenstream.sources._sdk import refused_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeGuard

    from tokenstream.sources._kinds import AsyncSource, SyncSource

__all__ = [
    "from_async_manager",
    "from_awaitable",
    "from_manager",
    "is_async_manager",
    "is_awaitable",
    "is_manager",
]

_WHERE = "the server"
_OWNED = ("close", "aclose", "acquire", "request")
"""What has one of these lives longer than one answer: a client, a session, a lock."""
_CLOSING: set[Any] = set()
"""Tasks that close what nobody has read: an event loop itself holds them weakly."""


def is_awaitable(source: object) -> TypeGuard[Awaitable[Any]]:
    """Tell whether something is to be awaited, such as a request that has not been sent."""
    return isinstance(source, Awaitable)


def is_manager(source: object) -> bool:
    """Tell whether something is entered for the sake of one answer."""
    return hasattr(type(source), "__enter__") and not _is_owned(source)


def is_async_manager(source: object) -> bool:
    """Tell whether something is entered asynchronously for the sake of one answer."""
    return hasattr(type(source), "__aenter__") and (is_awaitable(source) or not _is_owned(source))


def _is_owned(source: object) -> bool:
    return any(hasattr(source, name) for name in _OWNED)


def from_manager(source: Any, find: Callable[[Any], SyncSource | Deferred]) -> Deferred:  # noqa: ANN401
    """Return a source that enters a context manager; closing leaves it.

    Args:
        source: A context manager of a source.
        find: Finds out which kind of source something is.
    """

    def opened() -> SyncSource:
        stack = ExitStack()
        try:
            given = stack.enter_context(source)
        except Exception as error:
            raise opening_failed(error, _WHERE) from error
        try:
            found = find(given)
            while isinstance(found, Deferred):
                found = found.open()
            stack.callback(found.close)
        except BaseException as error:
            # Not in `with`: a manager that swallows exceptions must not swallow this one.
            stack.__exit__(type(error), error, error.__traceback__)
            raise
        return replace(found, close=stack.close)

    return Deferred(opened)


def from_async_manager(source: Any, find: Callable[[Any], AsyncSource | Deferred]) -> Deferred:  # noqa: ANN401
    """Return a source that enters an asynchronous context manager; closing leaves it."""

    async def opened() -> AsyncSource:
        stack = AsyncExitStack()
        try:
            given = await stack.enter_async_context(source)
        except Exception as error:
            raise opening_failed(error, _WHERE) from error
        try:
            found = await _found(given, find)
            stack.push_async_callback(found.close)
        except BaseException as error:
            await stack.__aexit__(type(error), error, error.__traceback__)
            raise
        return replace(found, close=stack.aclose, entered=True)

    return Deferred(opened, lambda: _discard(source), enters=True)


def from_awaitable(
    source: Awaitable[Any], find: Callable[[Any], AsyncSource | Deferred]
) -> AsyncSource | Deferred:
    """Return a source that awaits what gives the source.

    A future that is over gives it at once: what it holds is open, and is to be closed.
    """
    if _has_result(source):
        return find(source.result())

    async def opened() -> AsyncSource:
        try:
            given = await source
        except Exception as error:
            # What a response says whose body nobody has read is told as that of any other.
            given = refused_response(error)
            if given is None:
                raise opening_failed(error, _WHERE) from error
        return await _found(given, find)

    # What is awaited may give a context manager.
    return Deferred(opened, lambda: _discard(source, find), enters=True)


async def _found(given: Any, find: Callable[[Any], AsyncSource | Deferred]) -> AsyncSource:  # noqa: ANN401
    found = find(given)
    while isinstance(found, Deferred):
        found = await found.open()
    return found


def _discard(source: object, find: Callable[[Any], AsyncSource | Deferred] | None = None) -> None:
    """Drop what will never be awaited, so that Python does not complain of it.

    Args:
        source: An awaitable, or a manager.
        find: Finds out which kind of source something is, and so how to close it.
    """
    if find is not None and _has_result(source):
        _close_later(source, find)
        return
    drop = getattr(source, "close", None) or getattr(source, "cancel", None)
    if is_awaitable(source) and callable(drop):
        drop()
        return
    # The managers of SDKs hold the coroutine that would send the request.
    for name in [*getattr(source, "__dict__", ()), *getattr(type(source), "__slots__", ())]:
        held = getattr(source, name, None)
        if isinstance(held, Coroutine):
            held.close()


class _Future(Protocol):
    """A future of asyncio, such as a task."""

    def get_loop(self) -> Any: ...  # noqa: ANN401 - an event loop

    def result(self) -> Any: ...  # noqa: ANN401 - anything


def _has_result(source: object) -> TypeGuard[_Future]:
    """Tell whether something is a future, such as a task, that has ended well."""
    if not all(hasattr(source, name) for name in ("cancelled", "done", "exception", "get_loop", "result")):
        return False
    future: Any = source
    return future.done() is True and not future.cancelled() and future.exception() is None


def _close_later(future: _Future, find: Callable[[Any], AsyncSource | Deferred]) -> None:
    """Close what a future holds that ended after it was handed over, in its own event loop."""
    try:
        found = find(future.result())
    except MisuseError:
        # There is nothing that could be closed.
        return
    if isinstance(found, Deferred):
        found.discard()
        return
    loop, close = future.get_loop(), found.close

    def start() -> None:
        task = loop.create_task(_closed(close), name="tokenstream closing")
        _CLOSING.add(task)
        task.add_done_callback(_CLOSING.discard)

    # A loop that is over has closed its connections.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(start)


async def _closed(close: Callable[[], Awaitable[object]]) -> None:
    # Nobody waits for it who could be told.
    with suppress(Exception):
        await close()
