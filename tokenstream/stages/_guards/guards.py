"""The rules of one stream, called guards; they work independently, and any of them may stop the answer."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tokenstream._answer.accumulator import Accumulator, has_content
from tokenstream.errors import MisuseError
from tokenstream.events import Event, Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.limits import check_whole
from tokenstream.stages._guards.asked import AnswerRule, GetMessage
from tokenstream.stages._guards.budget import Budget
from tokenstream.stages._guards.texts import Match, Repetition, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.message import Message


class _TextRule:
    """Applies a rule for texts to each choice of an answer, or to each part if they are texts `apart`."""

    def __init__(self, stage: Match | Repetition, kinds: tuple[type, ...], *, apart: bool) -> None:
        self._stage = stage
        self._kinds = kinds
        self._apart = apart
        self.begin_again()

    def begin_again(self) -> None:
        """Forget the texts, because the answer begins again from the start."""
        self.stop: str | None = None
        self._texts: dict[int, tuple[int, Match | Repetition]] = {}
        """The current part of each choice, and the rule's copy for it."""

    def feed(self, event: AnyEvent, message: GetMessage) -> None:
        """Check the text of an event, with the copy of the rule for its choice (or for this part of it)."""
        kind: Any = event.__class__
        if kind not in self._kinds:
            return
        # The part of the choice that got text last, and the copy of the rule that checks it.
        part, stage = self._texts.get(event.choice) or (event.part, self._stage.fresh())
        if self._apart and part != event.part:
            # Another part has begun, which is a text of its own.
            stage = self._stage.fresh()
        self._texts[event.choice] = event.part, stage
        stage.feed(event.fragment if kind is ToolCallDelta else event.text)
        self.stop = stage.stop

    def end(self, message: GetMessage, choice: int | None) -> None:
        """Tell the rule that the text of one choice has ended; of all choices if `choice` is None."""
        for index, (_, stage) in self._texts.items():
            if choice in (None, index):
                stage.end()
                self.stop = self.stop or stage.stop


AnyRule: TypeAlias = Budget | _TextRule | AnswerRule
"""An object that watches an answer and may stop it."""


def make_rule(rule: Any, first: int, every: int | None) -> object:  # noqa: ANN401 - any object
    """Return the rule that a caller's arguments describe."""
    check_whole("first_tokens", first)
    if every is not None:
        check_whole("every", every)
    is_function = callable(rule)
    if every is not None and not is_function:
        raise MisuseError(
            "every= goes with a function of the message; other rules look at each piece as it comes"
        )
    if isinstance(rule, str | re.Pattern):
        # All text of a choice is one text, so that a match may span several parts.
        return _TextRule(Match(compile_pattern(cast("Any", rule))), (TextDelta,), apart=False)
    if isinstance(rule, Budget):
        return rule.fresh()
    if isinstance(rule, Repetition):
        kinds = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)
        # Each part is searched for itself: two parts that begin alike do not repeat each other.
        return _TextRule(rule, kinds, apart=True)
    if not is_function or isinstance(rule, type):
        raise MisuseError(
            "a guard is a regular expression, a function that takes the message and returns why it stops, "
            f"a Budget or a Repetition, and not {getattr(rule, '__name__', rule)!r}"
        )
    return AnswerRule(rule, first, every)


class _Guard:
    """A rule with the option to hold the answer back until the rule has decided.

    Args:
        first: The number of pieces of content after which the rule counts as decided; not used for
            a rule that calls a function.
        hold: True if the answer is held back until the rule has decided.
        counts: True if the rule counts what the answer costs, and so gets each event when it arrives, also
            if the event is then held back, changed or left out.
    """

    def __init__(self, rule: Any, first: int, *, hold: bool, counts: bool) -> None:  # noqa: ANN401 - an AnyRule
        self.rule: AnyRule = rule
        self.hold, self.counts = hold, counts
        self._first = first
        self._pieces = 0
        """The number of pieces of content that the rule has received."""

    def begin_again(self) -> None:
        """Reset the rule, because the answer begins again from the start."""
        self.rule.begin_again()
        self._pieces = 0

    def feed(self, event: Event, message: GetMessage, now: float) -> None:
        """Count the event if it has content, and pass it to the rule; if the rule has stopped, do nothing."""
        rule = self.rule
        if rule.stop is None:
            self._pieces += has_content(event)
            # A budget counts, and needs no message.
            rule.feed(event, now=now) if isinstance(rule, Budget) else rule.feed(event, message)

    def end(self, message: GetMessage, choice: int | None) -> None:
        """Pass the end of the answer, or of one choice, to the rule; if the rule has stopped, do nothing."""
        # No bound of a budget depends on the end of the answer.
        if self.rule.stop is None and not isinstance(self.rule, Budget):
            self.rule.end(message, choice)

    @property
    def is_decided(self) -> bool:
        """True once the rule has decided, so that the answer need not be held back for it."""
        if self.rule.stop is not None:
            return True
        # A function has decided once it has returned; any other rule, after enough of the answer.
        return self.rule.has_returned if isinstance(self.rule, AnswerRule) else self._pieces >= self._first


class _Choices:
    """The choices of an answer that have begun but not finished."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self.all_finished = False

    def note(self, event: Event) -> None:
        """Mark the choice of an event with content as not finished, and that of a `Finish` as finished."""
        if isinstance(event, Finish):
            self._open.discard(event.choice)
            self.all_finished = not self._open
        elif has_content(event):
            self._open.add(event.choice)
            self.all_finished = False


class Guards:
    """The guards of one stream: passes events to the guards' rules, and reports if a rule stops the answer.

    Some rules hold the answer back until they have decided. Such a rule receives an event as
    soon as it arrives. So does a rule that counts what the answer costs, which holds nothing back. The other
    rules receive an event when it is released to the application.
    """

    def __init__(self, message: GetMessage) -> None:
        self._guards: list[_Guard] = []
        self.can_count = False
        self._message = message
        """Returns the answer without the held-back events."""
        self._held_answer = Accumulator()
        """The answer including the held-back events."""
        self._unreleased: deque[Event] = deque()
        """The events that were held back and are not yet released."""
        self._released = _Choices()
        self._arrived = _Choices()
        """The choices of the events that have arrived, for the rules that count them."""

    def add(self, rule: object, first: int, *, hold: bool, counts: bool = False) -> None:
        """Add a rule, which counts as decided after `first` pieces of content."""
        self._guards.append(_Guard(rule, first, hold=hold, counts=counts))
        self.can_count = self.can_count or counts

    # -- arriving events ---------------------------------------------------

    def count(self, event: Event, now: float) -> None:
        """Pass an event that has just arrived to the rules that count."""
        self._arrived.note(event)
        # After the end of all choices, for example at a last report of tokens, nothing can be saved any more.
        if not self._arrived.all_finished:
            for guard in self._guards:
                if guard.counts:
                    guard.feed(event, self._message, now)

    def count_again(self) -> None:
        """Reset the rules that count, because another answer is about to arrive."""
        self._arrived = _Choices()
        for guard in self._guards:
            if guard.counts:
                guard.begin_again()

    # -- released events ---------------------------------------------------

    def feed(self, event: Event, now: float) -> None:
        """Pass a released event, which the message includes, to the rules that did not get it on arrival."""
        was_held = self._forget_if_held(event)
        self._released.note(event)
        # After the end of all choices, the rules get no more events.
        if not self._released.all_finished:
            for guard in self._guards:
                if not (guard.counts or (was_held and guard.hold)):
                    guard.feed(event, self._message, now)

    def finish(self, event: Finish) -> None:
        """Pass the end of a choice, which the message does not include yet, to the rules."""
        was_held = self._forget_if_held(event)
        self._released.note(event)
        for guard in self._guards:
            # A rule that has held this event back has received the end already. It receives the end once
            # more, because it could not call its function then if an earlier call was pending. It judges
            # the message with all held-back events, because these are what it has received.
            message = self._held_message if was_held and guard.hold else self._message
            guard.end(message, event.choice)

    def _forget_if_held(self, event: Event) -> bool:
        """Return True if an event was held back, and so judged by its rules; forget that it was held."""
        # Held-back events are released in their order.
        was_held = bool(self._unreleased) and self._unreleased[0] is event
        if was_held:
            self._unreleased.popleft()
        return was_held

    def end(self) -> None:
        """Pass the end of the whole answer to the rules, whether or not its choices have finished."""
        for guard in self._guards:
            guard.end(self._message, choice=None)

    def begin_again(self) -> None:
        """Reset the rules, because the events of another answer follow.

        If events of that answer are held back, `hold_again` has already reset the rules that hold them
        back, so these rules are left out.
        """
        # Rules that hold the answer back have begun with the next one already.
        is_held = bool(self._unreleased)
        self._released = _Choices()
        for guard in self._guards:
            # Rules that count have begun with it as well: its first events have arrived before.
            if not (guard.counts or (is_held and guard.hold)):
                guard.begin_again()

    # -- held-back events --------------------------------------------------

    @property
    def can_hold(self) -> bool:
        return any(guard.hold for guard in self._guards)

    @property
    def is_holding(self) -> bool:
        """True while the answer must be held back, because a rule with the option `hold` has not decided."""
        return any(guard.hold and not guard.is_decided for guard in self._guards)

    def hold_again(self) -> None:
        """Reset the rules that hold answers back: another answer begins, which is held back as well."""
        self._held_answer = Accumulator()
        self._unreleased.clear()
        for guard in self._guards:
            if guard.hold:
                guard.begin_again()

    def take_restored(self, messages: Iterable[Message]) -> None:
        """Let the rules that hold answers back judge the rest of an answer that another stream began."""
        self._held_answer = Accumulator()
        for message in messages:
            self._held_answer.restore(message)

    def feed_held(self, event: Event, now: float) -> None:
        """Pass a held-back event to the rules that hold it back."""
        self._unreleased.append(event)
        if isinstance(event, Finish):
            # As in `finish`, the rules see the message as it is before the `Finish`.
            self.end_held(event.choice)
        self._held_answer.take(event)
        for guard in self._guards:
            if guard.hold:
                guard.feed(event, self._held_message, now)

    def end_held(self, choice: int | None = None) -> None:
        """Pass an end to the rules that hold the answer back, while the answer is still held back."""
        for guard in self._guards:
            if guard.hold:
                guard.end(self._held_message, choice)

    def _held_message(self) -> Message:
        """Return the answer with the events that are held back, for the rules that hold it back."""
        return self._held_answer.message

    # -- verdicts ----------------------------------------------------------

    @property
    def stop(self) -> str | None:
        """The reason of the first rule that stops the answer; None if no rule stops it.

        Rules that count what an answer costs no longer stop it once all of it has arrived, and is paid for.
        """
        for guard in self._guards:
            reason = guard.rule.stop
            if reason is not None and not (guard.counts and self._arrived.all_finished):
                return reason
        return None

    @property
    def pending(self) -> bool:
        """True while a rule waits for its function to return."""
        return any(isinstance(guard.rule, AnswerRule) and guard.rule.pending for guard in self._guards)

    @property
    def deadline(self) -> float | None:
        """The clock reading at which a rule stops the answer regardless of its content; None if none will."""
        deadlines = [budget.deadline for budget in self._budgets()]
        return min((each for each in deadlines if each is not None), default=None)

    def start(self, now: float) -> None:
        """Tell the rules with a budget of seconds when the request was sent."""
        for budget in self._budgets():
            budget.started_at = now

    def tick(self, now: float) -> None:
        """Pass the time to all budgets, so that one of seconds can stop the answer."""
        for budget in self._budgets():
            budget.tick(now)

    def _budgets(self) -> list[Budget]:
        return [guard.rule for guard in self._guards if isinstance(guard.rule, Budget)]
