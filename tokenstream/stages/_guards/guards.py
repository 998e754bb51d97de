"""The rules of one stream, each on its own: the first that speaks stops the answer."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from tokenstream.accumulator import Accumulator
from tokenstream.errors import MisuseError
from tokenstream.events import Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.limits import check_whole
from tokenstream.stages._content import has_content
from tokenstream.stages._guards.asked import AnswerQuestion, FieldQuestion, Question
from tokenstream.stages._guards.budget import Budget
from tokenstream.stages._guards.match import Match, compiled
from tokenstream.stages._guards.repetition import Repetition

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.partial_json._pattern import At


class _Bound:
    """Holds an answer to a budget.

    Args:
        budget: The budget.
    """

    pending = False

    __slots__ = ("budget",)

    def __init__(self, budget: Budget) -> None:
        self.budget = budget.fresh()

    @property
    def stop(self) -> str | None:
        return self.budget.stop

    @property
    def deadline(self) -> float | None:
        return self.budget.deadline

    def begin_again(self) -> None:
        self.budget.begin_again()

    def tick(self, now: float) -> None:
        self.budget.tick(now)

    def feed(self, event: Event, message: Callable[[], Message], now: float) -> None:
        self.budget.feed(event, now=now)

    def end(self, message: Callable[[], Message], choice: int | None) -> None:
        """Do nothing: what an answer has taken, it has taken."""


class _Texts:
    """Looks at the text of each choice.

    Args:
        stage: Looks at a text; it is asked for a fresh one for each.
        kinds: The events whose text is looked at.
        apart: Whether the text of each part is one of its own.
    """

    deadline: float | None = None
    pending = False

    __slots__ = ("_apart", "_kinds", "_stage", "_texts", "stop")

    def __init__(self, stage: Match | Repetition, kinds: tuple[type, ...], *, apart: bool) -> None:
        self._stage = stage
        self._kinds = kinds
        self._apart = apart
        self.begin_again()

    def begin_again(self) -> None:
        self.stop: str | None = None
        self._texts: dict[int, tuple[int, Match | Repetition]] = {}
        """The text of each choice, and its part."""

    def tick(self, now: float) -> None:
        """Do nothing: the rule does not depend on time."""

    def feed(self, event: Any, message: Callable[[], Message], now: float) -> None:  # noqa: ANN401 - any event
        kind: Any = event.__class__
        if kind not in self._kinds:
            return
        part, stage = self._texts.get(event.choice) or (event.part, self._stage.fresh())
        if self._apart and part != event.part:
            stage = self._stage.fresh()
        self._texts[event.choice] = event.part, stage
        stage.feed(event.fragment if kind is ToolCallDelta else event.text)
        self.stop = stage.stop

    def end(self, message: Callable[[], Message], choice: int | None) -> None:
        for index, (_, stage) in self._texts.items():
            if choice in (None, index):
                stage.end()
                self.stop = self.stop or stage.stop


Rule: TypeAlias = _Bound | _Texts | AnswerQuestion | FieldQuestion
"""Something that looks at an answer, and may stop it."""


def _is_pattern(rule: object) -> TypeGuard[re.Pattern[Any]]:
    return isinstance(rule, re.Pattern)


def rule_of(rule: Any, first: int, every: int | None, field: At | None) -> Any:  # noqa: ANN401 - what a caller gives
    """Return what looks at an answer as a caller has said.

    Raises:
        MisuseError: That is no rule.
    """
    check_whole("first_tokens", first)
    if every is not None:
        check_whole("every", every)
    asks = callable(rule)
    if field is not None and not asks:
        raise MisuseError("field= goes with a function, which is given the field's value")
    if every is not None and (field is not None or not asks):
        raise MisuseError(
            "every= goes with a function of the message; other rules look at each piece as it comes"
        )
    if isinstance(rule, str) or _is_pattern(rule):
        return _Texts(Match(compiled(rule)), (TextDelta,), apart=False)
    if isinstance(rule, Budget):
        return _Bound(rule)
    if isinstance(rule, Repetition):
        kinds = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)
        return _Texts(rule, kinds, apart=True)
    if not asks or isinstance(rule, type):
        raise MisuseError(
            "a guard is a regular expression, a function that takes the message and returns why it stops, "
            f"a Budget or a Repetition, and not {rule!r}"
        )
    return AnswerQuestion(rule, first, every) if field is None else FieldQuestion(rule, field)


class _Guard:
    """A rule, and whether the answer is held back until it has spoken.

    Args:
        rule: The rule.
        first: After how many pieces of content it has spoken, where it is none that is asked.
        hold: Whether the answer is held back until then.
    """

    __slots__ = ("_count", "_first", "hold", "rule")

    def __init__(self, rule: Any, first: int, *, hold: bool) -> None:  # noqa: ANN401 - a Rule
        self.rule: Rule = rule
        self.hold = hold
        self._first = first
        self._count = 0

    def begin_again(self) -> None:
        self.rule.begin_again()
        self._count = 0

    def feed(self, event: Event, message: Callable[[], Message], now: float) -> None:
        if self.rule.stop is None:
            self._count += has_content(event)
            self.rule.feed(event, message, now)

    def end(self, message: Callable[[], Message], choice: int | None) -> None:
        if self.rule.stop is None:
            self.rule.end(message, choice)

    @property
    def settled(self) -> bool:
        """It has spoken, as far as anything is held for it."""
        if self.rule.stop is not None:
            return True
        return self.rule.spoken if isinstance(self.rule, Question) else self._count >= self._first


class Guards:
    """The rules of a stream.

    What is held back goes past the rules that hold it when it comes, and past the
    others when it is given.

    Args:
        message: Tells the answer as far as it was given.
    """

    __slots__ = ("_ahead", "_guards", "_message", "_open", "_over", "_shadow")

    def __init__(self, message: Callable[[], Message]) -> None:
        self._guards: list[_Guard] = []
        self._message = message
        self._shadow = Accumulator()
        """The answer with what is held back."""
        self._ahead: deque[Event] = deque()
        """The events that were held back and are still to be given."""
        self._open: set[int] = set()
        """The choices that have begun and not finished."""
        self._over = False
        """All of them have finished."""

    def add(self, rule: Any, first: int, *, hold: bool) -> None:  # noqa: ANN401 - a Rule
        """Have another rule look at the answer."""
        self._guards.append(_Guard(rule, first, hold=hold))

    # -- what is given -----------------------------------------------------

    def feed(self, event: Event, now: float) -> None:
        """Show an event that is given.

        Args:
            event: The event; the message has it.
            now: A clock reading, in seconds.
        """
        known = bool(self._ahead) and self._ahead[0] is event
        if known:
            self._ahead.popleft()
        if self._follow(event):
            for guard in self._guards:
                if not (known and guard.hold):
                    guard.feed(event, self._message, now)

    def finish(self, event: Finish) -> None:
        """Show the finish of a choice, before the message has it."""
        known = bool(self._ahead) and self._ahead[0] is event
        if known:
            self._ahead.popleft()
        self._open.discard(event.choice)
        self._over = not self._open
        for guard in self._guards:
            if not (known and guard.hold):
                guard.end(self._message, event.choice)

    def end(self) -> None:
        """Say that the answer is over, with a finish or without."""
        for guard in self._guards:
            guard.end(self._message, None)

    def begin_again(self) -> None:
        """Judge another answer, of which nothing is held back."""
        ahead = bool(self._ahead)
        self._open, self._over = set(), False
        for guard in self._guards:
            if not (ahead and guard.hold):
                guard.begin_again()

    def _follow(self, event: Event) -> bool:
        """Tell whether an event is of an answer that goes on."""
        if has_content(event):
            self._open.add(event.choice)
            self._over = False
        return not self._over

    # -- what is held back -------------------------------------------------

    @property
    def hold(self) -> bool:
        """The beginning of an answer is held back for some of them."""
        return any(guard.hold for guard in self._guards)

    @property
    def holding(self) -> bool:
        """The answer is to be held back."""
        return any(guard.hold and not guard.settled for guard in self._guards)

    def hold_again(self) -> None:
        """Judge another answer, which is held back from its beginning."""
        self._shadow = Accumulator()
        self._ahead.clear()
        for guard in self._guards:
            if guard.hold:
                guard.begin_again()

    def feed_held(self, event: Event, now: float) -> None:
        """Show an event that is held back.

        Args:
            event: The event.
            now: A clock reading, in seconds.
        """
        self._ahead.append(event)
        if isinstance(event, Finish):
            self.end_held(event.choice)
        self._shadow.take(event)
        for guard in self._guards:
            if guard.hold:
                guard.feed(event, self._held_message, now)

    def end_held(self, choice: int | None = None) -> None:
        """Say that nothing more comes of what is held back, or of one choice of it."""
        for guard in self._guards:
            if guard.hold:
                guard.end(self._held_message, choice)

    def _held_message(self) -> Message:
        return self._shadow.message

    # -- what they say -----------------------------------------------------

    @property
    def stop(self) -> str | None:
        """The reason of the first rule that stops the answer; None while none does."""
        return next((guard.rule.stop for guard in self._guards if guard.rule.stop is not None), None)

    @property
    def pending(self) -> bool:
        """One of them has been asked, and has not answered."""
        return any(guard.rule.pending for guard in self._guards)

    @property
    def deadline(self) -> float | None:
        """The clock at which the first of them stops the answer, whatever comes until then."""
        deadlines = [guard.rule.deadline for guard in self._guards]
        return min((each for each in deadlines if each is not None), default=None)

    def start(self, now: float) -> None:
        """Tell when the request went out."""
        for guard in self._guards:
            if isinstance(guard.rule, _Bound):
                guard.rule.budget.started_at = now

    def tick(self, now: float) -> None:
        """Say what the time is."""
        for guard in self._guards:
            guard.rule.tick(now)
