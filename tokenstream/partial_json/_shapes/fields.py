"""Models, dataclasses and typed dicts: objects whose fields are validated one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from pydantic_core import SchemaError, SchemaValidator

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.assembly import (
    FAILED,
    AssembledStructure,
    LayeredSchema,
    list_errors,
    make_known_value_schema,
    strip_ref,
    validate_with_known,
)
from tokenstream.partial_json._shapes.core_schema import find_keys, is_plain_default, list_fields
from tokenstream.partial_json._shapes.shape import (
    ContextNeeded,
    InvalidEntry,
    InvalidValue,
    Slot,
    UnreadEntry,
)
from tokenstream.partial_json._shapes.write import (
    ByAlias,
    FieldWriter,
    find_special_fields,
    make_serializer,
    strip_serializers,
    write_plain_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokenstream.partial_json._events import KeyOrIndex, Path
    from tokenstream.partial_json._shapes.core_schema import CoreSchema, SchemaField
    from tokenstream.partial_json._shapes.pydantic_shapes import PydanticSlots
    from tokenstream.partial_json._shapes.shape import Entries, ErrorDetails, FieldValues, ValueStructure
    from tokenstream.partial_json._show import ShowUnit

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


def make_fields(
    types: PydanticSlots, layered: LayeredSchema, cls: CoreSchema | None = None
) -> ValueStructure | None:
    """Return the structure that reads an object field by field; None if it must be read as a whole."""
    schema, config = layered.schema, layered.config or {}
    names: dict[str, str] = {}
    for name, field in list_fields(schema):
        keys = find_keys(name, field, schema, config)
        inner = types.definitions.resolve(field["schema"])
        if keys is None or not is_plain_default(inner) or field.get("init", True) is False:
            # The field is in a nested value, or not read from the document, or its default may replace it.
            return None
        # If two fields read the same key, its value cannot be read as the value of one field.
        if any(key in names for key in keys):
            return None
        names.update(dict.fromkeys(keys, name))
    return _FieldsStructure(types, layered, names, cls)


def make_defaults(types: PydanticSlots, schema: CoreSchema, config: CoreSchema | None) -> FieldValues:
    """Make an object's defaults, but not those that depend on fields that may not have arrived.

    They are made for each object, so that no mutable value is shared.
    """
    made: FieldValues = {}
    for name, field in list_fields(schema):
        inner = types.definitions.resolve(field["schema"])
        if inner["type"] == "default" and not inner.get("default_factory_takes_data"):
            made[name] = _make_default(types, field["schema"], config)
    return {name: value for name, value in made.items() if value is not MISSING}


def _make_default(types: PydanticSlots, schema: CoreSchema, config: CoreSchema | None) -> object:
    """Return a field's default; MISSING if it has none, or if the default is invalid."""
    try:
        found = types.get_slot(schema, config).validator.get_default_value()
    except (ValidationError, SchemaError):
        return MISSING
    # Pydantic wraps the default, which may itself be None.
    return MISSING if found is None else found.value


class _FieldsStructure(AssembledStructure):
    """The structure of an object with fields: the fields are read one by one, and then assembled.

    Args:
        types: Makes the slots of the fields.
        layered: The schema of the fields, with the layers around it: the wrappers' validators, and tags
            of unions.
        names: Maps each key to the name of its field.
        cls: The schema of the class; None if there is no class.
    """

    def __init__(
        self, types: PydanticSlots, layered: LayeredSchema, names: dict[str, str], cls: CoreSchema | None
    ) -> None:
        super().__init__(layered)
        # The schema, and its fields by name and by key.
        self._cls = cls
        self._types = types
        self._schema = strip_ref(layered.schema)
        self._config = layered.config
        self._names = names
        self._keys: dict[str, list[str]] = {}
        """Maps the name of each field to the keys in JSON from which it is read."""
        for key, name in names.items():
            self._keys.setdefault(name, []).append(key)
        self._fields = list_fields(layered.schema)

        # The rules of the type.
        config = layered.config or {}
        self._by_alias: bool = config.get("loc_by_alias", True)
        """True if the locations of errors contain aliases, False if they contain the fields' names."""
        extra = layered.schema.get("extra_behavior") or config.get("extra_fields_behavior") or "ignore"
        self._extra_validator = None if extra == "ignore" else self._make_validator_with([])
        """Validates an object that has only an unknown key; None if the type ignores unknown keys."""
        self.hides_unknown_keys = extra != "allow"
        self._late = {
            name: number
            for number, (name, field) in enumerate(self._fields)
            if types.definitions.needs_fields_before(field["schema"])
        }
        """Maps each late field, one whose validators need the fields before it, to its position."""
        self._checked_defaults = frozenset(
            name for name, field in self._fields if _is_default_checked(field["schema"], config)
        )

        # Made when first needed.
        self._slots: dict[str, Slot] = {}
        self._validators: dict[frozenset[str], SchemaValidator] = {}
        """Cached validators for the assembly, by the fields that they read from the text."""
        self._late_validators: dict[str, SchemaValidator] = {}
        """The validators of late fields, which receive the fields before theirs."""
        self._texts: dict[Path, str] = {}
        """Cached texts for the assembly, by the keys in them."""
        self._writer: FieldWriter | None = None
        """Writes the fields that have serializer methods."""

    # -- slots and names -----------------------------------------------------------

    def find_slot(self, key: KeyOrIndex) -> Slot | None:
        name = self._names.get(str(key))
        if name is None:
            return None
        slot = self._slots.get(name)
        if slot is None:
            slot = self._types.get_slot(dict(self._fields)[name]["schema"], self._config)
            if name in self._late:
                # This slot only shows the value: `read_late` reads it, with the fields before it.
                slot = _LateSlot(slot)
            self._slots[name] = slot
        return slot

    def find_name(self, key: KeyOrIndex) -> KeyOrIndex:
        return self._names.get(str(key), key)

    def find_defaults(self) -> FieldValues:
        return make_defaults(self._types, self._schema, self._config)

    def locate(self, key: KeyOrIndex) -> Path:
        return (*self.prefix, self._locate_key(key))

    def _locate_key(self, key: KeyOrIndex) -> KeyOrIndex:
        return key if self._by_alias else self.find_name(key)

    # -- serialization ---------------------------------------------------------------

    def write(
        self, name: KeyOrIndex, value: object, get_fields: Callable[[], Mapping[str, Any]], by_alias: ByAlias
    ) -> str | None:
        """Return the JSON of a field's value, written by its serializer method if the class has one.

        The result is None if the class leaves the field out. `get_fields` returns the validated fields up
        to and including this one, which a serializer method may read.
        """
        # All keys of a field lead to the same slot.
        keys = self._keys.get(str(name))
        slot = None if keys is None else self.find_slot(keys[0])
        if slot is None:
            return write_plain_json(value, by_alias)
        writer = self._writer
        if writer is None:
            writer = self._writer = self._make_writer()
        if name in writer.names:
            return writer.write(str(name), get_fields(), by_alias)
        return slot.write(value, by_alias)

    def _make_writer(self) -> FieldWriter:
        """Return a writer for the fields that have serializer methods, of which there may be none."""
        schema = self._cls
        special = find_special_fields(dict(self._fields))
        if schema is None or not special:
            # A writer that is asked for no field, so it needs no class and no serializer.
            return FieldWriter(object, frozenset(), serializer=None)
        # The class's own serializer would write the object as a whole, so another one is made.
        closed = self._types.definitions.close_schema(strip_serializers(schema, self._schema))
        return FieldWriter(schema["cls"], special, make_serializer(closed, config=None, use_prebuilt=False))

    # -- late fields: their validators need the fields before them ----------------

    def is_late(self, key: KeyOrIndex) -> bool:
        return self._names.get(str(key)) in self._late

    def read_late(self, entries: Entries) -> list[KeyOrIndex]:
        """Read each late field whose preceding fields are all known; return the keys of the fields read.

        A late field is one whose validators need the fields before it. Its value replaces the
        unread entry in `entries`.
        """
        read_keys: list[KeyOrIndex] = []
        if not self._late:
            return read_keys
        # In the order of the fields, up to the first field that has not arrived or cannot be read.
        entries_before: Entries = {}
        for name, _ in self._fields:
            keys = [key for key in self._keys.get(name, ()) if key in entries]
            if len(keys) != 1:
                # No key of the field has arrived; or several have, and only reading the object as a whole
                # shows which of them counts.
                break
            key = keys[0]
            entry = entries[key]
            if name in self._late and entry.__class__ is UnreadEntry and not entry.tried:
                entry = entries[key] = self._read_after(name, key, entry.text, entries_before)
                read_keys.append(key)
            if entry.__class__ is UnreadEntry:
                break
            entries_before[key] = entry
        return read_keys

    def _read_after(self, name: str, key: KeyOrIndex, text: str, entries_before: Entries) -> object:
        """Return the value of a late field, which needs the fields before it; an entry if it is not valid."""
        known_values = {self.find_name(earlier): entry for earlier, entry in entries_before.items()}
        json_text = _write_object([*_list_entry_texts(entries_before), (key, text)])
        try:
            made = validate_with_known(self._find_late_validator(name), json_text, known_values)
        except ValidationError as error:
            own_errors = [item for item in list_errors(error) if item["type"] != FAILED]
            if not own_errors:
                # Only an earlier field is invalid, and pydantic then does not return this field's value.
                return UnreadEntry(text, tried=True)
            # In an entry, the locations of errors begin inside the field.
            return InvalidEntry(_drop_first_key(own_errors))
        # For models and dataclasses, the result is a tuple of the fields and the extra data.
        fields: FieldValues = made if self._schema["type"] == "typed-dict" else made[0]
        # A field that the result lacks is read with the whole object, at its end.
        return fields[name] if name in fields else UnreadEntry(text, tried=True)

    def _find_late_validator(self, name: str) -> SchemaValidator:
        """Return the validator of a late field, made when first used.

        A late field is one whose validation needs the values of the fields before it. The validator
        reads these values, too, but does not validate them again.
        """
        validator = self._late_validators.get(name)
        if validator is None:
            number = self._late[name]
            fields = [*map(_use_known_value, self._fields[:number]), self._fields[number]]
            validator = self._late_validators[name] = self._make_validator_with(fields, extra=False)
        return validator

    # -- keys without a field ------------------------------------------------------

    def accepts_extra(self, key: KeyOrIndex, text: str) -> bool:
        if self._extra_validator is None:
            return False
        try:
            self._extra_validator.validate_json(_write_object([(key, text)]))
        except ValidationError as error:
            raise InvalidValue(_drop_first_key(list_errors(error))) from None
        return True

    # -- assembly --------------------------------------------------------------------

    def _locate_entries(self, entries: Entries) -> Entries:
        """Return the values so far (`entries`) by the keys that errors use: JSON keys, or names of fields."""
        return {self._locate_key(key): entry for key, entry in entries.items()}

    def _gather(self, entries: Entries) -> object:
        """Return the object assembled from its values; a value that is still unread is read from its text.

        Several keys of one field raise `ContextNeeded`: the object must be read as a whole.
        """
        known_values: dict[KeyOrIndex, Any] = {}
        unread: list[str] = []
        for key, entry in entries.items():
            name = self._names.get(str(key))
            if name is None:
                # A key of no field: the validator finds it in the text.
                continue
            if name in known_values:
                # Two keys of one field: only reading the object as a whole shows which of them counts.
                raise ContextNeeded
            if entry.__class__ is UnreadEntry:
                unread.append(name)
            known_values[name] = entry
        # Pydantic validates these defaults, so it needs the fields' own schemas.
        absent = [name for name in self._checked_defaults if name not in known_values]
        return validate_with_known(
            self._find_validator(frozenset(unread + absent)), self._write_text(entries), known_values
        )

    def _write_text(self, entries: Entries) -> str:
        """Return the JSON of an object from which a validator assembles the fields.

        It has the text of each value that is still unread. A 0 takes the place of each value that was
        read before, which the validator gets separately.
        """
        if any(entry.__class__ is UnreadEntry for entry in entries.values()):
            return _write_object(_list_entry_texts(entries))
        # Without unread values, the text depends only on the keys.
        keys = tuple(entries)
        text = self._texts.get(keys)
        if text is None:
            text = _remember(self._texts, keys, _write_object(_list_entry_texts(entries)))
        return text

    def _find_validator(self, unread: frozenset[str]) -> SchemaValidator:
        """Return the validator that assembles the object; it reads the fields in `unread` from the JSON."""
        validator = self._validators.get(unread)
        if validator is None:
            fields = [
                (name, schema) if name in unread else _use_known_value((name, schema))
                for name, schema in self._fields
            ]
            validator = _remember(self._validators, unread, self._make_validator_with(fields))
        return validator

    def _make_validator_with(self, fields: list[SchemaField], *, extra: bool = True) -> SchemaValidator:
        # The schema of a dataclass has a list of fields; the schemas of models and typed dicts have a dict.
        has_dict = self._schema["type"] != "dataclass-args"
        schema = {**self._schema, "fields": dict(fields) if has_dict else [field for _, field in fields]}
        if not extra:
            schema = {key: value for key, value in schema.items() if not key.startswith("extra")}
            schema["extra_behavior"] = "ignore"
        return self._types.make_validator(schema, self._config)


_MOST_KEPT = 64
"""Maximum number of texts and validators to cache, each for one set of keys; most documents need one."""


def _remember(cache: dict[KeyT, ValueT], key: KeyT, value: ValueT) -> ValueT:
    if len(cache) >= _MOST_KEPT:
        cache.clear()
    cache[key] = value
    return value


class _LateSlot(Slot):
    """The slot of a late field, whose validators need the fields before it.

    The slot shows the value while it grows. `_FieldsStructure.read_late` reads the finished value.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.type_names = slot.type_names
        self.shows_text = slot.shows_text
        self.show_unit = slot.show_unit

    def read(self, text: str) -> object:
        """Raise `ContextNeeded`: only `read_late` has the fields that the validators need."""
        raise ContextNeeded

    def find_name(self, key: str) -> str:
        return self._slot.find_name(key)

    def write(self, value: object, by_alias: ByAlias) -> str:
        return self._slot.write(value, by_alias)

    def find_inner_show_unit(self, key: str) -> ShowUnit | None:
        return self._slot.find_inner_show_unit(key)

    def find_defaults(self) -> FieldValues | None:
        return self._slot.find_defaults()


def _use_known_value(field: SchemaField) -> SchemaField:
    """Return a field changed so that it takes the value validated before, whatever the JSON contains.

    With such fields, pydantic assembles an object without validating its values again. The values are
    passed in by `validate_with_known`. A field with a default keeps the default.
    """
    name, schema = field
    inner = schema["schema"]
    value = make_known_value_schema(name)
    if inner["type"] == "default":
        value = {**inner, "schema": value}
    return name, {**schema, "schema": value}


def _drop_first_key(errors: Iterable[ErrorDetails]) -> tuple[ErrorDetails, ...]:
    """Return the errors of a field without the field's own key in their locations."""
    return tuple({**item, "loc": item["loc"][1:]} for item in errors)


def _is_default_checked(schema: CoreSchema, config: CoreSchema) -> bool:
    checked: Any = schema.get("validate_default", config.get("validate_default"))
    return schema["type"] == "default" and bool(checked)


def _list_entry_texts(entries: Entries) -> list[tuple[KeyOrIndex, str]]:
    """Return each key with the JSON of its value if that is still unread, or else with "0".

    The "0" only takes the place of a value that was read before, which the validator gets separately.
    """
    return [(key, entry.text if entry.__class__ is UnreadEntry else "0") for key, entry in entries.items()]


def _write_object(fields: list[tuple[KeyOrIndex, str]]) -> str:
    return f"{{{','.join([f'{json.dumps(key)}:{text}' for key, text in fields])}}}"
