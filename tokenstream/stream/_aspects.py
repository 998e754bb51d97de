"""What users read of a stream in loops of their own: views of one aspect each, and answers one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.stream._core import StreamBase
from tokenstream.stream._outputs import AsyncOutputs, Outputs
from tokenstream.stream._running import AsyncRunning, Running
from tokenstream.stream._tools import AsyncTools, Tools
from tokenstream.stream._views import AsyncChoice, AsyncToolCallView, Choice, ToolCallView

if TYPE_CHECKING:
    from tokenstream.stream._responses import AsyncResponses, Responses
    from tokenstream.stream._view import AsyncView, View

__all__ = ["Aspects", "AsyncAspects"]


class Aspects(StreamBase, Outputs, Tools, Running):
    """The views of a stream that a `for` loop reads."""

    __slots__ = ("_responses",)

    _responses: Responses | None

    def _own(self) -> Choice:
        return self.choice(0)

    @property
    def text(self) -> View[str]:
        """The answer's text as it arrives: a view of `str` pieces."""
        return self.choice(0).text

    @property
    def reasoning(self) -> View[str]:
        """The model's reasoning as it arrives: a view of `str` pieces."""
        return self.choice(0).reasoning

    @property
    def tool_calls(self) -> ToolCallView:
        """The answer's tool calls, each as soon as it is whole: a view of `ToolCall`."""
        return self.choice(0).tool_calls

    @property
    def responses(self) -> Responses:
        """The answers on one WebSocket connection, one after the other: an iterator of `Stream`."""
        if self._responses is None:
            from tokenstream.stream._responses import Responses

            stream: Any = self
            self._responses = Responses(stream)
        return self._responses

    def choice(self, index: int) -> Choice:
        """Return the views of one of several alternative answers, from 0."""
        stream: Any = self
        return Choice(stream, self._machine.accumulator, index)


class AsyncAspects(StreamBase, AsyncOutputs, AsyncTools, AsyncRunning):
    """The views of a stream that an `async for` loop reads."""

    __slots__ = ("_responses",)

    _responses: AsyncResponses | None

    def _own(self) -> AsyncChoice:
        return self.choice(0)

    @property
    def text(self) -> AsyncView[str]:
        """The answer's text as it arrives: a view of `str` pieces."""
        return self.choice(0).text

    @property
    def reasoning(self) -> AsyncView[str]:
        """The model's reasoning as it arrives: a view of `str` pieces."""
        return self.choice(0).reasoning

    @property
    def tool_calls(self) -> AsyncToolCallView:
        """The answer's tool calls, each as soon as it is whole: a view of `ToolCall`."""
        return self.choice(0).tool_calls

    @property
    def responses(self) -> AsyncResponses:
        """The answers on one WebSocket connection, one after the other: an iterator of `AsyncStream`."""
        if self._responses is None:
            from tokenstream.stream._responses import AsyncResponses

            stream: Any = self
            self._responses = AsyncResponses(stream)
        return self._responses

    def choice(self, index: int) -> AsyncChoice:
        """Return the views of one of several alternative answers, from 0."""
        stream: Any = self
        return AsyncChoice(stream, self._machine.accumulator, index)
