"""The text that an answer's JSON is in, its own or a tool call's arguments, and where a reader is in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from tokenstream._growing import ended_itself
from tokenstream.events import TextDelta, ToolCallDelta
from tokenstream.message import ToolCall
from tokenstream.stream._cursors import TextCursor
from tokenstream.stream._output_end import is_cut

if TYPE_CHECKING:
    from tokenstream._growing import GrowingPart
    from tokenstream._log import TextLog
    from tokenstream.accumulator import Accumulator
    from tokenstream.message import Message

__all__ = ["AnswerText", "ArgumentsText"]

_SPACE = " \t\r\n"
_SAYS_NOTHING = re.compile(r"[ \t\r\n{}]*\Z").match
"""Arguments that are made of these characters alone say nothing."""
_PREFIX = re.compile(r"[ \t\r\n]*\{[ \t\r\n]*\}[ \t\r\n]*(?=[^ \t\r\n])")
_MOST_HELD = 64
"""Characters that are held back at most: text that is looked at again for each piece must stay short."""


class AnswerText(TextCursor):
    """Where a reader is in the text of a choice.

    Args:
        accumulator: What has been said.
        choice: The choice.
    """

    __slots__ = ()

    over = False
    rewritten = False

    def __init__(self, accumulator: Accumulator, choice: int) -> None:
        super().__init__(accumulator, choice, "text", TextDelta)

    @property
    def text(self) -> str:
        """The text as far as it has come."""
        log = self._accumulator.find_log(self._choice or self._accumulator.main, "text")
        return "" if log is None else log.join()

    @property
    def empty(self) -> bool:
        """Whether there is none to be read as JSON."""
        return not self.text.strip()

    def is_cut(self, message: Message, *, complete: bool) -> bool:
        """Tell whether the JSON may have been cut in an answer that is over.

        Args:
            message: The answer.
            complete: Whether the JSON itself is at its end.
        """
        return is_cut(message) and not complete


class ArgumentsText:
    """Where a reader is in the arguments of a tool call.

    Arguments that say nothing are held back until the answer is over: some
    servers send an empty object first and the real ones behind it. openai-chat
    drops one in a fragment of its own; glued to what follows, it makes two calls
    of them at their end, there and in other formats.

    Args:
        part: The call as it grows.
        free: Whether they are free text, of which nothing is held back.
    """

    __slots__ = (
        "_begun",
        "_behind",
        "_free",
        "_log",
        "_part",
        "_position",
        "rewritten",
    )

    def __init__(self, part: GrowingPart, *, free: bool = False) -> None:
        self._part = part
        self._free = free
        self._log: TextLog | None = None
        """The fragments, until the call is whole."""
        self._position = 0
        self._behind = False
        """Whether the arguments stand behind an empty object."""
        self._begun = free
        """Whether something of the arguments was given."""
        self.rewritten = False
        """Whether the whole call has other arguments than those that were given."""

    @property
    def text(self) -> str:
        """The arguments as far as they have come."""
        call = self._call
        if self._free:
            return self._since(0)
        if call is not None:
            return call.arguments_text if call.arguments_text.strip(_SPACE) else "{}"
        text = self._since(0)
        empty = _PREFIX.match(text)
        return text[empty.end() :] if empty else text

    @property
    def begun(self) -> ToolCall:
        """The call as it is known now, without what its fragments say."""
        return self._ended or cast("ToolCall", self._part.start)

    @property
    def over(self) -> bool:
        """Whether the call is whole."""
        return self._call is not None

    @property
    def empty(self) -> bool:
        """Whether the call is whole, and its arguments say nothing."""
        call = self._call
        return call is not None and not self._begun and _SAYS_NOTHING(call.arguments_text) is not None

    def is_cut(self, message: Message, *, complete: bool) -> bool:
        """Tell whether the call was cut in an answer that is over: then it is not to be taken for one."""
        # A call that has ended on what is no JSON was not cut, and may be almost JSON; one that
        # lacks its end was, unless the model has gone on behind it.
        ended = self._ended
        if ended is None or ended.complete or complete:
            return ended is None
        last = message.parts[-1]
        behind = not isinstance(last, ToolCall) or last.id != ended.id
        return not (behind or ended_itself(message.finish_reason, message.ending))

    def ready(self) -> str | None:
        """Return what the reader has missed of the arguments, in one piece."""
        if self._call is not None:
            self._settle()
        elif self._behind:
            return None
        text = self._since(self._position) if self._begun else self._beginning()
        self._position += len(text)
        return text or None

    def after(self, event: Any) -> str | None:  # noqa: ANN401 - any event
        """Return what an event of the call adds to the arguments."""
        log = self._log
        if log is not None and self._begun and event.__class__ is ToolCallDelta:
            text: str = event.fragment
            if log.length == self._position + len(text):
                self._position += len(text)
                return text or None
        return self.ready()

    def end(self) -> str | None:
        """Return what was held back, because no other arguments will come."""
        if self._begun:
            return None
        self._begun = True
        text = self.text
        self._position = len(text)
        return text or None

    # -- within --------------------------------------------------------------

    @property
    def _call(self) -> ToolCall | None:
        """The call, once it is whole."""
        ended = self._ended
        return ended if ended is not None and ended.complete else None

    @property
    def _ended(self) -> ToolCall | None:
        """The call, once it has ended, on JSON or not."""
        final = self._part.final
        return final if isinstance(final, ToolCall) else None

    def _beginning(self) -> str:
        """Return the first piece, once the arguments say something."""
        text = self._since(0)
        if len(text) <= _MOST_HELD and _SAYS_NOTHING(text):
            return ""
        if self._call is None and _PREFIX.match(text):
            self._behind = True
            return ""
        self._begun = True
        return text

    def _since(self, position: int) -> str:
        ended = self._ended
        if ended is not None:
            return ended.arguments_text[position:]
        log = self._log
        if log is None:
            log = self._log = self._part.pieces
        return "" if log is None or log.length == position else log.since(position)

    def _settle(self) -> None:
        """Compare the whole call with what was given of it."""
        log, self._log = self._log, None
        if log is None or not self._begun:
            return
        whole = self._since(0)
        if not whole.startswith(log.join()[: self._position]):
            self.rewritten = True
            self._position = len(whole)
