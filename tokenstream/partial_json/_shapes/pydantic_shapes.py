"""Slots and structures of pydantic types, made from their core schemas."""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import TypeAdapter, create_model
from pydantic_core import SchemaError, SchemaValidator, ValidationError

from tokenstream.partial_json._shapes.assembly import (
    KNOWN_BY_NUMBER,
    AssembledStructure,
    LayeredSchema,
    is_assembly_sound,
    list_errors,
    make_layer_validator,
    make_validator,
    strip_ref,
    validate_with_known,
)
from tokenstream.partial_json._shapes.core_schema import (
    ANY,
    SCALARS,
    Definitions,
    find_aliases,
    find_keys,
    find_schemas_within,
    is_plain_default,
    list_choices,
    list_fields,
    list_single_keys,
)
from tokenstream.partial_json._shapes.fields import make_defaults, make_fields
from tokenstream.partial_json._shapes.shape import ContextNeeded, InvalidValue, Slot, TagChoice, TypeNames
from tokenstream.partial_json._shapes.write import ByAlias, make_serializer, serialize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.partial_json._events import JSONKind, KeyOrIndex
    from tokenstream.partial_json._shapes.assembly import Config
    from tokenstream.partial_json._shapes.core_schema import Alternative, CoreSchema
    from tokenstream.partial_json._shapes.shape import Entries, FieldValues, ValueStructure
    from tokenstream.partial_json._show import ShowUnit

    StructureMaker: TypeAlias = Callable[["PydanticSlots", LayeredSchema], ValueStructure | None]


class PydanticSlots:
    """Makes the slots, which read values, for a type and for the types in it.

    Each slot is made once, when its first value arrives.
    """

    def __init__(self) -> None:
        self.definitions = Definitions()
        self._slots: dict[tuple[int, int], PydanticSlot] = {}
        """The slots made so far, by the `id()` of the schema and of the config."""

    def get_slot(self, schema: CoreSchema, config: Config) -> PydanticSlot:
        """Return the slot that reads the values of a schema, under the config of the model around it."""
        # The slot keeps both objects alive, so no other objects get their ids.
        key = id(schema), id(config)
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = PydanticSlot(self, schema, config)
        return slot

    def make_structure(self, layered: LayeredSchema, kind: JSONKind) -> ValueStructure | None:
        """Return the structure that reads an object or array value by value; None if it is read whole."""
        # Go inwards, through the layers that allow it; `unwrap` returns None for one that does not.
        while True:
            schema = self.definitions.resolve(layered.schema)
            layered = layered._replace(schema=schema)
            unwrap = _UNWRAPPERS.get(schema["type"])
            if unwrap is None:
                break
            inner = unwrap(layered)
            if inner is None:
                break
            layered = inner
        make = _MAKERS.get((schema["type"], kind))
        return None if make is None else make(self, layered)

    def make_validator(self, schema: CoreSchema, config: Config) -> SchemaValidator:
        """Return a validator of a changed schema, with the definitions to which the schema refers."""
        return make_validator(self.definitions.close_schema(schema), config)


class PydanticSlot(Slot):
    """The slot of a pydantic type: it reads values as the type's core schema defines.

    Args:
        types: Makes the slots of the types in it.
        config: The config around the schema.
        validator: The validator of the whole document; None for the slot of a value in a document.
    """

    def __init__(
        self, types: PydanticSlots, schema: CoreSchema, config: Config, validator: object = None
    ) -> None:
        # Reading and writing.
        self._types = types
        self._schema = schema
        self._config = config
        self._validator = validator
        self.serializer: Any = None
        """Writes values of this type as JSON; made when first needed."""
        # Only the slot of a whole document is given its validator; others make theirs.
        self._is_document = validator is not None
        self._structures: dict[str, ValueStructure | None] = {}

        # Display of values. `Slot` describes these attributes, as well as `type_names`.
        self.shows_text = types.definitions.shows_text(schema)
        self.is_plain = types.definitions.is_plain(schema)
        self.show_unit = types.definitions.find_show_unit(schema)
        self._names: dict[str, str] = {}
        """Maps each key to the name of its field."""
        self._show_units: dict[str, ShowUnit | None] = {}
        """Maps each key to the unit in which its value becomes visible; to None if no annotation sets it."""
        self._objects = objects = types.definitions.list_objects(schema, config)
        for found in objects:
            for name, field in list_fields(found.schema):
                unit = types.definitions.find_show_unit(field["schema"])
                # None stands for a path into a nested value: then no key is known.
                for key in find_keys(name, field, found.schema, found.config) or ():
                    self._names.setdefault(key, name)
                    # If members of a union differ in this, the value becomes visible once it is final.
                    self._show_units[key] = unit if self._show_units.get(key, unit) == unit else "values"
        if objects:
            title = " | ".join(dict.fromkeys(found.title for found in objects))
            names = dict.fromkeys(name for found in objects for name, _ in list_fields(found.schema))
            by_alias = any(found.config.get("serialize_by_alias") for found in objects)
            self.type_names = TypeNames(
                title, names, self, find_aliases([found.schema for found in objects]), by_alias
            )

    @property
    def validator(self) -> Any:  # noqa: ANN401 - what validates JSON
        """The validator of whole values, made when first needed."""
        if self._validator is None:
            make: Any = SchemaValidator
            self._validator = make(self._types.definitions.close_schema(self._schema), self._config)
        return self._validator

    def read(self, text: str) -> object:
        try:
            return self.validator.validate_json(text)
        except ValidationError as error:
            raise InvalidValue(list_errors(error)) from None
        except SchemaError:
            # A validator raised PydanticOmit, which is for the schema around it. There is none around
            # a whole document, so there the validator itself is wrong.
            if self._is_document:
                raise
            raise ContextNeeded from None

    def find_structure(self, kind: JSONKind) -> ValueStructure | None:
        if kind not in self._structures:
            structure: ValueStructure | None = None
            # If this version of pydantic cannot assemble values, every value is read as a whole.
            if is_assembly_sound():
                structure = self._types.make_structure(LayeredSchema(self._schema, self._config), kind)
            self._structures[kind] = structure
        return self._structures[kind]

    def write(self, value: object, by_alias: ByAlias) -> str:
        if self.serializer is None:
            self.serializer = make_serializer(
                self._types.definitions.close_schema(self._schema), self._config
            )
        return serialize(self.serializer, value, by_alias)

    def find_name(self, key: str) -> str:
        return self._names.get(key, key)

    def find_inner_show_unit(self, key: str) -> ShowUnit | None:
        return self._show_units.get(key)

    def is_leaf(self) -> bool:
        return all(found.schema["type"] in SCALARS for found in self._alternatives)

    def is_root(self) -> bool:
        return self._types.definitions.is_root(self._schema)

    @cached_property
    def _alternatives(self) -> list[Alternative]:
        """The types that a value may have: the members of a union, or only the type itself."""
        return list(self._types.definitions.iter_alternatives(self._schema, self._config))

    def find_slots_within(self, key: KeyOrIndex, *, attribute: bool) -> Sequence[Slot] | None:
        found: list[Slot] = []
        for schema, config, _ in self._alternatives:
            inner = find_schemas_within(self._types.definitions, schema, config, key, attribute=attribute)
            if inner is None:
                return None
            found += [self._types.get_slot(each, config) for each in inner]
        return found

    def find_defaults(self) -> FieldValues | None:
        if len(self._objects) != 1:
            return None
        return make_defaults(self._types, self._objects[0].schema, self._objects[0].config)


class _ArrayStructure(AssembledStructure):
    """The structure of a list or a tuple, whose items are read one by one.

    Args:
        types: Makes the slots of the items.
        layered: The schema, with the layers around it: the wrappers' validators, and tags of unions.
        schemas: The schemas of the items; a list has one schema for all items.
        last_repeats: True if the last of the schemas applies to all further items.
    """

    def __init__(
        self, types: PydanticSlots, layered: LayeredSchema, schemas: list[CoreSchema], *, last_repeats: bool
    ) -> None:
        super().__init__(layered)
        self._slots = [types.get_slot(schema, layered.config) for schema in schemas]
        self._last_repeats = last_repeats
        is_tuple = layered.schema["type"] == "tuple"
        # In the text to assemble, numbers stand for the items, which were validated before.
        items: Any = [KNOWN_BY_NUMBER] * len(schemas) if is_tuple else KNOWN_BY_NUMBER
        changed_schema = strip_ref(layered.schema) | {"items_schema": items}
        self._validator = types.make_validator(changed_schema, layered.config)

    def find_slot(self, key: KeyOrIndex) -> Slot | None:
        number = min(int(key), len(self._slots) - 1) if self._last_repeats else int(key)
        return self._slots[number] if number < len(self._slots) else None

    def _gather(self, entries: Entries) -> object:
        # The text is [0,1,2,…]: each number stands for one of the items, which were validated before.
        return validate_with_known(self._validator, f"[{','.join(map(str, range(len(entries))))}]", entries)


class _MappingStructure(AssembledStructure):
    """Reads the values of a dict one by one, and assembles the dict."""

    def __init__(self, types: PydanticSlots, layered: LayeredSchema) -> None:
        super().__init__(layered)
        schema = layered.schema
        self._slot = types.get_slot(schema.get("values_schema") or ANY, layered.config)
        # In the text to assemble, numbers stand for the values, which were validated before.
        self._validator = types.make_validator(
            strip_ref(schema) | {"values_schema": KNOWN_BY_NUMBER}, layered.config
        )

    def find_slot(self, key: KeyOrIndex) -> Slot:
        return self._slot

    def _gather(self, entries: Entries) -> object:
        # The text is {"key": 0, …}: each number stands for one of the values, which were validated before.
        text = ",".join([f"{json.dumps(key)}:{number}" for number, key in enumerate(entries)])
        return validate_with_known(self._validator, f"{{{text}}}", list(entries.values()))


class _UnionChoice(TagChoice):
    """A union in which the value at one key chooses the member."""

    def __init__(self, types: PydanticSlots, layered: LayeredSchema, keys: list[str]) -> None:
        self._types = types
        self._layered = layered
        self.discriminators = tuple(keys)
        # Those layers that are tags of union members; the locations of errors begin with them.
        self.prefix = tuple(layer for layer in layered.layers if isinstance(layer, str))
        self._chosen: dict[str, ValueStructure | None] = {}
        """Maps each tag that has arrived to the result of `choose`."""

    def choose(self, value: object) -> ValueStructure | None:
        """Return the structure of the member with this tag; None without one, or if it is read whole."""
        if not isinstance(value, str):
            return None
        if value not in self._chosen:
            structure: ValueStructure | None = None
            choice: CoreSchema | None = self._layered.schema["choices"].get(value)
            if choice is not None:
                # The tag becomes a layer, because it is part of the locations of errors.
                structure = self._types.make_structure(self._layered.inside(choice, value), "object")
            self._chosen[value] = structure
        return self._chosen[value]


# -- layers around a structure -----------------------------------------------------


def _unwrap_schema(layered: LayeredSchema) -> LayeredSchema:
    """Return the schema inside a wrapper that does not change the values read inside it."""
    return layered.inside(layered.schema["schema"])


def _unwrap_default(layered: LayeredSchema) -> LayeredSchema | None:
    """Return the schema inside a default; None if the default may replace an invalid value."""
    return _unwrap_schema(layered) if is_plain_default(layered.schema) else None


def _unwrap_json(layered: LayeredSchema) -> LayeredSchema:
    """Return the schema for JSON of a type with separate schemas for JSON and for Python objects."""
    return layered.inside(layered.schema["json_schema"])


def _unwrap_after(layered: LayeredSchema) -> LayeredSchema:
    """Return the schema inside an "after" validator, which becomes a layer, applied to the finished value."""
    return layered.inside(layered.schema["schema"], make_layer_validator(layered.schema, layered.config))


def _unwrap_root_schema(layered: LayeredSchema) -> LayeredSchema | None:
    """Return the schema of the value in a root model; None for another model, or one with a constructor."""
    schema = layered.schema
    if not schema.get("root_model") or schema.get("custom_init"):
        return None
    # The model becomes a layer: a wrapper around the value, which is applied to the value once it is read.
    return layered.inside(schema["schema"], make_layer_validator(schema, config=None))._replace(
        config=schema.get("config")
    )


_UNWRAPPERS: dict[str, Callable[[LayeredSchema], LayeredSchema | None]] = {
    "default": _unwrap_default,
    "function-after": _unwrap_after,
    "json-or-python": _unwrap_json,
    "model": _unwrap_root_schema,
    "nullable": _unwrap_schema,
}


# -- structures ---------------------------------------------------------------------


def _make_list(types: PydanticSlots, layered: LayeredSchema) -> ValueStructure | None:
    """Return the structure that reads a list item by item; None if a default may replace an item."""
    return _make_array(types, layered, [layered.schema.get("items_schema") or ANY], last_repeats=True)


def _make_tuple(types: PydanticSlots, layered: LayeredSchema) -> ValueStructure | None:
    """Return the structure that reads a tuple item by item; None if items follow a variable part."""
    schemas = layered.schema["items_schema"]
    repeated = layered.schema.get("variadic_item_index")
    # The position of an item after a part of variable length is counted from the end.
    if repeated is not None and repeated != len(schemas) - 1:
        return None
    return _make_array(types, layered, schemas, last_repeats=repeated is not None)


def _make_array(
    types: PydanticSlots, layered: LayeredSchema, schemas: list[CoreSchema], *, last_repeats: bool
) -> ValueStructure | None:
    """Return the structure that reads a list or tuple item by item; None if a default may replace one."""
    if not all(is_plain_default(types.definitions.resolve(schema)) for schema in schemas):
        return None
    return _ArrayStructure(types, layered, schemas, last_repeats=last_repeats)


def _make_mapping(types: PydanticSlots, layered: LayeredSchema) -> ValueStructure | None:
    """Return the structure that reads a dict value by value; None if a default may replace a bad value."""
    values = layered.schema.get("values_schema") or ANY
    return _MappingStructure(types, layered) if is_plain_default(types.definitions.resolve(values)) else None


def _make_model(types: PydanticSlots, layered: LayeredSchema) -> ValueStructure | None:
    """Return the structure that reads a model or dataclass field by field; None if it must be read whole."""
    schema = layered.schema
    inner = types.definitions.resolve(schema["schema"])
    if schema.get("custom_init") or inner["type"] not in {"model-fields", "dataclass-args"}:
        # A constructor of the model's own must get the whole input; other inner types have no fields to read.
        return None
    # The model becomes a layer: a wrapper around its fields, which is applied once they are read.
    around = layered.inside(inner, make_layer_validator(schema, config=None))
    return make_fields(types, around._replace(config=schema.get("config")), schema)


def _make_typed_dict(types: PydanticSlots, layered: LayeredSchema) -> ValueStructure | None:
    """Return the structure that reads a TypedDict field by field, under its own or the outer config."""
    return make_fields(types, layered._replace(config=layered.schema.get("config") or layered.config))


def _make_tagged(types: PydanticSlots, layered: LayeredSchema) -> ValueStructure | None:
    """Return the structure that chooses a union's member by a tag; None if no single key holds the tag."""
    discriminator: Any = layered.schema["discriminator"]
    # A discriminator that is a function may depend on any part of the value.
    keys = None if callable(discriminator) else list_single_keys(discriminator)
    return None if keys is None else _UnionChoice(types, layered, keys)


def _make_union(types: PydanticSlots, layered: LayeredSchema, kind: JSONKind) -> ValueStructure | None:
    """Return the structure for the only member of a union that accepts values of a kind.

    The result is None if several members accept such values, or if the only one has no structure.
    """
    accepting: list[tuple[CoreSchema, str]] = []
    for schema, label in list_choices(layered.schema):
        if types.definitions.find_innermost(schema)["type"] not in _REFUSING[kind]:
            accepting.append((schema, label))
    if len(accepting) != 1:
        return None
    schema, label = accepting[0]
    if types.definitions.find_innermost(schema)["type"] not in _WITH_STRUCTURE:
        return None
    # Without a label of its own, a member is called by the title of its validator in locations.
    member = layered.inside(schema, label or types.make_validator(schema, config=None).title)
    # Tentative: for an invalid value, the union as a whole reports the errors of all its members.
    return types.make_structure(member._replace(tentative=True), kind)


# A Decimal is also read from an array of its parts, and an enum may have members of any type.
_NEVER_CONTAINERS = SCALARS - {"decimal", "enum"}
_WITH_STRUCTURE = frozenset({"dataclass", "dict", "list", "model", "tagged-union", "tuple", "typed-dict"})
"""Kinds of schemas whose objects or arrays may be read value by value, by a structure."""
_REFUSING: dict[str, frozenset[str]] = {
    "object": _NEVER_CONTAINERS | {"frozenset", "list", "set", "tuple"},
    "array": _NEVER_CONTAINERS | {"dict", "model", "typed-dict"},
}
"""Types that never accept an object, or an array."""

_MAKERS: dict[tuple[str, str], StructureMaker] = {
    ("dataclass", "object"): _make_model,
    ("dict", "object"): _make_mapping,
    ("list", "array"): _make_list,
    ("model", "object"): _make_model,
    ("tagged-union", "object"): _make_tagged,
    ("tuple", "array"): _make_tuple,
    ("typed-dict", "object"): _make_typed_dict,
    ("union", "array"): partial(_make_union, kind="array"),
    ("union", "object"): partial(_make_union, kind="object"),
}


def make_root_slot(adapter: TypeAdapter[Any]) -> Slot:
    """Return the slot that reads whole documents of an adapter's type."""
    schema: Any = adapter.core_schema
    slot = PydanticSlot(PydanticSlots(), schema, _find_adapter_config(adapter), adapter.validator)
    slot.serializer = adapter.serializer
    return slot


def _find_adapter_config(adapter: TypeAdapter[Any]) -> Config:
    """Return the config of an adapter in the form that pydantic_core accepts."""
    config = vars(adapter).get("_config")
    if config is None:
        return None
    # The schema of a model contains its config in that form; the title in it is this model's.
    schema: Any = create_model("Configured", __config__=config).__pydantic_core_schema__
    return {key: value for key, value in schema["config"].items() if key != "title"}
