"""Choices, which are the alternative answers of a stream, with their views and their printing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from tokenstream._basics.visible import several_lines
from tokenstream.events import Event, ReasoningDelta
from tokenstream.stream._base import AsyncStreamBase, SyncStreamBase
from tokenstream.stream._outputs.tools import AsyncCallViews, CallViews
from tokenstream.stream._outputs.views import AsyncOutputViews, OutputViews
from tokenstream.stream._views.text_plan import ShapingPlan
from tokenstream.stream._views.text_view import AsyncTextView, TextView
from tokenstream.stream._views.view import AsyncToolCallView, AsyncView, ToolCallView, View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from tokenstream._answer.log import Delta
    from tokenstream._pipeline.delivery_log import Reading
    from tokenstream.message import Message
    from tokenstream.stream._protocols import TextCursor

    MakeCursor = Callable[[], TextCursor[Any]]

_DIM_ON, _DIM_OFF = "\x1b[2m", "\x1b[22m"


class Choice(OutputViews, CallViews):
    """One of the alternative answers of a stream, with its own views."""

    __slots__ = ()

    @property
    def text(self) -> TextView:
        """The answer's text as it arrives: a view of `str` pieces, which can be shaped."""
        return self._view_text(self._cursors.text, "text")

    @property
    def answer(self) -> TextView:
        """The text without the model's remarks, which have the phase "commentary": a view like `text`."""
        return self._view_text(self._cursors.answer, "answer")

    @property
    def reasoning(self) -> TextView:
        """The model's reasoning as it arrives: a view of `str` pieces, which can be shaped."""
        return self._view_text(self._cursors.reasoning, "reasoning", "reasoning")

    @property
    def deltas(self) -> View[Delta]:
        """The text, reasoning and refusals of the answer in the order of their arrival: a view of deltas.

        Each delta is a `TextDelta`, a `ReasoningDelta` or a `RefusalDelta`, with its `.text` and
        the index of its `.part`. A view that starts late first gets each part so far in one piece.
        """
        return View(self._driver, self._cursors.deltas(), self._message_expression("parts"))

    @property
    def tool_calls(self) -> ToolCallView:
        """The answer's tool calls, each as soon as it is complete: a view of `ToolCall`."""
        return self._view_calls(ToolCallView, self._cursors.tool_calls())

    def _view_text(self, text: MakeCursor, name: str, reading: Reading = "content") -> TextView:
        """Return the view of a text that the message has under `name`."""
        plan = ShapingPlan(text, reading=reading)
        return TextView(self._driver, plan, self._message_expression(name))

    def print(self, file: TextIO | None = None) -> Message:
        """Print the text and reasoning as they arrive, and return the message.

        Parts are separated by an empty line, and reasoning is dimmed if the terminal supports that.
        Characters that would control the terminal or change the direction of its text are printed
        as escapes.

        Args:
            file: The file to which to print; None for standard output.

        Raises:
            StreamError: The answer broke off; the content that arrived is printed.
            OSError: Writing to the file failed.

        Example:
            >>> from tokenstream import Stream
            >>> with Stream(["Hello ", "there."], format="pieces") as stream:
            ...     message = stream.print()
            Hello there.
        """
        printer = Printer(file)
        try:
            for delta in self.deltas:
                printer.show(delta)
        finally:
            printer.end()
        return self.message


class AsyncChoice(AsyncOutputViews, AsyncCallViews):
    """One of the alternative answers of a stream, with its own views."""

    __slots__ = ()

    @property
    def text(self) -> AsyncTextView:
        """The answer's text as it arrives: a view of `str` pieces, which can be shaped."""
        return self._view_text(self._cursors.text, "text")

    @property
    def answer(self) -> AsyncTextView:
        """The text without the model's remarks, which have the phase "commentary": a view like `text`."""
        return self._view_text(self._cursors.answer, "answer")

    @property
    def reasoning(self) -> AsyncTextView:
        """The model's reasoning as it arrives: a view of `str` pieces, which can be shaped."""
        return self._view_text(self._cursors.reasoning, "reasoning", "reasoning")

    @property
    def deltas(self) -> AsyncView[Delta]:
        """The text, reasoning and refusals of the answer in the order of their arrival: a view of deltas.

        The deltas are those of `Stream.deltas`.
        """
        return AsyncView(self._driver, self._cursors.deltas(), self._message_expression("parts"))

    @property
    def tool_calls(self) -> AsyncToolCallView:
        """The answer's tool calls, each as soon as it is complete: a view of `ToolCall`."""
        return self._view_calls(AsyncToolCallView, self._cursors.tool_calls())

    def _view_text(self, text: MakeCursor, name: str, reading: Reading = "content") -> AsyncTextView:
        """Return the view of a text that the message has under `name`."""
        plan = ShapingPlan(text, reading=reading)
        return AsyncTextView(self._driver, plan, self._message_expression(name))

    async def print(self, file: TextIO | None = None) -> Message:
        """Print the text and reasoning as they arrive, and return the message.

        The argument, the layout and the errors are those of `Stream.print`.

        Example:
            >>> from tokenstream import AsyncStream
            >>> async def show(stream: AsyncStream) -> None:
            ...     message = await stream.print()
            ...     print(message.usage)
        """
        printer = Printer(file)
        try:
            async for delta in self.deltas:
                printer.show(delta)
        finally:
            printer.end()
        return self.message


class StreamOfEvents(SyncStreamBase, Choice):
    """A stream, or a reader of one, whose `for` loop yields the events."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Event]:
        self._driver.readings["everything"] = True
        return iter(self._driver)

    def __next__(self) -> Event:
        self._driver.readings["everything"] = True
        return self._driver.__next__()

    def choice(self, index: int) -> Choice:
        """Return the views of one of several alternative answers, counted from 0."""
        return Choice(self._driver, index)


class AsyncStreamOfEvents(AsyncStreamBase, AsyncChoice):
    """A stream, or a reader of one, whose `async for` loop yields the events."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Event]:
        self._driver.readings["everything"] = True
        return aiter(self._driver)

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        self._driver.readings["everything"] = True
        return self._driver.__anext__()

    def choice(self, index: int) -> AsyncChoice:
        """Return the views of one of several alternative answers, counted from 0."""
        return AsyncChoice(self._driver, index)


class Printer:
    """Prints deltas, with an empty line between parts, and with dimmed reasoning in a terminal.

    Args:
        file: The file to which to print; None for standard output.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._file = sys.stdout if file is None else file
        self._encoding = getattr(self._file, "encoding", None) or "utf-8"
        self._may_dim = _can_dim(self._file)
        self._part: int | None = None
        """Index of the part that is being printed; None at the start and at the end."""
        self._dimmed = False
        self._at_line_start = True

    def show(self, delta: Delta) -> None:
        prefix = ""
        if delta.part != self._part:
            if self._part is not None:
                # An empty line separates the parts.
                prefix = "\n" if self._at_line_start else "\n\n"
            self._part = delta.part
        is_dimmed = self._may_dim and isinstance(delta, ReasoningDelta)
        if is_dimmed is not self._dimmed:
            prefix = (_DIM_ON if is_dimmed else _DIM_OFF) + prefix
            self._dimmed = is_dimmed
        # Control characters become escapes.
        text = several_lines(delta.text)
        self._at_line_start = text.endswith("\n")
        self._write(prefix + text)

    def end(self) -> None:
        """End the line, and switch off dimming."""
        suffix = _DIM_OFF if self._dimmed else ""
        if self._part is not None and not self._at_line_start:
            suffix += "\n"
        self._part, self._dimmed = None, False
        if suffix:
            self._write(suffix)

    def _write(self, text: str) -> None:
        # A character that the encoding lacks is printed as an escape, so that it does not raise an error.
        self._file.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))
        self._file.flush()


def _can_dim(file: TextIO) -> bool:
    """Return True if the file is a terminal in which text may be dimmed."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    is_terminal = getattr(file, "isatty", None)
    return is_terminal is not None and bool(is_terminal())
