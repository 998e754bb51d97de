"""Slots and structures of msgspec Structs.

msgspec stops at the first error, and reports its location only in the message. So a
value that cannot be assembled is read as a whole, and the message is converted to an
error in the form that pydantic uses.
"""

from __future__ import annotations

import json
import re
import types
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import msgspec

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import (
    ContextNeeded,
    InvalidEntry,
    InvalidValue,
    Slot,
    TagChoice,
    TypeNames,
    UnreadEntry,
    ValueStructure,
)
from tokenstream.partial_json._show import find_show_in_annotation
from tokenstream.partial_json._typed.defaults import Defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._events import JSONKind
    from tokenstream.partial_json._shapes.shape import Entries
    from tokenstream.partial_json._shapes.write import ByAlias
    from tokenstream.partial_json._show import ShowUnit

_LOCATION = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_LOCATION_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def make_struct_slot(type_: object) -> Slot:
    """Return the slot of a Struct or a type with one; raise a `TypeError` if msgspec does not support it."""
    slot = _StructSlots().get_slot(type_)
    # An unsupported type raises its error here, and not at the first value.
    slot.make_decoder()
    return slot


class _StructSlots:
    """Makes the slots, which read values, of a type and of the types in it; each slot only once."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[Any, _StructSlot]] = {}
        """The slots made so far, each with its type, by the type's `id()`."""

    def get_slot(self, type_: object) -> _StructSlot:
        """Return the slot that reads the values of a type."""
        # Found by identity, since unions with another order of members are equal. The type is kept,
        # so that no other object gets its id.
        cached = self._slots.get(id(type_))
        if cached is None:
            cached = self._slots[id(type_)] = type_, _StructSlot(self, type_)
        return cached[1]


class _StructSlot(Slot):
    """The slot that reads the values of a type with msgspec: of a Struct, or of a type that contains one."""

    def __init__(self, slots: _StructSlots, type_: Any) -> None:  # noqa: ANN401 - any type
        self._slots = slots
        self._type = type_
        self._decoder: Any = None
        """The msgspec decoder; None until `make_decoder` makes it."""
        self._structures: dict[str, ValueStructure | None] = {}
        """Caches the result of `find_structure`, by the kind of value."""
        members = list(_list_members(type_))
        # `shows_text`: a string is visible while it arrives. `is_plain`: every value is read as plain data.
        self.shows_text = any(_strip_annotation(member) in {Any, str} for member in members)
        self.show_unit = _find_show(type_)
        self.is_plain = type_ is Any
        self._structs = structs = [
            _find_struct(member) for member in members if _find_struct(member) is not None
        ]
        # Maps each key to the name of its field.
        self._names = {
            field.encode_name: field.name for struct in structs for field in msgspec.structs.fields(struct)
        }
        if structs:
            title = " | ".join(struct.__name__ for struct in structs)
            # Reversed, so that the first key counts if Structs of a union have several for one name.
            aliases: dict[str, str | None] = {name: key for key, name in reversed(self._names.items())}
            field_names = dict.fromkeys(self._names.values())
            # msgspec always uses aliases.
            self.type_names = TypeNames(title, field_names, slot=self, aliases=aliases, by_alias=None)

    def make_decoder(self) -> None:
        """Make the msgspec decoder of the type, unless it has been made already."""
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(self._type)

    def read(self, text: str) -> object:
        """Return the value that a JSON text has in the type; raise `InvalidValue` if it does not fit."""
        self.make_decoder()
        try:
            # Half a surrogate pair, which msgspec refuses, must not make the encoding fail.
            return self._decoder.decode(text.encode("utf-8", "surrogatepass"))
        except msgspec.DecodeError as error:
            raise InvalidValue((_convert_error(error, text),)) from None

    def find_structure(self, kind: JSONKind) -> ValueStructure | None:
        """Return the structure that reads objects, or arrays, value by value; None if they are read whole."""
        if kind not in self._structures:
            # Functions that make the structures of the members that accept this kind of value.
            makers = [_find_maker(self._slots, kind, member) for member in _list_members(self._type)]
            accepting = [make for make in makers if make is not None]
            # If several members accept it, tags may decide which one a value belongs to.
            self._structures[kind] = accepting[0]() if len(accepting) == 1 else self._make_choice(kind)
        return self._structures[kind]

    def _make_choice(self, kind: JSONKind) -> ValueStructure | None:
        """Return the structure that chooses between Structs by their tags; None if that is impossible."""
        # msgspec allows several Structs in a union only if they have tags, and no dict beside them.
        tags: dict[Any, Any] = {}
        tag_field = ""
        for member in _list_members(self._type):
            struct = _find_struct(member)
            if struct is not None and _find_maker(self._slots, kind, member) is not None:
                # All members of a union have the same field for their tags.
                tag_field = struct.__struct_config__.tag_field
                tags[struct.__struct_config__.tag] = member
        # Structs that are arrays in JSON are read as a whole.
        if kind == "array" or not tags or not all(isinstance(tag, str) for tag in tags):
            return None
        return _StructChoice(self._slots, tag_field, tags)

    def write(self, value: object, by_alias: ByAlias) -> str:
        """Return a value as JSON; `by_alias` is unused."""
        # In msgspec, each field has only one name in JSON.
        return msgspec.json.encode(value).decode()

    def find_name(self, key: str) -> str:
        """Return the name of the field that has a key in JSON; the key itself if no field has it."""
        return self._names.get(key, key)

    def is_leaf(self) -> bool:
        """Return True if no value of the type is an object or array: all its members are scalars."""
        return all(
            get_origin(member) is None and member in _SCALAR_TYPES for member in _list_members(self._type)
        )

    def find_slots_within(self, key: str | int, *, attribute: bool) -> Sequence[Slot] | None:
        """Return the slots of the types that a value at a key may have; None if any type is possible."""
        found: list[Slot] = []
        for member in _list_members(self._type):
            inner = _list_types_within(member, key, attribute=attribute)
            if inner is None:
                return None
            found += map(self._slots.get_slot, inner)
        return found

    def find_defaults(self) -> Defaults | None:
        """Return the defaults of the fields, if the type has exactly one Struct; else None."""
        return _make_defaults(self._structs[0]) if len(self._structs) == 1 else None


def _list_members(type_: Any) -> list[Any]:  # noqa: ANN401 - any type
    """Return the members of a union, also of unions in it; for any other type, the type itself."""
    is_annotated = get_origin(type_) is Annotated
    if is_annotated and not any(isinstance(each, msgspec.Meta) for each in type_.__metadata__):
        # msgspec ignores all other annotations.
        return _list_members(type_.__origin__)
    if get_origin(type_) in {Union, types.UnionType}:
        return [inner for member in get_args(type_) for inner in _list_members(member)]
    return [type_]


def _strip_annotation(type_: Any) -> Any:  # noqa: ANN401 - any type
    """Return a type without its annotations."""
    return type_.__origin__ if get_origin(type_) is Annotated else type_


def _find_show(type_: object) -> ShowUnit | None:
    """Return the unit in which values of a type become visible; None if no annotation sets it."""
    unit = find_show_in_annotation(type_)
    if unit is None and get_origin(type_) in {Union, types.UnionType}:
        for member in get_args(type_):
            unit = unit or _find_show(member)
    return unit


def _find_struct(type_: object) -> Any:  # noqa: ANN401 - any type
    """Return the Struct of a type or of a generic alias; None for other types."""
    cls = get_origin(type_) or type_
    return cls if isinstance(cls, type) and issubclass(cls, msgspec.Struct) else None


def _make_defaults(struct: Any) -> Defaults:  # noqa: ANN401 - a Struct
    """Return the defaults of the fields of a Struct; a field that is UNSET by default has none to show."""
    makers: dict[str, Callable[[], Any]] = {}
    for field in msgspec.structs.fields(struct):
        if field.default_factory is not msgspec.NODEFAULT:
            makers[field.name] = field.default_factory
        elif field.default is not msgspec.NODEFAULT and field.default is not msgspec.UNSET:
            makers[field.name] = partial(_return_unchanged, field.default)
    return Defaults(makers)


def _return_unchanged(value: object) -> object:
    """Return the value, so that `partial` can make it the factory of a default."""
    return value


def _find_maker(
    slots: _StructSlots,
    kind: JSONKind,
    type_: object,
) -> Callable[[], ValueStructure | None] | None:
    """Return a function that makes the structure for the objects, or the arrays, of a type.

    The result is None if a value of the type cannot be an object (an array). The function itself returns
    None if such values are read as a whole.
    """
    origin, args = get_origin(type_) or type_, get_args(type_)
    struct = _find_struct(type_)
    if struct is not None:
        is_array = struct.__struct_config__.array_like
        if kind != ("array" if is_array else "object"):
            return None
        # A Struct that is an array in JSON is read as a whole.
        return _make_no_structure if is_array else partial(_StructStructure, slots, type_)
    if origin is list and kind == "array":
        return partial(_ListStructure, slots, args[0]) if args else _make_no_structure
    if origin is dict and kind == "object":
        # Keys of another type must be converted, so such a dict is read as a whole.
        return partial(_DictStructure, slots, args[1]) if args[:1] == (str,) else _make_no_structure
    if origin in _SCALAR_TYPES or origin in {list, dict}:
        return None
    # Any type that is not known here may have such values; they are read as a whole.
    return _make_no_structure


def _list_types_within(type_: Any, key: str | int, *, attribute: bool) -> list[Any] | None:  # noqa: ANN401 - any type
    """Return the types that the value at a key may have; None if it may have any type."""
    if _find_struct(type_) is not None:
        # The fields of a Struct are attributes, and not items.
        fields = msgspec.structs.fields(type_) if attribute else ()
        return [field.type for field in fields if field.name == key]
    origin, args = get_origin(type_) or type_, get_args(type_)
    if origin in _SCALAR_TYPES or (attribute and origin in {list, tuple, dict}):
        return []
    if origin is dict and args:
        return [args[1]]
    if origin is list and args:
        return [args[0]] if isinstance(key, int) else []
    # A type that is not known here, or a list or dict of anything.
    return None


def _make_no_structure() -> None:
    """Return None in place of a structure: the object or array is then read as a whole."""


_SCALAR_TYPES = frozenset({None, type(None), bool, bytes, float, int, str})


class _StructStructure(ValueStructure):
    """The structure of a Struct: the fields are read one by one, and then assembled."""

    # A Struct has no attributes for other keys.
    hides_unknown_keys = True

    def __init__(self, slots: _StructSlots, type_: Any) -> None:  # noqa: ANN401 - a Struct
        self._slots = slots
        self._cls = _find_struct(type_)
        self._config = self._cls.__struct_config__
        """The options of the Struct, such as its tag."""
        self._fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
        """The fields by their names in JSON; `type_` may be generic, and gives them their types."""

    def find_slot(self, key: str | int) -> Slot | None:
        """Return the slot that reads the field with this key in JSON; None if there is no such field."""
        field = self._fields.get(str(key))
        return None if field is None else self._slots.get_slot(field.type)

    def find_name(self, key: str | int) -> str | int:
        """Return the name of the field that has a key in JSON; the key itself if no field has it."""
        field = self._fields.get(str(key))
        return key if field is None else field.name

    def find_defaults(self) -> Defaults:
        """Return the defaults of the Struct's fields."""
        return _make_defaults(self._cls)

    def write(
        self,
        name: str | int,
        value: object,
        get_fields: Callable[[], Mapping[str, Any]],
        by_alias: ByAlias,
    ) -> str | None:
        """Return the JSON of a field's value as msgspec writes it, which always uses aliases."""
        return msgspec.json.encode(value).decode()

    def accepts_extra(self, key: str | int, text: str) -> bool:
        """Return True if a key that belongs to no field matters to `assemble`; the others are ignored.

        The tag does, which `assemble` checks; and if the Struct forbids unknown keys, all of them do, so that
        msgspec reports them.
        """
        return key == self._config.tag_field or bool(self._config.forbid_unknown_fields)

    def assemble(self, entries: Entries, plain_data: Any) -> object:  # noqa: ANN401 - any value
        """Return the Struct whose fields are the validated `entries`."""
        tag_field, tag = self._config.tag_field, self._config.tag
        if tag_field is not None and plain_data.get(tag_field, tag) != tag:
            # A wrong tag, which only msgspec reports; it accepts an object without one.
            raise ContextNeeded
        values: dict[str, Any] = {}
        for key, entry in entries.items():
            field = self._fields.get(str(key))
            if field is not None and entry.__class__ is not InvalidEntry:
                values[field.name] = entry
            elif key != tag_field:
                # The entry is invalid, or its key belongs to no field.
                raise ContextNeeded
        if any(field.required and field.name not in values for field in self._fields.values()):
            raise ContextNeeded
        try:
            return self._cls(**values)
        except (TypeError, ValueError):
            # The Struct's own checks failed: msgspec reports their message with its location.
            raise ContextNeeded from None


class _ListStructure(ValueStructure):
    """Reads an array; all its elements have the same slot.

    Args:
        slots: Makes the slots of the types.
        type_: The type of the elements.
    """

    def __init__(self, slots: _StructSlots, type_: Any) -> None:  # noqa: ANN401 - any type
        self._slot = slots.get_slot(type_)

    def find_slot(self, key: str | int) -> Slot:
        """Return the slot that reads the elements; it is the same for every index."""
        return self._slot

    def assemble(self, entries: Entries, plain_data: object) -> object:
        """Return the list of the entries, which are in order; `plain_data` is unused."""
        return list(_copy_valid_entries(entries).values())


class _DictStructure(_ListStructure):
    """Reads an object as a dict; all its values have the same slot."""

    def assemble(self, entries: Entries, plain_data: object) -> object:
        """Return the dict of the entries; `plain_data` is unused."""
        return _copy_valid_entries(entries)


def _copy_valid_entries(entries: Entries) -> Entries:
    """Return a copy of a finished list's or dict's entries; raise `ContextNeeded` if one is not valid."""
    if any(entry.__class__ in {InvalidEntry, UnreadEntry} for entry in entries.values()):
        raise ContextNeeded
    return dict(entries)


class _StructChoice(TagChoice):
    """A choice between Structs that have different tags."""

    def __init__(self, slots: _StructSlots, field: str, members: dict[str, Any]) -> None:
        self._slots = slots
        self._members = members
        """The Structs, by their tags."""
        self.discriminators = (field,)
        """The name of the field that has the tag."""
        self._structures: dict[str, ValueStructure] = {}
        """The structures of the Structs that were chosen so far, by their tags."""

    def choose(self, value: object) -> ValueStructure | None:
        """Return the structure of the Struct that has `value` as its tag; None if no Struct has that tag."""
        if not isinstance(value, str) or value not in self._members:
            return None
        if value not in self._structures:
            self._structures[value] = _StructStructure(self._slots, self._members[value])
        return self._structures[value]


def _convert_error(error: msgspec.DecodeError, text: str) -> dict[str, Any]:
    """Return an error of msgspec about a JSON text (`text`) in the form that pydantic uses."""
    message = str(error)
    if not isinstance(error, msgspec.ValidationError):
        # The text is not JSON.
        return {"type": "json_invalid", "loc": (), "msg": f"Invalid JSON: {message}", "input": text}
    # The location is the end of the message.
    location = _LOCATION.search(message)
    loc: list[str | int] = []
    for name, index in _LOCATION_STEP.findall(location.group(1) if location is not None else ""):
        # msgspec writes "..." for a key of a dict.
        loc.append(name or (int(index) if index != "..." else index))
    # The value at that location.
    value: Any = json.loads(text)
    for key in loc:
        value = _look_inside(value, key)
    message = message if location is None else message[: location.start()]
    return {
        "type": "msgspec",
        "loc": tuple(loc),
        "msg": message,
        "input": None if value is MISSING else value,
    }


def _look_inside(value: Json, key: str | int) -> Json:
    """Return the value at a key or index; MISSING if there is none."""
    try:
        return value if value is MISSING else value[key]
    except (LookupError, TypeError):
        return MISSING
