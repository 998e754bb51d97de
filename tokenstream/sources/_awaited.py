"""What is opened by the first read: awaitables, and context managers of either colour."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream.sources._failures import opening_failed
from tokenstream.sources._kinds import Deferred

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
        with ExitStack() as stack:
            try:
                given = stack.enter_context(source)
            except Exception as error:
                raise opening_failed(error, _WHERE) from error
            found = find(given)
            while isinstance(found, Deferred):
                found = found.open()
            stack.callback(found.close)
            return replace(found, close=stack.pop_all().close)

    return Deferred(opened)


def from_async_manager(source: Any, find: Callable[[Any], AsyncSource | Deferred]) -> Deferred:  # noqa: ANN401
    """Return a source that enters an asynchronous context manager; closing leaves it."""

    async def opened() -> AsyncSource:
        async with AsyncExitStack() as stack:
            try:
                given = await stack.enter_async_context(source)
            except Exception as error:
                raise opening_failed(error, _WHERE) from error
            found = await _found(given, find)
            stack.push_async_callback(found.close)
            return replace(found, close=stack.pop_all().aclose, entered=True)

    return Deferred(opened, lambda: _discard(source), enters=True)


def from_awaitable(source: Awaitable[Any], find: Callable[[Any], AsyncSource | Deferred]) -> Deferred:
    """Return a source that awaits what gives the source."""

    async def opened() -> AsyncSource:
        try:
            given = await source
        except Exception as error:
            raise opening_failed(error, _WHERE) from error
        return await _found(given, find)

    # What is awaited may give a context manager.
    return Deferred(opened, lambda: _discard(source), enters=True)


async def _found(given: Any, find: Callable[[Any], AsyncSource | Deferred]) -> AsyncSource:  # noqa: ANN401
    found = find(given)
    while isinstance(found, Deferred):
        found = await found.open()
    return found


def _discard(source: object) -> None:
    """Drop what will never be awaited, so that Python does not complain of it."""
    drop = getattr(source, "close", None) or getattr(source, "cancel", None)
    if is_awaitable(source) and callable(drop):
        drop()
        return
    # The managers of SDKs hold the coroutine that would send the request.
    for name in [*getattr(source, "__dict__", ()), *getattr(type(source), "__slots__", ())]:
        held = getattr(source, name, None)
        if isinstance(held, Coroutine):
            held.close()
