"""Streams and their views, which a program reads answers with, and what several readers share."""

# No module below this one loops over a source, waits, reads a clock or closes anything.

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._sync import Stream
from tokenstream.stream._views.shaped_view import AsyncPartialsView, PartialsView
from tokenstream.stream._views.text_view import AsyncTextView, TextView
from tokenstream.stream._views.view import AsyncView, View

if TYPE_CHECKING:
    from tokenstream._origin import Origin
    from tokenstream.stream._fan_out.broadcast import Broadcast, BroadcastReader
    from tokenstream.stream._fan_out.broadcast_async import AsyncBroadcast, AsyncBroadcastReader
    from tokenstream.stream._fan_out.lanes import Labelled
    from tokenstream.stream._fan_out.merge import AsyncMerge, Merge, merge
    from tokenstream.stream._tap.tap import AsyncTap, Tap, tap

__all__ = [
    "AsyncBroadcast",
    "AsyncBroadcastReader",
    "AsyncMerge",
    "AsyncPartialsView",
    "AsyncStream",
    "AsyncTap",
    "AsyncTextView",
    "AsyncView",
    "Broadcast",
    "BroadcastReader",
    "Labelled",
    "Merge",
    "Origin",
    "PartialsView",
    "Stream",
    "Tap",
    "TextView",
    "View",
    "merge",
    "tap",
]

# Loaded on first access: most programs use no taps, broadcasts, merges or origins.
_HOMES = {
    "AsyncBroadcast": "_fan_out.broadcast_async",
    "AsyncBroadcastReader": "_fan_out.broadcast_async",
    "AsyncMerge": "_fan_out.merge",
    "AsyncTap": "_tap.tap",
    "Broadcast": "_fan_out.broadcast",
    "BroadcastReader": "_fan_out.broadcast",
    "Labelled": "_fan_out.lanes",
    "Merge": "_fan_out.merge",
    "Origin": "._origin",
    "Tap": "_tap.tap",
    "merge": "_fan_out.merge",
    "tap": "_tap.tap",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
