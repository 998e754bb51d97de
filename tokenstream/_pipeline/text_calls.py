"""The calls that were read from an answer's texts: their ids, their ends, and the finish reason."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream.errors import LimitExceeded
from tokenstream.events import ToolCallDone
from tokenstream.formats._kit.parts import CUT_SHORT
from tokenstream.stages._calls.calls import TextCall

if TYPE_CHECKING:
    from tokenstream.events import Event, Finish
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.stages._calls.steps import CallBegun, CallEnded


class CallsInText:
    """The calls that were read from an answer's texts.

    Args:
        parts: The parts of the format, which counts the calls and gives them their ids.
    """

    __slots__ = ("_handed_out", "_own", "_parts", "_unsettled", "finished", "settles")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._handed_out: set[int] = set()
        """Choices with calls in their text that were handed out."""
        self.finished: set[int] = set()
        """Choices with a finish reason; another answer may follow, when the results of tools were sent."""
        self._own: set[int] = set()
        """Choices for which the API itself has sent a call."""
        self._unsettled: dict[int, list[tuple[TextCall, CallEnded]]] = {}
        """Calls whose markup has no end, by choice: the finish reason tells if the answer was cut off."""
        self.settles = False
        """True once the answer has ended by itself, so that these calls are handed out."""

    def note_end(self) -> None:
        """Note that the answer has ended by itself."""
        self.settles = True

    def begin_part(self, choice: int) -> None:
        """Note an event of a part: behind a finish reason, it is of another answer, with calls of its own."""
        if choice in self.finished:
            for kept in (self.finished, self._handed_out, self._own):
                kept.discard(choice)

    def note_own(self, choice: int) -> None:
        """Note that the API itself has sent a call."""
        self._own.add(choice)

    def has_own(self, choice: int) -> bool:
        """Return True if the API itself has sent a call of a choice."""
        return choice in self._own

    def begin(self, begun: CallBegun, choice: int, part: int) -> TextCall:
        """Return a new call."""
        parts = self._parts
        if parts.calls_seen >= parts.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=parts.limits.tool_calls)
        id = parts.new_id(choice)
        # A call of the API that comes without an id must not get the same one.
        parts.calls_seen += 1
        parts.note("call_read")
        return TextCall(id, begun, choice, part)

    def end(self, call: TextCall | None, ended: CallEnded, raw: Any, out: list[Event]) -> None:  # noqa: ANN401 - a payload
        """Add the end of a call, unless the finish reason has to tell first if the answer was cut off."""
        if call is None:
            return
        if ended.how in ("open", "cut"):
            self._unsettled.setdefault(call.choice, []).append((call, ended))
            return
        done = call.finish(ended, raw)
        if isinstance(done, ToolCallDone):
            self._handed_out.add(call.choice)
        else:
            self._parts.note("call_invalid")
        out.append(done)

    def settle_all(self, out: list[Event]) -> None:
        """End the calls of all choices whose markup has no end: the answer has ended by itself."""
        for choice in [*self._unsettled]:
            self._settle(choice, None, out, is_whole=True)

    def _settle(self, choice: int, raw: Any, out: list[Event], *, is_whole: bool) -> None:  # noqa: ANN401 - a payload
        """End the calls of a choice whose markup has no end; only those of a whole answer are handed out."""
        for call, ended in self._unsettled.pop(choice, ()):
            if is_whole and ended.how == "open":
                self.end(call, ended._replace(how="closed"), raw, out)
            else:
                self._parts.note("call_open_at_end")

    def finish(self, event: Finish, out: list[Event]) -> Finish:
        """Return the finish of a choice: the reason is "tool_calls" if calls were read from its text."""
        self.finished.add(event.choice)
        self._settle(event.choice, event.raw, out, is_whole=event.reason not in CUT_SHORT)
        if event.reason != "stop" or event.choice not in self._handed_out:
            return event
        self._parts.note("finish_unaware")
        changed = copy(event)
        changed.reason = "tool_calls"
        return changed
