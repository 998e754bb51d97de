"""Views: one aspect of a stream, read in a loop, from the start or later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypeVar

from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDone
from tokenstream.message import ToolCall
from tokenstream.stream._outputs import AsyncOutputs, Outputs
from tokenstream.stream._tools import AsyncTools, Tools
from tokenstream.stream._view import AsyncView, View

if TYPE_CHECKING:
    from tokenstream._log import TextLog
    from tokenstream.accumulator import Accumulator
    from tokenstream.message import Message
    from tokenstream.stream._view import AsyncSteps, Steps

__all__ = ["AsyncChoice", "AsyncToolCallView", "CallCursor", "Choice", "ToolCallView"]

CallT = TypeVar("CallT", bound=ToolCall, default=ToolCall)


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

    def end(self) -> str | None:
        """Return the text that only the end of the stream has told of."""
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
        call = self._find(self._given)
        if call is not None:
            self._given += 1
        return call

    def after(self, event: Any) -> ToolCall | None:  # noqa: ANN401 - any event
        """Return the call that an event hands out."""
        return self.ready() if event.__class__ is ToolCallDone else None

    def end(self) -> ToolCall | None:
        """Return the next call that only the end of the stream hands out."""
        return self.ready()

    def waiting(self) -> CallCursor:
        """Return a cursor that gives the calls once the answer is complete."""
        return CallCursor(self.accumulator, self.choice, wait=True)

    def _find(self, number: int) -> ToolCall | None:
        return self.accumulator.delivered(self.choice or self.accumulator.main, number)


class ToolCallView(View[CallT]):
    """The tool calls of a stream, each given once, as soon as it is whole."""

    __slots__ = ()

    def when_complete(self) -> View[CallT]:
        """Return a view that gives the calls once the whole answer is complete."""
        cursor: Any = self._cursor
        return View(self._stream, cursor.waiting(), self._instead)


class AsyncToolCallView(AsyncView[CallT]):
    """The tool calls of a stream, each given once, as soon as it is whole."""

    __slots__ = ()

    def when_complete(self) -> AsyncView[CallT]:
        """Return a view that gives the calls once the whole answer is complete."""
        cursor: Any = self._cursor
        return AsyncView(self._stream, cursor.waiting(), self._instead)


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


class Choice(_ChoiceBase, Outputs, Tools):
    """One alternative answer of a stream, with views of its own."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Steps, accumulator: Accumulator, index: int) -> None:
        super().__init__(accumulator, index)
        self._stream = stream

    def _own(self) -> Choice:
        return self

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


class AsyncChoice(_ChoiceBase, AsyncOutputs, AsyncTools):
    """One alternative answer of a stream, with views of its own."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncSteps, accumulator: Accumulator, index: int) -> None:
        super().__init__(accumulator, index)
        self._stream = stream

    def _own(self) -> AsyncChoice:
        return self

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
