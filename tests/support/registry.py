"""The formats by their names, for tests that go through all of them; only here is their registry known."""

from tokenstream.formats._registry import (
    create,
    detect,
    forget_installed,
    format_of_path,
    installed_names,
    load,
    names,
    path_patterns,
)

__all__ = [
    "create",
    "detect",
    "forget_installed",
    "format_of_path",
    "installed_names",
    "load",
    "names",
    "path_patterns",
]
