"""Formats whose text comes in payloads of three fields, a type, an id and a piece, read at a glance."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_core import from_json

from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.formats._read import is_dict, text_of
from tokenstream.formats._shortcuts import Shortcut
from tokenstream.formats._template import Templates
from tokenstream.formats._twice import TwiceTemplate
from tokenstream.formats.base import Format, Frame, Unit
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats._named import NamedKind, NamedParts
    from tokenstream.formats._open import OpenPart
    from tokenstream.limits import Limits

__all__ = ["DeltaFormat"]

_MOST_LAYOUTS = 16
_LONGEST_REST = 512
_FEWEST = 3
"""Fields of a payload that says nothing but a piece of text."""
_KINDS: dict[str, type[TextDelta | ReasoningDelta]] = {"text": TextDelta, "reasoning": ReasoningDelta}


class DeltaFormat(Format):
    """A format whose payloads name what they add to by an id.

    Args:
        limits: Bounds on parts, tool calls, and JSON payloads.
        pings: Whether signs of life become `Ping` events.
    """

    __slots__ = (
        "_decoded",
        "_index",
        "_kind",
        "_last",
        "_layouts",
        "_match",
        "_patience",
        "_quick",
        "_rest",
        "_shortcut",
        "_templates",
        "_twice",
    )

    deltas: ClassVar[dict[str, NamedKind]]
    """What payloads add to, by their type."""
    id_field: ClassVar[str]
    """The field that holds the id."""
    asides: ClassVar[frozenset[str]] = frozenset()
    """Fields that any payload may have, and that say nothing of the answer; they are in `.raw`."""

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._quick = self.limits is DEFAULT_LIMITS
        self._decoded: Any = None
        """The payload in hand, where it was decoded to look at it."""
        # What follows is there only while a payload like the last one is sure to mean the same.
        self._last: tuple[str, str] | None = None
        """Type and id of the last payload, where it said nothing but a piece of text."""
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._index = 0
        self._layouts: set[tuple[str, ...]] = set()
        """Keys, in their order, of payloads that say nothing but a piece of text."""
        self._templates = Templates()
        self._twice: TwiceTemplate | None = None
        self._match: Callable[[bytes], str | None] | None = None
        self._patience = 1
        self._rest = 0
        """How many payloads may come before another template is tried."""
        self._shortcut = Shortcut(self)

    @property
    @abstractmethod
    def named(self) -> NamedParts:
        """The parts, by their ids."""

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events that `frame` holds."""
        match = self._match
        if match is not None and isinstance(frame, bytes):
            text = match(frame)
            if text is not None:
                self.frames += 1
                return [self._kind(text, part=self._index, raw=frame)]
        if not self._quick or not isinstance(frame, bytes) or self.ended or self.error is not None:
            return self._feed_any(frame)
        try:
            data = from_json(frame)
        except ValueError:
            return self._feed_any(frame)
        if self._rest > 0 and data.__class__ is dict and tuple(data) in self._layouts:
            text = data["delta"]
            if (data["type"], data[self.id_field]) == self._last and text.__class__ is str and text:
                self._rest -= 1
                self.frames += 1
                return [self._kind(text, part=self._index, raw=data)]
        return self._feed_decoded(frame, data)

    def _feed_decoded(self, frame: bytes, data: object) -> list[Event]:
        """Return the events of a payload, and learn from it where it says nothing but a piece of text."""
        part = self._plain(data) if self.shortcuts and is_dict(data) else None
        if part is None or not is_dict(data):
            self._decoded = data
            return self._feed_any(frame)
        self.frames += 1
        if (data["type"], data[self.id_field]) != self._last:
            self._forget()
            self._last = (data["type"], data[self.id_field])
        self._kind, self._index = _KINDS[part.kind], part.index
        if len(self._layouts) < _MOST_LAYOUTS:
            self._layouts.add(tuple(data))
        self._templates.offer(frame, data, ("delta",), self.frames)
        self._match = self._templates.match
        if self._match is None and len(data) > _FEWEST:
            self._twice = TwiceTemplate.learn(frame, data, "delta", self.asides)
            self._match = None if self._twice is None else self._twice.match
        self._rest = self._patience = min(2 * self._patience, _LONGEST_REST)
        return [self._kind(data["delta"], part=part.index, raw=data)]

    def _plain(self, data: dict[str, Any]) -> OpenPart | None:
        """Return the open part that a payload adds a piece to, where it says nothing else."""
        type_, id_ = text_of(data, "type"), data.get(self.id_field)
        if type_ is None or not isinstance(id_, str) or text_of(data, "delta") is None:
            return None
        kind = self.deltas.get(type_)
        if kind is None or not data.keys() <= {"type", self.id_field, "delta"} | self.asides:
            return None
        part = self.named.open_parts[kind].get(id_)
        # Half a character that waits must not be overtaken.
        return None if part is None or part.held else part

    def _feed_any(self, frame: Frame) -> list[Event]:
        self._forget()
        try:
            return super().feed(frame)
        finally:
            self._decoded = None

    def _forget(self) -> None:
        """Read the next payload in the plain way, whatever it looks like."""
        self._last = None
        self._rest = 0
        self._twice = None
        if self._match is not None:
            self._match = None
            self._templates.drop(self.frames)

    def decode(self, payload: bytes) -> Any:  # noqa: ANN401 - any JSON value
        """Return the JSON value that a payload is, once.

        Raises:
            ProtocolError: It is no JSON.
        """
        if self._decoded is None:
            return super().decode(payload)
        return self._decoded

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
        """Return a function that reads a chunk that differs from the last ones in its text alone."""
        template = self._templates.template or self._twice
        if template is None or self._match is None or unit != "event":
            return None
        return self._shortcut.of(template, self._kind, most, part=self._index)
