"""Open choices, parts and tool calls, and the calls that have ended."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import is_one_value, looks_whole, says_no_arguments
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import has_text, is_encodable
from tokenstream._values.parts import OWN_ENDS
from tokenstream.formats._kit.values import mend_surrogates, split_names
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject, RuleNote
    from tokenstream.events import Finish, ToolCallDone
    from tokenstream.formats._kit.repeated import LateArguments, RepeatedArguments
    from tokenstream.message import Part

OPENING = frozenset("{[")
"""The first characters of a fragment that may repeat the arguments so far."""

LONGEST_PLACEHOLDER = 8
"""The most characters of an empty object in place of arguments: it may have white space in it."""

_NAMING = split_names(
    "agent_id block_type call_id content_index created_at event_id function id index item_id model name "
    "obfuscation output_index providerMetadata rawEvent response_id role toolCallId toolUseId tool_call_id "
    "tool_name type"
)
"""Fields of a call's delta that say which call it is of, and no argument."""


class OpenPart:
    """The state of a part that can still grow."""

    __slots__ = (
        "amended",
        "choice",
        "closed",
        "held",
        "index",
        "is_written",
        "kind",
        "repeated_to",
        "signature",
        "waits",
        "whole_text",
    )

    def __init__(self, kind: str, choice: int, index: int) -> None:
        self.kind = kind
        self.choice = choice
        self.index = index
        self.closed = False
        self.amended: Part | None = None
        """The part with the latest of its fields, which its end reports; None if its start has them."""
        self.is_written = False
        """True once anything was added to the part, or is to be added by a whole text."""
        self.held = ""
        """The first half of a surrogate pair whose other half has not arrived."""
        self.signature = ""
        """The signature of a reasoning part, as far as it has arrived."""
        self.waits = False
        """True for a tool call that a mark has claimed to be over, but that has no arguments, or not all of
        them: they may still come, so the call is handed out at the end of the answer only."""
        self.whole_text = ""
        """The whole text, if the server has repeated it at the end of the part; "" before that."""
        self.repeated_to = 0
        """Number of characters of it that had arrived before, or that deltas have repeated since."""

    def tell(self, whole: str, arrived: int) -> None:
        """Note that the server has repeated the whole text, of which `arrived` characters came as deltas."""
        if whole != self.whole_text:
            # If all had come, the server may send the deltas once more, from the first one on.
            self.whole_text, self.repeated_to = whole, arrived if arrived < len(whole) else 0

    def repeats_whole_text(self, delta: str) -> bool:
        """Return True if a delta repeats what comes later in the whole text, or its end."""
        # The search only goes forward, so that many deltas take no longer than the text is.
        place = self.whole_text.find(delta, self.repeated_to)
        if place < 0:
            return self.whole_text.endswith(delta)
        self.repeated_to = place + len(delta)
        return True

    @property
    def part(self) -> OpenPart:
        """The part itself, which is the whole state of a block of which a format has to know no more."""
        return self


NO_PART = OpenPart("opaque", choice=0, index=-1)
"""Placeholder for a part that does not exist yet."""
NO_PART.closed = True


class OpenCall(OpenPart):
    """The state of a tool call that can still grow; its arguments are kept to detect their end."""

    __slots__ = (
        "arguments",
        "has_id",
        "id",
        "is_doubtful",
        "is_renamed",
        "is_unread",
        "may_repeat",
        "name",
        "number",
        "placeholder",
        "provider_data",
        "repeated",
        "sent_id",
        "turn",
        "type",
    )

    def __init__(
        self,
        choice: int,
        index: int,
        *,
        id: str,
        name: str,
        is_renamed: bool = False,
        type: str,  # noqa: A002 - the field's name
        provider_data: JsonObject | None,
        number: object = None,
        has_id: bool = True,
    ) -> None:
        super().__init__("tool_call", choice, index)
        # The call's identity, on the wire and in the message.
        self.id = self.sent_id = id
        """The call's id; `sent_id` is the id that the server sent, which an earlier call may already have."""
        self.number = number
        """The call's index on the wire; None if the server sent none."""
        self.has_id = has_id
        """True if the server sent the id, False if it is made up."""
        self.is_doubtful = False
        """True if the call may be another one again, so that it is not handed out."""
        self.is_unread = False
        """True if its deltas have texts that are not read, which may be its arguments if it has no others."""
        self.may_repeat: list[ToolCall] = []
        """Finished calls that this one may repeat, by its content so far; no event reports it before."""
        # The call's data.
        self.name = name
        self.is_renamed = is_renamed
        """True if the server has sent the name of a tool in another form."""
        self.type = type
        self.provider_data = provider_data
        # The arguments.
        self.arguments = TextLog()
        self.placeholder = ""
        """Text to add to the arguments if the call ends now, which the next piece may replace: `{}`, which
        some servers send before the real arguments."""
        self.repeated = _compare_again()
        self.turn: CallsInTurn | None = None
        """The calls that pieces of this one may have been of; None if the server distinguishes them."""

    @property
    def has_arguments(self) -> bool:
        return self.arguments.length > 0

    @property
    def is_empty(self) -> bool:
        """True if no arguments have arrived, or only white space, which says as little."""
        if self.placeholder or self.held:
            return False
        return not self.arguments.length or (self.type != "custom" and self.arguments.join().isspace())

    @property
    def is_whole(self) -> bool:
        """True if the arguments are free text, empty, or one whole JSON value."""
        if self.type == "custom":
            return True
        text = self.arguments.join()
        return not text or text.isspace() or is_one_value(text)

    def is_unsure(self, *, for_now: bool = False) -> bool:
        """Return True if the arguments may be those of another call; `for_now` if further pieces may tell."""
        rivals = [] if self.turn is None else [each for each in self.turn.calls if each.turn is self.turn]
        return any(
            each.is_empty
            or not each.is_whole
            or (for_now and says_no_arguments(each.arguments.join() + each.placeholder))
            for each in rivals
        )

    @property
    def breaks_off(self) -> bool:
        """True if the arguments end inside a JSON value."""
        from tokenstream.formats._kit.repeated import is_beginning

        return self.type != "custom" and is_beginning(self.arguments.join() + self.placeholder)

    @property
    def begins_object(self) -> bool:
        """True if the arguments begin with a brace, so that their end is unmistakable."""
        return self.arguments.join().lstrip().startswith("{")

    def keeps_repeating(self, fragment: str) -> bool:
        """Add a fragment to an unreported call; return False once it repeats no call in `may_repeat`."""
        position = self.arguments.length
        if not position and self.type != "custom":
            if fragment.isspace():
                # White space after the start of a finished call does not make it another one.
                return True
            if looks_whole(fragment) or says_no_arguments(fragment):
                from tokenstream.formats._kit.repeated import find_equal

                # Equal arguments may be spelt in another way than the first time, such as without spaces.
                fragment = find_equal(fragment, self.may_repeat)
        self.arguments.append(fragment)
        self.may_repeat = [
            finished for finished in self.may_repeat if finished.arguments_text.startswith(fragment, position)
        ]
        return bool(self.may_repeat)

    def take_turns(self, turn: CallsInTurn | None) -> None:
        """Share the pieces that come with other calls, as long as they name none; None to do so no more."""
        self.turn = turn

    def note_doubt(self) -> None:
        """Note that the call may lack arguments, so that it is not handed out."""
        self.is_doubtful = True

    def note_unread(self) -> None:
        """Note texts under unknown names, which may be the arguments."""
        self.is_unread = True
        if self.waits:
            self.placeholder = ""

    def drop_held(self) -> None:
        """Forget what is held back of the arguments, because all of them are known."""
        self.placeholder = self.held = ""
        self.repeated = _compare_again()

    def drop_arguments(self) -> None:
        """Forget the arguments so far, which no event can take back; the call is handed out without them."""
        self.arguments, self.repeated = TextLog(), _compare_again()

    def replace_arguments(self, text: str) -> None:
        self.drop_held()
        self.drop_arguments()
        self.arguments.append(text)

    @property
    def may_go_on(self) -> bool:
        """True if arguments may follow the finish reason of the call's choice."""
        if self.type == "custom":
            return self.is_empty
        return says_no_arguments(self.arguments.join() + self.placeholder) or self.breaks_off

    def drop_placeholder(self, note: RuleNote) -> None:
        """Drop an empty object that comes in place of the arguments, which follow it.

        No event can take it back, but the call will be handed out without it.
        """
        text = self.arguments.join() if self.arguments.length <= LONGEST_PLACEHOLDER else ""
        if text and not text.isspace() and self.type != "custom" and says_no_arguments(text):
            note("arguments_placeholder")
            self.drop_arguments()

    def as_content(self, *, complete: bool) -> ToolCall:
        """Return the call in the form in which the message has it once the call has ended."""
        call = ToolCall(
            id=self.id,
            name=self.name,
            arguments_text=self.arguments.join(),
            complete=complete,
            type=self.type,
            provider_data=self.provider_data,
        )
        if self.is_renamed:
            # Imported late: hardly any call needs it.
            from tokenstream._values.parts import set_repairs
            from tokenstream.partial_json._repairs import Repair

            set_repairs(call, (Repair("tool_name", 0),))
        return call


def _compare_again() -> RepeatedArguments:
    # Most answers call no tool, and need not load what compares arguments.
    from tokenstream.formats._kit.repeated import RepeatedArguments

    return RepeatedArguments()


class CallsInTurn:
    """Calls that began one after another, before any piece of their arguments.

    Pieces that name no call come in the order of the calls, one whole value for each. If a call gets none, it
    is not known whose the values are.
    """

    __slots__ = ("_has_pieces", "_length", "_place", "_value", "calls")

    def __init__(self) -> None:
        self.calls: list[OpenCall] = []
        self._has_pieces = False
        """True once a piece has come that names no call."""
        self._take_turn(0)

    def _take_turn(self, place: int) -> None:
        """Begin with the call at a place: it is its turn, and none of its arguments are read."""
        from tokenstream.formats._kit.repeated import Wholeness

        self._place, self._length, self._value = place, 0, Wholeness()

    @property
    def may_go_on(self) -> bool:
        """True as long as the pieces of another call that begins now can't be told from those of these."""
        return not self._has_pieces and all(each.is_empty and not each.waits for each in self.calls)

    def find(self) -> OpenCall | None:
        """Return the call that the next piece is of; None if that has ended."""
        if not self._has_pieces and len(self.calls) > 1:
            for each in self.calls:
                each.take_turns(self)
        self._has_pieces = True
        for call in self.calls[self._place : -1]:
            self._value.add(call.arguments.since(self._length) + call.placeholder)
            self._length = call.arguments.length
            if not self._value.whole:
                return call
            self._take_turn(self._place + 1)
        return None if self.calls[-1].closed else self.calls[-1]


class EndedCalls:
    """The calls of a choice that were handed out: the server may send them again, but not change them."""

    __slots__ = ("_calls", "_late")

    def __init__(self) -> None:
        self._calls: dict[str, list[tuple[object, ToolCall]]] = {}
        """The calls, each with its index on the wire, by the id that the server sent with the call; an empty
        list for a call that has begun, and was not handed out."""
        self._late: dict[str, LateArguments] = {}
        """Comparisons of the fragments that came after the end of calls, by the same id."""

    def knows(self, id: str) -> bool:
        """Return True if a call has this id."""
        return id in self._calls

    def has(self, id: str) -> bool:
        """Return True if a call with this id was handed out."""
        return bool(self._calls.get(id))

    def begin(self, id: str) -> bool:
        """Note that a call with this id begins; return False if there was one."""
        is_new = id not in self._calls
        self._calls.setdefault(id, [])
        return is_new

    def add(self, call: OpenCall, finished: ToolCall) -> None:
        self._calls.setdefault(call.sent_id, []).append((call.number, finished))

    def clear(self) -> None:
        self._calls.clear()

    def find_like(self, call: OpenCall) -> list[ToolCall]:
        calls, key = self._calls.get(call.sent_id), (call.number, call.name, call.type)
        return [each for number, each in calls if (number, each.name, each.type) == key] if calls else []

    def are_changed_by(self, id: str, fragment: str) -> bool:
        """Return True if the fragments that follow the end of a call make up other arguments than its own."""
        if not self.has(id):
            return False
        late = self._late.get(id)
        if late is None:
            from tokenstream.formats._kit.repeated import LateArguments

            call = self._calls[id][-1][1]
            late = self._late[id] = LateArguments(call.arguments_text, is_json=call.type != "custom")
        return late.contradicts(fragment)

    def differ_from(self, id: str, arguments: str) -> bool:
        """Return True if arguments contradict those of all calls with this id."""
        from tokenstream._basics.same_call import judge

        verdicts = {
            judge("after", call.arguments_text, arguments, is_json=call.type != "custom")
            for _, call in self._calls.get(id, ())
        }
        return verdicts == {"contradicts"}


class OpenChoice:
    """State of one alternative answer."""

    __slots__ = (
        "calls_seen",
        "current_part",
        "early_finish",
        "ended",
        "finish",
        "finish_message",
        "finish_waits",
        "has_reopened",
        "held_calls",
        "index",
        "is_unread",
        "kinds",
        "next_part",
        "opened",
        "order",
        "reader",
        "turn",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.order: tuple[int, ...] | None = None
        """The indexes of the parts in the provider's order; None if they have come in that order."""
        self.next_part = 0
        self.kinds: set[str] = set()
        """The kinds of the parts that have content; a text of no words has none."""
        self.current_part: OpenPart | None = None
        """The open part to which a piece is added if the piece does not name its part."""
        self.opened: dict[int, OpenPart] = {}
        self.calls_seen = 0
        """Number of calls of the application's tools."""
        self.turn: CallsInTurn | None = None
        """The calls that began last; None before the first."""
        self.held_calls: list[ToolCallDone] = []
        """The ends of calls that wait for an earlier one, which may still get its arguments."""
        self.ended = EndedCalls()
        self.finish: Finish | None = None
        self.early_finish: Finish | None = None
        """The reason that content has followed, so that only another one or the end mark confirms it."""
        self.has_reopened = False
        """True once content has followed a reason, as where a server gives one with each chunk."""
        self.finish_waits = False
        """True while `finish` is not reported, because calls wait that have to be handed out before it."""
        self.is_unread = False
        """True once texts under unknown names have come, and no content before them."""
        self.finish_message: str | None = None
        """The provider's explanation of why the choice ended."""
        self.reader: Any = None
        """The format's own state for the choice, if any."""

    @property
    def is_early(self) -> bool:
        """True if the reason says that the model itself has ended the choice, which has no content so far."""
        return self.finish is not None and self.is_empty

    @property
    def is_empty(self) -> bool:
        """True if the choice has no content, and no reason but the model's own for that."""
        return not self.kinds and (self.finish is None or self.finish.reason in OWN_ENDS)

    def void_finish(self) -> None:
        """Keep the reason, which content follows, for another one or the end mark to confirm."""
        self.early_finish, self.finish, self.has_reopened = self.finish, None, True

    def confirm_finish(self, early: Finish) -> None:
        """Take a reason that content has followed for the choice's, unless it has another one."""
        self.early_finish, self.finish = None, self.finish or early
        if early.reason == "stop" and self.calls_seen:
            # Reported after the calls.
            self.finish, self.finish_waits = replace(early, reason="tool_calls"), True

    def take_ready(self) -> list[ToolCallDone]:
        """Remove and return the ends of the calls that no earlier call keeps back any more."""
        lacking = [call.index for call in self.open_calls() if call.waits or not call.arguments.length]
        held, first = self.held_calls, min((each for each in lacking if each >= 0), default=None)
        self.held_calls = [done for done in held if first is not None and done.part > first]
        return sorted((done for done in held if first is None or done.part < first), key=attrgetter("part"))

    def open_calls(self) -> list[OpenCall]:
        """Return the open calls, in order of arrival."""
        return [part for part in self.opened.values() if isinstance(part, OpenCall)]


def join_halves(part: OpenPart, text: str, note: RuleNote) -> str:
    """Join halves of surrogate pairs; hold back a first half at the end, and replace unpaired halves."""
    if part.held:
        text, part.held = part.held + text, ""
    if is_encodable(text):
        return text
    if "\ud800" <= text[-1] <= "\udbff":
        part.held, text = text[-1], text[:-1]
    mended = mend_surrogates(text)
    # U+FFFD replaces a half without its other half. If the text had one before, the two cannot be told apart.
    if "\ufffd" in mended and "\ufffd" not in text:
        note("lone_surrogate")
    return mended


def note_unread_texts(part: OpenPart | None, delta: JsonObject, *known: str) -> None:
    """Note texts in a call's delta that are under no `known` name: they may be its arguments."""
    if isinstance(part, OpenCall):
        unread = (delta.keys() - _NAMING).difference(known)
        if any(has_text(delta[name]) for name in unread):
            part.note_unread()
