"""The times at which a driver ends a wait: after a silence, for a missing frame, and after the answer.

A server may keep a finished stream open and send heartbeats for minutes. So reading after the terminal event
stops at a limit of bytes or of time, or at the first heartbeat.
"""

from __future__ import annotations

import math
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._pipeline.intake import NEVER
from tokenstream.errors import StreamStalled
from tokenstream.formats._kit.errors import is_vague
from tokenstream.limits import DEFAULT_DEADLINES, Deadlines, Default
from tokenstream.stream._reading.items import LEAST_WAIT, MAX_AHEAD

if TYPE_CHECKING:
    from tokenstream._pipeline.machine import Machine

_WAITED_FOR = {
    "first_event": "the first event did not come",
    "idle_bytes": "no byte came",
    "idle_content": "no content came",
    "total": "the answer did not end",
}


_SILENCES = ("first_event", "idle_bytes", "idle_content")
_SHORTEST_DEFAULT = min(getattr(DEFAULT_DEADLINES, name) for name in _SILENCES)
_AFTER_FINISH = "after_finish"
_HEARTBEATS = 1.25
"""The longest wait for the end of a finished answer with heartbeats, in terms of the one without."""

REST_SECONDS = 0.5
"""Longest wait for the end of the body after the terminal event."""
_MAX_BYTES_AFTER_END = 64 * 1024
"""Maximum number of bytes to read after the terminal event, so that the connection can be reused."""


class LastTurn(NamedTuple):
    """A turn of the source, before a deadline ends the stream."""

    wait: tuple[str | None, float]
    """The name of the deadline, and what would begin the wait anew."""
    chunks: int
    """Number of chunks before it."""
    until: float
    since: float | None
    """Time at which the read in progress began."""


class Silence:
    """The deadlines of a stream that is silent; one that has passed is an error, or the end.

    Time during which the loop itself was busy does not count as silence.
    """

    def __init__(self, deadlines: Deadlines, machine: Machine) -> None:
        self.deadlines = self._bounds = self._own = deadlines
        self.patience: float | None = 0.0
        """The longest silence that the caller's own timeouts allow; see `allow`."""
        self._machine, self._intake = machine, machine.intake
        self._busy_since_content = (0.0, 0.0)
        """Time of the last content, and the seconds since then in which the loop did not read."""
        self._busy_at_end: tuple[float | None, float] = (None, 0.0)
        """`Intake.awaits_end_since`, and the seconds since then in which the loop did not read."""
        self._begun_at = NEVER
        """Time at which this connection began, or begins after a wait."""
        self.is_over = False
        """True once an answer that has finished, or has reported an error, was silent for `after_finish`."""
        self.since: float | None = None
        """Time at which the read in progress began; None between two reads."""
        self.error: StreamStalled | None = None
        self.turn: LastTurn | None = None
        """The last turn of the source; None if it has had none on this connection."""
        self._chunks_at_turn = 0
        """Number of chunks when the deadlines were last put off."""
        self.chunks_before = 0
        """Number of chunks before this connection; until its first chunk, only `first_event` applies."""

    @property
    def deadline(self) -> float | None:
        """Time at which the next deadline passes; None if no deadline applies."""
        deadlines = self._active_deadlines()
        return min(deadlines)[0] if deadlines else None

    @property
    def next_error(self) -> StreamStalled | None:
        """The error to raise if nothing arrives by the `deadline`; None if there is none to raise."""
        deadlines = self._active_deadlines()
        if not deadlines:
            return None
        _, limit, seconds = min(deadlines, key=itemgetter(0))
        return None if limit == _AFTER_FINISH else make_stalled_error(limit, seconds)

    @property
    def _has_begun(self) -> bool:
        """True once a frame has arrived, and a chunk of this connection."""
        meter = self._machine.meter
        return meter.first_event_at is not None and meter.framed_chunks != self.chunks_before

    def find_earliest(self, deadline: float | None) -> float:
        """Return a time before which no deadline can pass, whatever arrives until then."""
        if not self._has_begun or self._intake.resting:
            # The next item may start a deadline.
            return -math.inf
        return math.inf if deadline is None else deadline

    def find_safe_time(self) -> float:
        """Return a time before which no deadline can pass between two reads, which takes little time to find.

        It is that of an answer of which nothing has arrived since its request, or its finish reason.
        """
        machine, deadlines = self._machine, self.deadlines
        if not self._has_begun or self._intake.resting:
            return -math.inf
        idle, total, after = deadlines.idle_content, deadlines.total, self._intake.awaits_end_since
        until = machine.meter.started_at + min(idle or math.inf, total or math.inf)
        return until if after is None else min(until, after + (deadlines.after_finish or math.inf))

    def tick(self, now: float) -> None:
        """Set `error` or `is_over` if a deadline has passed."""
        for deadline, limit, seconds in self._active_deadlines():
            if now <= deadline or self.error is not None or self.is_over:
                continue
            if limit == _AFTER_FINISH:
                self.is_over = True
            else:
                self.error = make_stalled_error(limit, seconds)

    def give_turn(self, now: float, *, has_arrived: bool) -> bool:
        """Let the source deliver what it has, before a deadline that has passed ends the stream.

        The process may have been stopped, while bytes arrived in the socket. The result is False if the
        source has had its turn since the wait began, and nothing `has_arrived` that is still to be read.
        """
        meter, limit = self._machine.meter, _AFTER_FINISH if self.error is None else self.error.limit
        # A chunk begins another wait for bytes, content another one for content, a connection for an event.
        marks: dict[str | None, float] = {"idle_content": meter.content_at, _AFTER_FINISH: meter.content_at}
        marks["first_event"] = self.chunks_before
        wait = limit, 0.0 if limit == "total" else marks.get(limit, meter.chunks)
        if self.turn is None or self.turn.wait != wait:
            self.turn = LastTurn(wait, meter.chunks, now + LEAST_WAIT, self.since)
        elif not has_arrived or meter.chunks - self.turn.chunks > MAX_AHEAD:
            return False
        self.error, self.is_over, self._chunks_at_turn = None, False, meter.chunks
        return True

    @property
    def is_turn(self) -> bool:
        """True while the source has a turn, until a chunk arrives or the deadlines are checked again."""
        return self.turn is not None and self._chunks_at_turn == self._machine.meter.chunks

    def apply(self, bounds: Deadlines | None) -> None:
        """Apply the bounds of a route from now on, but for the total; None for those of the stream."""
        self._bounds = self._own if bounds is None else replace(bounds, total=self._own.total)
        self.deadlines = self._bounds
        if self.patience != 0:
            self.allow(self.patience)

    def allow(self, patience: float | None) -> None:
        """Let no default end a silence that timeouts of the caller's allow: of any length for None."""
        self.deadlines, self.patience = give_way(self._bounds, patience), patience

    def begin_connection(self, now: float) -> None:
        """Start to wait for the first event of another connection."""
        self.error, self.is_over, self.turn = None, False, None
        # The first chunk of a connection is cut into frames.
        self.chunks_before = self._machine.meter.framed_chunks
        self._begun_at = now

    def exclude_busy_time(self, seconds: float) -> None:
        """Leave some seconds out of the measured silence, in which the loop was busy and did not read."""
        # The metrics report this time.
        self._machine.meter.away += seconds
        if self._intake.resting:
            # The server waits for the client, so no silence is measured.
            return
        awaits_end_since = self._intake.awaits_end_since
        if awaits_end_since is not None:
            begun, busy = self._busy_at_end
            self._busy_at_end = awaits_end_since, seconds + (busy if begun == awaits_end_since else 0.0)
        counted_from, busy_seconds = self._busy_since_content
        content_at = self._machine.meter.content_at
        if counted_from == content_at:
            # No content has arrived since the last call, so the times add up.
            seconds += busy_seconds
        self._busy_since_content = (content_at, seconds)

    def _active_deadlines(self) -> list[tuple[float, str, float]]:
        """Return the deadlines that apply now: the time at which each passes, its name and its seconds."""
        machine, meter, deadlines = self._machine, self._machine.meter, self.deadlines
        starts: list[tuple[str, float | None, float]] = [("total", deadlines.total, meter.started_at)]
        # While the server waits for the client, or the end for a guard, only `total` applies.
        guarding = machine.way.guarding
        is_silence_allowed = self._intake.resting or (guarding is not None and guarding.waits)
        if is_silence_allowed:
            pass
        elif not self._has_begun:
            # Nothing has arrived on this connection. The wait begins with the request, or with the
            # read in progress (`since`), if that began later.
            silent_since = self._find_silence_start(meter.started_at)
            if self.since is not None:
                silent_since = max(silent_since, self.since)
            # Placed before `total`, because `tick` reports the first deadline that has passed.
            starts.insert(0, ("first_event", deadlines.first_event, silent_since))
        else:
            starts.append(
                ("idle_content", deadlines.idle_content, self._find_silence_start(meter.content_at))
            )
            if self.since is not None:
                starts.append(("idle_bytes", deadlines.idle_bytes, max(self._intake.now, self.since)))
        if self._intake.awaits_end_since is not None and not is_silence_allowed:
            # Placed first, because the answer is over without an error if this deadline has passed.
            starts[:0] = self._find_waits_for_end(self._intake.awaits_end_since)
        # A deadline that is not set is None.
        return [(start + seconds, name, seconds) for name, seconds, start in starts if seconds is not None]

    def _find_waits_for_end(self, since: float) -> list[tuple[str, float | None, float]]:
        """Return the deadlines, for silence and for heartbeats, of an answer that has finished at `since`."""
        seconds = self.deadlines.after_finish
        if seconds is None:
            return []
        begun, busy = self._busy_at_end
        in_all = (_AFTER_FINISH, _HEARTBEATS * seconds, since + (busy if begun == since else 0.0))
        if self.since is None:
            return [in_all]
        return [(_AFTER_FINISH, seconds, max(self._intake.now, self.since)), in_all]

    def _find_silence_start(self, last_arrival: float) -> float:
        """Return the time from which silence counts: the last arrival, moved by the loop's busy time."""
        counted_from, busy_seconds = self._busy_since_content
        if busy_seconds and counted_from != self._machine.meter.content_at:
            # Content has arrived since the busy time.
            busy_seconds = 0.0
        return max(last_arrival, self._begun_at, self._intake.begun_at) + busy_seconds


def give_way(deadlines: Deadlines, patience: float | None) -> Deadlines:
    """Return deadlines without the defaults that are shorter than a timeout of the caller's."""
    seconds = math.inf if patience is None else patience
    if seconds <= _SHORTEST_DEFAULT:
        return deadlines
    bounds = {name: getattr(deadlines, name) for name in _SILENCES}
    shorter = [name for name, value in bounds.items() if isinstance(value, Default) and value < seconds]
    return replace(deadlines, **dict.fromkeys(shorter))


def make_stalled_error(limit: str, seconds: float) -> StreamStalled:
    """Return the error for a deadline, named by its field of `Deadlines`, that has passed."""
    waited = f"{_WAITED_FOR[limit]} within {seconds:g} s (Deadlines.{limit})"
    return StreamStalled(f"{waited}; what had arrived is in .partial", limit=limit)


class RestLimits(NamedTuple):
    """Limits for reading after the terminal event of one connection."""

    size: int
    """Number of bytes of the whole connection at which to stop."""
    comments: float
    """Number of comments at the terminal event; one more is a heartbeat."""
    until: float

    @classmethod
    def begin(cls, machine: Machine, now: float, silence: Silence) -> RestLimits:
        """Return the limits for the time after a terminal event: for bytes, for seconds, and for comments.

        After an error that says nothing about itself, one may follow that does: then the deadlines count.
        """
        comments: float = machine.link.connection.framing.comments
        until: float = now + REST_SECONDS
        if is_vague(machine.intake.error):
            seconds, deadline = silence.deadlines.after_finish, silence.deadline
            ends = (None if seconds is None else now + seconds, deadline)
            comments, until = math.inf, min((end for end in ends if end is not None), default=math.inf)
        # A call of the class takes five times as long.
        return tuple.__new__(cls, (machine.meter.bytes + _MAX_BYTES_AFTER_END, comments, until))  # pyright: ignore[reportUnknownMemberType]

    @property
    def waits_for_error(self) -> bool:
        """True if the error so far says nothing about itself, and another may follow."""
        return self.comments == math.inf

    def allow(self, machine: Machine, now: float) -> bool:
        """Return True while no limit is reached; the first comment after the terminal event reaches one."""
        is_silent = machine.link.connection.framing.comments <= self.comments
        return is_silent and machine.meter.bytes < self.size and now < self.until
