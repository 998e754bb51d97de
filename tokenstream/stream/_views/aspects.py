"""Cursors for the aspects of a choice: its text, reasoning, tool calls and structured output.

A *cursor* is a reader's place in one aspect of an answer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from tokenstream.errors import MisuseError
from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.stream._views.log_cursor import LogCallCursor, LogDeltaCursor, LogTextCursor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._answer.log import Delta
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stages._protocols import Cursor
    from tokenstream.stream._outputs.call_drafts import CallDraftCursor, CheckedCursor
    from tokenstream.stream._outputs.documents import OutputChoice
    from tokenstream.stream._protocols import Driver, TextCursor, WholeCursor


class Cursors:
    """Makes cursors at the start of an aspect of a choice; each view reads one cursor."""

    __slots__ = ("_choice", "_driver")

    def __init__(self, driver: Driver, choice: int) -> None:
        self._driver = driver
        self._choice = choice

    def text(self) -> TextCursor[str]:
        return LogTextCursor(self._driver.accumulator, self._choice, TextDelta)

    def answer(self) -> TextCursor[str]:
        """Return a cursor at the start of the text, without the model's remarks."""
        from tokenstream.stream._outputs.text import AnswerTextCursor

        return AnswerTextCursor(self._driver.accumulator, self._choice)

    def reasoning(self) -> TextCursor[str]:
        return LogTextCursor(self._driver.accumulator, self._choice, ReasoningDelta)

    def tool_calls(self) -> LogCallCursor:
        return LogCallCursor(self._driver.accumulator, self._choice)

    def deltas(self) -> Cursor[Delta]:
        """Return a cursor at the start of the text, reasoning and refusals together."""
        return LogDeltaCursor(self._driver.accumulator, self._choice)

    # The cursors below need the JSON reader and validation, which are loaded on first use.

    def validated_calls(self, /, *tools: object, **options: Any) -> CheckedCursor:  # noqa: ANN401 - of `ValidatedCalls`
        """Return a cursor in the tool calls, with checked arguments.

        The error of a call that cannot be run is recorded as its result.
        """
        from tokenstream.stages._tools.calls import ValidatedCalls
        from tokenstream.stream._outputs.call_drafts import CheckedCursor

        tools_to_check = ValidatedCalls(*tools, **options)
        return CheckedCursor(self._driver.accumulator, self._choice, tools_to_check, answers=True)

    def router_calls(self, *tools: object, lenient: Mapping[str, Lenient]) -> CheckedCursor:
        """Return a cursor in the tool calls, with checked arguments, for a router.

        Unlike with `validated_calls`, no error is recorded as the result of a call: the router does that.
        """
        from tokenstream.stages._tools.calls import ValidatedCalls
        from tokenstream.stream._outputs.call_drafts import CheckedCursor

        return CheckedCursor(self._driver.accumulator, self._choice, ValidatedCalls(*tools, lenient=lenient))

    def tool_partials(self, /, *tools: object, **options: Any) -> CallDraftCursor:  # noqa: ANN401 - of `ValidatedCalls`
        """Return a cursor in the drafts of tool calls: snapshots of each while the model writes it."""
        from tokenstream.stages._tools.calls import ValidatedCalls
        from tokenstream.stream._outputs.call_drafts import CallDraftCursor

        return CallDraftCursor(self._make_answer(tool=None), ValidatedCalls(*tools, **options))

    # Their options are those of the stages.

    def partials(self, *args: Any, tool: str | None = None, **options: Any) -> TextCursor[Any]:  # noqa: ANN401
        """Return a cursor in the snapshots of an object as it arrives."""
        from tokenstream.stages._objects.partials import Partials
        from tokenstream.stream._outputs.cursor import OutputCursor

        make_stage: partial[Partials[Any]] = partial(Partials, *args, **options)
        return OutputCursor(self._make_answer(tool), make_stage, "drafts")

    def items(self, *args: Any, tool: str | None = None, **options: Any) -> Cursor[Any]:  # noqa: ANN401
        """Return a cursor in the elements of an array in the answer's JSON; see the view `items`."""
        from tokenstream.stages._objects.items import Items, MarkedItems
        from tokenstream.stream._outputs.cursor import OutputCursor

        # The elements in a tool's arguments are those of all its calls.
        kind: type[Items[Any]] = MarkedItems if tool is None else Items
        make_stage: partial[Items[Any]] = partial(kind, *args, **options)
        return OutputCursor(self._make_answer(tool), make_stage, "items")

    def field(self, *args: Any, tool: str | None = None, **options: Any) -> TextCursor[Any]:  # noqa: ANN401
        """Return a cursor in the pieces of a string field as the model writes it."""
        from tokenstream.stages._objects.items import MarkedField
        from tokenstream.stream._outputs.cursor import OutputCursor

        return OutputCursor(self._make_answer(tool), partial(MarkedField, *args, **options), "pieces")

    def result(self, type: Any, *, tool: str | None = None, **options: Any) -> WholeCursor[Any]:  # noqa: A002, ANN401
        """Return a cursor whose only item is the whole answer, as one value."""
        from tokenstream.stream._outputs.cursor import ResultCursor

        # The driver stores the results, so that further requests for the same result get the same object.
        return ResultCursor(self._make_answer(tool), type, self._driver.results, **options)

    def _make_answer(self, tool: str | None) -> OutputChoice:
        """Return the choice to read JSON from: its text, or the arguments of a tool."""
        from tokenstream.stream._outputs.documents import OutputChoice

        if tool is not None and not isinstance(cast("object", tool), str):
            raise MisuseError(f"tool= takes the name of a tool, as the model calls it, not {tool!r}")
        return OutputChoice(self._driver, self._choice, tool)
