"""The drivers: the only place that loops, waits, reads a clock or closes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._lazy import lazily
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._sync import Stream
from tokenstream.stream._text_view import AsyncTextView, TextView
from tokenstream.stream._view import AsyncView, View

if TYPE_CHECKING:
    from tokenstream.stream._broadcast import Broadcast, BroadcastReader
    from tokenstream.stream._broadcast_async import AsyncBroadcast, AsyncBroadcastReader
    from tokenstream.stream._tap import AsyncTap, Tap, tap

__all__ = [
    "AsyncBroadcast",
    "AsyncBroadcastReader",
    "AsyncStream",
    "AsyncTap",
    "AsyncTextView",
    "AsyncView",
    "Broadcast",
    "BroadcastReader",
    "Stream",
    "Tap",
    "TextView",
    "View",
    "tap",
]

# Loaded when first asked for: most programs tap nothing, and share no stream.
_HOMES = {
    "AsyncBroadcast": "_broadcast_async",
    "AsyncBroadcastReader": "_broadcast_async",
    "AsyncTap": "_tap",
    "Broadcast": "_broadcast",
    "BroadcastReader": "_broadcast",
    "Tap": "_tap",
    "tap": "_tap",
}

__getattr__, __dir__ = lazily(globals(), _HOMES)
