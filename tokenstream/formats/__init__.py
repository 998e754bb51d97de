"""Wire formats: frames in, events out; one module each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.formats.bare_text import text
    from tokenstream.formats.base import Format, Frame
    from tokenstream.formats.custom_mapping import custom

__all__ = ["Format", "Frame", "custom", "text"]

# Loaded when first asked for: every module of the library that needs one of the
# modules here would load them all.
_HOMES = {"Format": "base", "Frame": "base", "custom": "custom_mapping", "text": "bare_text"}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tokenstream.formats' has no attribute {name!r}")
    value: object = getattr(import_module(f"tokenstream.formats.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
