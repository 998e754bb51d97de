"""Base class of encoders: dispatches events to handlers, and frames the payloads that they return."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    Resumed,
    StepDone,
    StepStart,
    Stopped,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.relay._encoders.pieces import find_surroundings, is_piece, make_writer, string
from tokenstream.relay._encoders.vocabulary import PHRASES, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event
    from tokenstream.relay._encoders.pieces import Place, Wrap, Writer
    from tokenstream.turns import Drop, Kind

Payload: TypeAlias = "tuple[str, Any]"
"""An SSE event's name ("" for none) and its data: a JSON value, or a str to be sent unchanged."""
Payloads: TypeAlias = "Iterable[Payload]"

_HANDLERS: dict[type, str] = {
    MessageStart: "encode_start",
    PartStart: "encode_part_start",
    TextDelta: "encode_text",
    ReasoningDelta: "encode_reasoning",
    RefusalDelta: "encode_refusal",
    ToolCallStart: "encode_call",
    ToolCallDelta: "encode_arguments",
    ToolCallDone: "encode_call_end",
    PartDelta: "encode_fragment",
    PartDone: "encode_part_end",
    CitationAdded: "encode_citation",
    MediaDelta: "encode_media",
    UsageUpdate: "keep_usage",
    Finish: "keep_finish",
    Ping: "encode_ping",
    Restarted: "encode_restart",
    Resumed: "encode_resumed",
    Stopped: "encode_stopped",
    StepStart: "encode_step_start",
    StepDone: "encode_step_end",
    Unknown: "encode_unknown",
}
"""Name of the handler method, by class of event."""
_KINDS: dict[type, Kind] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    RefusalDelta: "refusal",
    ToolCallStart: "tool_call",
    CitationAdded: "citation",
    MediaDelta: "media",
}
"""Kind of the part that an event belongs to, by class of event."""
_SAID: dict[ErrorKind, str] = {
    "overloaded": "Overloaded",
    "rate_limited": "Rate limit exceeded",
    "invalid_request": "Invalid request",
    "authentication": "Authentication failed",
    "server": "Internal server error",
    "network": "Upstream network error",
    "unknown": "Something went wrong",
}
"""Default error messages by kind; some formats send nothing else of an error."""


class Encoder(Vocabulary):
    """Encodes the events of one answer as the bytes that a provider would send; a stage.

    Each chunk returned is one event of the format. `end` writes the answer's end, and only
    after a `Finish`, so an answer that broke off stays without one. No format can retract
    what was sent: if an answer restarts after some of it was sent, it ends with an error,
    and nothing of the new answer follows.

    Args:
        drop: Kinds of content to leave out if the format has no place for them: their names, or
            "all". With "all" a finish reason that the format lacks is sent as "stop".

    Raises:
        NotExpressible: From `feed`, for an event that the format has no place for.
    """

    error: None = None
    stop: None = None
    steady: ClassVar[bool] = True
    """True if consecutive chunks of one part differ only in the piece of text, so that a template fits."""

    def __init__(self, *, drop: Drop = ()) -> None:
        super().__init__(drop=drop)
        self.finishes: dict[int, Finish] = {}
        """The `Finish` of each choice, by its index."""
        self.has_begun = False
        """True once the answer's head was sent."""
        self._has_failed = False
        self._is_replaced = False
        """True once the answer restarted after some of it was sent; further events are ignored."""
        self._before: list[Event] | None = []
        """Events received before any content was sent, to be replayed on a restart; None once some was."""
        self._growing: dict[Place, Writer | None] = {}
        """Writers of the next pieces of open parts; None while a part has had only one piece."""

    # -- the stage -----------------------------------------------------------

    def feed(self, event: Event, *, now: float = 0.0) -> list[bytes]:
        """Return the chunks for an event.

        Args:
            event: The event.
            now: Unused; every stage takes it.

        Raises:
            NotExpressible: The format has no place for it.
        """
        place = event.__class__, event.choice, event.part
        write = self._growing.get(place)
        if write is not None:
            chunk = write(event)
            if chunk is not None:
                return [chunk]
        if self._is_replaced or self._is_left_out(event):
            return []
        # Any payload but a single piece may change what the next pieces look like, so forget all writers.
        growing, self._growing = self._growing, {}
        handler = getattr(self, _HANDLERS[event.__class__])
        payloads = list(handler(event))
        chunks = [self.frame(name, payload) for name, payload in payloads]
        if len(chunks) == 1 and is_piece(event):
            self._growing = growing
            self._note_piece(place, event, payloads[0])
        if chunks and self._before is not None:
            # The head and a heartbeat are not content yet.
            self._before = [*self._before, event] if isinstance(event, MessageStart | Ping) else None
        return chunks

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """Return the chunks that end the answer; none if it has not finished, or has failed."""
        self._growing.clear()
        over = self.finishes and not self._has_failed
        return [self.frame(name, payload) for name, payload in self.encode_tail()] if over else []

    def check(self) -> None:
        """Do nothing: an encoder has no remote input that could be invalid."""

    def failure(self, kind: ErrorKind, message: str | None = None, *, code: str | None = None) -> list[bytes]:
        """Return the chunks that report an error in the middle of an answer; no end follows.

        Args:
            kind: The kind of error.
            message: The error message; by default a usual one for `kind`.
            code: The provider's code; by default its own for `kind`.

        Raises:
            NotExpressible: The format has no event for errors.
        """
        return [self.frame(name, payload) for name, payload in self.encode_failure(kind, message, code)]

    def encode_failure(self, kind: ErrorKind, message: str | None, code: str | None) -> list[Payload]:
        """Return the payloads that `failure` frames.

        Args:
            kind: The kind of error.
            message: The error message; by default a usual one for `kind`.
            code: The provider's code; by default its own for `kind`.

        Raises:
            NotExpressible: The format has no event for errors.
        """
        self._growing.clear()
        payloads = list(self.encode_error(kind, _SAID[kind] if message is None else message, code))
        self._has_failed = True
        return payloads

    # -- handlers for encoders to override: each returns the payloads to send ----

    def encode_start(self, event: MessageStart) -> Payloads:
        """The answer begins; a later `MessageStart` only adds an id or a model that was missing."""
        self.id, self.model = self.id or event.id, self.model or event.model
        return ()

    def encode_head(self) -> Payloads:
        """The payloads that begin an answer."""
        return ()

    def encode_part_start(self, event: PartStart) -> Payloads:
        """A part begins."""
        return ()

    def encode_text(self, event: TextDelta) -> Payloads:
        """More text."""
        raise NotImplementedError

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """More reasoning, or its signature."""
        raise NotImplementedError

    def encode_refusal(self, event: RefusalDelta) -> Payloads:
        """More of a refusal."""
        raise NotImplementedError

    def encode_call(self, event: ToolCallStart) -> Payloads:
        """A tool call begins."""
        raise NotImplementedError

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        """More of a call's arguments."""
        raise NotImplementedError

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        """A tool call is complete."""
        return ()

    def encode_fragment(self, event: PartDelta) -> Payloads:
        """More of a part without a delta class of its own."""
        return ()

    def encode_part_end(self, event: PartDone) -> Payloads:
        """A part is complete."""
        return ()

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """A citation."""
        raise NotImplementedError

    def encode_media(self, event: MediaDelta) -> Payloads:
        """More of an image or of audio."""
        raise NotImplementedError

    def keep_usage(self, event: UsageUpdate) -> Payloads:
        """Nothing yet: token counts are sent at the end.

        Raises:
            NotExpressible: The format has no place for one of them.
        """
        report = event.usage.model_dump(exclude_none=True, exclude={"source", "provider_data"})
        # A total that equals the sum of its parts is redundant.
        summed = report.get("total_tokens") == report.get("input_tokens", 0) + report.get("output_tokens", 0)
        strange = sorted(report.keys() - self.counts - ({"total_tokens"} if summed else set()))
        if strange and "all" not in self.drop:
            raise self.not_expressible(f"usage.{', usage.'.join(strange)}")
        known = {name: value for name, value in report.items() if name in self.counts}
        self.usage = self.usage.model_copy(update=known)
        return ()

    def keep_finish(self, event: Finish) -> Payloads:
        """Nothing yet: the finish reason is sent at the end.

        Raises:
            NotExpressible: The format has no word for it.
        """
        self.choose_reason(event.reason)
        self.finishes[event.choice] = event
        return ()

    def encode_ping(self, event: Ping) -> Payloads:
        """A heartbeat."""
        return ()

    def encode_restart(self, event: Restarted) -> Payloads:
        """The answer restarts: an error, unless none of its content was sent yet.

        Raises:
            NotExpressible: Some was sent, and the format has no event for errors.
        """
        if self._before is None:
            self._is_replaced = True
            return self.encode_failure("network" if event.error is None else event.error.kind, None, None)
        before, options = self._before, dict[str, Any](drop=self.drop)
        vars(self).update(vars(type(self)(**options)))
        # The head was sent already, and serves the new answer.
        for told in before:
            self.feed(told)
        return ()

    def encode_resumed(self, event: Resumed) -> Payloads:
        """Nothing: the answer goes on over another connection, which its reader does not notice."""
        return ()

    def encode_stopped(self, event: Stopped) -> Payloads:
        """Nothing: a guard has stopped the answer, which breaks off."""
        return ()

    def encode_step_start(self, event: StepStart) -> Payloads:
        """Nothing: a step begins, whose parts are parts of the answer like any others."""
        return ()

    def encode_step_end(self, event: StepDone) -> Payloads:
        """Nothing: a step of a run is over."""
        return ()

    def encode_unknown(self, event: Unknown) -> Payloads:
        """Nothing: an event of the provider that our vocabulary lacks."""
        return ()

    def encode_tail(self) -> Payloads:
        """The payloads that end an answer that has finished."""
        raise NotImplementedError

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """The payloads that report an error in the middle of an answer."""
        raise self.not_expressible("an error in the middle of an answer")

    def frame(self, name: str, payload: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Return a payload framed as an event: as SSE, unless a format overrides it.

        Args:
            name: The event's name; "" for none.
            payload: A JSON value, or text, which is sent unchanged.
        """
        lines = payload.encode().split(b"\n") if isinstance(payload, str) else [to_json_bytes(payload)]
        named = [b"event: %b\n" % name.encode()] if name else []
        return b"".join([*named, *(b"data: %b\n" % line for line in lines), b"\n"])

    def ahead(self) -> list[Payload]:
        """Return the head if it was not sent yet; every handler may be the first to send something."""
        if self.has_begun:
            return []
        self.has_begun = True
        return list(self.encode_head())

    @staticmethod
    def string(text: str) -> bytes:
        """Return text as a JSON string of the format.

        Raises:
            ValueError: It has an unpaired surrogate.
        """
        return string(text)

    def outline(self, name: str, payload: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Return the chunk of a payload, or the part of it that does not depend on the payload's length.

        Args:
            name: The event's name; "" for none.
            payload: JSON.
        """
        return self.frame(name, payload)

    def wrap(self, event: Event, head: bytes, tail: bytes) -> Wrap:
        """Return a function that makes the chunk for a piece's text, with all side effects of its handler.

        Args:
            event: A piece that was sent; the next ones differ only in their text.
            head: The bytes before the text in its chunk.
            tail: The bytes after it.
        """
        as_json = self.string
        return lambda text: head + as_json(text) + tail

    # -- within ----------------------------------------------------------------

    def _note_piece(self, place: Place, event: Any, sent: Payload) -> None:  # noqa: ANN401 - a piece
        """Note a piece that was sent as one chunk; from the second one on a writer makes the next."""
        if place not in self._growing:
            if self.steady:
                self._growing[place] = None
            return
        if self._growing[place] is not None:
            return
        name, payload = sent
        text = event.fragment if isinstance(event, ToolCallDelta | PartDelta) else event.text
        found = find_surroundings(payload, text, partial(self.outline, name), self.string)
        if found is not None:
            self._growing[place] = make_writer(event, self.wrap(event, *found))

    def _is_left_out(self, event: Event) -> bool:
        """Return True if an event is to be dropped.

        Raises:
            NotExpressible: The format has no place for it, and `drop` does not allow leaving it out.
        """
        if event.choice and not self.choices:
            if "all" in self.drop:
                return True
            raise self.not_expressible(f"a second choice (choice {event.choice})")
        if event.part is None:
            return False
        place = (event.choice, event.part)
        kind = self._kinds.get(place)
        if kind is None:
            kind = self._kind_of(event)
            if kind is None:
                return True
            self._kinds[place] = kind
        if kind in self.expresses:
            return False
        self.omit(f"{PHRASES.get(kind, kind)} (part {event.part} of the answer)", kind)
        return True

    def _kind_of(self, event: Event) -> Kind | None:
        if isinstance(event, PartStart):
            return event.content.kind
        if isinstance(event, ToolCallStart) and event.type == "custom":
            return "custom_tool_call"
        return _KINDS.get(event.__class__)


class WholeCalls:
    """Mixin that sends a tool call whole: nothing until `encode_call_end`."""

    def encode_call(self, event: ToolCallStart) -> Payloads:
        """Nothing yet: the call is sent when it is complete."""
        return ()

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        """Nothing yet: the call is sent when it is complete."""
        return ()


def to_json_bytes(payload: Any, *, allow_nan: bool = True) -> bytes:  # noqa: ANN401 - any JSON value
    """Return compact JSON: no spaces, and only the necessary escapes.

    Args:
        payload: The value.
        allow_nan: Whether to write NaN and infinities as Python does; otherwise they are a `ValueError`.
    """
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=allow_nan)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # An unpaired surrogate can be written in JSON only as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()
