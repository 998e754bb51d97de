"""The option with which pydantic follows a schema, not the validators and serializers that classes have."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def find_schema_options(make: Any) -> dict[str, bool]:  # noqa: ANN401 - SchemaValidator or SchemaSerializer
    """Return the options with which `make` follows the schema; empty for versions without the option.

    With other options, pydantic would use the validator or the serializer that a model already has.

    Args:
        make: `SchemaValidator` or `SchemaSerializer`.
    """
    option = {"_use_prebuilt": False}
    try:
        make({"type": "any"}, None, **option)
    except TypeError:
        return {}
    return option
