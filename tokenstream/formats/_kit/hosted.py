"""The base class of formats for agents that run at their provider, in sessions with one answer per turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import text_of
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.sessions import SessionFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

REMEMBERED = 2_000
"""Number of ids of events that are remembered at least, so that events sent again are dropped."""


class HostedSession(SessionFormat):
    """Base of the formats of hosted agents, which run at their provider.

    A session has any number of answers, one after another, and stays open between them.

    Args:
        answer: The key of the only answer to read, as `place_of` returns it; None to read all of them.
    """

    __slots__ = ("_answer", "_earlier_ids", "_ids", "_waits", "answer_is_open")

    ends_with_input = True
    several = True

    def __init__(self, *, limits: Limits | None = None, answer: str | None = None) -> None:
        super().__init__(limits=limits)
        self._answer = answer
        self._ids = RecentIds(REMEMBERED)
        self._earlier_ids: RecentIds | None = None
        """The ids of the events of earlier answers; None if there were none."""
        self.answer_is_open = False
        self._waits = False
        """True while the agent waits for the client, such as for a tool's result."""

    @override
    def fresh(self, *, limits: Limits) -> Self:
        format = type(self)(limits=limits, answer=self._answer)
        if self._earlier_ids is not None:
            format.drop_earlier(self._earlier_ids)
        return format

    @override
    def of_answer(self, answer: str) -> Self:
        return type(self)(limits=self.limits, answer=answer)

    @property
    @override
    def is_over(self) -> bool:
        return not self.answer_is_open and (self._failure is not None or self.parts.finished)

    @property
    @override
    def resting(self) -> bool:
        return self._waits or not self.answer_is_open

    @property
    @override
    def withheld(self) -> StreamError | None:
        return self._failure or super().withheld

    # -- for the formats -----------------------------------------------------

    def is_repeated(self, id: str | None) -> bool:
        """Return True if an event with this id was read before; count a departure for it."""
        if id is None or self._ids.add(id):
            return False
        self.note("frame_repeated")
        return True

    def drop_earlier(self, ids: RecentIds) -> None:
        """Count events as read before: if the server sends them again, they are dropped."""
        self._earlier_ids = ids
        self._ids = ids.copy()

    def has_read(self, id: str) -> bool:
        return id in self._ids

    def begin_answer(self, id: str | None = None, model: str | None = None) -> None:
        self.answer_is_open = True
        # The errors of the answer before do not concern this one.
        self._failure = self._last_error = None
        self.parts.begin_answer(id, model)

    def end_answer(
        self,
        reason: FinishReason,
        word: str | None,
        *,
        failure: StreamError | None = None,
        awaits_results: bool = False,
    ) -> None:
        self.answer_is_open = False
        self._failure = failure
        self.parts.end_answer(reason, word, awaits_results=awaits_results)
        if self._answer is not None:
            # This format reads only one answer, which has ended now.
            self.error = failure
            self.conclude()

    def note_error(self, payload: Mapping[str, Any]) -> None:
        """Keep the error in a payload, and report the payload as unknown: the session may go on."""
        self._last_error = provider_error({"error": payload.get("error")}) or self._last_error
        self.parts.unknown(text_of({**payload}, "type") or "error", payload)
