"""Read a payload that differs from the last one in its text alone without decoding it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.formats._holes import HoleTemplate
from tokenstream.formats._shortcuts import Shortcut
from tokenstream.formats._template import Path, at
from tokenstream.formats.base import Format
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats.base import Frame, Unit
    from tokenstream.limits import Limits

__all__ = ["GlanceFormat"]

_NOWHERE: Path = ()
_NAMELESS = "message"
"""What the standard calls an event without a name."""
_LONGEST_WAIT = 512
"""Plain payloads after which a template is looked for again, at most."""


class GlanceFormat(Format):
    """A format whose text deltas are alike but for their text, so that most need no decoding.

    `read` puts the path of a payload's text into `text_at` where that text, of
    the answer or of its reasoning, is all that is new. A next payload with the
    same bytes around its text then says the same of the same part.

    Args:
        limits: Bounds on parts, choices, tool calls, and JSON payloads.
        pings: Whether signs of life become `Ping` events.
    """

    __slots__ = (
        "_changing",
        "_choice",
        "_kind",
        "_match",
        "_name",
        "_part",
        "_patience",
        "_seen",
        "_shortcut",
        "_template",
        "_wait",
        "text_at",
    )

    numbers: ClassVar[tuple[Path, ...]] = ()
    """Where in a text delta numbers stand that differ from one to the next and say nothing."""
    field: ClassVar[bytes] = b"data: "
    """What servers write before a payload."""

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self.text_at = _NOWHERE
        """Where the payload that is being read has its piece of text, if it says nothing else; else empty."""
        self._template: HoleTemplate | None = None
        self._seen: dict[Path, object] = {}
        """The numbers of the last plain payload that was looked at for its shape."""
        self._changing: set[str | int] = set()
        """Names of numbers that were seen to change."""
        self._patience = 1
        self._wait = 0
        self._match: Callable[[bytes], str | None] | None = None
        self._name = _NAMELESS
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._choice = self._part = 0
        self._shortcut = Shortcut(self)

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events that `frame` holds."""
        match = self._match
        if match is not None:
            payload = self._payload_of(frame)
            text = match(payload)
            if text is not None:
                self.frames += 1
                return [self._kind(text, choice=self._choice, part=self._part, raw=payload)]
        self.text_at = _NOWHERE
        events = super().feed(frame, now=now)
        bent = self.noted_at == self.frames
        if self.text_at and self.shortcuts and not bent and self.error is None:
            self._learn(frame, events)
        else:
            self._match = None
        return events

    def shortcut(
        self, unit: Unit, most: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads a chunk that differs from the last ones in its text alone."""
        template = self._template
        if template is None or self._match is None or unit != "event":
            return None
        head = self.field if self._name == _NAMELESS else b"event: %b\ndata: " % self._name.encode()
        return self._shortcut.of(
            template, self._kind, most, part=self._part, choice=self._choice, before=head
        )

    def finish_input(self) -> None:
        """Close what is open at the end of the input.

        Raises:
            LimitExceeded: What was held back outgrows a bound.
        """
        self._match = None
        super().finish_input()

    def _payload_of(self, frame: Frame) -> bytes:
        """Return the payload of an event that has the name of the last one; b"" of any other frame."""
        if isinstance(frame, bytes):
            return frame if self._name == _NAMELESS else b""
        return frame.payload if isinstance(frame, ServerSentEvent) and frame.event == self._name else b""

    def _learn(self, frame: Frame, events: list[Event]) -> None:
        """Remember what the bytes of a payload look like that gave one piece of text and nothing else."""
        event = events[0] if len(events) == 1 else None
        name = _NAMELESS
        if isinstance(frame, ServerSentEvent):
            name, frame = frame.event, frame.payload
        # The text may stand elsewhere, and half a character that is held back is not in the event.
        if (
            not isinstance(event, TextDelta | ReasoningDelta)
            or not isinstance(frame, bytes)
            or _text_at(event.raw, self.text_at) != event.text
        ):
            self._match = None
            if events and not self._seen:
                self._changed_in(events[-1].raw)
            return
        self._name, self._kind = name, type(event)
        self._choice, self._part = event.choice, event.part
        self._match = self._template_of(frame, event)

    def _template_of(
        self, payload: bytes, event: TextDelta | ReasoningDelta
    ) -> Callable[[bytes], str | None] | None:
        """Return what recognises payloads like this one; None where that is not found, or not worth it."""
        template = self._template
        if template is not None and template.match(payload) == event.text:
            return template.match
        self._wait -= 1
        if self._wait > 0:
            return None
        # Where each payload has a shape of its own, a template is tried ever less often.
        self._patience = self._wait = min(2 * self._patience, _LONGEST_WAIT)
        changing = self._changed_in(event.raw)
        self._template = template = HoleTemplate.learn(payload, event.raw, self.text_at, changing)
        return None if template is None else template.match

    def _changed_in(self, payload: dict[str, Any]) -> list[Path]:
        """Return where numbers stand that were seen to change; the fewer, the faster is the comparison."""
        last, self._seen = self._seen, {path: _text_at(payload, path) for path in self.numbers}
        self._changing |= {path[-1] for path, value in self._seen.items() if last.get(path, value) != value}
        # What is unknown before a second payload may change. Numbers of the same name go together.
        return [path for path in self.numbers if not last or path[-1] in self._changing]


def _text_at(payload: dict[str, Any], path: Path) -> object:
    """Return what stands in a place of a payload; None where there is no such place."""
    try:
        return at(payload, path)
    except (LookupError, TypeError):
        return None
