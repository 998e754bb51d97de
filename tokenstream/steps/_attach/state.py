"""Which events of a hosted session are new, when its events have ended, and when to open them again."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from tokenstream._basics.backoff import wait_before
from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, is_dict, text_of
from tokenstream._sources.causes import is_connection
from tokenstream._sources.payloads import payload_of
from tokenstream.errors import StreamError, StreamInterrupted, StreamTruncated
from tokenstream.formats._wire.a2a.words import FINISH_REASONS, state_of, unwrap

if TYPE_CHECKING:
    from collections.abc import MutableSet

    from tokenstream._basics.loose import Json

_REMEMBERED = 100_000
"""Number of ids that are remembered at least, if the caller keeps none."""
_INITIAL, _MAXIMUM = 0.5, 20.0
"""The longest wait before the second attempt, and before any attempt, in seconds."""
_RESTING = frozenset(
    {
        "session.status_idle",
        "session.status_terminated",
        "session.deleted",
        "agent.session.idle",
        "agent.session.requires_action",
        "agent.session.budget_reached",
        "agent.session.failed",
        "session.idle",
    }
)
"""Types of events after which a server may close the connection, because nothing is going on."""
_GOING_ON = frozenset({"session.status_running", "agent.session.in_progress", "session.status_rescheduled"})
"""Types of events after which something is going on."""
_RESTING_STATES = frozenset({*FINISH_REASONS, "unknown"})
"""States of an A2A task after which the server may close the connection."""
_PREVIEWS = {"event_start": "event", "event_delta": "event_id"}
"""Types of events that show beforehand what another event will have, and their field for its id."""


class Attachment:
    """The state of the events of a hosted session; it reads nothing itself.

    Args:
        seen: The ids of events that the caller has seen; the ids of new events are added.
        retries: Number of attempts to open the events again without anything new in between.
    """

    def __init__(self, seen: MutableSet[str] | RecentIds | None, retries: int) -> None:
        self.seen = seen if seen is not None else RecentIds(_REMEMBERED)
        self.reattached = 0
        """Number of times that the events were opened again."""
        self._retries = retries
        self._failures = 0
        """Number of attempts since the last new event."""
        self._is_resting = False
        """True if nothing has been going on since the last event, so that the events may end."""
        self._is_first = True
        """True until the first event of a connection has come."""
        self._opening: dict[str, Json] | None = None
        """The first event of the last connection, if it has no id; the next connection may repeat it."""
        self._random = Random()  # noqa: S311 - the wait before an attempt is no secret

    def admit(self, event: object) -> bool:
        """Note an event; return False if the caller has seen it before."""
        payload: Any = payload_of(event)
        if not is_dict(payload):
            return True
        kind = text_of(payload, "type") or ""
        shown = payload.get(_PREVIEWS[kind]) if kind in _PREVIEWS else None
        if shown is not None:
            # A preview of an event that is known whole.
            id = text_of(shown, "id") if is_dict(shown) else shown
            return not (isinstance(id, str) and id in self.seen)
        is_opening = self._is_first
        self._is_first = False
        # The id of a JSON-RPC answer is that of the request, and a task of A2A has one for all its states.
        has_id = "jsonrpc" not in payload and payload.get("kind") != "task"
        id = text_of(payload, "event_id") or (text_of(payload, "id") if has_id else None)
        if id is not None:
            if id in self.seen:
                return False
            self.seen.add(id)
        # A connection may begin with the state of the session or task, which is nothing new by itself.
        if kind not in _GOING_ON and payload != self._opening:
            self._failures = 0
        if is_opening:
            self._opening = payload if id is None else None
        self._note_state(kind, payload)
        return True

    def wait_after(self, error: BaseException | None) -> float | None:
        """Return the seconds to wait before the events are opened again; None if they have ended.

        Args:
            error: The exception that has ended the events; None if the server has closed them.

        Raises:
            StreamError: The events cannot be opened again, or have failed too often. The exception
                itself is raised if it does not concern the connection.
        """
        if error is None and self._is_resting:
            return None
        if error is not None and not (is_connection(error) or isinstance(error, StreamInterrupted)):
            raise error
        self._is_first = True
        self._failures += 1
        if self._failures > self._retries:
            raise self._describe(error) from error
        self.reattached += 1
        return wait_before(
            self._failures + 1,
            error=error if isinstance(error, StreamError) else None,
            initial=_INITIAL,
            maximum=_MAXIMUM,
            random=self._random.random(),
        )

    def _describe(self, error: BaseException | None) -> StreamError:
        """Return the error for events that have failed too often."""
        told = f"the events of the session could not be opened again in {self._retries} attempts"
        if error is None:
            return StreamTruncated(f"{told}: the server closes them in the middle of a turn")
        return StreamInterrupted(told)

    def _note_state(self, kind: str, payload: dict[str, Json]) -> None:
        """Note whether something is going on in the session."""
        if kind in _RESTING or kind in _GOING_ON:
            self._is_resting = kind in _RESTING
            return
        a2a_kind, content = unwrap(payload) or (None, {})
        state = text_of(dict_of(content, "status"), "state")
        if state is not None:
            self._is_resting = state_of(state) in _RESTING_STATES
        elif a2a_kind == "message" or ("jsonrpc" in payload and "error" in payload):
            self._is_resting = True
