"""Wrappers of other libraries' streams, which report to a watcher all that is read from the stream.

The watcher, such as a tap's `Onlooker`, builds the answer's message from these reports.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream._sources.awaited import is_async_manager_of_answer, is_manager_of_answer
from tokenstream._sources.httpx import is_response, response_beneath
from tokenstream._sources.kinds import class_name_of
from tokenstream._sources.payloads import is_whole
from tokenstream._sources.plain import close_object
from tokenstream.errors import MisuseError
from tokenstream.stages._protocols import ItemT
from tokenstream.stream._tap.items import (
    AsyncWatchedIterator,
    ItemsT,
    WatchedIterator,
    Watcher,
    can_watch_body,
    is_asynchronous,
    watch_body,
)

if TYPE_CHECKING:
    from tokenstream._basics.loose import FromHTTPX


_CLOSERS = frozenset({"close", "aclose"})
_WHOLE_TYPES = (bytes, bytearray, memoryview, str, Mapping)


class WatchedStream(Generic[ItemT]):
    """Wrapper of another library's stream; reports to a watcher all that is read from the stream."""

    __slots__ = (
        "__weakref__",
        "_entered",
        "_is_open",
        "_onlooker",
        "_source",
        "_target",
        "_watched_response",
    )

    _made_by: ClassVar[str] = "tap(…)"
    """The call that made this object, for error messages."""

    def __init__(self, source: Any, onlooker: Watcher) -> None:  # noqa: ANN401 - distinguished by its methods
        self._source = source
        self._target = source
        """The object that is read: the source, or the result of entering or awaiting it."""
        self._entered: Any = None
        """The context manager that was entered; None if no context manager was entered."""
        self._onlooker = onlooker
        self._is_open = False
        """True once `_target` can be read."""
        self._watched_response: Any = None
        """The response whose body the watcher sees; if it is set, the watcher does not see items."""
        if any(can_loop(source)) or response_of(source) is not None:
            # The source can be read without being entered or awaited.
            self._attach(source)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the tapped stream has
        if name in WatchedStream.__slots__:
            # The wrapper's own attribute is not set yet, and the stream does not have it.
            raise AttributeError(name)
        attribute = getattr(self._target, name)
        # If the watcher sees a response's body, the body itself reports that it was closed.
        must_report = name in _CLOSERS and self._watched_response is None
        return self._wrap_close(attribute) if must_report else attribute

    # -- within ------------------------------------------------------------

    def _attach(self, target: object) -> None:
        """Make an object the one that the program reads from now on, through this wrapper.

        If the object has a response of httpx, the response's body is wrapped, too: the watcher then sees
        every byte that is read from it, by any method of the object.
        """
        self._target, self._is_open = target, True
        response = response_of(target)
        # A context manager may return an object that reads the response that the watcher already sees.
        if response is not None and response is not self._watched_response and can_watch_body(response):
            self._watched_response = response
            watch_body(response, self._onlooker)

    def _note_entered(self, manager: object, result: object) -> None:
        """Record that a context manager was entered, and make its result the object that is read."""
        self._entered = manager
        if result is not self._target or not self._is_open:
            self._attach(result)

    def _wrap_close(self, close: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a stream's own closing method, so that each call is reported to the watcher."""

        def report_and_close(*args: object, **options: object) -> object:
            self._onlooker.stop()
            return close(*args, **options)

        return report_and_close

    def _require_open(self, statement: str) -> Any:  # noqa: ANN401 - distinguished by its methods
        """Return the object to read from; MisuseError if a statement such as "with" must open it first."""
        if not self._is_open:
            block = f"{statement} {self._made_by} as stream"
            raise MisuseError(
                f"{class_name_of(self._source)} is not open yet: enter it first, with `{block}`"
            )
        return self._target

    def _watch_items(self, wrapper: Callable[..., ItemsT], items: ItemsT, iterable: object = None) -> ItemsT:
        """Wrap an iterator, so that the watcher sees its items, unless it sees the response's body."""
        return wrapper(items, self._onlooker, iterable=iterable) if self._watched_response is None else items


class SyncWatchedStream(WatchedStream[ItemT]):
    """A wrapper of a stream that `with` enters and leaves; shows each item of a `for` loop to the watcher."""

    __slots__ = ()

    def __enter__(self) -> Self:
        """Enter the source, if it is a context manager; report an exception from entering to the watcher."""
        enter = _find_method(self._source, "__enter__")
        if enter is not None:
            if not self._is_open:
                # Entering the source sends its request.
                self._onlooker.note_sent()
            try:
                result = enter(self._source)
            except BaseException as error:
                self._onlooker.note_open_error(error)
                raise
            self._note_entered(self._source, result)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool | None:
        """Leave the context manager that was entered, and return its result; or else close the source.

        The watcher is informed in any case.
        """
        manager = self._entered
        try:
            if manager is None:
                # A generator is not a context manager.
                close = getattr(self._target, "close", None)
                if callable(close):
                    close()
                return None
            suppressed: bool | None = _find_method(manager, "__exit__")(manager, kind, error, traceback)
            return suppressed
        finally:
            self._onlooker.stop()

    def __iter__(self) -> Iterator[ItemT]:
        # A new loop, of which the watcher sees each item.
        target: Iterable[ItemT] = self._require_open("with")
        return self._watch_items(WatchedIterator, iter(target), target)

    def __next__(self) -> ItemT:
        # As in a loop that goes on: the watcher sees the item.
        items: Iterator[ItemT] = self._require_open("with")
        return next(self._watch_items(WatchedIterator, items))


class AsyncWatchedStream(WatchedStream[ItemT]):
    """A wrapper of a stream that `async with` awaits, if necessary, and enters; shows each item of a loop."""

    __slots__ = ()

    async def __aenter__(self) -> Self:
        """Await the source if it is awaitable, and enter it if it is a context manager.

        An exception from either is also reported to the watcher.
        """
        if not self._is_open:
            # Awaiting or entering the source sends its request.
            self._onlooker.note_sent()
        try:
            source: Any = self._source
            enter = _find_method(source, "__aenter__")
            if enter is None and is_awaitable(source):
                source = await source
                self._attach(source)
                enter = _find_method(source, "__aenter__")
            if enter is not None:
                self._note_entered(source, await enter(source))
        except BaseException as error:
            self._onlooker.note_open_error(error)
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool | None:
        """Leave the context manager that was entered, and return its result; or else close the source.

        The watcher is informed in any case.
        """
        manager = self._entered
        try:
            if manager is None:
                # An asynchronous generator is not a context manager.
                await close_object(self._target)
                return None
            suppressed: bool | None = await _find_method(manager, "__aexit__")(
                manager, kind, error, traceback
            )
            return suppressed
        finally:
            self._onlooker.stop()

    def __aiter__(self) -> AsyncIterator[ItemT]:
        # A new loop, of which the watcher sees each item.
        target: AsyncIterable[ItemT] = self._require_open("async with")
        return self._watch_items(AsyncWatchedIterator, aiter(target), target)

    async def __anext__(self) -> ItemT:
        # As in a loop that goes on: the watcher sees the item.
        items: AsyncIterator[ItemT] = self._require_open("async with")
        return await anext(self._watch_items(AsyncWatchedIterator, items))


def can_read(source: object) -> tuple[bool, bool]:
    """Return two answers: if a source can be read in a `for` loop, and if it can in an `async for` loop."""
    if isinstance(source, _WHOLE_TYPES) or is_whole(source):
        # These are whole answers, although some of them are iterable.
        return False, False
    loops = can_loop(source)
    if any(loops):
        return loops
    response = response_of(source)
    if response is not None:
        return not is_asynchronous(response), is_asynchronous(response)
    return is_manager_of_answer(source), is_async_manager_of_answer(source) or is_awaitable(source)


def can_loop(source: object) -> tuple[bool, bool]:
    """Return two answers: if a `for` loop, and if an `async for` loop, can read a source as it is.

    A source that has to be entered or awaited first can be read by neither.
    """
    # An awaitable, such as a future or an aiohttp request, may be iterable too, but only so that
    # the event loop can run it.
    return not is_awaitable(source) and isinstance(source, Iterable), isinstance(source, AsyncIterable)


def response_of(source: object) -> FromHTTPX:
    """Return the httpx or httpx2 response that an object is or wraps; None for other objects."""
    return source if is_response(source) else response_beneath(source)


def _find_method(source: object, name: str) -> Any:  # noqa: ANN401 - a method of any kind
    """Return a method of the object's class, where `with` looks for it; None if the class lacks it."""
    return getattr(type(source), name, None)
