"""Base class of encoders for formats in which nothing marks the end of a tool call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.relay._encoders.encoder import Encoder
from tokenstream.relay._encoders.vocabulary import CUT_REASONS

if TYPE_CHECKING:
    from tokenstream.events import Finish, ToolCallDone
    from tokenstream.relay._encoders.encoder import Payloads


class UnmarkedCalls(Encoder):
    """Base class of encoders for formats in which nothing marks the end of a tool call.

    Readers of such a format take the last call for incomplete if the finish reason says that the answer was
    cut off. So if the last call is complete, a finish reason in `CUT_REASONS` raises `NotExpressible`, unless
    `drop` allows losing the call.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(**options)
        self._last_calls: dict[int, int] = {}
        """The part of the last call in each choice, by choice."""
        self._complete_calls: set[tuple[int, int]] = set()
        """The choices and parts of the complete calls."""

    def note_call(self, choice: int, part: int) -> None:
        """Record a call as the last one of its choice; an encoder calls this when it sends a call's start.

        Args:
            choice: The index of the choice.
            part: The index of the call's part.
        """
        self._last_calls[choice] = part

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        """Record that the call is complete; return no payloads."""
        self._complete_calls.add((event.choice, event.part))
        return ()

    def keep_finish(self, event: Finish) -> Payloads:
        """Keep the finish reason, which is sent at the end; return no payloads.

        Raises:
            NotExpressible: The format has no word for the reason, or the reason would mark a complete call as
                cut off; and `drop` does not allow the loss.
        """
        last_call = self._last_calls.get(event.choice)
        if event.reason in CUT_REASONS and (event.choice, last_call) in self._complete_calls:
            self.require_drop_of_call(event.reason)
        return super().keep_finish(event)
