"""Adapters for all objects that a stream can read, which are recognised by their methods, not their classes.

The caller opens an object, such as a response, and the stream that reads the object closes it.
"""

from __future__ import annotations

from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._sources.causes import is_timeout
from tokenstream._sources.failures import opening_error, reading_error
from tokenstream._sources.find import async_source, sync_source
from tokenstream._sources.httpx import from_async_response, from_response
from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource

__all__ = [
    "AsyncSource",
    "FunctionFailed",
    "LazySource",
    "SyncSource",
    "async_source",
    "from_async_response",
    "from_response",
    "is_timeout",
    "opening_error",
    "reading_error",
    "sync_source",
]
