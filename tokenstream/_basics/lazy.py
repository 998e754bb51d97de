"""Lazy loading of a package's public names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazily(
    package: dict[str, Any], homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a `__getattr__` and a `__dir__` that load a package's names at their first use.

    Args:
        package: The package's globals.
        homes: The submodule that defines each name; a name mapped to itself is that submodule.
    """
    name = package["__name__"]

    def load(attribute: str) -> object:
        home = homes.get(attribute)
        if home is None:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        module = import_module(f"{name}.{home}")
        value: object = module if home == attribute else getattr(module, attribute)
        package[attribute] = value
        return value

    def names() -> list[str]:
        return sorted({*package, *homes})

    return load, names
