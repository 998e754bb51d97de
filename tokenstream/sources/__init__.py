"""What can be consumed, by what it can do and not by its class.

A source is opened by somebody else and closed by the stream.
"""

from __future__ import annotations

from tokenstream.sources._failures import opening_failed, reading_failed
from tokenstream.sources._find import async_source, sync_source
from tokenstream.sources._httpx import from_async_response, from_response
from tokenstream.sources._kinds import AsyncSource, Deferred, SyncSource

__all__ = [
    "AsyncSource",
    "Deferred",
    "SyncSource",
    "async_source",
    "from_async_response",
    "from_response",
    "opening_failed",
    "reading_failed",
    "sync_source",
]
