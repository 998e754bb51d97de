"""What a type looks like to a document that grows: slots, and what is put together from them.

A *slot* stands for one type at one place. It reads a finished value whole from its
text, or has a *structure*: an object or array whose values are read one by one and
put together when it closes. A slot has a structure only where both ways give the
same value and the same errors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream.partial_json._shape_write import plain_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream.partial_json._defaults import Defaults
    from tokenstream.partial_json._shape_write import ByAlias
    from tokenstream.partial_json._show import How
    from tokenstream.partial_json.events import JSONKind

__all__ = [
    "RAW",
    "Choice",
    "Entries",
    "Errors",
    "Face",
    "Failed",
    "Inside",
    "Invalid",
    "Slot",
    "Structure",
    "Unread",
    "Unsure",
    "nested",
]

Entries: TypeAlias = dict[str | int, Any]
"""What has come of an object or array, by key: validated values, `Failed` and `Unread`."""
Errors: TypeAlias = "tuple[dict[str, Any] | Inside, ...]"
"""What is wrong, as pydantic's `ValidationError.errors()` tells it."""


class Inside(NamedTuple):
    """Errors of a value further inside: their locations are told when somebody asks.

    Else each object and array around a value would copy all that is wrong in it.
    """

    loc: tuple[str | int, ...]
    errors: Errors


class Invalid(Exception):
    """A value is not what its type asks for."""

    def __init__(self, errors: Errors) -> None:
        super().__init__()
        self.errors = errors


class Unsure(Exception):
    """A value can only be judged together with what is around it."""


class Failed(NamedTuple):
    """An entry that was read and is invalid."""

    errors: Errors


class Unread(NamedTuple):
    """An entry that is read together with others, or when its object closes."""

    text: str
    tried: bool = False
    """Whether it was read, and its value could not be told."""


class Face(NamedTuple):
    """How a growing object shows."""

    title: str
    """The type's name."""
    names: dict[str, None] | None
    """The names of its fields, in their order; None where the type has no fixed ones."""
    slot: Slot | None = None
    """What it is read as; None where that is not known, in a snapshot that was pickled."""
    aliases: Mapping[str, str | None] = {}
    """The keys that fields are written under by alias, where these are not their names.

    None of a field that is never written.
    """
    by_alias: bool | None = False
    """Whether aliases are used where nobody says so; None where they always are."""

    def __reduce__(self) -> tuple[type[Face], tuple[object, ...]]:
        # What reads values is no data.
        return Face, tuple(self._replace(slot=None))

    def key(self, name: str, by_alias: ByAlias) -> str | None:
        """Return the key that a field is written under; None where it is left out.

        Args:
            name: The field.
            by_alias: Whether that is its alias; None where the type is asked.
        """
        alias = self.aliases.get(name, name)
        if alias is None or self.by_alias is None:
            return alias
        return alias if (self.by_alias if by_alias is None else by_alias) else name


def nested(loc: tuple[str | int, ...], errors: Errors) -> tuple[dict[str, Any], ...]:
    """Return errors as they are told from further out, each with its whole location.

    Example:
        >>> nested(("steps",), (Inside((0,), ({"type": "missing", "loc": ("title",)},)),))
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


class Structure(ABC):
    """An object or array whose values are read one by one."""

    prefix: tuple[str, ...] = ()
    """What an error's location has before the key: the tags of the unions that led here."""
    closed = False
    """Whether keys without a slot do not show: an object's unknown fields."""

    @abstractmethod
    def slot(self, key: str | int) -> Slot | None:
        """Return what stands at a key; None for what the type has no slot for."""

    @abstractmethod
    def assemble(self, entries: Entries, raw: Any) -> Any:  # noqa: ANN401 - any value
        """Return the value that finished entries make.

        Args:
            entries: By key: a validated value, or `Failed`, or `Unread`.
            raw: The value as plain data, to tell in errors.

        Raises:
            Invalid: They make none.
        """

    def name(self, key: str | int) -> str | int:
        """Return the name of the field that a key is for."""
        return key

    def loc(self, key: str | int) -> tuple[str | int, ...]:
        """Return how errors name a key."""
        return (*self.prefix, key)

    def is_late(self, key: str | int) -> bool:
        """Tell whether a key's value may be read only after those of others."""
        return False

    def read_late(self, entries: Entries) -> list[str | int]:
        """Read the late entries whose time has come, in place, and return their keys."""
        return []

    def defaults(self) -> Defaults | None:
        """Return the defaults of its fields; None where it has no fields."""
        return None

    def write(
        self,
        name: str | int,
        value: Any,  # noqa: ANN401 - any value
        before: Callable[[], Mapping[str, Any]],
        by_alias: ByAlias,
    ) -> str | None:
        """Return the JSON of a validated value in it; None where that is left out.

        Args:
            name: What the value shows as.
            value: The value.
            before: Returns the validated fields up to that one.
            by_alias: Whether fields are written under their aliases.
        """
        slot = self.slot(name)
        return plain_json(value, by_alias) if slot is None else slot.write(value, by_alias)

    def check_extra(self, key: str | int, text: str) -> bool:
        """Tell whether a key without a slot belongs to the value all the same.

        Raises:
            Invalid: It must not be there.
        """
        return True


class Choice(Structure):
    """An object whose structure is told by one of its values."""

    discriminators: tuple[str, ...]
    """The keys that tell; an earlier one counts before a later one."""

    def slot(self, key: str | int) -> Slot | None:
        """Return nothing: it is not known yet what stands there."""
        return None

    def assemble(self, entries: Entries, raw: Any) -> Any:  # noqa: ANN401 - any value
        """Refuse: what could not be told by its values is told by the whole."""
        raise Unsure

    @abstractmethod
    def choose(self, value: Any) -> Structure | None:  # noqa: ANN401 - any JSON value
        """Return the structure that the discriminator decides for; None where only the whole tells."""


class Slot(ABC):
    """What is to stand at one place of a document."""

    face: Face | None = None
    """How an object shows that grows here; None where it shows as a mapping."""
    shows_text = True
    """Whether a string shows here while it grows."""
    plain = False
    """Whether any value is read as the plain data that it is."""
    show: How | None = None
    """When what comes here shows; None where the type does not say."""

    @abstractmethod
    def read(self, text: str) -> Any:  # noqa: ANN401 - any value
        """Return the value that a JSON text says.

        Raises:
            Invalid: It says none.
            Unsure: That depends on what is around it.
        """

    def structure(self, kind: JSONKind) -> Structure | None:
        """Return how a value of a kind is read one by one; None where it is read whole."""
        return None

    def write(self, value: Any, by_alias: ByAlias) -> str:  # noqa: ANN401 - any value
        """Return the JSON of a value that was read.

        Args:
            value: The value.
            by_alias: Whether fields are written under their aliases.

        Raises:
            PydanticSerializationError: A method of the type's for it fails.
        """
        return plain_json(value, by_alias)

    def name(self, key: str) -> str:
        """Return the name of the field that a key is for, where the value is read whole."""
        return key

    def show_inside(self, key: str) -> How | None:
        """Return when what comes for a key shows, where the value is read whole."""
        return None

    def is_leaf(self) -> bool:
        """Tell whether no object and no array is a value of it."""
        return False

    def is_root(self) -> bool:
        """Tell whether a root model is read here, which shows as what it holds."""
        return False

    def within(self, key: str | int, *, attribute: bool) -> Sequence[Slot] | None:
        """Return what may stand one step further in: nothing, one or several; None where anything may.

        Args:
            key: The name of a field, a key or an index.
            attribute: Whether it is written as an attribute, and not as an item.
        """
        return None

    def defaults(self) -> Defaults | None:
        """Return the defaults of an object that grows here; None where it may be one of several, or none."""
        return None


class _RawSlot(Slot):
    """A slot inside a value that is read whole: it only shows."""

    def read(self, text: str) -> Any:  # noqa: ANN401 - any value
        raise Unsure


RAW: Slot = _RawSlot()
"""A slot where data shows as it is, and nothing reads it."""
