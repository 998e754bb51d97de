"""Views, each of which reads one aspect of a choice in a loop, and the choice that they belong to."""

from __future__ import annotations

from functools import partialmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, TypeAlias

from typing_extensions import TypeVar

from tokenstream._basics.elsewhere import UncopyableObject, UnsupportedUse
from tokenstream._basics.loose import ErasedGeneric
from tokenstream.errors import AnswerFailure
from tokenstream.message import Message, ToolCall
from tokenstream.stages._protocols import NULL, Cursor, ItemT
from tokenstream.stream._base import DriverT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.delivery_log import Reading
    from tokenstream.partial_json._repairs import Repair
    from tokenstream.stream._protocols import AsyncDriver, Driver, SyncDriver
    from tokenstream.stream._views.aspects import Cursors

CallT = TypeVar("CallT", bound=ToolCall, default=ToolCall)
ViewT = TypeVar("ViewT")


class _ViewBase(UncopyableObject, Generic[ItemT]):
    """Base class of views, which refuses uses other than reading a view in a loop.

    Args:
        instead: The expression that gives the same value without a loop, such as "stream.message.text"; for
            errors.
    """

    __slots__ = ("_cursor", "_driver", "_instead", "_reading", "_readings")

    _loop = "for"
    """The kind of loop that reads the view; for errors."""
    _usual_reading: ClassVar[Reading] = "everything"
    """The part of the answer that such a view reads, unless its maker knows it better."""

    def __init__(
        self, driver: Driver, cursor: Cursor[ItemT], instead: str, reading: Reading | None = None
    ) -> None:
        self._driver = driver
        self._cursor = cursor
        self._instead = instead
        # Each item that the view returns is noted: from then on, the answer counts as delivered.
        self._readings = driver.readings
        self._reading: Reading = reading or self._usual_reading

    def _refuse(self, why: str, *_: object) -> NoReturn:
        """Raise the error for a use that a view does not allow; `why` completes "this view …"."""
        raise UnsupportedUse(f"this view {why}: read it in `{self._loop}`, or take {self._instead}")

    if not TYPE_CHECKING:
        # Hidden from type checkers, so that they report these uses.
        __bool__ = partialmethod(_refuse, "is read in a loop and is neither true nor false")
        __len__ = partialmethod(_refuse, "has no length, because it is still being written")
        __contains__ = partialmethod(_refuse, "cannot be searched")
        __str__ = __format__ = partialmethod(_refuse, "is not a str")
        __getitem__ = partialmethod(
            _refuse, "has no elements to be picked, because it is still being written"
        )
        __add__ = __radd__ = partialmethod(_refuse, "cannot be added to anything")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._instead}>"


class _ClosedView:
    """Replaces the driver and the cursor of a closed view.

    Args:
        end: The exception that ends the view's loop.
    """

    __slots__ = ("_end", "readings")

    is_behind = False
    """Always False: there is no text to catch up with."""

    def __init__(self, end: type[Exception]) -> None:
        self._end = end
        self.readings: dict[Reading, bool] = {}
        """Empty, because nobody is given anything."""

    def ready(self) -> NoReturn:
        """Raise the exception that ends the loop."""
        raise self._end

    def make_waiting(self) -> _ClosedView:
        """Return this cursor: a view of complete calls that is made from a closed view is closed, too."""
        return self


class RepairedView:
    """A view of JSON that may need repairs."""

    __slots__ = ()

    _cursor: Any

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs made so far in the view's JSON, with `lenient`; empty for other views."""
        return repairs_of(self._cursor)


class View(_ViewBase[ItemT]):
    """One aspect of a stream, read in a `for` loop.

    A view that starts late first delivers the content so far, and then new content as it
    arrives. Several views may be read in turns, and a view can also be read after the end.
    """

    __slots__ = ()

    _driver: SyncDriver

    def close(self) -> None:
        r"""End this view and release the stream; other views go on.

        A web server that iterates over a view calls this when its client has gone. A
        stream to which only the view had a reference is then garbage collected, and closes
        with a ResourceWarning. Closing twice does no harm.

        Example:
            >>> from tokenstream import Stream
            >>> with Stream([b"data: Hel\n\n", b"data: lo\n\n"], format="text") as stream:
            ...     text = stream.text
            ...     first = next(text)
            ...     text.close()
            ...     print(first, list(text), stream.closed)
            Hel [] False
        """
        # One object stands in for the driver and the cursor, and ends every later loop.
        closed: Any = _ClosedView(StopIteration)
        self._driver = self._cursor = closed

    def __iter__(self) -> View[ItemT]:
        return self

    def __next__(self) -> ItemT:
        """Return the next item; raise the stream's error or StopIteration at the end."""
        cursor = self._cursor
        try:
            item = cursor.ready()
            while item is None:
                try:
                    event = self._driver.step()
                except StopIteration:
                    break
                item = cursor.after(event)
            else:
                # The stream goes on, and has an item.
                self._readings[self._reading] = True
                return item
            # Outside of the `except` block, so that an error does not get the loop's end as its context.
            item = cursor.end()
        except AnswerFailure as error:
            # If the stream goes on, the error means that a restarted answer differs from the delivered
            # items: the stream then ends with the earlier answer.
            self._driver.fall_back(error)
            raise
        if item is None:
            raise StopIteration
        return item


class ItemsView(RepairedView, View[ItemT]):
    """A view of the elements of an array, each delivered as soon as it is complete; one may be None."""

    __slots__ = ()

    def __next__(self) -> ItemT:
        return _unwrap_null(super().__next__())


class AsyncView(_ViewBase[ItemT]):
    """One aspect of a stream, read in an `async for` loop; otherwise like `View`."""

    __slots__ = ()

    _driver: AsyncDriver
    _loop = "async for"

    async def aclose(self) -> None:
        """End this view and release the stream, as `View.close` does; other views go on.

        Example:
            >>> from tokenstream import AsyncStream
            >>> async def first_piece(stream: AsyncStream) -> str:
            ...     text = stream.text
            ...     piece = await anext(text)
            ...     await text.aclose()
            ...     return piece
        """
        # One object stands in for the driver and the cursor, and ends every later loop.
        closed: Any = _ClosedView(StopAsyncIteration)
        self._driver = self._cursor = closed

    def __aiter__(self) -> AsyncView[ItemT]:
        return self

    async def __anext__(self) -> ItemT:
        """Return the next item; raise the stream's error or StopAsyncIteration at the end."""
        cursor = self._cursor
        try:
            item = cursor.ready()
            while item is None:
                try:
                    event = await self._driver.step()
                except StopAsyncIteration:
                    break
                item = cursor.after(event)
            else:
                # The stream goes on, and has an item.
                self._readings[self._reading] = True
                return item
            # Outside of the `except` block, so that an error does not get the loop's end as its context.
            item = cursor.end()
        except AnswerFailure as error:
            # If the stream goes on, the error means that a restarted answer differs from the delivered
            # items: the stream then ends with the earlier answer.
            self._driver.fall_back(error)
            raise
        if item is None:
            raise StopAsyncIteration
        return item


class AsyncItemsView(RepairedView, AsyncView[ItemT]):
    """A view of the elements of an array, each delivered as soon as it is complete; one may be None."""

    __slots__ = ()

    async def __anext__(self) -> ItemT:
        return _unwrap_null(await super().__anext__())


class ToolCallView(View[CallT]):
    """A view of the tool calls of a stream, each delivered once, as soon as it is complete."""

    __slots__ = ()

    _usual_reading = "content"

    def when_complete(self) -> View[CallT]:
        """Return a view that holds back all calls until the whole answer is complete."""
        return View(self._driver, self._cursor.make_waiting(), self._instead)  # type: ignore[attr-defined] # one in calls


class AsyncToolCallView(AsyncView[CallT]):
    """A view of the tool calls of a stream, each delivered once, as soon as it is complete."""

    __slots__ = ()

    _usual_reading = "content"

    def when_complete(self) -> AsyncView[CallT]:
        """Return a view that holds back all calls until the whole answer is complete."""
        return AsyncView(self._driver, self._cursor.make_waiting(), self._instead)  # type: ignore[attr-defined] # one in calls


def repairs_of(cursor: object) -> tuple[Repair, ...]:
    """Return the repairs that a cursor has made in its JSON; () for a cursor that makes no repairs."""
    # The cursor of a closed view has no such attribute.
    repairs: tuple[Repair, ...] = getattr(cursor, "repairs", ())
    return repairs


def _unwrap_null(item: ItemT) -> ItemT:
    """Return None for NULL, the placeholder for an item that is None; otherwise the item."""
    null: Any = None
    return null if item is NULL else item


class ChoiceBase(UncopyableObject, ErasedGeneric[DriverT]):
    """One alternative answer of a stream; subclasses add its sync or async views."""

    __slots__ = ("_driver", "_index")

    def __init__(self, driver: DriverT, index: int) -> None:
        self._driver = driver
        self._index = index

    @property
    def index(self) -> int:
        """The index of this choice among the alternative answers, from 0."""
        return self._index

    @property
    def message(self) -> Message:
        """The choice so far, as an immutable snapshot."""
        accumulator = self._driver.accumulator
        # 0 stands for the first choice, which may have another index.
        message = accumulator.message_of(self._index or accumulator.main)
        self._driver.note_look()
        return message

    @property
    def _cursors(self) -> Cursors:
        return self._driver.cursors(self._index)

    def _message_expression(self, field: str) -> str:
        """Return the code for a field of the message, such as "stream.message.text", for error messages."""
        stream = "stream" if self._index == 0 else f"stream.choice({self._index})"
        return f"{stream}.message.{field}"

    def _view_calls(self, kind: Callable[..., ViewT], cursor: object, once: object = None) -> ViewT:
        """Return a view of calls, which asks a store, if there is one, before it delivers a call."""
        given = self._driver, cursor, self._message_expression("tool_calls")
        if once is None:
            return kind(*given)
        # Its classes are views, so that it is named by a text.
        asking: Any = import_module("tokenstream.stream._outputs.once").ASKING[kind]
        return asking(*given, asking.once_type(once, cursor, self._index))  # type: ignore[no-any-return] # a view

    @property
    def _result_expression(self) -> str:
        """The code for the result of the choice, such as "stream.result(…)", for error messages."""
        return "stream.result(…)" if self._index == 0 else f"stream.choice({self._index}).result(…)"


if TYPE_CHECKING:
    SyncChoiceBase: TypeAlias = ChoiceBase[SyncDriver]
    AsyncChoiceBase: TypeAlias = ChoiceBase[AsyncDriver]
else:
    SyncChoiceBase = AsyncChoiceBase = ChoiceBase
