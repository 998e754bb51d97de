"""Choices: one of the alternative answers of a stream each, with views of its aspects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.stream._outputs import AsyncOutputViews, OutputViews
from tokenstream.stream._text_plan import Plan
from tokenstream.stream._text_view import AsyncTextView, TextView
from tokenstream.stream._tool_partials import AsyncCallDraftViews, CallDraftViews
from tokenstream.stream._tools import AsyncCallViews, CallViews
from tokenstream.stream._view import AsyncToolCallView, AsyncView, ToolCallView, View

if TYPE_CHECKING:
    from typing import TextIO

    from tokenstream.message import Message
    from tokenstream.stream._async_driver import AsyncDriver
    from tokenstream.stream._deltas import Delta
    from tokenstream.stream._sync_driver import SyncDriver

__all__ = ["AsyncChoice", "Choice"]


class Choice(OutputViews, CallViews, CallDraftViews):
    """One alternative answer of a stream, with views of its own."""

    __slots__ = ()

    def __init__(self, driver: SyncDriver, index: int) -> None:
        self._driver = driver
        self._index = index

    @property
    def index(self) -> int:
        """Which of the alternative answers this is, from 0."""
        return self._index

    @property
    def text(self) -> TextView:
        """The answer's text as it arrives: a view of `str` pieces, which can be shaped."""
        return TextView(self._driver, Plan(self._cursors.text), self._in_message("text"))

    @property
    def reasoning(self) -> TextView:
        """The model's reasoning as it arrives: a view of `str` pieces, which can be shaped."""
        return TextView(self._driver, Plan(self._cursors.reasoning), self._in_message("reasoning"))

    @property
    def deltas(self) -> View[Delta]:
        """All that the answer shows in words, in the order in which it comes: a view of its deltas.

        Each is a `TextDelta`, a `ReasoningDelta` or a `RefusalDelta`, with `.text` and
        the index of its `.part`; what a view that starts late has missed comes part by part.
        """
        return View(self._driver, self._cursors.deltas(), self._in_message("parts"))

    @property
    def tool_calls(self) -> ToolCallView:
        """The answer's tool calls, each as soon as it is whole: a view of `ToolCall`."""
        return ToolCallView(self._driver, self._cursors.tool_calls(), self._in_message("tool_calls"))

    def print(self, file: TextIO | None = None) -> Message:
        """Print text and reasoning as they come, and return the message.

        Parts stand apart by an empty line, reasoning is dimmed where the terminal can, and what a
        terminal would obey (control and direction characters) is printed as escapes.

        Args:
            file: Where to; None for standard output.

        Raises:
            StreamError: The answer broke off; what came of it is printed.
            OSError: The file cannot be written to.

        Example:
            >>> from tokenstream import Stream
            >>> with Stream(["Hello ", "there."], format="pieces") as stream:
            ...     message = stream.print()
            Hello there.
        """
        from tokenstream.stream._printing import Printer

        printer = Printer(file)
        try:
            for delta in self.deltas:
                printer.show(delta)
        finally:
            printer.end()
        return self.message


class AsyncChoice(AsyncOutputViews, AsyncCallViews, AsyncCallDraftViews):
    """One alternative answer of a stream, with views of its own."""

    __slots__ = ()

    def __init__(self, driver: AsyncDriver, index: int) -> None:
        self._driver = driver
        self._index = index

    @property
    def index(self) -> int:
        """Which of the alternative answers this is, from 0."""
        return self._index

    @property
    def text(self) -> AsyncTextView:
        """The answer's text as it arrives: a view of `str` pieces, which can be shaped."""
        return AsyncTextView(self._driver, Plan(self._cursors.text), self._in_message("text"))

    @property
    def reasoning(self) -> AsyncTextView:
        """The model's reasoning as it arrives: a view of `str` pieces, which can be shaped."""
        return AsyncTextView(self._driver, Plan(self._cursors.reasoning), self._in_message("reasoning"))

    @property
    def deltas(self) -> AsyncView[Delta]:
        """All that the answer shows in words, in the order in which it comes: a view of its deltas.

        Each is a `TextDelta`, a `ReasoningDelta` or a `RefusalDelta`, with `.text` and
        the index of its `.part`; what a view that starts late has missed comes part by part.
        """
        return AsyncView(self._driver, self._cursors.deltas(), self._in_message("parts"))

    @property
    def tool_calls(self) -> AsyncToolCallView:
        """The answer's tool calls, each as soon as it is whole: a view of `ToolCall`."""
        return AsyncToolCallView(self._driver, self._cursors.tool_calls(), self._in_message("tool_calls"))

    async def print(self, file: TextIO | None = None) -> Message:
        """Print text and reasoning as they come, and return the message.

        Parts stand apart by an empty line, reasoning is dimmed where the terminal can, and what a
        terminal would obey (control and direction characters) is printed as escapes.

        Args:
            file: Where to; None for standard output.

        Raises:
            StreamError: The answer broke off; what came of it is printed.
            OSError: The file cannot be written to.

        Example:
            >>> from tokenstream import AsyncStream
            >>> async def show(stream: AsyncStream) -> None:
            ...     message = await stream.print()
            ...     print(message.usage)
        """
        from tokenstream.stream._printing import Printer

        printer = Printer(file)
        try:
            async for delta in self.deltas:
                printer.show(delta)
        finally:
            printer.end()
        return self.message
