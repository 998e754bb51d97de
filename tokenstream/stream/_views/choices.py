"""Choices, which are the alternative answers of a stream, with their views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.members import show_members, show_members_like
from tokenstream.stream._outputs.tool_partials import AsyncCallDraftViews, CallDraftViews
from tokenstream.stream._outputs.tools import AsyncCallViews, CallViews
from tokenstream.stream._outputs.views import AsyncOutputViews, OutputViews
from tokenstream.stream._views.text_plan import ShapingPlan
from tokenstream.stream._views.text_view import AsyncTextView, TextView
from tokenstream.stream._views.view import AsyncToolCallView, AsyncView, ToolCallView, View

if TYPE_CHECKING:
    from typing import TextIO

    from tokenstream._answer_log import Delta
    from tokenstream.message import Message
    from tokenstream.stream._protocols import AsyncDriver, SyncDriver


@show_members
class Choice(OutputViews, CallViews, CallDraftViews):
    """One of the alternative answers of a stream, with its own views."""

    __slots__ = ()

    def __init__(self, driver: SyncDriver, index: int) -> None:
        self._driver = driver
        self._index = index

    @property
    def index(self) -> int:
        """The index of this choice among the alternative answers, from 0."""
        return self._index

    @property
    def text(self) -> TextView:
        """The answer's text as it arrives: a view of `str` pieces, which can be shaped."""
        plan = ShapingPlan(self._cursors.text, reading="content")
        return TextView(self._driver, plan, self._message_expression("text"))

    @property
    def reasoning(self) -> TextView:
        """The model's reasoning as it arrives: a view of `str` pieces, which can be shaped."""
        plan = ShapingPlan(self._cursors.reasoning, reading="reasoning")
        return TextView(self._driver, plan, self._message_expression("reasoning"))

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
        return ToolCallView(self._driver, self._cursors.tool_calls(), self._message_expression("tool_calls"))

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
        from tokenstream.stream._views.printing import Printer

        printer = Printer(file)
        try:
            for delta in self.deltas:
                printer.show(delta)
        finally:
            printer.end()
        return self.message


@show_members_like(Choice)
class AsyncChoice(AsyncOutputViews, AsyncCallViews, AsyncCallDraftViews):
    """One of the alternative answers of a stream, with its own views."""

    __slots__ = ()

    def __init__(self, driver: AsyncDriver, index: int) -> None:
        self._driver = driver
        self._index = index

    @property
    def index(self) -> int:
        """The index of this choice among the alternative answers, from 0."""
        return self._index

    @property
    def text(self) -> AsyncTextView:
        """The answer's text as it arrives: a view of `str` pieces, which can be shaped."""
        plan = ShapingPlan(self._cursors.text, reading="content")
        return AsyncTextView(self._driver, plan, self._message_expression("text"))

    @property
    def reasoning(self) -> AsyncTextView:
        """The model's reasoning as it arrives: a view of `str` pieces, which can be shaped."""
        plan = ShapingPlan(self._cursors.reasoning, reading="reasoning")
        return AsyncTextView(self._driver, plan, self._message_expression("reasoning"))

    @property
    def deltas(self) -> AsyncView[Delta]:
        """The text, reasoning and refusals of the answer in the order of their arrival: a view of deltas.

        The deltas are those of `Stream.deltas`.
        """
        return AsyncView(self._driver, self._cursors.deltas(), self._message_expression("parts"))

    @property
    def tool_calls(self) -> AsyncToolCallView:
        """The answer's tool calls, each as soon as it is complete: a view of `ToolCall`."""
        return AsyncToolCallView(
            self._driver, self._cursors.tool_calls(), self._message_expression("tool_calls")
        )

    async def print(self, file: TextIO | None = None) -> Message:
        """Print the text and reasoning as they arrive, and return the message.

        The argument, the layout and the errors are those of `Stream.print`.

        Example:
            >>> from tokenstream import AsyncStream
            >>> async def show(stream: AsyncStream) -> None:
            ...     message = await stream.print()
            ...     print(message.usage)
        """
        from tokenstream.stream._views.printing import Printer

        printer = Printer(file)
        try:
            async for delta in self.deltas:
                printer.show(delta)
        finally:
            printer.end()
        return self.message
