"""The calls that were read from an answer's texts, and the indexes of its parts, of which these are some."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenstream._basics.call_keys import is_same_call
from tokenstream.errors import LimitExceeded
from tokenstream.events import CitationAdded, PartDone, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.formats._kit.values import CUT_SHORT
from tokenstream.stages._calls.events import TextCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.events import Event, Finish
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import ToolCall
    from tokenstream.stages._calls.steps import CallBegun, CallEnded


@dataclass(slots=True, eq=False)
class _ComparedCall:
    """A call of a text, or of the API, that may be the same as one of the other."""

    start: ToolCallStart
    text_call: TextCall | None
    """The call in the text; None for a call of the API."""
    is_held: bool
    """True if it is held back, because the other has a call of the same name."""
    events: list[AnyEvent] = field(default_factory=list["AnyEvent"])
    """Its events, if it is held back."""
    whole: ToolCall | None = None
    """The call, once nothing of it is missing."""
    open_end: CallEnded | None = None
    """The end of a text with the call, if its markup has none: the finish reason tells if it was cut off."""

    def may_be(self, other: _ComparedCall) -> bool:
        """Return True if another call is elsewhere, and has the same name."""
        is_other_kind = (self.text_call is None) is not (other.text_call is None)
        return is_other_kind and self.start.name == other.start.name

    def end(self, event: ToolCallDone, open_end: CallEnded | None = None) -> None:
        """Note that nothing of the call is missing, but perhaps the end of its markup."""
        self.whole, self.open_end = event.call, open_end

    def release(self) -> list[AnyEvent]:
        self.is_held = False
        events, self.events = self.events, []
        return events


class PartNumbers:
    """Gives parts their indexes in the message, in the order in which they begin.

    Args:
        limit: The most parts of an answer.
        is_tagged: Returns True if tags were left out of a choice, or of one of its parts.
    """

    def __init__(self, limit: int, is_tagged: Callable[[int, int | None], bool]) -> None:
        self._limit, self._is_tagged = limit, is_tagged
        self._indexes: dict[tuple[int, int], int] = {}
        """Each part's index in the message, by its index in the format; that of the last of its texts."""
        self._originals: dict[tuple[int, int], int] = {}
        """The format's index of each part, by the part's index in the message."""
        self._counts: dict[int, int] = {}
        """The number of parts of each choice."""
        self.count = 0
        """The number of parts of all choices."""

    def begin_at(self, part: int) -> None:
        """Number the parts of the first choice from `part` on."""
        self._counts[0] = part

    @property
    def is_full(self) -> bool:
        return self.count >= self._limit

    def check_room(self) -> None:
        """Raise an error if the answer has as many parts as it may."""
        if self.count >= self._limit:
            raise LimitExceeded(limit="parts", value=self._limit)

    def add(self, choice: int) -> int:
        """Return the index in the message of a choice's next part, and count that part."""
        index = self._counts.get(choice, 0)
        self._counts[choice] = index + 1
        self.count += 1
        return index

    def note(self, choice: int, index: int, original: int, *, is_text: bool = False) -> None:
        """Note the index that the format gave to a part; the last text is what is cited of a split part."""
        self._originals[choice, index] = original
        if is_text:
            self._indexes[choice, original] = index

    def original(self, choice: int, index: int) -> int:
        """Return the index that the format gave to a part of the message."""
        return self._originals.get((choice, index), index)

    def find(self, choice: int, original: int) -> int:
        """Return the index in the message of a part of the format; -1 if it has none."""
        return self._indexes.get((choice, original), -1)

    def place(self, event: AnyEvent) -> AnyEvent:
        """Return an event of a part that is not text, with the part's index in the message."""
        index = self._indexes.get((event.choice, event.part))
        if index is None:
            index = self.add(event.choice)
            self.note(event.choice, index, event.part, is_text=True)
        cites = event.citation.cites if isinstance(event, CitationAdded) else None
        if index == event.part and cites is None and not self._is_tagged(event.choice, None):
            # Neither the index nor a citation has to be changed.
            return event
        moved = copy(event)
        moved.part = index
        if isinstance(moved, CitationAdded):
            moved.citation = self._place_citation(moved)
        return moved

    def _place_citation(self, event: CitationAdded) -> Any:  # noqa: ANN401 - a citation
        """Return a citation with its part's index in the message; without positions if tags were removed."""
        cites, changes = event.citation.cites, dict[str, Any]()
        if cites is not None:
            changes["cites"] = self._indexes.get((event.choice, cites), cites)
        if self._is_tagged(event.choice, cites):
            # The positions were counted in the text with its tags.
            changes |= {"start": None, "end": None}
        return event.citation.model_copy(update=changes)

    def place_order(self, event: Finish) -> Finish:
        """Return a finish with the indexes that the parts in its order have in the message."""
        if not event.order:
            return event
        # The parts of a text that was split come just before its last one.
        indexes, begin = dict[int, range](), 0
        for last, part in sorted(
            (last, part) for (choice, part), last in self._indexes.items() if choice == event.choice
        ):
            indexes[part], begin = range(begin, last + 1), last + 1
        moved = copy(event)
        moved.order = tuple(index for part in event.order for index in indexes.get(part, ()))
        return moved


class CallsInText:
    """The calls that were read from the texts of a choice, beside those of the API itself.

    Some servers stream the markup of a call as text, and send the call as well. So the second of two calls
    with one name is held back until both are whole. If they are the same, they are one, with the API's id.
    """

    def __init__(self, choice: int, parts: Parts, numbers: PartNumbers) -> None:
        self._choice, self._parts, self._numbers = choice, parts, numbers
        self._compared: dict[object, _ComparedCall] = {}
        """The calls that may have the same call elsewhere, in their order: those of a text by themselves, and
        the API's by the index that the format gave them."""
        self._held_size = 0
        """Number of characters of all arguments that were held back."""
        self._has_handed_out = False
        """True once a call of a text was handed out."""
        self.has_text = False
        self.has_own = False
        """True once the API itself has sent a call."""
        self.finished = False
        """True once there is a finish reason; another answer may follow, with calls of its own."""

    # -- calls of the API ------------------------------------------------------

    def read_own(self, event: AnyEvent, out: list[Event]) -> None:
        """Add an event of the API's calls, or of another part that is not text."""
        call = None
        if isinstance(event, ToolCallStart):
            self.has_own = True
            call = self._begin(event, None)
        elif isinstance(event, ToolCallDelta | ToolCallDone | PartDone):
            call = self._compared.get(event.part)
        is_held = call is not None and call.is_held
        self._add(call, event if is_held else self._numbers.place(event), out)
        if call is not None and isinstance(event, ToolCallDone | PartDone):
            self._end(call, event, out)

    # -- calls of the texts ----------------------------------------------------

    def begin(self, begun: CallBegun, raw: Any, out: list[Event]) -> TextCall:  # noqa: ANN401 - a payload
        """Begin a call; it is in no part of the message yet if it is held back."""
        text_call = TextCall(self._parts.count_read(self._choice), begun, self._choice, -1)
        start = text_call.start(raw)
        call = self._begin(start, text_call)
        if not call.is_held:
            text_call.part = start.part = self._numbers.add(self._choice)
        self._add(call, start, out)
        return text_call

    def write(self, call: TextCall, fragment: str, raw: Any, out: list[Event]) -> None:  # noqa: ANN401 - a payload
        self._add(self._compared.get(call), call.add(fragment, raw), out)

    def end(self, text_call: TextCall, ended: CallEnded, raw: Any, out: list[Event]) -> None:  # noqa: ANN401 - a payload
        """Add the end of a call, unless the finish reason has to tell first if the answer was cut off."""
        call = self._compared.get(text_call)
        if ended.how == "cut":
            self._leave_open(call, out)
            return
        done = text_call.finish(ended, raw)
        if not isinstance(done, ToolCallDone):
            self._parts.note("call_invalid")
        elif ended.how == "open" and call is not None:
            # The API's call may show that it is whole.
            call.end(done, ended)
            self._compare(out)
            return
        else:
            self._has_handed_out = True
        self._add(call, done, out)
        self._end(call, done, out)

    def settle(self, raw: Any, out: list[Event], *, is_whole: bool) -> None:  # noqa: ANN401 - a payload
        """End the calls whose markup has no end; only those of a whole answer are handed out."""
        for call in [*self._compared.values()]:
            if call.open_end is not None and call.text_call is not None and is_whole:
                self.end(call.text_call, call.open_end._replace(how="closed"), raw, out)
            elif call.open_end is not None:
                self._leave_open(call, out)
            elif call.whole is None:
                self._leave(call, out)

    def finish(self, event: Finish, out: list[Event]) -> Finish:
        """Return the finish of the choice: the reason is "tool_calls" if calls were read from its text."""
        self.finished = True
        self.settle(event.raw, out, is_whole=event.reason not in CUT_SHORT)
        if event.reason != "stop" or not self._has_handed_out:
            return event
        self._parts.note("finish_unaware")
        changed = copy(event)
        changed.reason = "tool_calls"
        return changed

    # -- the same calls ----------------------------------------------------------

    def _begin(self, start: Any, text_call: TextCall | None) -> _ComparedCall:  # noqa: ANN401 - an event
        """Note that a call begins; it is held back if the same may have been given elsewhere."""
        call = _ComparedCall(start, text_call, is_held=False)
        call.is_held = any(call.may_be(each) and not each.is_held for each in self._compared.values())
        self._compared[text_call or start.part] = call
        return call

    def _add(self, call: _ComparedCall | None, event: AnyEvent, out: list[Event]) -> None:
        """Add an event, or hold it back with its call."""
        if call is None or not call.is_held:
            out.append(event)
            return
        call.events.append(event)
        self._held_size += len(event.fragment) if isinstance(event, ToolCallDelta) else 0
        if self._held_size > self._parts.limits.text:
            raise LimitExceeded(limit="text", value=self._parts.limits.text)

    def _end(self, call: _ComparedCall | None, event: AnyEvent, out: list[Event]) -> None:
        """Note the end of a call, and join or release the calls that have waited for it."""
        if call is not None and isinstance(event, ToolCallDone):
            call.end(event)
            self._compare(out)
        else:
            self._leave(call, out)

    def _leave_open(self, call: _ComparedCall | None, out: list[Event]) -> None:
        self._parts.note("call_open_at_end")
        self._leave(call, out)

    def _leave(self, call: _ComparedCall | None, out: list[Event]) -> None:
        """Release a call that is no call of elsewhere, because it was not handed out."""
        if call is not None:
            self._release(call, out)
            self._forget(call)
            self._compare(out)

    def _forget(self, call: _ComparedCall) -> None:
        self._compared.pop(call.text_call or call.start.part, None)

    def _compare(self, out: list[Event]) -> None:
        """Join each call that is held back and whole with the same call of elsewhere, or release it."""
        for held, call in [(one, one.whole) for one in self._compared.values() if one.is_held and one.whole]:
            others = [each for each in self._compared.values() if held.may_be(each) and not each.is_held]
            wholes = [(each, each.whole) for each in others if each.whole is not None]
            same = next((each for each, whole in wholes if is_same_call(call, whole)), None)
            if same is not None:
                self._join(held, same, out)
            elif len(wholes) == len(others):
                self._release(held, out)

    def _join(self, held: _ComparedCall, same: _ComparedCall, out: list[Event]) -> None:
        """Leave out a call that is the same as one that was given, which gets the API's id."""
        self._parts.note("call_twice")
        self._forget(held)
        self._forget(same)
        if same.text_call is None:
            return
        if same.open_end is not None:
            self.end(same.text_call, same.open_end._replace(how="closed"), held.start.raw, out)
        # Another start of a call that has ended only tells its id.
        start = copy(held.start)
        start.part = same.text_call.part
        out.append(start)

    def _release(self, held: _ComparedCall, out: list[Event]) -> None:
        if not held.is_held:
            return
        events = held.release()
        if held.text_call is None:
            out += map(self._numbers.place, events)
        else:
            out += held.text_call.place(events, self._numbers.add(self._choice))
