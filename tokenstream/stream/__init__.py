"""The drivers: the only place that loops, waits, reads a clock or closes anything."""

from __future__ import annotations

from tokenstream.stream._async import AsyncStream
from tokenstream.stream._sync import Stream
from tokenstream.stream._tap import AsyncTap, Tap, tap
from tokenstream.stream._views import AsyncView, View

__all__ = ["AsyncStream", "AsyncTap", "AsyncView", "Stream", "Tap", "View", "tap"]
