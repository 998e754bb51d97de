"""The ending of an answer, found from its events, for sources of events that build no message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.events import StepDone, StepStart, Stopped

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent
    from tokenstream.message import Ending

TELLING: frozenset[type] = frozenset({StepStart, StepDone, Stopped})
"""Classes of events that say something about the ending; only these need be passed to `note`."""


class ToldEnding:
    """Finds how an answer, or a run of several steps, has ended from its events.

    Example:
        >>> told = ToldEnding()
        >>> told.note(Stopped("enough"))
        >>> told.choose(None), told.choose("failed")
        ('stopped', 'failed')
    """

    def __init__(self) -> None:
        self.is_run = False
        """True once an event has begun or ended a step."""
        self._stopped = False
        """True once an event has reported that the answer was stopped."""
        self._root_ids: set[str] = set()
        """The ids of the run's steps that have no parent step."""
        self._last_state = "done"
        """The state of the step without a parent that ended last."""

    def note(self, event: AnyEvent) -> None:
        """Remember what an event implies about the ending.

        Args:
            event: The start or end of a step, or a stop of the answer: an event of a class in `TELLING`.
        """
        if isinstance(event, Stopped):
            self._stopped = True
            return
        self.is_run = True
        # The run gets the state of the step without a parent that ends last; inner steps do not count.
        if isinstance(event, StepStart):
            if event.parent is None:
                self._root_ids.add(event.id)
        elif event.id in self._root_ids:
            self._last_state = event.state

    def choose(self, ending: Ending | None) -> Ending:
        """Return the ending of the answer.

        Args:
            ending: The ending of the source's message; if it is None (not known) or "streaming", the
                events imply the ending.
        """
        if ending is None and self.is_run:
            endings: dict[str, Ending] = {"failed": "failed", "stopped": "stopped"}
            # The run ends as the last step without a parent; any state but these two means "complete".
            return endings.get(self._last_state, "complete")
        # The events have ended, so the answer is not "streaming" any more, even if its stream says so.
        if ending is None or ending == "streaming":
            return "stopped" if self._stopped else "complete"
        return ending
