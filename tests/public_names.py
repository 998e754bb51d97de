"""The public names of each public module, by its `__all__`; tests/surface.txt is the list that holds them."""

from __future__ import annotations

from importlib import import_module

from tests.project import MODULES

PUBLIC: dict[str, list[str]] = {
    module: sorted(getattr(import_module(module), "__all__", ()))
    for module in sorted(MODULES)
    if not any(room.startswith("_") for room in module.split("."))
}
"""A module whose name has no underscore is public, and so is what it lists."""
