"""Read the events that a relay sends; they equal the events that the relay was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import text_of
from tokenstream.errors import LimitExceeded, PositionLost, ProtocolError
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
)
from tokenstream.formats._base import Format, Frame
from tokenstream.formats._fast.path import Fast, refuse
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._resume.replay import Replay
from tokenstream.formats._wire.tokenstream.parts import EVENTS, event_of
from tokenstream.formats._wire.tokenstream.words import CONTROL, end_of
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.limits import Limits
    from tokenstream.message import Ending, Message

_TELLING: dict[str, str | None] = {
    "text_delta": "text",
    "reasoning_delta": "text",
    "refusal_delta": "text",
    "tool_call_start": "id",
    "tool_call_delta": "id",
    "tool_call_done": "call",
    "part_start": "content",
    "part_delta": "fragment",
    "part_done": None,
    "citation_added": "citation",
    "media_delta": None,
    "usage_update": "usage",
    "finish": "reason",
    "restarted": None,
    "resumed": None,
    "stopped": "reason",
    "step_start": "id",
    "step_done": "id",
    "unknown": "name",
    "live": "at",
    "end": "ending",
}
"""Maps each event type to a key that it requires, if other formats have the same type, or to None."""
_DELTAS = frozenset(
    {"text_delta", "reasoning_delta", "refusal_delta", "tool_call_delta", "part_delta", "media_delta"}
)
"""Types of events of which a relay may merge several into one, with the position of the last."""
PARTS: dict[type, str] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    RefusalDelta: "refusal",
    ToolCallStart: "tool_call",
    ToolCallDelta: "tool_call",
    ToolCallDone: "tool_call",
    CitationAdded: "citation",
    MediaDelta: "media",
}
"""Maps classes of events to the kind of part that they belong to."""
_LONGEST_ID = 18
"""Characters of the longest SSE event id that is read as a position."""


class TokenStream(Format):
    """Reads the protocol `tokenstream`, as SSE or as JSON lines; see docs/protocol.md.

    Events are read unchanged, including part indexes. An answer is over only once its last
    record has arrived. A *position* is the number of an event in the answer: the id of an
    SSE event, or the key `at` of a line.
    """

    __slots__ = ("_calls", "_kinds", "_latest", "_own_id", "_verdict", "live_at", "position_seen")

    name: ClassVar[str] = "tokenstream"
    # Some proxies end all streams with OpenAI's sentinel.
    sentinel: ClassVar[bytes | None] = b"[DONE]"
    finish_is_last: ClassVar[bool] = False
    resumes: ClassVar[bool] = True
    fast: ClassVar[Fast | None] = Fast(
        texts=[("text",)],
        changing=[("at",)],
        counts=[("at",)],
        padding=frozenset(),
        units=frozenset({"event", "line", "message"}),
        turns=True,
    )

    unkept: ClassVar[frozenset[str]] = frozenset({"_latest"})

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._verdict: Ending = "complete"
        """The ending that the last record states."""
        self.position_seen: int | None = None
        """The position of the last event; None if the events have none."""
        self.live_at: int | None = None
        """The position up to which the relay replays events; None if it replays none."""
        self._latest: Event | None = None
        """The last delta read without decoding, whose payload may have a position."""
        self._calls = 0
        self._kinds: dict[tuple[int, int], str] = {}
        """Maps choice and part index to the kind of the part."""
        self._own_id = ""
        """The id of the current SSE event."""

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Return whether a first payload is of this format."""
        kind = text_of(payload, "type")
        if kind is None or event:
            return False
        if kind == "error":
            return "ending" in payload and "retryable" in payload
        if kind == "message_start":
            return "message" not in payload
        if kind not in _TELLING:
            return False
        key = _TELLING[kind]
        return key is None or key in payload

    @property
    def finished(self) -> bool:
        """True once the last record has arrived without an error that cut the answer off."""
        return self.ended and (self.error is None or self._verdict == "complete")

    @property
    def verdict(self) -> Ending:
        """The ending that the last record states."""
        return self._verdict

    @property
    def position(self) -> int | None:
        """The position of the last event, after which the relay can go on."""
        latest, self._latest = self._latest, None
        if latest is not None:
            self._note_position(latest.raw)
        return None if self.ended else self.position_seen

    def is_kept(self, message: Message) -> bool:
        """Return False, although there are positions: not every relay stores its answers."""
        return False

    def position_of(self, payload: dict[str, Any]) -> int | None:
        """Return the position of an event: the key `at` of a line, or the id of the SSE event."""
        place = payload.get("at")
        if payload.get("type") == "live":
            # In this record, `at` is the end of the replay, and not a position of the record.
            return None
        if isinstance(place, int) and place > 0 and place is not True:
            return place
        text = self._own_id
        if not text or len(text) > _LONGEST_ID or not (text.isascii() and text.isdecimal()):
            return None
        return int(text)

    def tolerates(self, payload: dict[str, Any], event: str) -> bool:
        """Return whether a payload with an error is an event of this format."""
        kind = text_of(payload, "type")
        return kind in EVENTS or kind in CONTROL

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events of `frame`."""
        self._own_id = frame.id if isinstance(frame, ServerSentEvent) else ""
        return super().feed(frame, now=now)

    def frame_shortcut(self) -> Callable[[Frame], Event | None] | None:
        """Return a function that reads frames without decoding; None if they have ids, which must be read."""
        return None if self._own_id else super().frame_shortcut()

    def follow(self, delta: Event) -> Callable[[Any], bool | None] | None:
        """Return a callback that sets the step of each delta and records its position.

        For deltas with a signature, the callback makes the payload be decoded.
        """
        if isinstance(delta, ReasoningDelta) and delta.signature is not None:
            return refuse
        step, lines = delta.step, "at" in delta.raw
        if step is None and not lines:
            # The position of an SSE event is its id.
            return self._take_place if self._own_id else None

        def take(delta: Any) -> None:  # noqa: ANN401 - a delta
            if step is not None:
                delta.step = step
            if lines:
                self._latest = delta
            else:
                self._take_place(delta)

        return take

    def read_sentinel(self) -> None:
        """Ignore the sentinel, which a proxy must have added: only the last record ends an answer."""

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Report the event in `payload`, or record the end of the answer."""
        if self.parts.may_hold_surrogates:
            payload = mend_surrogates(payload)
        kind = text_of(payload, "type") or event
        if kind in ("end", "error"):
            self._end(payload)
        elif kind == "live":
            at = payload.get("at")
            self.live_at = at if at.__class__ is int else None
        elif kind == "ping":
            self.ping()
        else:
            found = event_of(payload)
            self._emit(Unknown(kind, payload) if found is None else found, payload)
        self._latest = None
        self._note_position(payload)

    def go_on(self) -> None:
        """Prepare for another connection, which continues after `position`; drop repeated events."""
        super().go_on()
        position = self.position
        self._replay = None if position is None else _ReplayOfPositions(position)

    # -- internals ---------------------------------------------------------------

    def _is_replayed(self, replay: Replay, payload: dict[str, Any], event: str) -> bool:
        merged = text_of(payload, "type") in _DELTAS
        dropped = replay.is_repeated(self.position_of(payload), "" if merged else None)
        if replay.ended:
            self._replay = None
        self.dropped += dropped
        return dropped

    def _note_position(self, payload: dict[str, Any]) -> None:
        position = self.position_of(payload)
        if position is not None:
            self.position_seen = position

    def _take_place(self, _delta: Any) -> None:  # noqa: ANN401 - a delta
        """Record the position of a delta read without decoding."""
        self._note_position({})

    def _emit(self, event: Event, payload: dict[str, Any]) -> None:
        """Check an event against the limits and the kind of its part, and report it."""
        parts = self.parts
        if event.part is not None or event.choice or isinstance(event, Finish):
            parts.choice(event.choice)
        if event.part is not None and event.part >= self.limits.parts:
            raise LimitExceeded(limit="parts", value=self.limits.parts)
        if event.part is not None:
            self._prove(event, event.part)
        if payload.get("type") == "tool_call_start":
            self._calls += 1
            if self._calls > self.limits.tool_calls:
                raise LimitExceeded(limit="tool_calls", value=self.limits.tool_calls)
        elif isinstance(event, Restarted):
            self._calls = 0
            self._kinds.clear()
        if "raw" in payload:
            # The event keeps the `raw` that the relay sent; the fast path would set the payload itself.
            self.shortcuts = False
        else:
            event.raw = payload
        parts.emit(event)

    def _prove(self, event: Event, part: int) -> None:
        """Record the kind of an event's part.

        Raises:
            ProtocolError: The part had another kind before.
        """
        content: Any = getattr(event, "content", None)
        kind = PARTS.get(event.__class__) or getattr(content, "kind", None)
        if kind is None:
            return
        known = self._kinds.setdefault((event.choice, part), kind)
        if known != kind:
            msg = f"part {part} was {known!r} before, and cannot be {kind!r}"
            raise ProtocolError(msg)

    def _end(self, payload: dict[str, Any]) -> None:
        end = end_of(payload)
        self._verdict = end.ending
        if end.error is not None:
            self.error = end.error
        self.conclude()


class _ReplayOfPositions(Replay):
    """Detects repeated events by their positions.

    A delta that was merged from several, for a slow reader, has the position of the last.

    Args:
        after: The position of the last event that was read.
    """

    __slots__ = ("_known", "_last")

    def __init__(self, after: int) -> None:
        super().__init__(after, None)
        self._known = after
        self._last = 0

    def is_repeated(self, position: int | str | None, begun: str | None) -> bool:
        """Return whether an event was read before.

        Args:
            position: The event's position; None if it has none.
            begun: "" for a delta, which may be merged from several; None for any other event.

        Raises:
            PositionLost: Events before this one are missing, or a part of it was read before.
        """
        if not isinstance(position, int):
            return False
        after, last = self._known, self._last
        if position <= after:
            self._last = position
            return True
        if begun is None and position > max(after, last) + 1:
            msg = f"the relay goes on at position {position}, but {after + 1} is the next one"
            raise PositionLost(msg)
        if begun is not None and 0 < last < after:
            msg = f"the relay has merged events before and after position {after} into one"
            raise PositionLost(msg)
        self.ended = True
        return False
