"""The rule that asks a function of the application, which gets the answer so far, whether to stop it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._answer.accumulator import has_content
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.message import Message

GetMessage: TypeAlias = "Callable[[], Message]"
"""Returns the message so far, which is built only for a rule that looks at it."""


class AnswerRule:
    """Calls a function of the application with the answer after a number of pieces of content, or at the end.

    Args:
        ask: The function, which returns the reason to stop the answer, or None. If the function is async,
            the stream calls and awaits it in place of this rule, which passes the argument to `ask_async`.
        first: The number of pieces of content before the first call.
        every: The number of pieces of content between further calls; None to call it only once.
    """

    def __init__(self, ask: Callable[[Any], Any], first: int, every: int | None) -> None:
        self.ask = ask
        self._first = first
        self._every = every
        self.answer_number = 0
        """The number of the answer that is checked, counted from 1."""
        self.ask_async: Callable[[AnswerRule, Any], object] | None = None
        """Calls the function with an argument and awaits it; set by the stream if the function is async."""
        self.begin_again()

    def begin_again(self) -> None:
        """Forget the answer so far, because another one begins."""
        self.answer_number += 1
        self.pending = False
        """True while the function, which has been called, has not returned."""
        self.stop: str | None = None
        """The reason to stop the answer; None while there is none."""
        self.has_returned = False
        self.was_called = False
        self._pieces = 0
        """The number of pieces of content so far."""
        self._due_at: float = self._first
        """The number of pieces at which the function is called next; infinity for no further call."""
        self._has_new_content = False
        """True if content has arrived since the last call."""

    def record_result(self, result: object) -> None:
        """Record what the function returned: the reason to stop the answer, or None to let it go on.

        The stream calls this method once an async function has returned.
        """
        self.pending = False
        self.has_returned = True
        if result is not None and not isinstance(result, str):
            raise MisuseError(
                "a guard returns why the answer is stopped, as text, or None to let it go on, "
                f"and not {type(result).__name__}"
            )
        # If several calls want to stop the answer, the first reason counts. Even an empty text is one.
        self.stop = self.stop or ("a guard has stopped it" if result == "" else result)

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

    def feed(self, event: Event, message: GetMessage) -> None:
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

    def end(self, message: GetMessage, choice: int | None) -> None:
        """Call the function with the whole answer, if a call is still due; further choices do not count.

        No call is due if the last call had all content, or if the only call (without `every`) has been made.
        """
        wants_more = self._has_new_content and self._every is not None
        # The first choice is 0, so `choice` is false for it and for the whole answer.
        if not choice and not self.pending and (wants_more or not self.was_called):
            self._has_new_content = False
            self.call(message())
