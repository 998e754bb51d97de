"""Adapters for all objects that a stream can read, which are recognised by their methods, not their classes.

The caller opens an object, such as a response, and the stream that reads the object closes it.
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
