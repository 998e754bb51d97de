"""Pauses of an answer: decides whether another request goes on after one, and reports on all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tokenstream._answer.accumulator import Accumulator
from tokenstream._pipeline.joining import is_visible
from tokenstream._pipeline.resumption import GoOn
from tokenstream._providers.apis import api_named
from tokenstream.events import Finish, Resumed
from tokenstream.message import Usage
from tokenstream.recovery._retry import count_pauses
from tokenstream.recovery._rules import why_not
from tokenstream.stream._attempts import Attempt
from tokenstream.stream._continuation import Continuation
from tokenstream.stream._log import inform, log
from tokenstream.stream._pauses import Leg, PausedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.joining import Hold
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.message import Message
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._open import SourceOpener


_FINAL = frozenset({"model_context_window_exceeded", "budget_exceeded"})
"""Providers' words for limits that another request would exceed at once."""


class Pauses:
    """Goes through the pauses of an answer, each of which ends a *leg*: what one request brings."""

    def __init__(self, current: CurrentAttempt) -> None:
        self._current, self._request, self._answer = current, current.request, current.answer
        self._left = count_pauses(self._request.retry.pauses)
        """Number of pauses that are still gone through, by the finish reasons that are pauses."""
        self._machine, self._joining = current.machine, self._answer.resumption.joining
        self._machine.accumulator.texts_go_on = "length" in self._left
        if self._left:
            # The connection that the machine was created with knows nothing of pauses.
            self._machine.link.adapt_formats(self._adapt)
        self.paused: PausedAnswer | None = None
        """The answer at its last pause, of which the current attempt brings the rest; None for no pause."""
        self._legs: list[Leg] = []
        self._first_number = 1
        self.held: tuple[Event, ...] = ()
        """Events of the answer before its last pause that are held back."""
        self._resumed = Resumed("pause")

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs so far, including the current one; empty if the answer was never paused."""
        if not self._legs or self._legs[-1].why is not None:
            return tuple(self._legs)
        answer = self._answer.reader.parts
        finish = next((choice.finish for choice in answer.choices.values()), None)
        is_shown = self._answer.is_shown
        parts = len(self._machine.accumulator.message.parts) - self._first_part if is_shown else 0
        current = self._make_leg(None if finish is None else finish.raw_reason, max(0, parts))
        return (*self._legs, current)

    @property
    def _first_part(self) -> int:
        return sum(leg.parts for leg in self._legs)

    def _make_leg(self, reason: str | None, parts: int, why: str | None = None) -> Leg:
        answer = self._answer.reader.parts
        reports = [each for each in self._current.reports if each.number >= self._first_number]
        return Leg(
            id=answer.id,
            model=answer.model,
            reason=reason,
            first_part=self._first_part,
            parts=parts,
            usage=sum((report.usage for report in reports if report.usage), start=Usage()),
            why=why,
        )

    def _adapt(self, format: Format) -> None:
        """Let a new format withhold pauses and, after one, go on with the message of the legs before."""
        paused, api = self._answer.resumption.paused, api_named(format.name)
        counts_bytes = api is not None and api.counts_bytes
        format.parts.go_through_pauses(self._withholds, paused, counts_bytes=counts_bytes)

    def _withholds(self, finish: Finish) -> bool:
        """Return True if a finish is not to be reported for now, because another request may go on."""
        if finish.reason not in self._left or finish.choice != 0 or finish.raw_reason in _FINAL:
            return False
        api = api_named(self._machine.link.format)
        # In other formats, a pause waits for the user, such as for a question to be answered.
        return api is not None and (finish.reason != "pause" or api.pause is not None)

    def begin_again(self, number: int) -> None:
        """Forget the pauses so far, because the answer begins again with the attempt of a number."""
        self.paused = None
        self._legs, self.held = [], ()
        self._first_number = number

    # -- a pause -----------------------------------------------------------

    def find_pause(self, why_late: Callable[[], str | None]) -> Attempt | None:
        """Return the attempt that goes on with the answer; None if it is not paused, or ends so."""
        answer = self._machine.link.connection.format.parts
        finish = answer.withheld
        if finish is None:
            return None
        request, message = self._request, self._make_message()
        paused = PausedAnswer(
            message,
            answer.id or message.id,
            finish,
            self._first_part,
            None if self.paused is None else self.paused.own_token,
        )
        why = why_late() or self._why_not(paused, request.opener)
        if why is None and not request.itinerary.allow_leg(request.opener_index):
            why = "attempts= is used up"
        self._legs.append(self._make_leg(finish.raw_reason, len(message.parts) - self._first_part, why))
        if why is not None:
            inform("the answer stays paused: %s", why, of=self._machine)
            answer.withheld = None
            self._machine.intake.leave([finish])
            return None
        log("the answer was paused, and goes on", of=self._machine)
        self.paused = paused
        self._left[finish.reason] -= 1
        number = self._first_number = request.next_number
        self.held = self._joining.waiting
        route = self._machine.accumulator.route
        if finish.reason == "pause":
            return Attempt(number=number, mode="pause", message=message, route=route, paused=paused)
        message_now = self._machine.accumulator.message
        asked = Continuation(message_now, request.opener.prefix(message_now), at_limit=True)
        return Attempt(number=number, mode="continue", message=message, route=route, asked=asked)

    def _why_not(self, paused: PausedAnswer, opener: SourceOpener) -> str | None:
        if not self._left[paused.finish.reason]:
            return f"pauses={self._request.retry.pauses} is used up"
        if self._current.has_spent_all:
            return "Retry.most is used up"
        if len(self._machine.accumulator.messages) > 1:
            return "it has several choices"
        if paused.finish.reason == "pause":
            return opener.why_paused(paused)
        if any(is_visible(event) for event in self._joining.waiting):
            # A message that lacks these events cannot be continued.
            return "some of it is still held back"
        return why_not(self._current, None, opener) if self._answer.is_shown else "it has no text"

    def _make_message(self) -> Message:
        machine, waiting = self._machine, self._joining.waiting
        message = machine.accumulator.message
        if not waiting:
            return message
        accumulator = Accumulator()
        accumulator.restore(message)
        accumulator.format = machine.link.format
        for event in waiting:
            accumulator.take(event)
        return accumulator.message

    def end_at_limit(self, why: str) -> Finish:
        """Return the end of an answer at its limit, and report why nothing goes on with it."""
        if not self._request.is_at_limit or self.paused is None:
            return Finish("length")
        self._legs[-1] = replace(self._legs[-1], why=why)
        return self.paused.finish

    # -- the next leg ------------------------------------------------------

    def begin(self, paused: PausedAnswer, hold: Hold) -> GoOn:
        self._resumed = Resumed("pause", at=0)
        for event in (*self.held, self._resumed):
            hold.keep(event)
        return GoOn(paused.finish, paused.message)

    def complete_announcement(self) -> None:
        """Complete the event that announces the leg, whose first events are about to be returned."""
        answer = self._answer.reader.parts
        self._resumed.id, self._resumed.model = answer.id, answer.model
