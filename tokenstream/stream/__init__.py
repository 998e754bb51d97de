"""The drivers: the only place that loops, waits, reads a clock or closes anything."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tokenstream.stream._async import AsyncStream
from tokenstream.stream._sync import Stream
from tokenstream.stream._text_view import AsyncTextView, TextView
from tokenstream.stream._view import AsyncView, View

if TYPE_CHECKING:
    from tokenstream.stream._tap import AsyncTap, Tap, tap

__all__ = [
    "AsyncStream",
    "AsyncTap",
    "AsyncTextView",
    "AsyncView",
    "Stream",
    "Tap",
    "TextView",
    "View",
    "tap",
]


def __getattr__(name: str) -> object:
    # Loaded when first asked for: most programs tap nothing.
    if name not in ("AsyncTap", "Tap", "tap"):
        raise AttributeError(f"module 'tokenstream.stream' has no attribute {name!r}")
    value: object = getattr(import_module("tokenstream.stream._tap"), name)
    globals()[name] = value
    return value
