"""Views: one aspect of a stream, read in a loop, from the start or later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tokenstream.errors import MisuseError
from tokenstream.events import Event, ReasoningDelta, TextDelta, ToolCallDone
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenstream._log import TextLog
    from tokenstream.accumulator import Accumulator
    from tokenstream.errors import TokenStreamError
    from tokenstream.message import Message

__all__ = [
    "AsyncChoice",
    "AsyncToolCallView",
    "AsyncView",
    "CallCursor",
    "Choice",
    "ToolCallView",
    "View",
]

ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)


class _Refused(MisuseError, TypeError):
    """A view was used as if it were what it gives.

    It is a TypeError because `list(view)` asks for the length first, and takes
    a TypeError for "there is none". Whoever meets it sees the public name, which
    is also what comes out of a pickle.
    """

    def __reduce__(self) -> tuple[Callable[..., TokenStreamError], Any]:
        rebuild, (_, args, state) = super().__reduce__()
        return rebuild, (MisuseError, args, state)


_Refused.__module__ = MisuseError.__module__
_Refused.__name__ = _Refused.__qualname__ = MisuseError.__qualname__


class Cursor(Protocol[ItemT_co]):
    """Where a reader is in one aspect of the answer."""

    def ready(self) -> ItemT_co | None:
        """Return what the reader has missed, out of what has come."""

    def after(self, event: Any) -> ItemT_co | None:  # noqa: ANN401 - any event
        """Return what an event adds, if it adds something."""


class TextCursor:
    """Where a reader is in the text or the reasoning of a choice."""

    __slots__ = ("_accumulator", "_choice", "_kind", "_log", "_position", "_type")

    def __init__(
        self,
        accumulator: Accumulator,
        choice: int,
        kind: str,
        type: type[TextDelta | ReasoningDelta],  # noqa: A002
    ) -> None:
        self._accumulator = accumulator
        self._choice = choice
        self._kind = kind
        self._type = type
        self._log: TextLog | None = None
        self._position = 0

    def ready(self) -> str | None:
        """Return the text that the reader has missed, in one piece."""
        log = self._log
        if log is None:
            log = self._log = self._accumulator.find_log(self._choice or self._accumulator.main, self._kind)
            if log is None:
                return None
        if log.length == self._position:
            return None
        text = log.since(self._position)
        self._position = log.length
        return text

    def after(self, event: Any) -> str | None:  # noqa: ANN401 - any event
        """Return the text that an event adds."""
        if event.__class__ is not self._type or event.choice != self._choice:
            return None
        text: str = event.text
        log = self._log
        if log is not None and log.length == self._position + len(text):
            self._position = log.length
            return text or None
        return self.ready()


class CallCursor:
    """Where a reader is in the tool calls of a choice.

    Args:
        accumulator: What has been said.
        choice: The choice.
        wait: Whether to give none before the answer is complete.
    """

    __slots__ = ("_given", "_wait", "accumulator", "choice")

    def __init__(self, accumulator: Accumulator, choice: int, *, wait: bool = False) -> None:
        self.accumulator = accumulator
        self.choice = choice
        self._given = 0
        self._wait = wait

    def ready(self) -> ToolCall | None:
        """Return the next call that was handed out."""
        if self._wait and self.accumulator.ending_of(self.choice) != "complete":
            return None
        call = self.accumulator.delivered(self.choice or self.accumulator.main, self._given)
        if call is not None:
            self._given += 1
        return call

    def after(self, event: Any) -> ToolCall | None:  # noqa: ANN401 - any event
        """Return the call that an event hands out."""
        return self.ready() if event.__class__ is ToolCallDone else None


class _Steps(Protocol):
    def _step(self) -> Event: ...


class _AsyncSteps(Protocol):
    def _step(self) -> Awaitable[Event]: ...


class _ViewBase:
    __slots__ = ("_instead",)

    _instead: str

    def __bool__(self) -> bool:
        raise self._refused("is read in a loop and is neither true nor false")

    def __len__(self) -> int:
        raise self._refused("has no length, because it is still being written")

    def __contains__(self, item: object) -> bool:
        raise self._refused("cannot be searched")

    def __str__(self) -> str:
        raise self._refused("is no str")

    def __format__(self, spec: str) -> str:
        raise self._refused("is no str")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._instead}>"

    def _refused(self, why: str) -> _Refused:
        return _Refused(f"this view {why}: read it in a loop, or take {self._instead}")


class View(_ViewBase, Generic[ItemT]):
    """One aspect of a stream, read in a `for` loop.

    A view that starts late first gives what it missed, then goes on live;
    several may be read in turns, and each works after the end too.
    """

    __slots__ = ("_cursor", "_stream")

    def __init__(self, stream: _Steps, cursor: Cursor[ItemT], instead: str) -> None:
        self._stream = stream
        self._cursor = cursor
        self._instead = instead

    def __iter__(self) -> View[ItemT]:
        return self

    def __next__(self) -> ItemT:
        cursor = self._cursor
        item = cursor.ready()
        while item is None:
            try:
                event = self._stream._step()  # noqa: SLF001 - the stream's own view
            except StopIteration:
                item = cursor.ready()
                if item is None:
                    raise
                return item
            item = cursor.after(event)
        return item


class AsyncView(_ViewBase, Generic[ItemT]):
    """One aspect of a stream, read in an `async for` loop.

    A view that starts late first gives what it missed, then goes on live;
    several may be read in turns, and each works after the end too.
    """

    __slots__ = ("_cursor", "_stream")

    def __init__(self, stream: _AsyncSteps, cursor: Cursor[ItemT], instead: str) -> None:
        self._stream = stream
        self._cursor = cursor
        self._instead = instead

    def __aiter__(self) -> AsyncView[ItemT]:
        return self

    async def __anext__(self) -> ItemT:
        cursor = self._cursor
        item = cursor.ready()
        while item is None:
            try:
                event = await self._stream._step()  # noqa: SLF001 - the stream's own view
            except StopAsyncIteration:
                item = cursor.ready()
                if item is None:
                    raise
                return item
            item = cursor.after(event)
        return item


class ToolCallView(View[ToolCall]):
    """The tool calls of a stream, each given once, as soon as it is whole."""

    __slots__ = ()
    _cursor: CallCursor

    def when_complete(self) -> View[ToolCall]:
        """Return a view that gives the calls once the whole answer is complete."""
        cursor = self._cursor
        return View(self._stream, CallCursor(cursor.accumulator, cursor.choice, wait=True), self._instead)


class AsyncToolCallView(AsyncView[ToolCall]):
    """The tool calls of a stream, each given once, as soon as it is whole."""

    __slots__ = ()
    _cursor: CallCursor

    def when_complete(self) -> AsyncView[ToolCall]:
        """Return a view that gives the calls once the whole answer is complete."""
        cursor = self._cursor
        return AsyncView(
            self._stream, CallCursor(cursor.accumulator, cursor.choice, wait=True), self._instead
        )


class _ChoiceBase:
    __slots__ = ("_accumulator", "_index")

    def __init__(self, accumulator: Accumulator, index: int) -> None:
        self._accumulator = accumulator
        self._index = index

    @property
    def index(self) -> int:
        """Which of the alternative answers this is, from 0."""
        return self._index

    @property
    def message(self) -> Message:
        """The choice so far: a value that never changes."""
        return self._accumulator.message_of(self._index or self._accumulator.main)

    def _texts(self) -> TextCursor:
        return TextCursor(self._accumulator, self._index, "text", TextDelta)

    def _reasonings(self) -> TextCursor:
        return TextCursor(self._accumulator, self._index, "reasoning", ReasoningDelta)

    def _calls(self) -> CallCursor:
        return CallCursor(self._accumulator, self._index)

    def _message_field(self, field: str) -> str:
        return (
            f"stream.message.{field}" if self._index == 0 else f"stream.choice({self._index}).message.{field}"
        )


class Choice(_ChoiceBase):
    """One alternative answer of a stream, with views of its own."""

    __slots__ = ("_stream",)

    def __init__(self, stream: _Steps, accumulator: Accumulator, index: int) -> None:
        super().__init__(accumulator, index)
        self._stream = stream

    @property
    def text(self) -> View[str]:
        """The text as it arrives."""
        return View(self._stream, self._texts(), self._message_field("text"))

    @property
    def reasoning(self) -> View[str]:
        """The reasoning as it arrives."""
        return View(self._stream, self._reasonings(), self._message_field("reasoning"))

    @property
    def tool_calls(self) -> ToolCallView:
        """The tool calls, each as soon as it is whole."""
        return ToolCallView(self._stream, self._calls(), self._message_field("tool_calls"))


class AsyncChoice(_ChoiceBase):
    """One alternative answer of a stream, with views of its own."""

    __slots__ = ("_stream",)

    def __init__(self, stream: _AsyncSteps, accumulator: Accumulator, index: int) -> None:
        super().__init__(accumulator, index)
        self._stream = stream

    @property
    def text(self) -> AsyncView[str]:
        """The text as it arrives."""
        return AsyncView(self._stream, self._texts(), self._message_field("text"))

    @property
    def reasoning(self) -> AsyncView[str]:
        """The reasoning as it arrives."""
        return AsyncView(self._stream, self._reasonings(), self._message_field("reasoning"))

    @property
    def tool_calls(self) -> AsyncToolCallView:
        """The tool calls, each as soon as it is whole."""
        return AsyncToolCallView(self._stream, self._calls(), self._message_field("tool_calls"))
