"""Warnings for public names that will be removed, as docs/versioning.md promises them."""

from __future__ import annotations

import inspect
import warnings
from importlib import import_module


def warn_deprecated(message: str) -> None:
    """Emit a `DeprecationWarning` at the line of the application that called the library.

    Args:
        message: What is deprecated, and what to use in its place.
    """
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def _is_ours(module: str) -> bool:
    """Return True for the name of a module of this library."""
    return module == "tokenstream" or module.startswith("tokenstream.")


def load_moved(name: str, module: str, *, home: str, real: str) -> object:
    """Return the value of a name that has moved, and warn that the module that had it before is deprecated.

    Args:
        module: The module that had the name before.
        home: The package from which to import the name now.
        real: The module that defines the name.

    Raises:
        AttributeError: The module never had that name.
    """
    if name.startswith("__"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    value: object = getattr(import_module(real), name)
    warn_deprecated(f"the module {module} is deprecated: import {name} from {home}")
    return value
