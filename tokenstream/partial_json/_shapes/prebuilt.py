"""The option with which pydantic follows a schema, not the validators and serializers that classes have."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def find_schema_options(make: Any) -> dict[str, bool]:  # noqa: ANN401 - SchemaValidator or SchemaSerializer
    """Return the keyword arguments with which `make` follows the schema that it gets.

    Without them, pydantic would use the validator or the serializer that a model already has. The result
    is empty if this version of pydantic does not have the option.

    Args:
        make: `SchemaValidator` or `SchemaSerializer`.
    """
    option = {"_use_prebuilt": False}
    try:
        make({"type": "any"}, None, **option)
    except TypeError:
        return {}
    return option
