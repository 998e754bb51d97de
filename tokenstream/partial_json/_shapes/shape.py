"""The shape of a type, as a growing document needs it.

| name | meaning |
|---|---|
| `Slot` | one type at one place; it reads a finished value whole, from its text |
| `ValueStructure` | an object or array whose values are read one by one and assembled when it closes |
| `TagChoice` | an object whose structure is chosen by one of its values |
| `Face` | the title, field names and aliases of a growing object |
| `Entries` | the values of an object or array so far: validated, `InvalidEntry` or `Unread` |

A slot has a structure only if both ways give the same value and the same errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream.partial_json._shapes.write import plain_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream.partial_json._shapes.write import ByAlias
    from tokenstream.partial_json._show import How
    from tokenstream.partial_json._typed.defaults import Defaults
    from tokenstream.partial_json.events import JSONKind

Entries: TypeAlias = dict[str | int, Any]
"""The values of an object or array so far, by key: validated values, `InvalidEntry` and `Unread`."""
Errors: TypeAlias = "tuple[dict[str, Any] | Inside, ...]"
"""Errors in the form of pydantic's `ValidationError.errors()`."""


class Inside(NamedTuple):
    """Errors of a nested value; `locate_errors` completes their locations on demand.

    Otherwise each object and array around a value would copy all its errors.
    """

    loc: tuple[str | int, ...]
    errors: Errors


class Invalid(Exception):
    """A value does not fit its type."""

    def __init__(self, errors: Errors) -> None:
        super().__init__()
        self.errors = errors


class Unsure(Exception):
    """A value can only be judged together with the values around it."""


class InvalidEntry(NamedTuple):
    """An entry that was read and is invalid."""

    errors: Errors


class Unread(NamedTuple):
    """An entry that is read later: together with others, or when its object closes."""

    text: str
    tried: bool = False
    """True if reading it was tried, without a result."""


class Face(NamedTuple):
    """The title, fields and aliases under which a growing object shows."""

    title: str
    """The type's name."""
    names: dict[str, None] | None
    """The names of its fields, in order; None if the type has no fixed fields."""
    slot: Slot | None = None
    """The slot that reads it; None in a snapshot that was pickled."""
    aliases: Mapping[str, str | None] = {}
    """Serialization aliases by field name, where they differ from it.

    None for a field that is never written.
    """
    by_alias: bool | None = False
    """The default for the use of aliases; None if they are always used."""

    def __reduce__(self) -> tuple[type[Face], tuple[object, ...]]:
        # A slot holds validators, which cannot be pickled.
        return Face, tuple(self._replace(slot=None))

    def key(self, name: str, by_alias: ByAlias) -> str | None:
        """Return the key that a field is written under; None if it is left out.

        Args:
            name: The field.
            by_alias: True uses its alias; None leaves it to the type.
        """
        alias = self.aliases.get(name, name)
        if alias is None or self.by_alias is None:
            return alias
        return alias if (self.by_alias if by_alias is None else by_alias) else name


def locate_errors(loc: tuple[str | int, ...], errors: Errors) -> tuple[dict[str, Any], ...]:
    """Return the errors of a nested value, each with its whole location.

    Example:
        >>> locate_errors(("steps",), (Inside((0,), ({"type": "missing", "loc": ("title",)},)),))
        ({'type': 'missing', 'loc': ('steps', 0, 'title')},)
    """
    out: list[dict[str, Any]] = []
    waiting = [(loc, error) for error in reversed(errors)]
    while waiting:
        before, error = waiting.pop()
        if isinstance(error, Inside):
            loc = (*before, *error.loc)
            waiting += [(loc, inner) for inner in reversed(error.errors)]
        else:
            out.append({**error, "loc": (*before, *error["loc"])})
    return tuple(out)


class ValueStructure(ABC):
    """An object or array whose values are read one by one."""

    prefix: tuple[str, ...] = ()
    """The part of an error's location before the key: the tags of the unions that led here."""
    closed = False
    """True if keys without a slot, an object's unknown fields, do not show."""

    @abstractmethod
    def slot(self, key: str | int) -> Slot | None:
        """Return the slot at a key; None for a key that the type does not know."""

    @abstractmethod
    def assemble(self, entries: Entries, raw: Any) -> Any:  # noqa: ANN401 - any value
        """Return the value that finished entries make.

        Args:
            entries: By key: a validated value, or `InvalidEntry`, or `Unread`.
            raw: The value as plain data, for the errors.

        Raises:
            Invalid: They make no value of the type.
        """

    def name(self, key: str | int) -> str | int:
        """Return the field's name for a key."""
        return key

    def loc(self, key: str | int) -> tuple[str | int, ...]:
        """Return the location of a key in errors."""
        return (*self.prefix, key)

    def is_late(self, key: str | int) -> bool:
        """Return True if a key's value may be read only after those of other keys."""
        return False

    def read_late(self, entries: Entries) -> list[str | int]:
        """Read the late entries that can be read now, in place, and return their keys."""
        return []

    def defaults(self) -> Defaults | None:
        """Return the defaults of its fields; None if it has no fields."""
        return None

    def write(
        self,
        name: str | int,
        value: Any,  # noqa: ANN401 - any value
        before: Callable[[], Mapping[str, Any]],
        by_alias: ByAlias,
    ) -> str | None:
        """Return the JSON of a validated value in it; None if it is left out.

        Args:
            name: The value's field name, key or index.
            value: The value.
            before: Returns the validated fields up to that one.
            by_alias: True writes fields under their aliases.
        """
        slot = self.slot(name)
        return plain_json(value, by_alias) if slot is None else slot.write(value, by_alias)

    def check_extra(self, key: str | int, text: str) -> bool:
        """Return True if a key without a slot still belongs to the value.

        Raises:
            Invalid: The type forbids unknown keys.
        """
        return True


class TagChoice(ValueStructure):
    """An object whose structure is chosen by one of its values."""

    discriminators: tuple[str, ...]
    """The keys that choose; an earlier one counts before a later one."""

    def slot(self, key: str | int) -> Slot | None:
        """Return None: before the choice no key has a slot."""
        return None

    def assemble(self, entries: Entries, raw: Any) -> Any:  # noqa: ANN401 - any value
        """Refuse: an object without a choice is read whole."""
        raise Unsure

    @abstractmethod
    def choose(self, value: Any) -> ValueStructure | None:  # noqa: ANN401 - any JSON value
        """Return the structure that a discriminator's value chooses; None if only reading whole can tell."""


class Slot(ABC):
    """The type of the value at one place of a document."""

    face: Face | None = None
    """The face of an object that grows here; None if it shows as a mapping."""
    shows_text = True
    """True if a string shows here while it grows."""
    plain = False
    """True if every value is read as plain data."""
    show: How | None = None
    """The time at which values show here; None if the type does not set it."""

    @abstractmethod
    def read(self, text: str) -> Any:  # noqa: ANN401 - any value
        """Return the value of a JSON text.

        Raises:
            Invalid: The text does not fit the type.
            Unsure: The value depends on the values around it.
        """

    def structure(self, kind: JSONKind) -> ValueStructure | None:
        """Return the structure that reads values of a kind one by one; None if they are read whole."""
        return None

    def write(self, value: Any, by_alias: ByAlias) -> str:  # noqa: ANN401 - any value
        """Return the JSON of a value that was read.

        Args:
            value: The value.
            by_alias: True writes fields under their aliases.

        Raises:
            PydanticSerializationError: A serializer of the type fails.
        """
        return plain_json(value, by_alias)

    def name(self, key: str) -> str:
        """Return the field's name for a key of a value that is read whole."""
        return key

    def show_inside(self, key: str) -> How | None:
        """Return the time at which a key's value shows, inside a value that is read whole."""
        return None

    def is_leaf(self) -> bool:
        """Return True if none of its values is an object or array."""
        return False

    def is_root(self) -> bool:
        """Return True for a root model, which shows as its root value."""
        return False

    def within(self, key: str | int, *, attribute: bool) -> Sequence[Slot] | None:
        """Return the slots that are possible one step further in; None if anything is.

        Args:
            key: The name of a field, a key or an index.
            attribute: True if it is written as an attribute, False if as an item.
        """
        return None

    def defaults(self) -> Defaults | None:
        """Return the defaults of an object that grows here; None unless it is exactly one class."""
        return None


class _RawSlot(Slot):
    """A slot inside a value that is read whole: it shows data and reads nothing."""

    def read(self, text: str) -> Any:  # noqa: ANN401 - any value
        raise Unsure


RAW: Slot = _RawSlot()
"""The slot that shows plain data and reads nothing."""
