"""Assign an answer's parts and tool calls to its choices, and make their events.

A format calls methods of `Parts` for what it finds in a payload, such as more text
for choice 0, or a call with a certain id. `Parts` tracks which parts are open,
numbers them, and makes the events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream.errors import LimitExceeded
from tokenstream.events import Finish, PartDone, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.formats._kit.late import EndedCalls, choose_arguments
from tokenstream.formats._kit.open import OpenCall, OpenChoice, OpenPart, join_halves, mend_surrogates
from tokenstream.formats._kit.repeated import OPENING, is_beginning, says_no_arguments
from tokenstream.formats._kit.values import json_text, spellings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

_DOUBTFUL: frozenset[str] = frozenset({"error", "cancelled", "unknown"})
"""Finish reasons after which an error says more than they do."""
CUT_SHORT: frozenset[str] = frozenset({"length", "content_filter", "refusal", "error", "cancelled"})
"""Finish reasons that mean that the answer was cut off."""
WHOLE: frozenset[str] = frozenset({"stop", "stop_sequence", "tool_calls", "pause"})
"""Finish reasons of a whole answer."""
_WORST: tuple[tuple[FinishReason, ...], ...] = (
    ("error",),
    ("cancelled",),
    ("content_filter", "refusal"),
    ("length",),
    ("unknown",),
)
_RANKS = {reason: rank for rank, reasons in enumerate(_WORST) for reason in reasons}
"""Finish reasons from the worst on; those of a whole answer are all alike."""

Mark: TypeAlias = "tuple[FinishReason, str | None]"
"""A finish reason, and the provider's word for it."""


def marks_in(
    meanings: Mapping[str, FinishReason], *words: str | None, other: FinishReason | None = None
) -> list[Mark]:
    """Return the marks that words stand for; one without a meaning, such as "queued", is `other`, or none.

    Example:
        >>> marks_in({"completed": "stop"}, "completed", None, "queued")
        [('stop', 'completed')]
    """
    marks = list[Mark]()
    for word in filter(None, words):
        reason = meanings.get(word) or other
        if reason is not None:
            marks.append((reason, word))
    return marks


def worst_of(marks: Sequence[Mark], note: Callable[[str], None]) -> Mark:
    """Return the worst mark of an answer's end, the first of equals; a contradiction of them is a departure.

    Example:
        >>> worst_of([("stop", "completed"), ("length", "max_output_tokens")], print)
        finish_contradicted
        ('length', 'max_output_tokens')
    """
    ranks = set(map(_rank_of, marks))
    # A reason that is not known goes with any other than one of a whole answer.
    if len(ranks - {_RANKS["unknown"]}) > 1 or ranks == {_RANKS["unknown"], len(_WORST)}:
        note("finish_contradicted")
    return min(marks, key=_rank_of)


def is_worse(reason: FinishReason, than: FinishReason) -> bool:
    """Return True if a finish reason is known, and worse than another one."""
    return reason != "unknown" and _rank_of((reason, None)) < _rank_of((than, None))


def _rank_of(mark: Mark) -> int:
    """Return the rank of a mark's reason, from 0 for the worst."""
    return _RANKS.get(mark[0], len(_WORST))


class Parts(EndedCalls):
    """Turns the content that formats read into events with choice and part indexes.

    `ContentParts` has the methods for text and other content; this class adds tool calls, several
    of which may be open at the same time, and the ends of choices.
    """

    __slots__ = ("_has_lost_arguments", "calls_seen")

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self.calls_seen = 0
        """Number of tool calls that have begun, in all choices."""
        self._has_lost_arguments = False
        """True once arguments have come that belong to no call: one that has none may have lost them."""

    @property
    def finish_waits(self) -> bool:
        """True if a finish reason has come that is not reported yet, because calls may still go on."""
        return any(choice.finish_waits for choice in self.choices.values())

    @property
    def ends_in_doubt(self) -> bool:
        """True if a choice's calls may still go on, or its finish reason is none of a whole answer."""
        reasons = (choice.finish.reason for choice in self.choices.values() if choice.finish is not None)
        return self.finish_waits or any(reason in _DOUBTFUL for reason in reasons)

    @property
    def open_call_count(self) -> int:
        """Number of open tool calls over all choices."""
        return sum([len(choice.open_calls()) for choice in self.choices.values() if choice.opened])

    def part_of(self, event: AnyEvent) -> OpenPart | None:
        """Return the open part that an earlier event belongs to; None if the part is closed."""
        state = self.choices.get(event.choice)
        # A stage that replaces events may have changed the index.
        index = event.part if self.stage is None else self.stage.original_index(event.choice, event.part)
        return None if state is None else state.opened.get(index)

    # -- ends --------------------------------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record a choice's finish reason and close its open parts.

        The reason "stop" becomes "tool_calls" if the message calls tools: some providers
        send "stop" in both cases. Open calls with whole arguments are handed out, but not
        the last one if the reason means a cut, such as "length".

        Some servers send arguments after the reason. So a call without arguments, or with a part of them,
        waits for the end of the answer; and so does the report of the reason, which follows the calls.
        """
        state = self.choice(choice)
        if self.may_hold_surrogates:
            raw_reason = mend_surrogates(raw_reason)
        if state.finish is not None:
            self.note("finish_repeated")
            if state.finish.raw_reason == raw_reason or is_worse(state.finish.reason, reason):
                return
        if reason == "stop" and state.calls_seen:
            reason = "tool_calls"
        self.close_choice(state, complete=reason not in CUT_SHORT)
        message = mend_surrogates(state.finish_message) if self.may_hold_surrogates else state.finish_message
        # The stored event has no `raw`, so that it does not keep the payload in memory.
        state.finish = Finish(reason, raw_reason, message, choice=choice)
        state.finish_waits = bool(state.opened and state.open_calls())
        if not state.finish_waits:
            self._report_finish(state.finish)

    def _report_finish(self, finish: Finish) -> None:
        """Report a finish reason, unless it is a pause after which another answer goes on."""
        if self.withholds is not None and self.withholds(finish):
            self.withheld = finish
            return
        event = self._add(Finish, finish.choice)
        event.reason, event.raw_reason, event.message = finish.reason, finish.raw_reason, finish.message
        event.provider_data, event.order = None, self.choices[finish.choice].order

    def close_choice(self, choice: OpenChoice, *, complete: bool) -> None:
        """Close every part of a choice, except for calls whose arguments may still come.

        If the choice was cut off, its last call, even if it looks whole, and calls without arguments, which
        may have been cut off before their first piece, are not handed out.
        """
        last_call = None if complete else next(reversed(choice.open_calls()), None)
        for part in list(choice.opened.values()):
            if not isinstance(part, OpenCall):
                self.close(part)
            elif complete:
                part.waits = self._may_go_on(part)
                if not part.waits:
                    self.close_call(part)
            else:
                # After the call's own mark, any other part shows that no limit has cut the call off.
                is_behind_mark = part.waits and part.index + 1 < choice.next_part
                was_followed = part is not last_call or is_behind_mark
                self.close_call(part, whole=was_followed and part.arguments.length > 0)
        choice.current_part = None

    def close_all(self, *, complete: bool) -> None:
        """Close every part of every choice; if the answer was cut off, no tool call is handed out."""
        for choice in self.choices.values():
            for part in list(choice.opened.values()):
                if isinstance(part, OpenCall):
                    self.close_call(part, whole=complete)
                elif complete:
                    self.close(part)
                else:
                    self._release(part)
                    part.closed = True
            choice.opened.clear()
            choice.current_part = None
            self._report_waiting_finish(choice)
        if self.stage is not None:
            # No event reports the end of a part that was cut off, so the stage is told of it.
            self.stage.end(whole=complete)

    def cut_waiting(self) -> None:
        """Close the calls that wait for arguments, and hand out none: their finish is not reported either."""
        for choice in self.choices.values():
            if choice.finish_waits:
                choice.finish, choice.finish_waits = None, False
            for call in choice.open_calls():
                if call.waits:
                    self.close_call(call, whole=False)

    def end_waiting(self, choice: int) -> None:
        """Hand out the calls of a choice that wait: the end of its answer has come, and not just a reason."""
        state = self.choice(choice)
        for call in state.open_calls():
            if call.waits:
                self.close_call(call)
        self._report_waiting_finish(state)

    def _report_waiting_finish(self, choice: OpenChoice) -> None:
        """Report the finish reason of a choice, if it has waited for calls."""
        if choice.finish_waits and choice.finish is not None:
            choice.finish_waits = False
            self._report_finish(choice.finish)

    # -- tool calls --------------------------------------------------------

    def open_call(
        self,
        choice: int,
        id: str | None,
        name: str,
        *,
        type: str = "function",  # noqa: A002 - the field's name
        provider_data: dict[str, Any] | None = None,
        number: object = None,
    ) -> OpenCall:
        """Open a call of one of the application's tools; a missing id is made up.

        A call with the id of a finished call may be a repetition. Once its content differs from the finished
        call, it is reported with a new id; if it never differs, it is dropped. Equal ids with different
        numbers, which are indexes on the wire, are different calls.
        """
        state = self.choice(choice)
        if self.calls_seen >= self.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=self.limits.tool_calls)
        if not id:
            self.note("call_id_missing")
        if self.may_hold_surrogates:
            id, name, provider_data = (
                mend_surrogates(id),
                mend_surrogates(name),
                mend_surrogates(provider_data),
            )
        meant = (self.offered.find_name(name) if self.offered else None) or name
        call = OpenCall(
            choice,
            # A temporary, negative index: the call gets its index in the message when it is reported.
            ~self.calls_seen,
            id=id or self.new_id(choice),
            name=meant,
            is_renamed=meant != name,
            type=type,
            provider_data=provider_data,
            number=number,
            has_id=bool(id),
        )
        # The calls of the whole answer, and those of this choice.
        self.calls_seen += 1
        state.calls_seen += 1
        state.opened[call.index] = call
        # Arguments that are still to arrive may show that this is a finished call, sent again.
        call.may_repeat = [
            finished
            for wire_index, finished in state.handed_out.get(call.sent_id, ())
            if (wire_index, finished.name, finished.type) == (number, meant, type)
        ]
        if not call.may_repeat:
            self.report_call(call)
        return call

    def new_id(self, choice: int) -> str:
        """Return an id for a call that has none, or has the id of another call."""
        used_ids, number = self.choice(choice).handed_out, self.calls_seen
        while f"call_{number}" in used_ids:
            number += 1
        return f"call_{number}"

    def report_call(self, call: OpenCall) -> None:
        """Report the start of a call that repeats no other one, under a new id if its own is taken."""
        state = self.choice(call.choice)
        call.may_repeat = []
        # The call ends the text or reasoning before it.
        self._close_current(state)
        if state.finish is not None:
            self.note("content_after_finish")
        if call.sent_id in state.handed_out:
            self.note("call_id_repeated")
            call.id = self.new_id(call.choice)
            # An empty list reserves an id, so that no later call gets it.
            state.handed_out[call.id] = []
        else:
            state.handed_out[call.sent_id] = []
        # So far the call had a temporary index, and was no part of the message; behind the end it has none.
        state.opened.pop(call.index, None)
        call.index = self._take_part_index(state)
        self.has_content = self.has_answer = True
        state.opened[call.index] = call
        self._out.append(
            ToolCallStart(
                *(call.id, call.name, call.type, call.provider_data),
                choice=call.choice,
                part=call.index,
                raw=self.raw,
            )
        )
        if call.has_arguments:
            text = call.arguments.join()
            self._out.append(ToolCallDelta(call.id, text, choice=call.choice, part=call.index, raw=self.raw))

    def add_arguments(self, call: OpenCall, fragment: str) -> None:
        """Add a fragment to a call's arguments; half a surrogate pair is held back."""
        if not fragment or (call.told and self.is_told(call, fragment)):
            return
        if call.held or not fragment.isascii():
            fragment = join_halves(call, fragment, self.note)
        if call.waits and not fragment.isspace():
            self.note("content_after_finish")
            call.drop_placeholder(self.note)
        # Only a fragment that begins like a JSON value, after other arguments, may be a repetition of them.
        begins_value = fragment[:1] in OPENING and call.has_arguments and call.type != "custom"
        if begins_value:
            call.drop_placeholder(self.note)
            if call.repeated.repeats_nothing(fragment, call, self.note):
                return
        if begins_value and call.has_arguments and call.repeated.repeats_whole(fragment, call, self.note):
            return
        self._append(call, fragment)

    def _append(self, call: OpenCall, fragment: str) -> None:
        """Append text to a call's arguments."""
        if call.may_repeat:
            if not call.keeps_repeating(fragment):
                self.report_call(call)
        elif fragment:
            call.arguments.append(fragment)
            self._out.append(
                ToolCallDelta(call.id, fragment, choice=call.choice, part=call.index, raw=self.raw)
            )

    def add_whole_arguments(self, call: OpenCall, arguments: object) -> None:
        """Add all arguments of a call, in an API that sends them as JSON values: JSON text is a departure."""
        if isinstance(arguments, str):
            self.note("arguments_unparsed")
            self.add_arguments(call, arguments)
        else:
            self.add_arguments(call, json_text({} if arguments is None else arguments))

    def add_fragment(self, part: OpenPart, fragment: object) -> bool:
        """Add a piece of arguments to a call, and return True; return False if it cannot be added.

        A piece for a call that was handed out may repeat its arguments, but not change them.
        """
        if isinstance(part, OpenCall):
            if part.closed:
                self.add_late(part.choice, part.sent_id, fragment)
            elif isinstance(fragment, str):
                self.add_arguments(part, fragment)
            elif fragment is not None:
                self.note("arguments_parsed")
                self.add_arguments(part, json_text(fragment))
        elif part.kind != "server_tool_call" or not isinstance(fragment, str):
            # The arguments of a call that the server runs itself can only grow as text.
            return False
        elif fragment and part.closed:
            self.note("call_after_done")
        elif fragment:
            self.add(part, fragment)
        return True

    def complete_arguments(
        self, call: OpenCall, arguments: object, *, replaces: Literal["none", "broken", "all"] = "broken"
    ) -> None:
        """Add what the pieces of a call lack of all its arguments, which the server tells at its end.

        If the call was handed out, the arguments are compared. Otherwise, they replace pieces that are
        others: "none", because the end may be that of another answer, "broken" ones, which are no JSON, or
        "all".
        """
        if call.closed or arguments is None:
            self.compare_told(call.choice, call.sent_id, arguments)
            return
        if self.may_hold_surrogates:
            arguments = mend_surrogates(arguments)
        spellings = [arguments] if isinstance(arguments, str) else spellings_of(arguments)
        arrived = call.arguments.join()
        whole = choose_arguments(arrived + call.placeholder, spellings, is_json=call.type != "custom")
        if whole is None and replaces == "all":
            whole = spellings[0]
        adds, is_placeholder = whole is not None and whole.startswith(arrived), says_no_arguments(arrived)
        if whole is None or not (adds or is_placeholder or replaces != "none"):
            raise self.refuse_end()
        if not adds:
            # The call will be handed out with these arguments.
            self.note("arguments_placeholder" if is_placeholder else "arguments_rewritten")
            call.replace_arguments(whole)
        elif whole != arrived + call.placeholder:
            call.drop_held()
            missing = whole[len(arrived) :]
            self.add_arguments(call, missing)
            if call.type == "custom":
                # Pieces of JSON show by themselves that they repeat it; those of free text do not.
                call.tell(whole, len(arrived))

    @property
    def has_open(self) -> bool:
        """True if the server has not ended something that it has begun, in a format that marks such ends."""
        return any(not part.waits for choice in self.choices.values() for part in choice.opened.values())

    @property
    def breaks_off_in_call(self) -> bool:
        """True if an open call's arguments are the beginning of a JSON value: no call ends like that."""
        calls = [call for choice in self.choices.values() for call in choice.open_calls()]
        return any(call.type != "custom" and is_beginning(call.arguments.join()) for call in calls)

    def end_at_mark(self, call: OpenCall, *, whole: bool = True) -> None:
        """Close a call at its own mark; one that lacks arguments waits for the end of the answer."""
        call.waits = whole and not call.closed and (call.is_empty or call.breaks_off)
        if not call.waits:
            self.close_call(call, whole=whole)

    def close_call(self, call: OpenCall, *, whole: bool = True) -> None:
        """Close a call; hand it out if it is whole, and drop it if it repeats a finished call."""
        if call.closed:
            return
        # Add the arguments that were held back: `{}`, or U+FFFD for half a surrogate pair.
        self._release(call)
        repeated = False
        if call.may_repeat:
            text = call.arguments.join()
            # Without arguments, only the start of the finished call was repeated.
            repeated = not text or any(text == finished.arguments_text for finished in call.may_repeat)
            if not repeated:
                # The arguments are only the beginning of the finished call's arguments, so this is another
                # call, whose start was withheld until now.
                self.report_call(call)
        call.closed = True
        state = self.choice(call.choice)
        state.opened.pop(call.index, None)
        if repeated:
            self.note("call_repeated")
        elif not whole:
            self.note("call_open_at_end")
        elif call.is_whole and not (call.is_doubtful or (self._has_lost_arguments and call.is_empty)):
            self._hand_out(call, call.arguments.join())
        else:
            # The message keeps the call, but it is not handed out.
            self.note("call_invalid")
            broken = call.as_content(call.arguments.join(), complete=False)
            self._add(PartDone, call.choice, call.index).content = broken

    def _may_go_on(self, call: OpenCall) -> bool:
        """Return True if arguments of a call may follow its choice's finish reason."""
        return call.may_go_on

    def note_lost_arguments(self, fragment: object) -> None:
        """Note that arguments have come for a call that has not begun: they are in no call of the message."""
        if fragment is not None and not (isinstance(fragment, str) and says_no_arguments(fragment)):
            self._has_lost_arguments = True

    def _hand_out(self, call: OpenCall, text: str) -> None:
        """Report a finished call, and remember it to recognise repetitions."""
        finished = call.as_content(text, complete=True)
        self.choice(call.choice).handed_out.setdefault(call.sent_id, []).append((call.number, finished))
        self._out.append(ToolCallDone(finished, choice=call.choice, part=call.index, raw=self.raw))

    # -- internals ---------------------------------------------------------

    def _release(self, part: OpenPart) -> None:
        """Add a part's held-back text: a call's arguments `{}`, or U+FFFD for half a surrogate pair."""
        if not isinstance(part, OpenCall):
            super()._release(part)
            return
        if part.placeholder:
            text, part.placeholder = part.placeholder, ""
            self._append(part, text)
        if part.held:
            part.held = ""
            self.note("lone_surrogate")
            self._append(part, "\ufffd")
