"""The first events of an attempt: accepts or discards them, and announces how they go on with the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.events import Restarted, Resumed
from tokenstream.recovery._never import JSON_ASKED, JSON_TEXT, TOO_SHORT

if TYPE_CHECKING:
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream._pipeline.seam import Seam
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._pauses import Pauses
    from tokenstream.recovery._rules import ContinuationRules


class Announcing:
    """Decides which events come before those that an attempt's `Hold` releases.

    Args:
        resumption: Lets further connections go on with the answer.
        itinerary: The openers, in order.
        rules: The rules for continuing the answer.
        pauses: Goes through the pauses of the answer.
        aligns: The caller's option, `Retry.align`.
    """

    def __init__(
        self,
        resumption: Resumption,
        current: CurrentAttempt,
        itinerary: Itinerary,
        *,
        rules: ContinuationRules,
        pauses: Pauses,
        aligns: bool,
    ) -> None:
        self._itinerary = itinerary
        self._machine, self._joining = resumption.machine, resumption.joining
        self._current = current
        self._rules, self._pauses = rules, pauses
        self.restart_cause: StreamError | None = None
        """The error of the delivered answer that a restart is about to replace; None if there is none."""
        self._always_aligns = aligns
        self.aligns = aligns
        """True if a restarted answer's repetition of delivered content is skipped in the loop over events."""

    def choose_alignment(self, why: str | None, *, restarts: bool) -> None:
        """Set `aligns` for the next attempt.

        Args:
            why: The reason for which it restarts the answer in place of a continuation; None without one.
            restarts: True if it restarts the answer.
        """
        delivered = self._machine.delivered
        extent = delivered.extent
        # If JSON or a short text is restarted in place of a continuation, the loop gets only what is new.
        is_near = extent == "content" and why in (JSON_ASKED, JSON_TEXT, TOO_SHORT)
        self.aligns = extent != "nothing" and (self._always_aligns or is_near)
        if self.aligns and restarts:
            # No event takes back what the loop has, although the message forgets it.
            delivered.note_look()

    def announce(self, *, failed: bool) -> list[Event] | None:
        """Return the events to deliver before the first events of an attempt; None to discard the attempt.

        Args:
            failed: True if the attempt failed before it brought content.
        """
        machine, current = self._machine, self._current
        if failed and current.has_content:
            # The answer is still the content that was delivered before.
            current.note_discarded()
            return None
        # From now on, the events of this attempt are delivered.
        is_first_content = not current.has_content
        current.has_content = True
        machine.accumulator.route = self._itinerary.name(current.opener_index)
        if not failed:
            self._itinerary.note_content(current.opener_index, current.find_latency(machine.now))
        if machine.arrivals.log is not None and not self._current.can_resume(current.hold.held):
            machine.arrivals.log = None
        restart_cause, self.restart_cause = self.restart_cause, None
        if current.goes_on:
            # The event that announces what follows a pause is one of those held back.
            self._pauses.complete_announcement()
            return []
        # Without content, earlier attempts leave no trace.
        return [] if is_first_content else self._announce_change(restart_cause)

    def _announce_change(self, restart_cause: StreamError | None) -> list[Event] | None:
        """Return the events that say how an attempt goes on with content that was delivered before.

        Args:
            restart_cause: The error of the delivered answer that is restarted; None if none is.
        """
        machine = self._machine
        if self._current.settles:
            # The attempt has announced itself before.
            return []
        if self._current.mode == "resume":
            return [Resumed(dropped=machine.answer_format.dropped)]
        if self._joining.seam is not None:
            return self._announce_continuation(self._joining.seam)
        if restart_cause is None:
            # No content that the loop has is replaced.
            return []
        restarted = Restarted(machine.accumulator.message, restart_cause)
        # The reader knows the abandoned message from earlier events, so a relay need not send it.
        restarted.told_before = True
        if not self.aligns:
            return [restarted]
        # The aligner skips the content that the loop already has.
        self._joining.align(restarted)
        return []

    def _announce_continuation(self, seam: Seam) -> list[Event] | None:
        """Return the event to deliver before a continuation; None to discard it, because it does not join.

        Args:
            seam: The seam between the answer and the continuation.
        """
        machine = self._machine
        announced = self._rules.announce(seam)
        if announced is None:
            self._current.note_discarded(always=True)
            return None
        if self._current.is_at_limit:
            # The answer had ended, and each request has the whole output limit.
            announced.mode = "pause"
            self._rules.begin_again()
        if machine.format != machine.accumulator.format:
            # Another API's answer is continued, whose format the message keeps.
            announced.format = machine.format
        return [announced]
