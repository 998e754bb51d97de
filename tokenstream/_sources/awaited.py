"""Sources that are opened by the first read: awaitables, and sync or async context managers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream._sources.causes import raise_converted
from tokenstream._sources.failures import opening_error
from tokenstream._sources.httpx import refused_response
from tokenstream._sources.kinds import LazySource, open_up, open_up_async
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream._sources.kinds import AsyncSource, MakeAsyncSource, SyncSource

_LASTING_METHODS = ("close", "aclose", "acquire", "request")
"""Methods of objects that outlive an answer, such as clients, sessions and locks."""
_CLOSING_TASKS: set[Any] = set()
"""The tasks that close unread sources; an event loop itself has only weak references to its tasks."""


def is_manager_of_answer(source: object) -> bool:
    """Return True for a context manager that opens a single answer; False for that of a client or a lock."""
    return hasattr(type(source), "__enter__") and not _outlives_answer(source)


def is_async_manager_of_answer(source: object) -> bool:
    """Return True for an async context manager that opens a single answer; False for that of a client."""
    # An object that can also be awaited, such as aiohttp's request, belongs to one answer.
    return hasattr(type(source), "__aenter__") and (is_awaitable(source) or not _outlives_answer(source))


def _outlives_answer(source: object) -> bool:
    """Return True for an object that outlives an answer, such as a client, a session or a lock."""
    return any(hasattr(source, name) for name in _LASTING_METHODS)


def from_manager(source: Any, make_source: Callable[[Any], SyncSource | LazySource]) -> LazySource:  # noqa: ANN401
    """Return a source that enters a context manager, and leaves it when the source is closed."""

    def open_source() -> SyncSource:
        stack = ExitStack()
        try:
            manager_result = stack.enter_context(source)
        except Exception as error:  # noqa: BLE001 - raised as one of our errors
            raise_converted(opening_error(error))
        try:
            # The object may be a context manager, too.
            opened = open_up(make_source(manager_result))
            stack.callback(opened.close)
        except BaseException as error:
            # A `with` statement is not used, because the manager may suppress exceptions, and this exception
            # must not be suppressed.
            stack.__exit__(type(error), error, error.__traceback__)
            raise
        return replace(opened, close=stack.close)

    return LazySource(open_source)


def from_async_manager(source: Any, make_source: MakeAsyncSource) -> LazySource:  # noqa: ANN401
    """Return a source that enters an asynchronous context manager, and leaves it when it is closed."""

    async def open_source() -> AsyncSource:
        stack = AsyncExitStack()
        try:
            manager_result = await stack.enter_async_context(source)
        except Exception as error:  # noqa: BLE001 - raised as one of our errors
            raise_converted(opening_error(error))
        try:
            opened = await open_up_async(make_source(manager_result))
            stack.push_async_callback(opened.close)
        except BaseException as error:
            # No `async with`, as in `from_manager`: the manager may suppress exceptions, but not this one.
            await stack.__aexit__(type(error), error, error.__traceback__)
            raise
        # `enters`, also below: the manager may hold a cancel scope open, which its task must leave.
        return replace(opened, close=stack.aclose, enters=True)

    return LazySource(open_source, discard=lambda: discard_unread(source), enters=True)


def from_awaitable(source: Awaitable[Any], make_source: MakeAsyncSource) -> AsyncSource | LazySource:
    """Return a source that awaits an object, and then reads the result, such as a response.

    A future that has finished is not awaited later: its result may be an open response, which has to
    be closed even if the stream is never read. So the source is made from that result at once.
    """
    if _has_result(source):
        return make_source(source.result())

    async def open_source() -> AsyncSource:
        try:
            result = await source
        except Exception as error:  # noqa: BLE001 - raised as one of our errors
            # An SDK's exception may have an error response with an unread body: read that response.
            result = refused_response(error)
            if result is None:
                raise_converted(opening_error(error))
        # The result may be awaitable or a context manager, too.
        return await open_up_async(make_source(result))

    # `enters` is True, because the awaited result may be a context manager.
    return LazySource(open_source, discard=lambda: discard_unread(source, make_source), enters=True)


def discard_unread(source: object, make_source: MakeAsyncSource | None = None) -> None:
    """Discard an object that will never be awaited, so that Python does not warn about it.

    `make_source` serves to close the result of a finished future.
    """
    if make_source is not None and _has_result(source):
        _close_later(source, make_source)
        return
    # Coroutines have `close`, futures have `cancel`.
    end = getattr(source, "close", None) or getattr(source, "cancel", None)
    if is_awaitable(source) and callable(end):
        end()
        return
    # The context managers of SDKs have the coroutine that would send the request in an attribute.
    for name in [*getattr(source, "__dict__", ()), *getattr(type(source), "__slots__", ())]:
        value = getattr(source, name, None)
        if isinstance(value, Coroutine):
            value.close()


def _has_result(source: object) -> TypeGuard[Any]:
    """Return True for a future, such as a task, that has finished without an exception."""
    if not all(hasattr(source, name) for name in ("cancelled", "done", "exception", "get_loop", "result")):
        return False
    future: Any = source
    return future.done() is True and not future.cancelled() and future.exception() is None


def _close_later(future: Any, make_source: MakeAsyncSource) -> None:  # noqa: ANN401 - of an event loop
    """Close the result of a finished future, in the future's own event loop."""
    try:
        result = make_source(future.result())
    except MisuseError:
        # The result is not a source, so it needs no closing.
        return
    if isinstance(result, LazySource):
        result.discard()
        return
    loop, close = future.get_loop(), result.close

    def start_closing() -> None:
        """Start a task that closes the result; runs in the future's event loop."""
        task = loop.create_task(_close_quietly(close), name="tokenstream closing")
        _CLOSING_TASKS.add(task)
        task.add_done_callback(_CLOSING_TASKS.discard)

    # A RuntimeError means that the loop is closed, and its connections with it.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(start_closing)


async def _close_quietly(close: Callable[[], Awaitable[object]]) -> None:
    # Nobody awaits this task, so an exception could not be reported.
    with suppress(Exception):
        await close()
