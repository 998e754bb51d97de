"""Slots and structures of pydantic types, made from their core schemas."""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pydantic import create_model
from pydantic_core import SchemaError, SchemaValidator, ValidationError

from tokenstream.partial_json._shapes.assembly import (
    Assembled,
    SchemaPlace,
    given_by_number,
    is_assembly_sound,
    list_errors,
    make_layer_validator,
    make_validator,
    strip_ref,
    validate_given,
)
from tokenstream.partial_json._shapes.core_schema import (
    SCALARS,
    Definitions,
    find_aliases,
    find_keys,
    is_plain_default,
    list_choices,
    list_fields,
    single_keys,
)
from tokenstream.partial_json._shapes.fields import make_defaults, make_fields
from tokenstream.partial_json._shapes.shape import Face, Invalid, Slot, TagChoice, Unsure
from tokenstream.partial_json._shapes.within import find_schemas_within
from tokenstream.partial_json._shapes.write import make_serializer, serialize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from pydantic import TypeAdapter

    from tokenstream.partial_json._events import JSONKind
    from tokenstream.partial_json._shapes.core_schema import Alternative, CoreSchema
    from tokenstream.partial_json._shapes.shape import Entries, ValueStructure
    from tokenstream.partial_json._shapes.write import ByAlias
    from tokenstream.partial_json._show import How
    from tokenstream.partial_json._typed.defaults import Defaults

    Config: TypeAlias = CoreSchema | None
    Make: TypeAlias = Callable[["Types", SchemaPlace], ValueStructure | None]

_ANY: CoreSchema = {"type": "any"}


class Types:
    """The slots of a type and of the types in it; each is made once, when its first value arrives."""

    def __init__(self) -> None:
        self.definitions = Definitions()
        self._slots: dict[tuple[int, int], PydanticSlot] = {}

    def slot(self, schema: CoreSchema, config: Config) -> PydanticSlot:
        """Return the slot of a schema under the config of a model."""
        key = id(schema), id(config)
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = PydanticSlot(self, schema, config)
        return slot

    def structure(self, place: SchemaPlace, kind: JSONKind) -> ValueStructure | None:
        """Return the structure for values of a kind; None if it could differ from reading them as a whole."""
        while True:
            schema = self.definitions.resolve(place.schema)
            place = place._replace(schema=schema)
            unwrap = _UNWRAP.get(schema["type"])
            if unwrap is None:
                break
            inner = unwrap(place)
            if inner is None:
                break
            place = inner
        make = _MAKE.get((schema["type"], kind))
        return None if make is None else make(self, place)

    def validator(self, schema: CoreSchema, config: Config) -> SchemaValidator:
        """Return a validator of a schema of which parts were replaced."""
        return make_validator(self.definitions.close_schema(schema), config)


class PydanticSlot(Slot):
    """The slot of a core schema."""

    def __init__(self, types: Types, schema: CoreSchema, config: Config, validator: Any = None) -> None:  # noqa: ANN401 - what validates JSON
        self._types = types
        self._schema = schema
        self._config = config
        self._validator = validator
        self.serializer: Any = None
        """Writes values of this type as JSON; made when first needed."""
        self._is_document = validator is not None
        self._structures: dict[str, ValueStructure | None] = {}
        self.shows_text = types.definitions.shows_text(schema)
        self.plain = types.definitions.is_plain(schema)
        self.show = types.definitions.show(schema)
        self._names: dict[str, str] = {}
        self._shows: dict[str, How | None] = {}
        self._objects = objects = types.definitions.list_objects(schema, config)
        for found in objects:
            for name, field in list_fields(found.schema):
                how = types.definitions.show(field["schema"])
                for key in find_keys(name, field, found.schema, found.config) or ():
                    self._names.setdefault(key, name)
                    # If members of a union differ in this, the value becomes visible once it is final.
                    self._shows[key] = how if self._shows.get(key, how) == how else "values"
        if objects:
            title = " | ".join(dict.fromkeys(found.title for found in objects))
            names = dict.fromkeys(name for found in objects for name, _ in list_fields(found.schema))
            by_alias = any(found.config.get("serialize_by_alias") for found in objects)
            self.face = Face(title, names, self, find_aliases([found.schema for found in objects]), by_alias)

    @property
    def validator(self) -> Any:  # noqa: ANN401 - what validates JSON
        """The validator of whole values, made when first needed."""
        if self._validator is None:
            make: Any = SchemaValidator
            self._validator = make(self._types.definitions.close_schema(self._schema), self._config)
        return self._validator

    def read(self, text: str) -> Any:  # noqa: ANN401 - any value
        try:
            return self.validator.validate_json(text)
        except ValidationError as error:
            raise Invalid(list_errors(error)) from None
        except SchemaError:
            # A validator raised PydanticOmit, which is for the schema around it. There is none around
            # a whole document, so there the validator itself is wrong.
            if self._is_document:
                raise
            raise Unsure from None

    def structure(self, kind: JSONKind) -> ValueStructure | None:
        if kind not in self._structures:
            place = SchemaPlace(self._schema, self._config)
            self._structures[kind] = self._types.structure(place, kind) if is_assembly_sound() else None
        return self._structures[kind]

    def write(self, value: Any, by_alias: ByAlias) -> str:  # noqa: ANN401 - any value
        if self.serializer is None:
            self.serializer = make_serializer(
                self._types.definitions.close_schema(self._schema), self._config
            )
        return serialize(self.serializer, value, by_alias)

    def name(self, key: str) -> str:
        return self._names.get(key, key)

    def show_inside(self, key: str) -> How | None:
        return self._shows.get(key)

    def is_leaf(self) -> bool:
        return all(found.schema["type"] in SCALARS for found in self._alternatives)

    def is_root(self) -> bool:
        return self._types.definitions.is_root(self._schema)

    @cached_property
    def _alternatives(self) -> list[Alternative]:
        return list(self._types.definitions.iter_alternatives(self._schema, self._config))

    def within(self, key: str | int, *, attribute: bool) -> Sequence[Slot] | None:
        found: list[Slot] = []
        for schema, config, _ in self._alternatives:
            inner = find_schemas_within(self._types.definitions, schema, config, key, attribute=attribute)
            if inner is None:
                return None
            found += [self._types.slot(each, config) for each in inner]
        return found

    def defaults(self) -> Defaults | None:
        if len(self._objects) != 1:
            return None
        return make_defaults(self._types, self._objects[0].schema, self._objects[0].config)


class _Array(Assembled):
    """The structure of a list or a tuple."""

    def __init__(
        self, types: Types, place: SchemaPlace, schemas: list[CoreSchema], *, last_repeats: bool
    ) -> None:
        super().__init__(place)
        self._slots = [types.slot(schema, place.config) for schema in schemas]
        self._last_repeats = last_repeats
        items: Any = [given_by_number] * len(schemas) if place.schema["type"] == "tuple" else given_by_number
        self._validator = types.validator(strip_ref(place.schema) | {"items_schema": items}, place.config)

    def slot(self, key: str | int) -> Slot | None:
        number = min(int(key), len(self._slots) - 1) if self._last_repeats else int(key)
        return self._slots[number] if number < len(self._slots) else None

    def _gather(self, entries: Entries) -> Any:  # noqa: ANN401 - any value
        return validate_given(self._validator, f"[{','.join(map(str, range(len(entries))))}]", entries)


class _Mapping(Assembled):
    """The structure of a dict."""

    def __init__(self, types: Types, place: SchemaPlace) -> None:
        super().__init__(place)
        schema = place.schema
        self._slot = types.slot(schema.get("values_schema") or _ANY, place.config)
        self._validator = types.validator(
            strip_ref(schema) | {"values_schema": given_by_number}, place.config
        )

    def slot(self, key: str | int) -> Slot:
        return self._slot

    def _gather(self, entries: Entries) -> Any:  # noqa: ANN401 - any value
        text = ",".join([f"{json.dumps(key)}:{number}" for number, key in enumerate(entries)])
        return validate_given(self._validator, f"{{{text}}}", list(entries.values()))


class _UnionChoice(TagChoice):
    """A union in which the value at one key chooses the member."""

    def __init__(self, types: Types, place: SchemaPlace, keys: list[str]) -> None:
        self._types = types
        self._place = place
        self.discriminators = tuple(keys)
        self.prefix = tuple(outer for outer in place.outer if isinstance(outer, str))
        self._chosen: dict[str, ValueStructure | None] = {}

    def choose(self, value: Any) -> ValueStructure | None:  # noqa: ANN401 - any JSON value
        if not isinstance(value, str):
            return None
        if value not in self._chosen:
            choice: CoreSchema | None = self._place.schema["choices"].get(value)
            place = None if choice is None else self._place.inside(choice, value)
            self._chosen[value] = None if place is None else self._types.structure(place, "object")
        return self._chosen[value]


# -- layers around a structure -----------------------------------------------------


def _unwrap(place: SchemaPlace) -> SchemaPlace:
    return place.inside(place.schema["schema"])


def _unwrap_default(place: SchemaPlace) -> SchemaPlace | None:
    return _unwrap(place) if is_plain_default(place.schema) else None


def _unwrap_json(place: SchemaPlace) -> SchemaPlace:
    return place.inside(place.schema["json_schema"])


def _unwrap_after(place: SchemaPlace) -> SchemaPlace:
    return place.inside(place.schema["schema"], make_layer_validator(place.schema, place.config))


def _unwrap_root(place: SchemaPlace) -> SchemaPlace | None:
    """Return the place of the value in a root model; None if it is not one, or has its own constructor."""
    schema = place.schema
    if not schema.get("root_model") or schema.get("custom_init"):
        return None
    return place.inside(schema["schema"], make_layer_validator(schema, None))._replace(
        config=schema.get("config")
    )


_UNWRAP: dict[str, Callable[[SchemaPlace], SchemaPlace | None]] = {
    "default": _unwrap_default,
    "function-after": _unwrap_after,
    "json-or-python": _unwrap_json,
    "model": _unwrap_root,
    "nullable": _unwrap,
}


# -- structures ---------------------------------------------------------------------


def _make_list(types: Types, place: SchemaPlace) -> ValueStructure | None:
    return _make_array(types, place, [place.schema.get("items_schema") or _ANY], last_repeats=True)


def _make_tuple(types: Types, place: SchemaPlace) -> ValueStructure | None:
    """Return the structure of a tuple; None if items follow a part of variable length."""
    schemas = place.schema["items_schema"]
    repeated = place.schema.get("variadic_item_index")
    # The position of an item after a part of variable length is counted from the end.
    if repeated is not None and repeated != len(schemas) - 1:
        return None
    return _make_array(types, place, schemas, last_repeats=repeated is not None)


def _make_array(
    types: Types, place: SchemaPlace, schemas: list[CoreSchema], *, last_repeats: bool
) -> ValueStructure | None:
    """Return the structure of a list or tuple; None if a default may replace an invalid item."""
    if not all(is_plain_default(types.definitions.resolve(schema)) for schema in schemas):
        return None
    return _Array(types, place, schemas, last_repeats=last_repeats)


def _make_mapping(types: Types, place: SchemaPlace) -> ValueStructure | None:
    values = place.schema.get("values_schema") or _ANY
    return _Mapping(types, place) if is_plain_default(types.definitions.resolve(values)) else None


def _make_model(types: Types, place: SchemaPlace) -> ValueStructure | None:
    """Return the structure of a model or a dataclass; None if it must be read as a whole."""
    schema = place.schema
    inner = types.definitions.resolve(schema["schema"])
    if schema.get("custom_init") or inner["type"] not in {"model-fields", "dataclass-args"}:
        return None
    around = place.inside(inner, make_layer_validator(schema, None))
    return make_fields(types, around._replace(config=schema.get("config")), schema)


def _make_typed_dict(types: Types, place: SchemaPlace) -> ValueStructure | None:
    return make_fields(types, place._replace(config=place.schema.get("config") or place.config))


def _make_tagged(types: Types, place: SchemaPlace) -> ValueStructure | None:
    discriminator: Any = place.schema["discriminator"]
    # The function may depend on any part of the value.
    keys = None if callable(discriminator) else single_keys(discriminator)
    return None if keys is None else _UnionChoice(types, place, keys)


def _make_union(types: Types, place: SchemaPlace, kind: JSONKind) -> ValueStructure | None:
    """Return the structure of the only member that accepts values of a kind; else None."""
    takers: list[tuple[CoreSchema, str]] = []
    for schema, label in list_choices(place.schema):
        if types.definitions.find_innermost(schema)["type"] not in _REFUSING[kind]:
            takers.append((schema, label))
    if len(takers) != 1 or types.definitions.find_innermost(takers[0][0])["type"] not in _TAKING:
        return None
    schema, label = takers[0]
    member = place.inside(schema, label or types.validator(schema, None).title)
    return types.structure(member._replace(tentative=True), kind)


_SCALARS = frozenset(
    {
        "bool",
        "bytes",
        "date",
        "datetime",
        "float",
        "int",
        "literal",
        "none",
        "str",
        "time",
        "timedelta",
        "url",
        "uuid",
    }
)
_TAKING = frozenset({"dataclass", "dict", "list", "model", "tagged-union", "tuple", "typed-dict"})
_REFUSING: dict[str, frozenset[str]] = {
    "object": _SCALARS | {"frozenset", "list", "set", "tuple"},
    "array": _SCALARS | {"dict", "model", "typed-dict"},
}
"""Types that never accept an object, or an array."""

_MAKE: dict[tuple[str, str], Make] = {
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
    """Return the slot of a whole document."""
    schema: Any = adapter.core_schema
    slot = PydanticSlot(Types(), schema, _find_config(adapter), adapter.validator)
    slot.serializer = adapter.serializer
    return slot


def _find_config(adapter: TypeAdapter[Any]) -> Config:
    """Return the config of an adapter in the form that pydantic_core accepts."""
    config = vars(adapter).get("_config")
    if config is None:
        return None
    schema: Any = create_model("Configured", __config__=config).__pydantic_core_schema__
    return {key: value for key, value in schema["config"].items() if key != "title"}
