"""The calls that were read from an answer's texts: their ids, their ends, and which the API sends as well."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream._basics.call_keys import is_same_call
from tokenstream.errors import LimitExceeded
from tokenstream.events import PartDone, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.formats._kit.parts import CUT_SHORT
from tokenstream.stages._calls.calls import TextCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.events import Event, Finish
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import ToolCall
    from tokenstream.stages._calls.steps import CallBegun, CallEnded


class _ComparedCall:
    """A call of a text, or of the API, that may be the same as one of the other.

    Args:
        start: The event of its start.
        text_call: The call in the text; None for a call of the API.
    """

    __slots__ = ("events", "is_held", "key", "start", "text_call", "whole")

    def __init__(self, start: ToolCallStart, text_call: TextCall | None) -> None:
        self.start = start
        self.text_call = text_call
        self.key: object = text_call or start.part
        """The call in the text, or the index that the format gave to the API's."""
        self.is_held = False
        """True if it is held back, because the other has a call of the same name."""
        self.events: list[AnyEvent] = []
        """Its events, if it is held back."""
        self.whole: ToolCall | None = None
        """The call, once nothing of it is missing."""

    def may_be(self, other: _ComparedCall) -> bool:
        """Return True if another call stands elsewhere, and has the same name."""
        is_other_kind = (self.text_call is None) is not (other.text_call is None)
        return is_other_kind and self.start.name == other.start.name

    def end(self, event: ToolCallDone) -> None:
        """Note that nothing of the call is missing."""
        self.whole = event.call

    def release(self) -> list[AnyEvent]:
        """Hand over the events that were held back."""
        self.is_held = False
        events, self.events = self.events, []
        return events


class CallsInText:
    """The calls that were read from an answer's texts, beside those of the API itself.

    Some servers stream the markup of a call as text, and send the call as well. So the second of two calls
    with one name is held back until both are whole. If they are the same, they are one, with the API's id.

    Args:
        parts: The parts of the format, which counts the calls and gives them their ids.
        place: Returns an event of the API's call as the message gets it, with its new index.
        count_part: Returns the index of the next part of a choice.
    """

    __slots__ = (
        "_candidates",
        "_count_part",
        "_handed_out",
        "_held_size",
        "_own",
        "_parts",
        "_place",
        "_unsettled",
        "finished",
    )

    def __init__(
        self, parts: Parts, place: Callable[[AnyEvent], AnyEvent], count_part: Callable[[int], int]
    ) -> None:
        self._parts = parts
        self._place = place
        self._count_part = count_part
        self._candidates: dict[int, dict[object, _ComparedCall]] = {}
        """The calls of each choice that may have the same call elsewhere, in their order, by their key."""
        self._held_size = 0
        """Number of characters of all arguments that were held back."""
        self._handed_out: set[int] = set()
        """Choices with calls in their text that were handed out."""
        self.finished: set[int] = set()
        """Choices with a finish reason; another answer may follow, when the results of tools were sent."""
        self._own: set[int] = set()
        """Choices for which the API itself has sent a call."""
        self._unsettled: dict[int, list[tuple[TextCall, CallEnded]]] = {}
        """Calls whose markup has no end, by choice: the finish reason tells if the answer was cut off."""

    def begin_part(self, choice: int) -> None:
        """Note an event of a part: behind a finish reason, it is of another answer, with calls of its own."""
        if choice in self.finished:
            for kept in (self.finished, self._handed_out, self._own):
                kept.discard(choice)
            self._candidates.pop(choice, None)

    def begin_again(self) -> None:
        """Forget the calls of an answer that begins again."""
        self._candidates.clear()
        self._unsettled.clear()

    def has_own(self, choice: int) -> bool:
        """Return True if the API itself has sent a call of a choice."""
        return choice in self._own

    # -- calls of the API ------------------------------------------------------

    def read_own(self, event: AnyEvent, out: list[Event]) -> None:
        """Add an event of the API's calls, or of another part that is no text."""
        candidate = None
        if isinstance(event, ToolCallStart):
            self._own.add(event.choice)
            candidate = self._begin(event, None)
        elif isinstance(event, ToolCallDelta | ToolCallDone | PartDone):
            candidate = self._find(event.choice, event.part)
        is_held = candidate is not None and candidate.is_held
        self._add(candidate, event if is_held else self._place(event), out)
        if candidate is not None and isinstance(event, ToolCallDone | PartDone):
            self._end(candidate, event, out)

    # -- calls of the texts ----------------------------------------------------

    def begin(self, begun: CallBegun, choice: int, raw: Any, out: list[Event]) -> TextCall:  # noqa: ANN401 - a payload
        """Begin a call; it is in no part of the message yet if it is held back."""
        parts = self._parts
        if parts.calls_seen >= parts.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=parts.limits.tool_calls)
        id = parts.new_id(choice)
        # A call of the API that comes without an id must not get the same one.
        parts.calls_seen += 1
        parts.note("call_read")
        call = TextCall(id, begun, choice, -1)
        start = call.start(raw)
        candidate = self._begin(start, call)
        if not candidate.is_held:
            call.part = start.part = self._count_part(choice)
        self._add(candidate, start, out)
        return call

    def write(self, call: TextCall, fragment: str, raw: Any, out: list[Event]) -> None:  # noqa: ANN401 - a payload
        """Add a fragment of a call's arguments."""
        self._add(self._find(call.choice, call), call.add(fragment, raw), out)

    def end(self, call: TextCall | None, ended: CallEnded, raw: Any, out: list[Event]) -> None:  # noqa: ANN401 - a payload
        """Add the end of a call, unless the finish reason has to tell first if the answer was cut off."""
        if call is None:
            return
        candidate = self._find(call.choice, call)
        if ended.how in {"cut", "open"}:
            self._unsettled.setdefault(call.choice, []).append((call, ended))
        if ended.how == "cut":
            self._leave(candidate, out)
            return
        done = call.finish(ended, raw)
        if ended.how != "open":
            self._add(candidate, done, out)
            if isinstance(done, ToolCallDone):
                self._handed_out.add(call.choice)
            else:
                self._parts.note("call_invalid")
        # The API's call shows that one without the end of its markup is whole.
        self._end(candidate, done, out)

    def settle_all(self, out: list[Event], *, is_whole: bool) -> None:
        """End the calls of all choices whose markup has no end: the answer has ended, or was cut off."""
        for choice in [*self._candidates]:
            self._settle(choice, None, out, is_whole=is_whole)

    def _settle(self, choice: int, raw: Any, out: list[Event], *, is_whole: bool) -> None:  # noqa: ANN401 - a payload
        """End the calls of a choice whose markup has no end; only those of a whole answer are handed out."""
        for call, ended in self._unsettled.pop(choice, ()):
            if is_whole and ended.how == "open":
                self.end(call, ended._replace(how="closed"), raw, out)
            else:
                self._parts.note("call_open_at_end")
                self._leave(self._find(choice, call), out)
        for each in [*self._candidates.get(choice, {}).values()]:
            if each.whole is None:
                self._leave(each, out)

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

    # -- the same calls ----------------------------------------------------------

    def _begin(self, start: Any, text_call: TextCall | None) -> _ComparedCall:  # noqa: ANN401 - an event
        """Note that a call begins; it is held back if the same may have been given elsewhere."""
        candidates = self._candidates.setdefault(start.choice, {})
        candidate = _ComparedCall(start, text_call)
        candidate.is_held = any(candidate.may_be(each) and not each.is_held for each in candidates.values())
        candidates[candidate.key] = candidate
        return candidate

    def _find(self, choice: int, key: object) -> _ComparedCall | None:
        """Return the call with a key; None if it is not compared any more, or the key is of no call."""
        return self._candidates.get(choice, {}).get(key)

    def _add(self, candidate: _ComparedCall | None, event: AnyEvent, out: list[Event]) -> None:
        """Add an event, or hold it back with its call."""
        if candidate is None or not candidate.is_held:
            out.append(event)
            return
        candidate.events.append(event)
        self._held_size += len(event.fragment) if isinstance(event, ToolCallDelta) else 0
        if self._held_size > self._parts.limits.text:
            raise LimitExceeded(limit="text", value=self._parts.limits.text)

    def _end(self, candidate: _ComparedCall | None, event: AnyEvent, out: list[Event]) -> None:
        """Note the end of a call, and join or release the calls that have waited for it."""
        if candidate is None or not isinstance(event, ToolCallDone):
            self._leave(candidate, out)
            return
        candidate.end(event)
        self._compare(event.choice, out)

    def _leave(self, candidate: _ComparedCall | None, out: list[Event]) -> None:
        """Release a call that is no call of elsewhere, because it was not handed out."""
        if candidate is None:
            return
        choice = candidate.start.choice
        self._release(candidate, out)
        del self._candidates[choice][candidate.key]
        self._compare(choice, out)

    def _compare(self, choice: int, out: list[Event]) -> None:
        """Join each call that is held back and whole with the same call of elsewhere, or release it."""
        candidates = self._candidates[choice]
        for held, whole in [(each, each.whole) for each in candidates.values() if each.is_held]:
            if whole is None:
                continue
            others = [each for each in candidates.values() if held.may_be(each) and not each.is_held]
            equal = [each for each in others if each.whole is not None and is_same_call(whole, each.whole)]
            if equal:
                same = equal[0]
                self._parts.note("call_twice")
                del candidates[held.key], candidates[same.key]
                self._join(held, same, out)
            elif all(each.whole is not None for each in others):
                self._release(held, out)

    def _join(self, held: _ComparedCall, same: _ComparedCall, out: list[Event]) -> None:
        """Leave out a call that is the same as one that was given, which gets the API's id."""
        call = held.text_call or same.text_call
        waiting = self._unsettled.get(held.start.choice, [])
        for each in [each for each in waiting if each[0] is call]:
            waiting.remove(each)
            if same.text_call is call:
                self.end(call, each[1]._replace(how="closed"), held.start.raw, out)
        if same.text_call is not None:
            # Another start of a call that has ended only tells its id.
            start = copy(held.start)
            start.part = same.text_call.part
            out.append(start)

    def _release(self, held: _ComparedCall, out: list[Event]) -> None:
        """Add the events of a call that was held back."""
        if not held.is_held:
            return
        events = held.release()
        if held.text_call is None:
            out += map(self._place, events)
        else:
            out += held.text_call.place(events, self._count_part(held.start.choice))
