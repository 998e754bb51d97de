"""Rules that ask a function of the application whether to stop an answer.

The function gets the answer so far, or each finished value of a field.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.errors import MisuseError
from tokenstream.events import TextDelta
from tokenstream.stages._content import has_content
from tokenstream.stages._objects.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.partial_json._events import At, ValueDone


def check_reason(result: object) -> str | None:
    """Check and return the result of a guard function: the reason to stop the answer, or None."""
    if result is None or isinstance(result, str):
        # Any text stops the answer, even an empty one.
        return result if result != "" else "a guard has stopped it"
    raise MisuseError(
        "a guard returns why the answer is stopped, as text, or None to let it go on, "
        f"and not {type(result).__name__}"
    )


class AskedRule:
    """Base class of the rules that ask a function of the application whether to stop the answer.

    Args:
        ask: The function, which returns the reason to stop the answer, or None. If the function is async,
            the stream calls and awaits it in place of this rule, which passes the argument to `ask_async`.
    """

    deadline: float | None = None
    """Always None: the rule does not depend on time."""

    __slots__ = ("answer_number", "ask", "ask_async", "has_returned", "pending", "stop", "was_called")

    def __init__(self, ask: Callable[[Any], Any]) -> None:
        self.ask = ask
        self.answer_number = 0
        """The number of the answer that is checked, counted from 1."""
        self.ask_async: Callable[[AskedRule, Any], object] | None = None
        """Calls the function with an argument and awaits it; set by the stream if the function is async."""
        self.begin_again()

    def begin_again(self) -> None:
        """Reset the rule, because another answer begins."""
        self.answer_number += 1
        self.pending = False
        """True while the function, which has been called, has not returned."""
        self.stop: str | None = None
        """The reason to stop the answer; None while there is none."""
        self.has_returned = False
        """True once the function has returned."""
        self.was_called = False
        """True once the function has been called."""

    @property
    def has_decided(self) -> bool:
        """True once the answer need not be held back for this rule."""
        return self.has_returned

    def tick(self, now: float) -> None:
        """Do nothing: the rule does not depend on time."""

    def record_result(self, result: object) -> None:
        """Record what the function returned: the reason to stop the answer, or None to let it go on.

        The stream calls this method once an async function has returned.
        """
        self.pending = False
        self.has_returned = True
        # If several calls want to stop the answer, the first reason counts.
        self.stop = self.stop or check_reason(result)

    def call(self, argument: object) -> None:
        """Call the function with an argument, and record the function's result.

        If the function is async, its argument is passed to `ask_async` instead.
        """
        if self.ask_async is None:
            self.record_result(self.ask(argument))
        else:
            self.pending = True
            self.ask_async(self, argument)
        # Set last, so that the function is called again if Ctrl-C interrupted it.
        self.was_called = True


class AnswerRule(AskedRule):
    """Calls a function with the answer after a number of pieces of content, or at the end.

    Args:
        first: The number of pieces of content before the first call.
        every: The number of pieces of content between further calls; None to call it only once.
    """

    __slots__ = ("_due_at", "_every", "_first", "_has_new_content", "_pieces")

    def __init__(self, ask: Callable[[Any], Any], first: int, every: int | None) -> None:
        # Set first, because the base class calls `begin_again`.
        self._first = first
        self._every = every
        super().__init__(ask)

    def begin_again(self) -> None:
        """Forget the answer so far, because another one begins."""
        super().begin_again()
        self._pieces = 0
        """The number of pieces of content so far."""
        self._due_at: float = self._first
        """The number of pieces at which the function is called next; infinity for no further call."""
        self._has_new_content = False
        """True if content has arrived since the last call."""

    def feed(self, event: Event, message: Callable[[], Message], now: float) -> None:
        """Count an event if it has content; call the function after enough such events."""
        if not has_content(event):
            return
        self._pieces += 1
        self._has_new_content = True
        # Only one call runs at a time; an overdue call is made at the next piece.
        if self._pieces >= self._due_at and not self.pending:
            self._due_at = math.inf if self._every is None else self._pieces + self._every
            self._has_new_content = False
            self.call(message())

    def end(self, message: Callable[[], Message], choice: int | None) -> None:
        """Call the function with the whole answer, if a call is still due; further choices do not count.

        No call is due if the last call had all content, or if the only call (without `every`) has been made.
        """
        wants_more = self._has_new_content and self._every is not None
        # The first choice is 0, so `choice` is false for it and for the whole answer.
        if not choice and not self.pending and (wants_more or not self.was_called):
            self._has_new_content = False
            self.call(message())


class FieldRule(AskedRule):
    """Calls a function with each value at a path of the answer's JSON, as soon as the value is finished."""

    __slots__ = ("_at", "_is_asking", "_values", "_waiting")

    def __init__(self, ask: Callable[[Any], Any], at: At) -> None:
        # Set first, because the base class calls `begin_again`.
        self._at = at
        super().__init__(ask)

    def begin_again(self) -> None:
        """Forget the values so far, because another answer begins."""
        super().begin_again()
        self._values = _Values(self._at, lenient=True)
        self._waiting: deque[Any] = deque()
        """Values at the path for which the function has still to be called."""
        self._is_asking = False
        """True while the function is called for the values that wait, one after another."""

    @property
    def has_decided(self) -> bool:
        """True once the function has checked a value, and all other values that have arrived."""
        return self.has_returned and not self.pending and not self._waiting

    def record_result(self, result: object) -> None:
        """Record what the function returned, and call it with the values that have waited for that."""
        super().record_result(result)
        self._ask_next()

    def feed(self, event: Event, message: Callable[[], Message], now: float) -> None:
        """Call the function with each value at the path that an event completes.

        The values after one whose call is pending wait until the call has returned.
        """
        # Only the first choice, which is 0, is checked.
        if isinstance(event, TextDelta) and not event.choice:
            self._waiting += self._values.feed(event.text)
            self._ask_next()

    def end(self, message: Callable[[], Message], choice: int | None) -> None:
        """Call the function with the values that waited for an earlier call to return."""
        self._ask_next()

    def _ask_next(self) -> None:
        """Call the function with the values that wait, until a call is pending or stops the answer."""
        if self._is_asking:
            # `call` has got the result of a function that is not async, and `record_result` has led here: the
            # loop below is running already, and goes on with the next value.
            return
        self._is_asking = True
        try:
            while self._waiting and not self.pending and self.stop is None:
                self.call(self._waiting.popleft())
        finally:
            self._is_asking = False


class _Values(Search[Any]):
    """Finds the values at a path in the answer's JSON, of whatever kind they are."""

    __slots__ = ()

    # The kinds of values that the path may lead to, and their name in error messages.
    _wanted: ClassVar = ("object", "array", "string", "number", "literal")
    _wanted_name: ClassVar = "a value"

    def _on_end(self, event: ValueDone, position: int, out: list[Any]) -> None:
        """Append a finished value to `out` if the path leads to it, and not to a value around or in it."""
        # 0 stands for a value at the path.
        if position == 0:
            out.append(event.value)
