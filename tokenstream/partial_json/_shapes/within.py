"""Steps from a pydantic type to the types inside it, used to check paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._shapes.core_schema import SCALARS, list_fields

if TYPE_CHECKING:
    from tokenstream.partial_json._shapes.core_schema import CoreSchema, Definitions

ANY: CoreSchema = {"type": "any"}
_OBJECTS = frozenset({"model-fields", "dataclass-args", "typed-dict"})
# A path has no step into these: a set has no keys, and its elements no order.
_LEAF_KINDS = SCALARS | {"set", "frozenset"}


def find_schemas_within(
    definitions: Definitions, schema: CoreSchema, config: CoreSchema, key: str | int, *, attribute: bool
) -> list[CoreSchema] | None:
    """Return the schemas that the value at a key may have, to check the next step of a path.

    The list is empty if no value can be there. The result is None if any value can be there.

    Args:
        definitions: The schemas to which `schema` refers.
        schema: The schema before the step; not a union.
        config: The config of that schema.
        key: The step of a path, such as `lambda r: r.steps[0]`: a field's name, a key or an index.
        attribute: True if the step is an attribute (`.steps`), False if it is an item (`[0]`).
    """
    kind = schema["type"]
    if kind in _OBJECTS:
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
    schema: CoreSchema, config: CoreSchema, key: str | int, *, attribute: bool
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


def _step_to_element(schema: CoreSchema, key: str | int) -> list[CoreSchema]:
    """Return the schemas of the elements that an index of a list or tuple may mean."""
    if not isinstance(key, int):
        return []
    items: Any = schema.get("items_schema") or ANY
    if isinstance(items, dict):
        return [items]
    repeated = schema.get("variadic_item_index")
    if repeated is not None:
        # If a part has variable length, an index may lead to any of the items.
        return list(items)
    return [items[key]] if -len(items) <= key < len(items) else []


def _step_through(
    definitions: Definitions, schema: CoreSchema, config: CoreSchema, key: str | int, *, attribute: bool
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
