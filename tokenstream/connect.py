"""Deprecated: import what was here from `tokenstream`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream._connect import aconnect, connect

__all__ = ["aconnect", "connect"]


def __getattr__(name: str) -> object:
    """Return a name that has moved, with a warning."""
    from tokenstream._basics.deprecated import load_moved

    return load_moved(name, __name__, home="tokenstream", real="tokenstream._connect")
