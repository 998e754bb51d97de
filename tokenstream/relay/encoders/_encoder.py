"""What all encoders share: which part an event belongs to, and what the answer's end needs."""

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
from tokenstream.relay.encoders._pieces import around, is_piece, string, writer
from tokenstream.relay.encoders._vocabulary import PHRASES, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event
    from tokenstream.relay.encoders._pieces import Place, Wrap, Writer
    from tokenstream.turns import Drop, Kind

__all__ = ["Encoder", "Payload", "Payloads", "WholeCalls", "written"]

Payload: TypeAlias = "tuple[str, Any]"
"""An SSE event's name ("" for none), and what its data is: JSON, or text where it is a str."""
Payloads: TypeAlias = "Iterable[Payload]"

_HANDLERS: dict[type, str] = {
    MessageStart: "begin",
    PartStart: "open",
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    RefusalDelta: "refusal",
    ToolCallStart: "call",
    ToolCallDelta: "arguments",
    ToolCallDone: "call_done",
    PartDelta: "fragment",
    PartDone: "close",
    CitationAdded: "citation",
    MediaDelta: "media",
    UsageUpdate: "count",
    Finish: "finish",
    Ping: "ping",
    Restarted: "restart",
    Resumed: "resumed",
    Stopped: "stopped",
    StepStart: "step",
    StepDone: "step_done",
    Unknown: "unknown",
}
"""The method that takes an event of each class."""
_KINDS: dict[type, Kind] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    RefusalDelta: "refusal",
    ToolCallStart: "tool_call",
    CitationAdded: "citation",
    MediaDelta: "media",
}
"""The kind of part that an event of each class belongs to."""
_SAID: dict[ErrorKind, str] = {
    "overloaded": "Overloaded",
    "rate_limited": "Rate limit exceeded",
    "invalid_request": "Invalid request",
    "authentication": "Authentication failed",
    "server": "Internal server error",
    "network": "Upstream network error",
    "unknown": "Something went wrong",
}
"""A provider's words for an error of each kind: where there are no codes, they alone tell it."""


class Encoder(Vocabulary):
    """Turns the events of one answer into the bytes that a provider would send; a stage.

    Every chunk that it returns is one event of the wire. What ends the answer is
    written by `end`, and only if a `Finish` came: an answer that broke off stays so.
    No format can take back what it has said: where an answer begins again after some
    of it was sent, what ends it is its error, and nothing of the other one follows.

    Args:
        drop: What to leave out that the format has no place for: names of kinds, or "all".
            With "all" a finish reason without a word is told as "stop".

    Raises:
        NotExpressible: From `feed`, at an event that the format has no place for.
    """

    error: None = None
    stop: None = None
    steady: ClassVar[bool] = True
    """Whether the chunks of a part's pieces differ in nothing but the piece, until something else happens."""

    def __init__(self, *, drop: Drop = ()) -> None:
        super().__init__(drop=drop)
        self.finishes: dict[int, Finish] = {}
        """Why each choice ended, by its index."""
        self.has_begun = False
        """Whether the answer's head was sent."""
        self._has_failed = False
        self._is_replaced = False
        """The answer that was sent was given up for another one."""
        self._before: list[Event] | None = []
        """The events that were taken before any of the answer was sent; None once some was."""
        self._growing: dict[Place, Writer | None] = {}
        """What makes the chunks of the pieces of each open part; None where there was one piece so far."""

    # -- the stage -----------------------------------------------------------

    def feed(self, event: Event, *, now: float = 0.0) -> list[bytes]:
        """Return what is sent for an event.

        Args:
            event: What happened.
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
        if self._is_replaced or self._left_out(event):
            return []
        # Until it is known that nothing but a piece was sent, no part goes on as before.
        growing, self._growing = self._growing, {}
        handler = getattr(self, _HANDLERS[event.__class__])
        payloads = list(handler(event))
        chunks = [self.frame(name, payload) for name, payload in payloads]
        if len(chunks) == 1 and is_piece(event):
            self._growing = growing
            self._grown(place, event, payloads[0])
        if chunks and self._before is not None:
            # The head and a sign of life are nothing of the answer yet.
            self._before = [*self._before, event] if isinstance(event, MessageStart | Ping) else None
        return chunks

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """Return what ends the answer; nothing where it has not finished, or has failed."""
        self._growing.clear()
        over = self.finishes and not self._has_failed
        return [self.frame(name, payload) for name, payload in self.tail()] if over else []

    def check(self) -> None:
        """Do nothing: there is no remote input that could be wrong."""

    def failure(self, kind: ErrorKind, message: str | None = None, *, code: str | None = None) -> list[bytes]:
        """Return what the provider sends where an answer fails in its middle; it has no other end.

        Args:
            kind: Whose problem it is.
            message: The provider's words; by default usual ones for `kind`.
            code: The provider's code; by default its own for `kind`.

        Raises:
            NotExpressible: The format has no way to say so.
        """
        return [self.frame(name, payload) for name, payload in self.failing(kind, message, code)]

    def failing(self, kind: ErrorKind, message: str | None, code: str | None) -> list[Payload]:
        """Return what `failure` sends, without its borders.

        Args:
            kind: Whose problem it is.
            message: The provider's words; by default usual ones for `kind`.
            code: The provider's code; by default its own for `kind`.

        Raises:
            NotExpressible: The format has no way to say so.
        """
        self._growing.clear()
        payloads = list(self.fail(kind, _SAID[kind] if message is None else message, code))
        self._has_failed = True
        return payloads

    # -- for encoders: each returns the payloads to send -----------------------

    def begin(self, event: MessageStart) -> Payloads:
        """The answer begins; a later head only fills in what was not known."""
        self.id, self.model = self.id or event.id, self.model or event.model
        return ()

    def head(self) -> Payloads:
        """What an answer begins with."""
        return ()

    def open(self, event: PartStart) -> Payloads:
        """A part begins."""
        return ()

    def text(self, event: TextDelta) -> Payloads:
        """More text."""
        raise NotImplementedError

    def reasoning(self, event: ReasoningDelta) -> Payloads:
        """More reasoning, or its signature."""
        raise NotImplementedError

    def refusal(self, event: RefusalDelta) -> Payloads:
        """More of a refusal."""
        raise NotImplementedError

    def call(self, event: ToolCallStart) -> Payloads:
        """A tool call begins."""
        raise NotImplementedError

    def arguments(self, event: ToolCallDelta) -> Payloads:
        """More of a call's arguments."""
        raise NotImplementedError

    def call_done(self, event: ToolCallDone) -> Payloads:
        """A tool call is whole."""
        return ()

    def fragment(self, event: PartDelta) -> Payloads:
        """More of a part that has no delta of its own."""
        return ()

    def close(self, event: PartDone) -> Payloads:
        """A part is whole."""
        return ()

    def citation(self, event: CitationAdded) -> Payloads:
        """A source is named."""
        raise NotImplementedError

    def media(self, event: MediaDelta) -> Payloads:
        """More of an image or of audio."""
        raise NotImplementedError

    def count(self, event: UsageUpdate) -> Payloads:
        """Token counts, kept for the end.

        Raises:
            NotExpressible: The format has no place for one of them.
        """
        report = event.usage.model_dump(exclude_none=True, exclude={"source", "provider_data"})
        # A sum says nothing that its parts do not say.
        summed = report.get("total_tokens") == report.get("input_tokens", 0) + report.get("output_tokens", 0)
        strange = sorted(report.keys() - self.counts - ({"total_tokens"} if summed else set()))
        if strange and "all" not in self.drop:
            raise self.refused(f"usage.{', usage.'.join(strange)}")
        known = {name: value for name, value in report.items() if name in self.counts}
        self.usage = self.usage.model_copy(update=known)
        return ()

    def finish(self, event: Finish) -> Payloads:
        """The reason why a choice ended, kept for the end.

        Raises:
            NotExpressible: The format has no word for it.
        """
        self.expressed(event.reason)
        self.finishes[event.choice] = event
        return ()

    def ping(self, event: Ping) -> Payloads:
        """A sign of life."""
        return ()

    def restart(self, event: Restarted) -> Payloads:
        """The answer begins again: its error, unless nothing of it was sent yet.

        Raises:
            NotExpressible: Some of it was sent, and the format has no way to tell of an error.
        """
        if self._before is None:
            self._is_replaced = True
            return self.failing("network" if event.error is None else event.error.kind, None, None)
        before, options = self._before, dict[str, Any](drop=self.drop)
        vars(self).update(vars(type(self)(**options)))
        # What stands on the wire already stays the head of the other answer.
        for told in before:
            self.feed(told)
        return ()

    def resumed(self, event: Resumed) -> Payloads:
        """The answer goes on over another connection, of which its reader needs to know nothing."""
        return ()

    def stopped(self, event: Stopped) -> Payloads:
        """A guard has stopped the answer, which stays as it broke off."""
        return ()

    def step(self, event: StepStart) -> Payloads:
        """A step of a run begins: what it says is a part of the answer like any other."""
        return ()

    def step_done(self, event: StepDone) -> Payloads:
        """A step of a run is over."""
        return ()

    def unknown(self, event: Unknown) -> Payloads:
        """Something that there is no word for."""
        return ()

    def tail(self) -> Payloads:
        """What ends an answer that has finished."""
        raise NotImplementedError

    def fail(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """What tells of an error in the middle of an answer."""
        raise self.refused("an error in the middle of an answer")

    def frame(self, name: str, payload: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Return a payload between the borders of an event: those of SSE, unless a format has others.

        Args:
            name: The event's name; "" for none.
            payload: JSON; or text, sent as it is.
        """
        lines = payload.encode().split(b"\n") if isinstance(payload, str) else [written(payload)]
        named = [b"event: %b\n" % name.encode()] if name else []
        return b"".join([*named, *(b"data: %b\n" % line for line in lines), b"\n"])

    def ahead(self) -> list[Payload]:
        """Return the head where it was not sent yet: what comes first may be anything."""
        if self.has_begun:
            return []
        self.has_begun = True
        return list(self.head())

    @staticmethod
    def string(text: str) -> bytes:
        """Return text as a JSON string of the format.

        Raises:
            ValueError: It has half of a surrogate pair.
        """
        return string(text)

    def outline(self, name: str, payload: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Return the chunk of a payload, or as much of it as does not depend on how long the payload is.

        Args:
            name: The event's name; "" for none.
            payload: JSON.
        """
        return self.frame(name, payload)

    def wrap(self, event: Event, head: bytes, tail: bytes) -> Wrap:
        """Return what makes the chunk of a piece's text, and does what its handler does besides.

        Args:
            event: A piece that was sent, to which the next ones are alike.
            head: What stands in the chunk before the text.
            tail: What stands behind it.
        """
        as_json = self.string
        return lambda text: head + as_json(text) + tail

    # -- within ----------------------------------------------------------------

    def _grown(self, place: Place, event: Any, sent: Payload) -> None:  # noqa: ANN401 - a piece
        """Note a piece that was one chunk; from the second one on it is known what the next are like."""
        if place not in self._growing:
            if self.steady:
                self._growing[place] = None
            return
        if self._growing[place] is not None:
            return
        name, payload = sent
        text = event.fragment if isinstance(event, ToolCallDelta | PartDelta) else event.text
        found = around(payload, text, partial(self.outline, name), self.string)
        if found is not None:
            self._growing[place] = writer(event, self.wrap(event, *found))

    def _left_out(self, event: Event) -> bool:
        """Tell whether an event is to be dropped.

        Raises:
            NotExpressible: The format has no place for it, and nobody said to drop it.
        """
        if event.choice and not self.choices:
            if "all" in self.drop:
                return True
            raise self.refused(f"a second choice (choice {event.choice})")
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
    """Sends nothing of a tool call before it is whole; what `call_done` sends then has it all."""

    def call(self, event: ToolCallStart) -> Payloads:
        """Nothing yet."""
        return ()

    def arguments(self, event: ToolCallDelta) -> Payloads:
        """Nothing yet."""
        return ()


def written(payload: Any, *, allow_nan: bool = True) -> bytes:  # noqa: ANN401 - any JSON value
    """Return JSON as servers write it: no blanks, nothing escaped that need not be.

    Args:
        payload: The value.
        allow_nan: Whether numbers that JSON has not are written as Python does; a `ValueError` otherwise.
    """
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=allow_nan)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair can stand in JSON only as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()
