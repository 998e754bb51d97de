"""The `Allow` flags, which select the kinds of values that are visible before they are complete."""

from __future__ import annotations

from importlib import import_module
from typing import Any

try:
    # The package has no type annotations.
    Allow: Any = import_module("partial_json_parser").Allow
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the flags `Allow` are those of partial-json-parser, which is not installed: "
        "`pip install partial-json-parser`",
        name=error.name,
    ) from error
