"""The base class of formats for agents that run at their provider, in sessions with one answer per turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import text_of
from tokenstream.formats._base import Format
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.sessions import SessionParts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

REMEMBERED = 2_000
"""Number of ids of events that are remembered at least, so that events sent again are dropped."""


class HostedSession(Format):
    """Base of the formats of hosted agents, which run at their provider.

    A session has any number of answers, one after another, and stays open between them.

    Args:
        answer: The key of the only answer to read, as `place_of` returns it; None to read all of them.
    """

    __slots__ = (
        "_answer",
        "_earlier_ids",
        "_failure",
        "_ids",
        "_last_error",
        "_waits",
        "answer_is_open",
        "session_parts",
    )

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
        self._last_error: StreamError | None = None
        """The last error that an event has reported since an answer began; most end no answer."""
        self._failure: StreamError | None = None
        """The error of the last answer, if that answer failed."""

    def _make_parts(self) -> SessionParts:
        self.session_parts = SessionParts(self.limits, self.note)
        return self.session_parts

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
    def finished(self) -> bool:
        return self.ended or (not self.answer_is_open and self._failure is None and self.parts.finished)

    @property
    @override
    def resting(self) -> bool:
        return self._waits or not self.answer_is_open

    @property
    @override
    def withheld(self) -> StreamError | None:
        return self._failure or super().withheld

    @override
    def end(self, *, now: float = 0.0) -> list[Event]:
        if self.error is None and not self.ended:
            had_answer = self._failure is not None or self.parts.finished
            is_over = had_answer and not self.answer_is_open
            # The input ended inside an answer or before the first one; an error event may say why.
            self.error = self._failure if is_over else self._last_error or self.cut_short()
        return super().end(now=now)

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
        self.session_parts.begin_answer(id, model)

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
        self.session_parts.end_answer(reason, word, awaits_results=awaits_results)
        if self._answer is not None:
            # This format reads only one answer, which has ended now.
            self.error = failure
            self.conclude()

    def note_error(self, payload: Mapping[str, Any]) -> None:
        """Keep the error in a payload, and report the payload as unknown: the session may go on."""
        self._last_error = provider_error({"error": payload.get("error")}) or self._last_error
        self.parts.unknown(text_of({**payload}, "type") or "error", payload)
