"""The shape of a type: the means to validate and show a document while it arrives.

| name | meaning |
|---|---|
| `Slot` | the type of the value at one place; it can read a finished value as a whole, from its text |
| `ValueStructure` | an object or array whose values are read one by one, and assembled at its end |
| `TagChoice` | an object whose structure is chosen by one of its values |
| `TypeNames` | the title, field names and aliases of a type, for unfinished objects |
| `Entries` | the values of an object or array so far: validated, `InvalidEntry` or `UnreadEntry` |

A slot has a structure only if both ways of reading give the same value and the same errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream.partial_json._shapes.write import ByAlias, write_plain_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream.partial_json._events import JSONKind, KeyOrIndex, Path
    from tokenstream.partial_json._show import ShowUnit

Entries: TypeAlias = dict[str | int, Any]
"""The values of an object or array so far, by key: validated values, `InvalidEntry` or `UnreadEntry`."""
Slots: TypeAlias = "tuple[Slot, ...]"
"""Slots of the types that a value may have."""
FieldValues: TypeAlias = dict[str, Any]
"""Values by the names of fields."""
ErrorDetails: TypeAlias = dict[str, Any]
"""An error in the form of pydantic's `ValidationError.errors()`."""
FoundErrors: TypeAlias = "tuple[ErrorDetails | NestedErrors, ...]"


class NestedErrors(NamedTuple):
    """Errors of a nested value, with locations inside that value; `locate_errors` completes them when needed.

    This way no object or array around the value has to copy all its errors with longer locations.
    """

    loc: Path
    """The location of the value in the object or array around it."""
    errors: FoundErrors


class InvalidValue(Exception):
    """A value does not fit its type."""

    def __init__(self, errors: FoundErrors) -> None:
        super().__init__()
        self.errors = errors


class ContextNeeded(Exception):
    """A value can only be read together with the values around it."""


class InvalidEntry(NamedTuple):
    """Takes the place of a value that does not fit its type, among the values of an object or array."""

    errors: FoundErrors


class UnreadEntry(NamedTuple):
    """Takes the place of a value that is validated later: after other values, or at the end of its object."""

    text: str
    tried: bool = False
    """True if reading the value was tried, but needed fields that are not valid; it is not tried again."""


class TypeNames(NamedTuple):
    """The title, field names and aliases of a type, for displaying and writing its unfinished objects."""

    title: str
    field_names: dict[str, None] | None
    """The names of the type's fields, in order; None if the type has no fixed fields."""
    slot: Slot | None = None
    """The slot that reads the object; None in a snapshot that was pickled."""
    aliases: Mapping[str, str | None] = {}
    """Maps each field to its serialization alias, if that differs from the field's name.

    The alias is None if the field is never written.
    """
    by_alias: bool = False
    """The type's default for the use of aliases."""

    def __reduce__(self) -> tuple[type[TypeNames], tuple[object, ...]]:
        # A slot holds validators, which cannot be pickled.
        return TypeNames, tuple(self._replace(slot=None))

    def find_key(self, name: str, by_alias: ByAlias) -> str | None:
        """Return the key under which a field is written; None if the field is left out."""
        alias = self.aliases.get(name, name)
        uses_alias = self.by_alias if by_alias is None else by_alias
        return alias if uses_alias or alias is None else name


def locate_errors(loc: Path, errors: FoundErrors) -> tuple[ErrorDetails, ...]:
    """Return the errors of a nested value, each with its complete location."""
    out: list[ErrorDetails] = []
    # A stack, from whose end errors are taken: hence the reversed order.
    waiting = [(loc, error) for error in reversed(errors)]
    while waiting:
        outer_loc, error = waiting.pop()
        if isinstance(error, NestedErrors):
            loc = (*outer_loc, *error.loc)
            waiting += [(loc, inner) for inner in reversed(error.errors)]
        else:
            out.append({**error, "loc": (*outer_loc, *error["loc"])})
    return tuple(out)


class ValueStructure(ABC):
    """Base of the structures, which read the values of an object or array one by one, and assemble them."""

    prefix: tuple[str, ...] = ()
    """The part of an error's location before the key: the tags of the unions around the structure."""
    hides_unknown_keys = False
    """True if keys without a slot, such as an object's unknown fields, are hidden."""

    @abstractmethod
    def find_slot(self, key: KeyOrIndex) -> Slot | None:
        """Return the slot that reads the value at a key; None if the type does not define the key."""

    @abstractmethod
    def assemble(self, entries: Entries, plain_data: object) -> object:
        """Return the validated object or array, made of the values in it.

        `InvalidValue` says that they make none, and `ContextNeeded` that it must be read as a whole.
        """

    def find_name(self, key: KeyOrIndex) -> KeyOrIndex:
        """Return the name of the field that is read from a key; the key itself if the value has no fields."""
        return key

    def locate(self, key: KeyOrIndex) -> Path:
        """Return the location that errors give for the value at a key, relative to the object or array."""
        return (*self.prefix, key)

    def is_late(self, key: KeyOrIndex) -> bool:
        """Return True if the value at a key can only be read after the values of other keys."""
        return False

    def read_late(self, entries: Entries) -> list[KeyOrIndex]:
        """Read the late values that can be read now into `entries`, and return their keys.

        A value is late if it can only be validated after other values of the object.
        """
        return []

    def find_defaults(self) -> FieldValues | None:
        """Make the defaults of the fields; None if the structure has no fields."""
        return None

    def write(
        self, name: KeyOrIndex, value: object, get_fields: Callable[[], Mapping[str, Any]], by_alias: ByAlias
    ) -> str | None:
        """Return the JSON of one validated value in the object or array; None if the value is left out."""
        slot = self.find_slot(name)
        return write_plain_json(value, by_alias) if slot is None else slot.write(value, by_alias)

    def accepts_extra(self, key: KeyOrIndex, text: str) -> bool:
        """Return True if a key of no field belongs to the object; raise `InvalidValue` if it is forbidden."""
        return True


class TagChoice(ValueStructure):
    """Stands for the structure of an object until one of its values, such as a union's tag, chooses it."""

    discriminators: tuple[str, ...]
    """The keys that may hold the tag; if several are present, the first in this order decides."""

    def find_slot(self, key: KeyOrIndex) -> Slot | None:
        """Return None: before the tag has chosen a structure, no key has a slot to read its value."""
        return None

    def assemble(self, entries: Entries, plain_data: object) -> object:
        """Raise `ContextNeeded`: an object whose tag never arrived can only be read as a whole."""
        raise ContextNeeded

    @abstractmethod
    def choose(self, value: object) -> ValueStructure | None:
        """Return the structure that a tag chooses; None if the object must be read as a whole."""


class Slot(ABC):
    """The type of the value at one place of a document; reads the value from JSON, and writes it as JSON."""

    type_names: TypeNames | None = None
    """The names of the object's type; None if an unfinished object is shown as a mapping."""
    shows_text = True
    """True if a string is visible while it arrives."""
    is_plain = False
    """True if every value is read as plain data."""
    show_unit: ShowUnit | None = None
    """The unit in which values become visible here; None if the type does not define it."""

    @abstractmethod
    def read(self, text: str) -> Any:  # noqa: ANN401 - any value
        """Return the validated value of a JSON text.

        `InvalidValue` says that it does not fit the type, and `ContextNeeded` that it depends on values
        around it.
        """

    def find_structure(self, kind: JSONKind) -> ValueStructure | None:
        """Return the structure that reads objects or arrays value by value; None if they are read whole."""
        return None

    def write(self, value: object, by_alias: ByAlias) -> str:
        """Return the JSON of a value that was read."""
        return write_plain_json(value, by_alias)

    def find_name(self, key: str) -> str:
        """Return the name of the field that is read from a key, or else the key, of a value read whole."""
        return key

    def find_inner_show_unit(self, key: str) -> ShowUnit | None:
        """Return the unit (characters, words …) in which the strings at a key become visible.

        The result is None if the type does not define the unit.

        The method is used for a value that is read as a whole, so the value at the key has no slot.
        """
        return None

    def is_leaf(self) -> bool:
        """Return True if no value of the type is an object or array."""
        return False

    def is_root(self) -> bool:
        """Return True for a pydantic root model; snapshots show its root value in place of the model."""
        return False

    def find_slots_within(self, key: KeyOrIndex, *, attribute: bool) -> Sequence[Slot] | None:
        """Return the slots of the types that a value at a key may have, to check the next step of a path.

        The sequence is empty if no value can be there. The result is None if any value can be there.
        """
        return None

    def find_defaults(self) -> FieldValues | None:
        """Make the defaults of the fields of an object; None unless the type allows exactly one class."""
        return None


class _RawSlot(Slot):
    """A slot inside a value that is read as a whole: it shows plain data, and reads nothing."""

    def read(self, text: str) -> object:
        """Raise `ContextNeeded`: only the value around it, read as a whole, can be validated."""
        raise ContextNeeded


PLAIN_SLOT: Slot = _RawSlot()
"""The slot of a value without a type of its own: it is shown as plain data, and not validated alone."""
