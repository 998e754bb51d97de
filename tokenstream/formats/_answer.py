"""The answer as a whole: its head, its usage, its choices, and fields that nobody has a word for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.events import Event, MessageStart, Unknown, UsageUpdate
from tokenstream.formats._open import Choice, mend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.limits import Limits
    from tokenstream.message import Usage

__all__ = ["Answer", "Through", "Throughs"]

_ABSENT = object()


class Through(Protocol):
    """A stage that replaces a format's events by others; parts may get other indexes."""

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return what to give for the events of a payload."""
        ...

    def cut(self, choice: int, part: int) -> None:
        """Give what is held back of a part with the next events: it was cut, and has no end."""

    def own(self, choice: int, place: int) -> int:
        """Return the index that the format gave to a part which is not text."""
        ...

    def follow(
        self,
        delta: Any,  # noqa: ANN401 - a delta
        inner: Callable[[Any], bool | None] | None,
    ) -> Callable[[Any], bool | None] | None:
        """Return what takes each delta like this one that is read without decoding; see `Format.follow`."""


Throughs: TypeAlias = "Callable[[Limits], Through]"
"""Makes what the events of a format pass, within these limits; each format has its own."""


class Answer:
    """Collects the events that a payload gives, and those of the answer as a whole.

    Args:
        limits: Bounds on choices and parts.
        note: Counts a departure.
    """

    __slots__ = (
        "_head",
        "_out",
        "_parts_seen",
        "choices",
        "fields",
        "halves",
        "limits",
        "note",
        "raw",
        "through",
    )

    unkept: ClassVar[frozenset[str]] = frozenset({"_out", "fields", "limits", "note", "raw", "through"})
    """Slots that say nothing of the answer, or only what its message holds: no state has them."""

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        self.limits = limits
        self.note = note
        self.raw: Any = None
        """The payload that is being read; it goes on every event that it gives."""
        self.halves = False
        """Whether that payload, or one before it, may hold halves of surrogate pairs."""
        self.choices: dict[int, Choice] = {}
        self._parts_seen = 0
        self._out: list[Event] = []
        self._head: tuple[str | None, str | None, str] | None = None
        self.through: Through | None = None
        """The stage that events pass before they are given; None to give them unchanged."""
        self.fields: dict[str | tuple[int, str], object] = {}
        """The last value of each field that is told once; a choice's stand under its index and their name."""

    # -- what came of it ---------------------------------------------------

    def take(self) -> list[Event]:
        """Return the events made since the last call."""
        # A payload may be large; it lives as long as its events do.
        self.raw = None
        out = self._out
        if out:
            self._out = []
        if self.through is not None:
            out = self.through.feed(out)
        return out

    def emit(self, event: Event) -> None:
        """Add an event that needs no bookkeeping."""
        self._out.append(event)

    @property
    def finished(self) -> bool:
        """Whether every choice that was seen has its finish reason."""
        choices = self.choices
        return bool(choices) and all(choice.finish is not None for choice in choices.values())

    @property
    def started(self) -> bool:
        """Whether the answer's head came."""
        return self._head is not None

    @property
    def id(self) -> str | None:
        """The answer's id; None where none was told."""
        return None if self._head is None else self._head[0]

    # -- the answer as a whole ---------------------------------------------

    def head(self, *, id: str | None = None, model: str | None = None, role: str | None = None) -> None:
        """Take the answer's head; the first id and role count, and the last model."""
        if self.halves:
            id, model, role = mend(id), mend(model), mend(role)
        head = self._head
        if head is None:
            self._head = (id or None, model or None, role or "assistant")
            self._out.append(MessageStart(*self._head, raw=self.raw))
            return
        if id and head[0] and id != head[0]:
            self.note("id_changed")
        known = (head[0] or id or None, model or head[1], head[2])
        if known != head:
            self._head = known
            self._out.append(MessageStart(*known, raw=self.raw))

    def usage(self, usage: Usage) -> None:
        """Take a report of token counts."""
        self._out.append(UsageUpdate(mend(usage) if self.halves else usage, raw=self.raw))

    def field(self, name: str, value: object, choice: int | None = None) -> None:
        """Take a field that we have no word for; one that says nothing new gives no event.

        Args:
            name: The field's name.
            value: Its value.
            choice: The choice that it belongs to; None for the answer as a whole.
        """
        if self.halves:
            name, value = mend(name), mend(value)
        key = name if choice is None else (self.choice(choice).index, name)
        if self.fields.get(key, _ABSENT) != value:
            self.fields[key] = value
            self._out.append(
                Unknown(name, value, kind="field", shared=choice is None, choice=choice or 0, raw=self.raw)
            )

    def items(self, name: str, values: list[Any], choice: int = 0) -> None:
        """Take list items that add to those before, such as log probabilities."""
        self.choice(choice)
        if self.halves:
            name, values = mend(name), mend(values)
        self._out.append(Unknown(name, values, kind="items", choice=choice, raw=self.raw))

    def unknown(self, name: str, data: object) -> None:
        """Carry a payload that we have no word for."""
        self._out.append(Unknown(name, data, raw=self.raw))

    # -- choices -----------------------------------------------------------

    def choice(self, index: object) -> Choice:
        """Return what is known of a choice.

        Raises:
            ProtocolError: `index` is no index.
            LimitExceeded: There are more choices than `Limits.choices`.
        """
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            msg = "a choice's index must be a whole number of at least 0"
            raise ProtocolError(msg)
        choice = self.choices.get(index)
        if choice is None:
            if len(self.choices) >= self.limits.choices:
                raise LimitExceeded(limit="choices", value=self.limits.choices)
            choice = self.choices[index] = Choice(index)
        return choice

    def _next_index(self, choice: Choice) -> int:
        if self._parts_seen >= self.limits.parts:
            raise LimitExceeded(limit="parts", value=self.limits.parts)
        self._parts_seen += 1
        index = choice.next_part
        choice.next_part += 1
        return index
