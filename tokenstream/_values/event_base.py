"""Base classes of all events, with their common fields; a call's arguments, parsed when they are read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import OF_EVENT, explain_missing
from tokenstream._basics.json import decode
from tokenstream._basics.text_log import TextLog, last_of
from tokenstream._basics.visible import show_media

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent, Json
    from tokenstream.partial_json import PartialJSONParser


class _InRun:
    """An event that may belong to a step of a run."""

    # Not a dataclass field, so that no constructor has to set it; it is not set outside of a run.
    __slots__ = ("_step",)

    _step: str | None

    @property
    def step(self) -> str | None:
        """The id of the run's step to which the event belongs; None outside of a run."""
        return getattr(self, "_step", None)

    @step.setter
    def step(self, id: str | None) -> None:
        self._step = id


@explain_missing(OF_EVENT)
@dataclass(slots=True, kw_only=True, repr=False, eq=False)
class _EventBase(_InRun):
    """The fields of all events."""

    choice: int = 0
    """The choice (alternative answer) to which the event belongs, from 0."""
    raw: Any = field(default=None, repr=False, compare=False)
    """The decoded payload as the server sent it; None if no payload belongs to this event alone."""
    if TYPE_CHECKING:
        # The slot of `raw`, in which a fast path stores bytes; see below.
        _raw: Any = field(init=False, repr=False, compare=False)

    # Written once for all events, because `dataclass` would compile them for each class, at each start.

    def __repr__(self) -> str:
        shown = [
            f"{each.name}={show_media(getattr(self, each.name))!r}" for each in fields(self) if each.repr
        ]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _EventBase) or other.__class__ is not self.__class__:
            return NotImplemented
        return self._compared() == other._compared()

    # An event may change, so it has no hash.
    __hash__ = None  # type: ignore[assignment]

    def _compared(self) -> list[Any]:
        return [getattr(self, each.name) for each in fields(self) if each.compare]


# The formats' fast paths do not decode a payload as a whole: they store its bytes in
# the slot, and the first access to `raw` decodes them. `_raw` is the slot itself, for
# the constructors that run once per token.
_slot = _EventBase.__dict__["raw"]
new_event: Callable[[type[Any]], Any] = object.__new__
"""Creates an event whose fields are set afterwards: a call with keywords takes three times as long."""
store_raw: Callable[[Any, object], None] = _slot.__set__
"""Stores the payload of a new event, in less time than an assignment to `raw`."""


def _get_raw(event: _EventBase) -> Json:
    """The decoded payload as the server sent it; None if no payload belongs to this event alone."""
    # The fast paths store bytes in the slot.
    raw = _slot.__get__(event)
    if raw.__class__ is bytes:
        raw = decode(raw)
        _slot.__set__(event, raw)
    return raw


def are_equal_deltas(one: AnyEvent, other: AnyEvent, field: str) -> bool:
    """Return True if two deltas add the same in `field`, in equal payloads; bytes are compared undecoded."""
    if getattr(other, field, None) != getattr(one, field):
        return False
    payload, other_payload = _slot.__get__(one), _slot.__get__(other)
    if payload.__class__ is not other_payload.__class__:
        # The decoded value is not kept, or each of many deltas would be decoded for the next one.
        payload, other_payload = (
            decode(each) if each.__class__ is bytes else each for each in (payload, other_payload)
        )
    return bool(payload == other_payload)


setattr(_EventBase, "raw", property(_get_raw, _slot.__set__))  # noqa: B010 - not assignable to type checkers
setattr(_EventBase, "_raw", _slot)  # noqa: B010 - as above


@dataclass(slots=True, repr=False, eq=False)
class AnswerEvent(_EventBase):
    """An event of the answer as a whole."""

    part: None = field(default=None, kw_only=True)
    """Always None: the event belongs to no part."""


@dataclass(slots=True, repr=False, eq=False)
class PartEvent(_EventBase):
    """An event of a part of the message."""

    part: int = field(default=0, kw_only=True)
    """The index of the event's part in the message, from 0."""


class CallEvent(PartEvent):
    """Base class of the events of a tool call that has not ended: its start, and pieces of its arguments."""

    # The accumulator's log of the call's arguments, which `partial_arguments` reads; not part of the event.
    __slots__ = ("_link",)

    _link: Any

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        # None stands for `__dict__`, which does not exist. `_link` is left out; the step is no field.
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        return None, state if self.step is None else {**state, "_step": self.step}


class SummingEvent(AnswerEvent):
    """An event whose content may only repeat that of earlier events of the answer, such as a `Restarted`."""

    __slots__ = ("is_repeat",)

    is_repeat: bool
    """True if earlier events already contained all of it, so that a relay need not repeat it."""


def is_repeat(event: AnyEvent) -> bool:
    """Return True if earlier events already contained all of an event's content."""
    # The attribute is set only where it is True.
    return getattr(event, "is_repeat", False)


class SummingPartEvent(PartEvent):
    """An event whose content may only repeat that of earlier events of its part: a `PartDone`."""

    __slots__ = ("is_amended", "is_repeat")

    is_repeat: bool
    """True if earlier events already contained all of it, so that a relay need not repeat it."""
    is_amended: bool
    """True if earlier events contained its words, which it need not have, but not all of its other fields."""


MARKS = ("is_amended", "is_repeat")
"""The attributes of an event that say what earlier events have brought of it; each is set only if True."""


def is_amended(event: AnyEvent) -> bool:
    """Return True if an event has new fields of a part whose words earlier events have brought."""
    return getattr(event, "is_amended", False)


class Arguments(TextLog):
    """The text of a call's arguments, which is parsed only when its value is read.

    Args:
        free: True for the free text of a custom tool, which is not JSON.
        name: The tool's name; "" if it is not known.
    """

    __slots__ = ("_free", "_readers", "name")

    def __init__(self, *, free: bool = False, name: str = "") -> None:
        super().__init__()
        self.name = name
        self._free = free
        self._readers: dict[bool, tuple[FreeText | PartialJSONParser, int]] = {}
        """The parsers of values that were read, by `lenient`; each with the characters that it has parsed."""

    @property
    def value(self) -> Json:
        """The value of the text so far; None if the text has no value yet."""
        return self._read(lenient=False)

    @property
    def lenient_value(self) -> Json:
        """The value of the text so far, parsed leniently; None if the text has no value yet."""
        return self._read(lenient=True)

    def _read(self, *, lenient: bool) -> Json:
        """Return the value of the text so far, after parsing what has come since the last call."""
        reader, count = self._readers.get(lenient, (None, 0))
        if reader is None:
            reader = FreeText() if self._free else _parser(lenient=lenient)
        if missing := self.length - count:
            reader.feed("".join(last_of(self.pieces, missing)))
            self._readers[lenient] = reader, count + missing
        return reader.value


class FreeText:
    """A parser for text that is not JSON: its value is the text itself."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = ""

    def feed(self, text: str) -> None:
        """Append to the text; CPython does this without a copy, unless the text has another reference."""
        # CPython extends a string in place if there is only one reference to it.
        value, self.value = self.value, ""
        value += text
        self.value = value


def _parser(*, lenient: bool) -> PartialJSONParser:
    """Return a parser for arguments that may be unfinished; loaded on first use, as few programs need it."""
    from tokenstream.partial_json import PartialJSONParser

    return PartialJSONParser(lenient=lenient)
