"""The formats by their names, for tests that go through all of them; only here is their registry known."""

from tokenstream.formats import _registry
from tokenstream.formats._registry import (
    create,
    detect,
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


def forget_installed() -> None:
    """Forget the installed formats, so that the next lookup searches for them again."""
    for name in ("_entry_points", "_load_installed", "load"):
        getattr(_registry, name).cache_clear()
