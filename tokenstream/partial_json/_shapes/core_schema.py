"""Inspection of the core schemas of pydantic, also of the types inside a type, by which paths are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from tokenstream.partial_json._show import ShowUnit, find_show_in_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.partial_json._events import KeyOrIndex

CoreSchema: TypeAlias = dict[str, Any]
"""A schema in the form that pydantic_core accepts, or the config of one."""

SchemaField: TypeAlias = tuple[str, CoreSchema]
"""A field's name, and the field's schema, which contains the schema of the value."""

_FIELDS = frozenset({"model-fields", "dataclass-args", "typed-dict"})
"""Schemas of the fields of an object; a field's validators receive the fields before it."""

_KEYS_WITHOUT_TYPES = frozenset({"default", "serialization", "metadata", "config", "cls"})
"""Keys of a schema whose values contain no schemas that matter for validation. A default may hold itself."""

_CLASSES = frozenset({"dataclass", "model"})
"""Schemas of classes, each of which wraps a schema of the fields of the class."""

_WRAPPERS = _CLASSES | {
    "custom-error",
    "default",
    "function-after",
    "function-before",
    "function-wrap",
    "nullable",
}
"""Schemas that wrap one other schema and accept the same input."""

_AFTERWARDS = frozenset({"default", "function-after", "nullable"})
"""Schemas that wrap one other schema and act only after the value has been read."""

_UNIONS = frozenset({"tagged-union", "union"})

_TEXT = frozenset({"any", "str"})
"""Kinds of schemas whose values may be strings."""

SCALARS = frozenset(
    {
        "bool",
        "bytes",
        "complex",
        "date",
        "datetime",
        "decimal",
        "enum",
        "float",
        "int",
        "literal",
        "multi-host-url",
        "none",
        "str",
        "time",
        "timedelta",
        "url",
        "uuid",
    }
)
"""Schemas of values that are neither objects nor arrays."""

ANY: CoreSchema = {"type": "any"}
# A path has no step into these: a set has no keys, and its elements no order.
_LEAF_KINDS = SCALARS | {"set", "frozenset"}


class Alternative(NamedTuple):
    """One of the schemas that a value of a type may have: a member of a union, or the only one."""

    schema: CoreSchema
    config: CoreSchema
    title: str
    """The name of the schema's class; "" if it has no class."""


def _config_of(schema: CoreSchema) -> CoreSchema:
    config: CoreSchema | None = schema.get("config")
    return config or {}


def _find_title(schema: CoreSchema) -> str:
    return str(getattr(schema.get("cls"), "__name__", ""))


def _iter_inner(schema: CoreSchema) -> Iterator[CoreSchema]:
    """Yield the dicts directly inside a schema, or in lists in it; each of them may be a schema."""
    # A dict without a type is a table, such as that of the fields, which may have any names.
    skipped = _KEYS_WITHOUT_TYPES if isinstance(schema.get("type"), str) else frozenset[str]()
    waiting: list[Any] = [value for key, value in schema.items() if key not in skipped]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield cast("CoreSchema", value)
        elif isinstance(value, list | tuple):
            waiting += cast("list[Any]", value)


class Definitions:
    """Schemas to which other schemas refer by name, as in recursive types."""

    def __init__(self) -> None:
        self._by_ref: dict[str, CoreSchema] = {}

    def resolve(self, schema: CoreSchema) -> CoreSchema:
        """Return the schema to which a reference or a definition leads; any other schema unchanged.

        The definitions on the way are recorded, because later references may lead to them.
        """
        while True:
            kind = schema["type"]
            if kind == "definitions":
                self._by_ref.update((definition["ref"], definition) for definition in schema["definitions"])
                schema = schema["schema"]
            elif kind == "definition-ref":
                schema = self._by_ref[schema["schema_ref"]]
            else:
                return schema

    def close_schema(self, schema: CoreSchema) -> CoreSchema:
        """Return a schema that can be used alone, because it contains the schemas to which it refers."""
        if not self._has_references(schema):
            return schema
        return {"type": "definitions", "schema": schema, "definitions": list(self._by_ref.values())}

    @staticmethod
    def _has_references(schema: CoreSchema) -> bool:
        waiting = [schema]
        while waiting:
            inner = waiting.pop()
            if inner.get("type") == "definition-ref":
                return True
            waiting += _iter_inner(inner)
        return False

    def shows_text(self, schema: CoreSchema) -> bool:
        """Return True if an unfinished string may be visible, because the finished value is a string, too."""
        return any(found.schema["type"] in _TEXT for found in self.iter_alternatives(schema, config=None))

    def find_show_unit(self, schema: CoreSchema) -> ShowUnit | None:
        """Return the unit in which values of a schema become visible; None if no annotation sets it."""
        # The annotation may be on any of the schemas that wrap the value's own.
        while True:
            unit = find_show_in_schema(schema)
            if unit is not None:
                return unit
            kind = schema["type"]
            if kind == "definitions":
                # `resolve` records the definitions. Its result would be several steps further on, but the
                # reference may have an annotation of its own.
                self.resolve(schema)
                schema = schema["schema"]
            elif kind == "definition-ref":
                schema = self._by_ref[schema["schema_ref"]]
            elif kind in _WRAPPERS and kind not in _CLASSES:
                # A wrapper of the value's own schema. (What a class wraps is the schema of its fields.)
                schema = schema["schema"]
            else:
                return None

    def is_plain(self, schema: CoreSchema) -> bool:
        """Return True for a schema that allows any value, so that values are read as plain data."""
        schema = self.resolve(schema)
        while schema["type"] in {"default", "nullable"}:
            schema = self.resolve(schema["schema"])
        return bool(schema["type"] == "any")

    def list_objects(self, schema: CoreSchema, config: CoreSchema | None) -> list[Alternative]:
        """Return the schemas of the objects with named fields that a type may be."""
        return [found for found in self.iter_alternatives(schema, config) if found.schema["type"] in _FIELDS]

    def is_root(self, schema: CoreSchema) -> bool:
        schema = self.resolve(schema)
        # Wrappers that act only after the value has been read, such as a default.
        while schema["type"] in _AFTERWARDS:
            schema = self.resolve(schema["schema"])
        return bool(schema.get("root_model"))

    def iter_alternatives(self, schema: CoreSchema, config: CoreSchema | None) -> Iterator[Alternative]:
        """Yield the alternatives of a type, with wrappers and unions resolved."""
        waiting, visited = [Alternative(schema, config or {}, title="")], set[int]()
        while waiting:
            outer = waiting.pop()
            schema = self.resolve(outer.schema)
            if id(schema) in visited:
                # A recursive type leads back to a schema.
                continue
            visited.add(id(schema))
            kind = schema["type"]
            if kind in _CLASSES:
                # The config and the title of the class apply to the schema of its fields.
                outer = Alternative(schema, _config_of(schema), _find_title(schema))
            if kind in _UNIONS:
                inner = [choice for choice, _ in list_choices(schema)]
            elif kind in _WRAPPERS:
                # A wrapper, in which there may be another wrapper or a union.
                inner = [schema["schema"]]
            else:
                yield Alternative(
                    schema, _config_of(schema) or outer.config, outer.title or _find_title(schema)
                )
                continue
            waiting += [outer._replace(schema=choice) for choice in reversed(inner)]

    def find_innermost(self, schema: CoreSchema) -> CoreSchema:
        """Return the schema inside the wrappers that act only after the value has been read."""
        schema = self.resolve(schema)
        while schema["type"] in _AFTERWARDS or (schema["type"] == "model" and schema.get("root_model")):
            schema = self.resolve(schema["schema"])
        return schema

    def needs_fields_before(self, schema: CoreSchema) -> bool:
        """Return True if the validation of a field needs the fields before it."""
        waiting, visited_refs = [schema], set[str]()
        while waiting:
            inner = waiting.pop()
            kind = inner.get("type")
            if kind == "definition-ref" and inner["schema_ref"] not in visited_refs:
                visited_refs.add(inner["schema_ref"])
                waiting.append(self.resolve(inner))
            elif kind == "with-info" or inner.get("default_factory_takes_data"):
                # A function that receives the fields before this one.
                return True
            elif kind not in _FIELDS:
                # Not inside another object, whose validators receive the fields of that object.
                waiting += _iter_inner(inner)
        return False


def list_choices(schema: CoreSchema) -> list[tuple[CoreSchema, str]]:
    """Return the members of a union, each with the label that it has in the locations of errors, or ""."""
    choices: Any = schema["choices"]
    if schema["type"] == "tagged-union":
        return [(choice, str(tag)) for tag, choice in choices.items() if isinstance(choice, dict)]
    return [choice if isinstance(choice, tuple) else (choice, "") for choice in choices]


def list_fields(schema: CoreSchema) -> list[SchemaField]:
    """Return the fields of an object's schema, in the order in which they are declared."""
    fields: Any = schema["fields"]
    if schema["type"] == "dataclass-args":
        return [(field["name"], field) for field in fields]
    return list(fields.items())


def find_aliases(schemas: list[CoreSchema]) -> dict[str, str | None]:
    """Return the aliases under which fields are serialized, for the fields that have one.

    The alias is None if the field is never written. If two objects have a field of the same
    name, the first object counts.
    """
    found: dict[str, str | None] = {}
    for schema in schemas:
        for name, field in list_fields(schema):
            hidden = field.get("serialization_exclude") is True
            found.setdefault(name, None if hidden else field.get("serialization_alias") or name)
    return {name: alias for name, alias in found.items() if alias != name}


def find_keys(name: str, field: CoreSchema, schema: CoreSchema, config: CoreSchema) -> list[str] | None:
    """Return the keys from which a field is read; None if a path leads into a nested value."""
    alias: Any = field.get("validation_alias")
    if alias is None:
        return [name]
    options = ("populate_by_name", "validate_by_name")
    by_name = any(settings.get(option) for settings in (schema, config) for option in options)
    # Besides the alias, the field's own name is a key if an option of pydantic says so.
    keys = [name] if by_name else []
    if not config.get("validate_by_alias", True):
        return keys
    aliases = list_single_keys(alias)
    return None if aliases is None else aliases + keys


def list_single_keys(alias: Any) -> list[str] | None:  # noqa: ANN401 - a key, a path or a list of paths
    """Return the keys of an alias; None if a path of the alias leads into a nested value."""
    if isinstance(alias, str):
        return [alias]
    paths: list[list[KeyOrIndex]] = alias if isinstance(alias[0], list) else [alias]
    keys = [path[0] for path in paths if len(path) == 1]
    # An index, which is not a str, finds nothing in an object.
    return [key for key in keys if isinstance(key, str)] if len(keys) == len(paths) else None


def is_plain_default(schema: CoreSchema) -> bool:
    """Return True if a schema's default replaces only a missing value, never an invalid one."""
    return bool(schema["type"] != "default" or schema.get("on_error", "raise") == "raise")


def find_schemas_within(
    definitions: Definitions, schema: CoreSchema, config: CoreSchema, key: KeyOrIndex, *, attribute: bool
) -> list[CoreSchema] | None:
    """Return the schemas that the value at a key may have, to check the next step of a path.

    The list is empty if no value can be there. The result is None if any value can be there.
    """
    kind = schema["type"]
    if kind in _FIELDS:
        return _step_to_field(schema, config, key, attribute=attribute)
    # Lists and dicts contain items only.
    if kind in _LEAF_KINDS or (attribute and kind in {"list", "tuple", "dict"}):
        return []
    if kind == "dict":
        return [schema.get("values_schema") or ANY]
    if kind in {"list", "tuple"}:
        return _step_to_element(schema, key)
    if kind == "json-or-python":
        return _step_through(definitions, schema["json_schema"], config, key, attribute=attribute)
    return None


def _step_to_field(
    schema: CoreSchema, config: CoreSchema, key: KeyOrIndex, *, attribute: bool
) -> list[CoreSchema] | None:
    """Return a list with the schema of the field that a key names.

    The list is empty if there is no such field. The result is None if the object allows any key.
    `attribute` is True if the path has the field as an attribute (`.key`), False if as an item (`["key"]`).
    """
    # The fields of a typed dict are items, the fields of any other object are attributes.
    has_items = schema["type"] == "typed-dict"
    if attribute == has_items:
        return []
    for name, field in list_fields(schema):
        if name == key:
            return [field["schema"]]
    extra = schema.get("extra_behavior") or config.get("extra_fields_behavior")
    return None if extra == "allow" else []


def _step_to_element(schema: CoreSchema, key: KeyOrIndex) -> list[CoreSchema]:
    """Return the schemas of the elements that an index of a list or tuple may mean."""
    if not isinstance(key, int):
        return []
    items: Any = schema.get("items_schema") or ANY
    if isinstance(items, dict):
        return [items]
    if schema.get("variadic_item_index") is not None:
        # If a part has variable length, an index may lead to any of the items.
        return list(items)
    return [items[key]] if -len(items) <= key < len(items) else []


def _step_through(
    definitions: Definitions, schema: CoreSchema, config: CoreSchema, key: KeyOrIndex, *, attribute: bool
) -> list[CoreSchema] | None:
    """Return the schemas at a key in all alternatives of a schema; None if any schema is possible.

    `attribute` is True if the path has the key as an attribute (`.key`), False if as an item (`["key"]`).
    """
    found: list[CoreSchema] = []
    for inner, inner_config, _ in definitions.iter_alternatives(schema, config):
        schemas_within = find_schemas_within(definitions, inner, inner_config, key, attribute=attribute)
        if schemas_within is None:
            return None
        found += schemas_within
    return found
