"""The protocol `tokenstream`: this library's events, as a relay sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.errors import LimitExceeded, PositionLost, ProtocolError
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    PartDone,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    Resumed,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.formats._base import Format, Frame
from tokenstream.formats._detect.payloads import object_of
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._kit.answer import READ_WHOLE
from tokenstream.formats._kit.parts import make_result_of_part
from tokenstream.formats._kit.values import mend_surrogates, split_names
from tokenstream.formats._reader import FrameReader
from tokenstream.formats._resume.resuming import Resume
from tokenstream.formats._wire.tokenstream.words import CONTROL, EVENTS, KNOWN_FIELDS, end_of, event_of
from tokenstream.framing._frames import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, DeltaCallback, JsonObject
    from tokenstream.events import Event

_REQUIRED_KEYS = {
    kind: key or None
    for key, kinds in {
        "text": "text_delta reasoning_delta refusal_delta",
        "id": "tool_call_start tool_call_delta step_start step_done tool_result",
        "call": "tool_call_done",
        "content": "part_start",
        "fragment": "part_delta",
        "citation": "citation_added",
        "usage": "usage_update",
        "reason": "finish stopped",
        "name": "unknown",
        "at": "live",
        "ending": "end",
        "": "part_done media_delta restarted resumed",
    }.items()
    for kind in kinds.split()
}
"""Maps each type of event to a key that all events of the type have; to None if no other format has it."""
_FIELDS_OF_OTHERS = split_names("message text content delta data")
"""Fields of a `message_start` of another vocabulary."""
_DELTAS = split_names("text_delta reasoning_delta refusal_delta tool_call_delta part_delta media_delta")
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
"""The longest SSE event id that is read as a position, in characters."""


class _ResumeByPosition(Resume["TokenStream"]):
    """Continues the answer over another connection of the relay, whose positions tell what it sends again.

    For slow readers, a relay may merge several deltas into one, which has the position of the last.
    """

    __slots__ = ("_has_new", "_is_unchecked", "_last_repeated")

    merges_replays = True

    def __init__(self) -> None:
        super().__init__()
        self._is_unchecked = True
        """True until the first event of a connection was read, which names the answer."""
        self._last_repeated = 0
        """The position of the last repeated event; 0 if none was repeated."""
        self._has_new = False
        """True once an event has come that is not repeated."""

    def check_answer(self, payload: JsonObject) -> None:
        """Note the answer's id in a connection's first event; raise `PositionLost` for another answer."""
        # A ping, or an event that a proxy has added, says nothing of the answer.
        if not self._is_unchecked or ("answer" not in payload and not TokenStream.recognises(payload, "")):
            return
        self._is_unchecked = False
        answer_id = text_of(payload, "answer")
        if self.answer_id is None:
            self.answer_id = answer_id
        elif answer_id != self.answer_id:
            raise PositionLost("the relay sent another answer than the one it was asked to go on with")

    def prepare(self, format: TokenStream) -> None:
        self._is_unchecked, self.after = True, format.position
        self._last_repeated, self._has_new = 0, False
        # A server may send events twice later on, such as those it has stored, and then what is live.
        format.shortcuts = self.after is None

    def drops(self, format: TokenStream, payload: JsonObject, event: str) -> bool:
        last_read = self.after
        if not isinstance(last_read, int):
            return False
        self.check_answer(payload)
        position = format.position_of(payload)
        if position is None:
            return False
        if position <= last_read:
            self._last_repeated = position
            format.dropped += 1
            return True
        # Once the first new event has come, nothing can be missing.
        if not self._has_new:
            self._check_gap(position, last_read, may_be_merged=text_of(payload, "type") in _DELTAS)
        self.after, self._has_new = position, True
        return False

    def _check_gap(self, position: int, last_read: int, *, may_be_merged: bool) -> None:
        """Raise `PositionLost` before the first new event for a gap, or a delta of which a part was read."""
        # A merged delta covers several positions, so positions before it may seem to be missing.
        if not may_be_merged and position > max(last_read, self._last_repeated) + 1:
            msg = f"the relay goes on at position {position}, but {last_read + 1} is the next one"
            raise PositionLost(msg)
        # Repeated events arrived, but not up to `last_read`: the delta covers this position and later ones.
        if may_be_merged and 0 < self._last_repeated < last_read:
            raise PositionLost(f"the relay has merged events before and after position {last_read} into one")


class _RecordReader(FrameReader["TokenStream"]):
    __slots__ = ()

    def find_lack(self, format: TokenStream) -> str:
        """Return no departure: the answer that the relay reads has it."""
        return ""

    def after_end(self, format: TokenStream, frame: Frame) -> None:
        """Count a frame after the end, but for the result that `inspect --json` prints there."""
        if object_of(frame, format.limits).get("type") != "result":
            super().after_end(format, frame)


class TokenStream(Format):
    """Reads the protocol `tokenstream`, as SSE or as JSON lines; see docs/reference/protocol.md.

    Events are read unchanged, including part indexes. An answer has ended only once its last
    record has arrived. A *position* is the number of an event in the answer: the id of an
    SSE event, or the key `at` of a line.
    """

    __slots__ = (
        "_call_count",
        "_ended_calls",
        "_last_position",
        "_latest",
        "_part_kinds",
        "_sse_id",
        "known_ending",
    )

    resume: _ResumeByPosition
    name = "tokenstream"
    documented = frozenset[str]()
    # Some proxies end all streams with OpenAI's sentinel.
    sentinel = b"[DONE]"
    finish_is_last = False
    resumes = True
    _resume_class = _ResumeByPosition
    reader = _RecordReader()
    fast = Fast(
        texts=[("text",)],
        changing=[("at",)],
        counts=[("at",)],
        padding=frozenset(),
        units=frozenset({"event", "line", "message"}),
        turns=True,
    )

    # A saved state has the position of `_latest` instead.
    unkept = frozenset({"_latest"})

    def _set_up(self) -> None:
        # Positions.
        self._last_position: int | None = None
        """The position of the last event; None if the events have none."""
        self._latest: Event | None = None
        """The last delta, if it was read without decoding; its payload may have a position."""
        self._sse_id = ""
        """The id of the current SSE event, "" if it has none."""
        # The parts, against which later events are checked.
        self._call_count = 0
        """Number of tool calls since the answer began, or began again."""
        self._part_kinds: dict[tuple[int, int], str] = {}
        """Maps choice and part index to the kind of the part."""
        self._ended_calls: set[tuple[int, int]] = set()
        """Choice and index of the tool calls, and of the results of providers' tools, that have ended."""
        # The answer as a whole.
        self.known_ending = "complete"
        """The ending that the last record states."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:
        kind = text_of(payload, "type")
        # A relay gives its SSE events no names.
        if kind is None or event:
            return False
        # Other formats have these two types as well, with other fields.
        if kind == "error":
            return "ending" in payload and "retryable" in payload
        if kind == "message_start":
            return payload.keys().isdisjoint(_FIELDS_OF_OTHERS)
        if kind not in _REQUIRED_KEYS:
            return False
        required_key = _REQUIRED_KEYS[kind]
        return required_key is None or required_key in payload

    @property
    def finished(self) -> bool:
        """True once the last record has arrived without an error that cut the answer off."""
        return self.ended and (self.error is None or self.known_ending == "complete")

    @property
    def position(self) -> int | None:
        """The position of the last event; the relay can continue after it. None once the answer has ended."""
        # A delta that was read without decoding has its position read only now, if anybody asks.
        latest, self._latest = self._latest, None
        if latest is not None:
            self._note_position(latest.raw)
        return None if self.ended else self._last_position

    def position_of(self, payload: JsonObject) -> int | None:
        """Return the position of an event: the key `at` of a line, or the id of the SSE event; else None."""
        if payload.get("type") == "live":
            # In this record, `at` is the end of the replay, and not a position of the record.
            return None
        sse_id = self._sse_id
        if sse_id:
            is_number = sse_id.isascii() and sse_id.isdecimal() and len(sse_id) <= _LONGEST_ID
            return int(sse_id) if is_number else None
        position = payload.get("at")
        is_number = isinstance(position, int) and position > 0 and position is not True
        return position if is_number else None

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return whether a payload with an error is an event of this format, which reads the error itself."""
        kind = text_of(payload, "type")
        return kind in EVENTS or kind in CONTROL

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        self._sse_id = frame.id if isinstance(frame, ServerSentEvent) else ""
        return super().feed(frame, now=now)

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a function that sets the run's step of each later delta, and records the delta's position.

        The fast path reads only the text of later deltas; see `Format.follow`. The result is None if they
        have neither step nor position. Deltas with a signature must always be decoded.
        """
        if isinstance(delta, ReasoningDelta) and delta.signature is not None:
            return always_decode
        # The position is in the payload, or else it may be the id of the SSE event.
        step, has_position = delta.step, "at" in delta.raw
        if step is None and not has_position:
            return self._record_sse_position if self._sse_id else None

        def record_delta(delta: AnyEvent) -> None:
            if step is not None:
                delta.step = step
            if has_position:
                # The payload is decoded for its position only when `position` is asked for.
                self._latest = delta
            else:
                self._record_sse_position(delta)

        return record_delta

    def read(self, payload: JsonObject, event: str) -> None:
        """Report the event in `payload`, or record the end of the answer."""
        if self.parts.may_hold_surrogates:
            payload = mend_surrogates(payload)
        kind = text_of(payload, "type") or event
        # Frames of named events are read without their ids, which are positions.
        self.shortcuts = self.shortcuts and not (event and self._sse_id)
        self.resume.check_answer(payload)
        if kind in ("end", "error"):
            self._read_end(payload)
        # Up to the position in "live", the relay replays events.
        elif kind not in ("live", "ping"):
            event_read = event_of(payload)
            if event_read is None:
                self.parts.raw = payload
                self.parts.unknown(kind, payload)
            else:
                self._report_event(event_read, payload)
                self.parts.tell_fields(payload, KNOWN_FIELDS)
                for name in payload.keys() - READ_WHOLE:
                    self.parts.tell_fields(dict_of(payload, name), KNOWN_FIELDS)
        # The position of this payload is newer than that of the last delta read without decoding.
        self._latest = None
        self._note_position(payload)

    def read_sentinel(self) -> None:
        """Ignore the sentinel, which a proxy must have added: only the last record ends an answer."""

    # -- internals ---------------------------------------------------------------

    def _note_position(self, payload: JsonObject) -> None:
        position = self.position_of(payload)
        if position is not None:
            self._last_position = position

    def _record_sse_position(self, _delta: object) -> None:
        """Record the position of a delta that was read without decoding: the id of the current SSE event."""
        self._note_position({})

    def _report_event(self, event: Event, payload: JsonObject) -> None:
        """Report an event, after checks against the limits and the kind of its part."""
        parts = self.parts
        if event.part is not None or event.choice or isinstance(event, Finish):
            # Create the choice, which checks the limit on choices. Other events may be of the whole answer.
            parts.choice(event.choice)
        if event.part is not None:
            parts.check_room(event.part)
            self._check_part_kind(event, event.part)
            if self._drop_if_late(event, event.part):
                return
        if payload.get("type") == "tool_call_start":
            self._call_count += 1
            if self._call_count > self.limits.tool_calls:
                raise LimitExceeded(limit="tool_calls", value=self.limits.tool_calls)
        elif isinstance(event, Restarted):
            self._call_count = 0
            self._part_kinds.clear()
            self._ended_calls.clear()
        elif isinstance(event, Resumed):
            self._forget_cut_calls(event)
        if "raw" in payload:
            # The event keeps the `raw` that the relay sent; the fast path would set the payload itself.
            self.shortcuts = False
        else:
            event.raw = payload
        parts.emit(event)
        self._follow_result(event)

    def _forget_cut_calls(self, event: Resumed) -> None:
        """Forget the calls that have not ended, if some were left out: other parts may take their places."""
        kinds = self._part_kinds.items() if event.discarded else ()
        for key in [key for key, kind in kinds if kind == "tool_call" and key not in self._ended_calls]:
            del self._part_kinds[key]
            if self.fast_path is not None:
                self.fast_path.forget(*key)

    def _follow_result(self, event: Event) -> None:
        """Report the result of a provider's tool once its part has ended, but only at its first end."""
        if not isinstance(event, PartDone):
            return
        key = (event.choice, event.part)
        if self._part_kinds.get(key) != "server_tool_result" or key in self._ended_calls:
            return
        self._ended_calls.add(key)
        result = make_result_of_part(event.choice, event.raw)
        if event.step is not None:
            result.step = event.step
        self.parts.emit(result)

    def _check_part_kind(self, event: Event, part: int) -> None:
        """Record the kind of an event's part, if the event reveals it; refuse another kind than before."""
        # The class of a delta shows the kind; so may the content in the start or end of a part.
        content: Any = getattr(event, "content", None)
        kind = PARTS.get(event.__class__) or getattr(content, "kind", None)
        if kind is None:
            return
        first_kind = self._part_kinds.setdefault((event.choice, part), kind)
        # A closing tag alone makes a text reasoning.
        is_late = (first_kind, kind, event.__class__) == ("text", "reasoning", PartDone)
        if first_kind != kind and not is_late:
            raise ProtocolError(f"part {part} was {first_kind!r} before, and cannot be {kind!r}")

    def _drop_if_late(self, event: Event, part: int) -> bool:
        """Drop an event that comes after the end of its tool call: count a departure, and return True.

        The application may have run the call, which therefore must not change. If the event itself ends a
        call, this end is recorded, so that later events are dropped.
        """
        key = (event.choice, part)
        if self._part_kinds.get(key) != "tool_call":
            return False
        if key in self._ended_calls:
            self.note("call_after_done" if isinstance(event, ToolCallDelta) else "call_repeated")
            return True
        if isinstance(event, ToolCallDone | PartDone):
            self._ended_calls.add(key)
            if self.fast_path is not None:
                self.fast_path.forget(*key)
        return False

    def _read_end(self, payload: JsonObject) -> None:
        end = end_of(payload)
        self.known_ending = end.ending
        if end.error is not None:
            self.error = end.error
        self.conclude()
