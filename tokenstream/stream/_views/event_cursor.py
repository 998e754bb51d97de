"""A cursor over all choices and parts of an answer: each call returns the events since the last call."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream._answer.usage import GrowingUsage
from tokenstream._basics.untrusted import is_list
from tokenstream._values.parts import CONTEXT, COUNTS
from tokenstream.events import Event, Finish, MessageStart, ProviderData, Restarted, Resumed, UsageUpdate
from tokenstream.formats._kit.answer import fold_data
from tokenstream.message import Message, Usage
from tokenstream.stream._views.part_cursor import PartCursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._answer.growing import ChoiceState
    from tokenstream._basics.loose import JsonObject

_BLANK_HEAD = (None, None, "assistant")
"""The head of an answer before anything is known: id, model and role."""


class EventCursor:
    """A reader's cursor in all that an answer consists of.

    The events that a cursor returns build the same message in another `Accumulator`; several
    pieces of a part are joined into one. The cost of a call depends on the changes and on the
    open parts, not on the length of the answer.

    Example:
        >>> from tokenstream._answer.accumulator import Accumulator
        >>> from tokenstream.events import TextDelta
        >>> accumulator = Accumulator()
        >>> cursor = EventCursor(accumulator)
        >>> accumulator.feed(TextDelta("Hel")), accumulator.feed(TextDelta("lo"))
        ([], [])
        >>> [type(event).__name__ for event in cursor.ready()]
        ['MessageStart', 'PartStart', 'TextDelta']
        >>> cursor.ready()
        []
    """

    def __init__(self, accumulator: Accumulator) -> None:
        self._accumulator = accumulator
        self._choices, *_ = accumulator.state_to_copy()
        """The states of the choices, by index; a restart replaces the whole dict."""
        self._restarts = accumulator.restarts
        """Number of restarts for which an event was returned, or which were before this cursor."""
        # State of the accumulator at the last call, to notice a change.
        self._seen_spent: Usage | None = None
        """Usage of abandoned attempts."""
        self._seen_usage: tuple[Any, ...] = ()
        """Token counts and the provider's report, and the usage of abandoned attempts."""
        # Values that the returned events have reported, to report only what is new.
        self._reported_spent: Usage | None = None
        """Usage of abandoned attempts, as reported by the events returned so far."""
        self._reported_usage = GrowingUsage()
        """Usage of this attempt, as reported by the events returned so far."""
        self._start_over()

    def _start_over(self) -> None:
        self._begun = False
        self._head: tuple[Any, ...] = ()
        """The id, model and role that were returned last."""
        self._choice_cursors: dict[int, _ChoiceCursor] = {}
        self._fields: dict[str, tuple[Any, int]] = {}
        """For each field of the answer that was returned, its value and, for a list, its length."""

    def ready(self) -> list[Event]:
        """Return events for all changes since the last call."""
        # `spent` is the usage of abandoned attempts. A new attempt replaces `spent` or `choices`, or both.
        choices, head, usage, spent = self._accumulator.state_to_copy()
        # The head's last element is the dict of the fields that belong to all choices.
        *_, fields = head
        events: list[Event] = []
        if choices is not self._choices or spent is not self._seen_spent:
            self._add_restart(choices, spent, events)
        # Finish reasons are read first: another thread may be writing, and once a choice has a finish
        # reason, all its parts are there.
        states = sorted(choices.copy().items())
        finishes = {index: _make_finish(state) for index, state in states}
        self._begun = self._begun or bool(states or fields or usage.counts or usage.report)
        self._add_head(head, finishes, events)
        events.extend(_list_changes(fields, self._fields, 0, shared=True))
        for index, state in states:
            cursor = self._choice_cursors.get(index)
            if cursor is None:
                cursor = self._choice_cursors[index] = _ChoiceCursor(state)
            events.extend(cursor.ready())
        self._add_usage(usage, events)
        for index, finish in finishes.items():
            cursor = self._choice_cursors[index]
            if finish is not None and finish != cursor.finish:
                events.append(copy(finish))
            cursor.finish = finish
        return fold_data(events, is_only_choice=False)

    # -- within ------------------------------------------------------------

    def _add_restart(self, choices: dict[int, ChoiceState], spent: Usage | None, events: list[Event]) -> None:
        """Add the event of a new attempt: `Restarted` if `choices` is another dict than before, or `Resumed`.

        From this event on, the reader's own accumulator counts the usage of the new attempt separately.
        No event is added if that is not needed: if the answer goes on, and the usage so far is final.
        """
        restarted = choices is not self._choices
        self._choices, self._seen_spent = choices, spent
        # Reported counts are final, and can be added to the counts of this attempt. Partial counts
        # must stay separate, because their sum would look final, so an event has to divide them.
        cursor = None if restarted else self._choice_cursors.get(0)
        left_out = [] if cursor is None else cursor.forget_left_out()
        if not (restarted or left_out) and (spent is None or spent.basis == "reported"):
            return
        self._end_attempt_usage(spent, events)
        if not restarted and self._begun:
            events.append(Resumed("continue", at=0 if left_out else None, discarded=tuple(left_out)))
            return
        given_up, restarts = self._accumulator.given_up, self._accumulator.restarts
        # An answer of which the reader has nothing yet counts as restarted, too.
        if given_up is not None and restarts != self._restarts:
            # The event of the restart has the abandoned answer.
            events.append(given_up.event)
        else:
            # No abandoned answer has to be reported: an empty message stands for it.
            events.append(Restarted(Message.model_construct()))
        self._restarts = restarts
        self._start_over()

    def _end_attempt_usage(self, spent: Usage | None, events: list[Event]) -> None:
        """Report the rest of the abandoned attempt's usage; the new attempt begins without usage."""
        has_finished = any(cursor.finish is not None for cursor in self._choice_cursors.values())
        self._add_counts(_find_attempt_usage(spent, self._reported_spent, self._reported_usage), events)
        # All that was reported counts as spent from now on.
        counted = self._reported_usage.with_spent(self._reported_spent, final=has_finished)
        # Without any counts, a usage that is still not empty (it has a basis), so that an attempt counts as
        # abandoned.
        self._reported_spent = counted or Usage(basis="partial")
        self._reported_usage, self._seen_usage = GrowingUsage(), ()

    def _add_head(
        self, head: tuple[Any, ...], finishes: dict[int, Finish | None], events: list[Event]
    ) -> None:
        """Add an event if id, model or role have changed, or if a finish reason was taken back."""
        id, model, role, _ = head
        new_head = (id, model, role)
        # A finish reason is taken back when another answer begins on the same connection.
        was_taken_back = any(
            cursor.finish is not None and finishes[index] is None
            for index, cursor in self._choice_cursors.items()
        )
        has_content = self._begun or new_head != _BLANK_HEAD
        if was_taken_back or (has_content and new_head != self._head):
            events.append(MessageStart(id, model, role, another=was_taken_back))
            self._begun, self._head = True, new_head
        if was_taken_back:
            for cursor in self._choice_cursors.values():
                cursor.finish = None

    def _add_usage(self, usage: GrowingUsage, events: list[Event]) -> None:
        """Add an event if the usage has changed."""
        # The counts are copied, because they grow in place.
        now = (dict(usage.counts), dict(usage.report), self._seen_spent)
        if now == self._seen_usage:
            return
        self._seen_usage = now
        # `final` makes no difference, since only the counts of the result are used.
        self._add_counts(
            _find_attempt_usage(
                usage.with_spent(self._seen_spent, final=True), self._reported_spent, self._reported_usage
            ),
            events,
        )

    def _add_counts(self, usage: Usage | None, events: list[Event]) -> None:
        """Add an event with the usage of this attempt, unless earlier events have reported the same."""
        if not usage:
            return
        counts, report = dict(self._reported_usage.counts), dict(self._reported_usage.report)
        self._reported_usage.add(usage)
        if counts != self._reported_usage.counts or report != self._reported_usage.report:
            events.append(UsageUpdate(usage))


class _ChoiceCursor:
    """A reader's cursor in one choice of the answer."""

    def __init__(self, state: ChoiceState) -> None:
        self._state = state
        self._parts: list[PartCursor] = []
        self._open: list[PartCursor] = []
        """The cursors of parts whose end was not delivered."""
        self._reopened = 0
        """Number of times that an ended part was changed, as of the last call."""
        self._fields: dict[str, tuple[Any, int]] = {}
        """For each field of the choice that was returned, its value and, for a list, its length."""
        self._results = 0
        """Number of results of tools that were returned."""
        self.finish: Finish | None = None
        """The finish event that was returned; None before that."""

    def forget_left_out(self) -> list[Any]:
        """Return the cut calls that were returned, and were left out of the choice since then."""
        left_out: list[Any] = []
        while self._parts and (call := self._parts[-1].find_left_out(self._state.parts)) is not None:
            left_out.insert(0, call)
            self._open.remove(self._parts.pop())
        return left_out

    def ready(self) -> Iterator[Event]:
        """Yield events for the changes of the choice since the last call."""
        state, parts = self._state, self._parts
        # Read before the parts: another thread may be writing, and a result follows its call.
        results = state.results[self._results :]
        self._results += len(results)
        reopened = state.reopened
        if reopened != self._reopened:
            # A part that had ended was changed, so all parts are read again.
            self._reopened, self._open = reopened, parts[:]
        for part in state.parts[len(parts) :]:
            cursor = PartCursor(part, state.index, len(parts))
            parts.append(cursor)
            self._open.append(cursor)
        for cursor in self._open:
            yield from cursor.ready()
        self._open = [cursor for cursor in self._open if not cursor.has_ended]
        yield from results
        # `shared=False`: these fields belong to this choice alone.
        yield from _list_changes(state.provider_data, self._fields, state.index, shared=False)


def _make_finish(state: ChoiceState) -> Finish | None:
    """Return the finish event of a choice; None if the choice has no finish reason."""
    reason = state.finish_reason
    if reason is None:
        return None
    order = tuple(sorted(state.places, key=state.places.__getitem__)) or None
    return Finish(reason, state.raw_finish_reason, state.finish_message, order=order, choice=state.index)


def _list_changes(
    fields: JsonObject, returned: dict[str, tuple[Any, int]], choice: int, *, shared: bool
) -> Iterator[ProviderData]:
    """Yield an event for the new or changed fields, and of a list that has grown only for its new items."""
    event = ProviderData(choice=choice, shared=shared)
    for name, value in fields.copy().items():
        size = len(value) if is_list(value) else 0
        # For a new field, `before` is an object that no value can be.
        before, size_before = returned.get(name, (returned, 0))
        if value is before and size == size_before:
            continue
        returned[name] = (value, size)
        if value is before:
            # The list has grown in place.
            event.lists[name] = value[size_before:size]
        else:
            event.data[name] = value[:size] if is_list(value) else value
    if event.data or event.lists:
        yield event


def _find_attempt_usage(total: Usage | None, spent: Usage | None, reported: GrowingUsage) -> Usage | None:
    """Return this attempt's usage for the `reported` one: the total minus abandoned ones; None without."""
    if not total:
        return None
    counts: JsonObject = {}
    for name in COUNTS:
        value, before = getattr(total, name), getattr(spent, name, None)
        # A count that was reported is reported again even if it is 0 by now, so that it is replaced.
        if name in reported.counts or (value is not None and value != before):
            counts[name] = value if name == CONTEXT else (value or 0) - (before or 0)
    provider_data = total.provider_data
    if spent is not None and provider_data == spent.provider_data:
        # This attempt has reported nothing of its own.
        provider_data = {}
    return Usage.model_construct(**counts, provider_data=provider_data)
