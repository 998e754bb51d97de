"""Cohere chat: payloads in, events out, and pieces of text that are read at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.formats._read import text_of
from tokenstream.formats._shortcuts import Shortcut
from tokenstream.formats._template import Templates
from tokenstream.formats.cohere._v1 import V1
from tokenstream.formats.cohere._v2 import V2
from tokenstream.formats.cohere._words import FINISH_REASONS
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.events import Event
    from tokenstream.formats._open import OpenPart
    from tokenstream.formats.base import Frame, Unit
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

__all__ = ["Cohere"]

_DELTA = "content-delta"
_HEADS = {True: b"event: content-delta\ndata: ", False: b"data: "}
_MADE: dict[str, type[TextDelta | ReasoningDelta]] = {"text": TextDelta, "reasoning": ReasoningDelta}


class Cohere(V1, V2):
    """The `cohere` format: the chat API, v2 and v1, streamed or whole.

    Args:
        limits: Bounds on parts, tool calls, and JSON payloads.
        pings: Whether signs of life become `Ping` events.

    Example:
        >>> cohere = Cohere()
        >>> [type(event).__name__ for event in cohere.feed({"type": "content-start", "index": 0,
        ...     "delta": {"message": {"content": {"type": "text", "text": ""}}}})]
        ['PartStart']
        >>> cohere.feed({"type": "content-delta", "index": 0,
        ...     "delta": {"message": {"content": {"text": "Hel"}}}})
        [TextDelta(choice=0, part=0, text='Hel')]
    """

    __slots__ = (
        "_choice",
        "_made",
        "_match",
        "_named",
        "_nameless_from",
        "_part",
        "_shortcut",
        "_templates",
    )

    name: ClassVar[str] = "cohere"
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = FINISH_REASONS

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        # What follows is there only while a match is sure to mean what reading would find.
        self._templates = Templates()
        self._match: Callable[[bytes], str | None] | None = None
        self._named = False
        """Whether a match is the payload of an event with a name, as v2 has them."""
        self._nameless_from: int | None = None
        """Number of the frame after which each match is a departure, since v2's events have names."""
        self._made: type[TextDelta | ReasoningDelta] = TextDelta
        self._choice = self._part = 0
        self._shortcut = Shortcut(self)

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Tell whether a first payload is of this format."""
        kind = text_of(payload, "type")
        if kind is None and "event_type" not in payload and not event:
            return cls.is_whole_v2(payload) or cls.is_whole_v1(payload)
        if (kind or event) == "debug":
            # Others have events of that name, too.
            return None if "prompt" in payload else False
        return (kind or event) in V2.READERS or text_of(payload, "event_type") in V1.EVENTS

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events that `frame` holds."""
        match = self._match
        if match is None:
            return self._feed_any(frame)
        payload = frame
        if self._named and isinstance(frame, ServerSentEvent) and frame.event == _DELTA:
            payload = frame.payload
        elif self._named:
            return self._feed_any(frame)
        text = match(payload) if isinstance(payload, bytes) else None
        if text is None:
            return self._feed_any(frame)
        self.frames += 1
        return [self._made(text, choice=self._choice, part=self._part, raw=payload)]

    def finish_input(self) -> None:
        """Close what is open at the end of the input.

        Raises:
            LimitExceeded: What was held back outgrows a bound.
        """
        self._forget()
        super().finish_input()

    def shortcut(
        self, unit: Unit, most: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads a chunk that is one more piece of the same text."""
        template = self._templates.template
        if template is None or self._match is None:
            return None
        if unit == "event":
            before, after = _HEADS[self._named], b"\n\n"
        elif unit != "line" or self._named:
            return None
        return self._shortcut.of(
            template, self._made, most, part=self._part, choice=self._choice, before=before, after=after
        )

    def _feed_any(self, frame: Frame) -> list[Event]:
        self._forget()
        self.nameless = isinstance(frame, bytes)
        if isinstance(frame, ServerSentEvent):
            self.nameless = frame.event == "message"
        events = super().feed(frame)
        bent = self.noted_at == self.frames
        if self.plain is not None and self.shortcuts and not bent and self.error is None:
            self._learn(frame, *self.plain)
        return events

    def _forget(self) -> None:
        """Read the next payload in the plain way, whatever it looks like."""
        if self._nameless_from is not None and self.frames > self._nameless_from:
            # What was read at a glance is counted as reading would have counted it.
            first, count = self._nameless_from + 1, self.frames - self._nameless_from
            self.departures.note("event_name_missing", event=first, count=count)
        self._match = self.plain = self._nameless_from = None

    def _learn(self, frame: Frame, value: dict[str, Any], part: OpenPart, path: tuple[str, ...]) -> None:
        """Learn what the bytes of a plain piece of text look like, so that the next one is known by them."""
        named = isinstance(frame, ServerSentEvent) and frame.event == _DELTA
        payload = frame.payload if isinstance(frame, ServerSentEvent) and named else frame
        # Half a character waits for its other half, and a name that differs is counted each time.
        if not isinstance(payload, bytes) or part.held or (named and path[0] != "delta"):
            return
        self._templates.offer(payload, value, path, self.frames)
        self._match = self._templates.match
        self._named = named
        if self._match is not None and not named and path[0] == "delta":
            self._nameless_from = self.frames
        self._made, self._choice, self._part = _MADE[part.kind], part.choice, part.index
