"""Stores that remember tool calls, so that each is run at most once: `validated_calls(…, once=store)`."""

from __future__ import annotations

from tokenstream._values.parts import CallState
from tokenstream.call_store._memory import MemoryCallStore
from tokenstream.call_store._redis import AsyncRedisCallStore, RedisCallStore
from tokenstream.stages._tools.store import AsyncCallStore, CallStore, UncertainCall

__all__ = [
    "AsyncCallStore",
    "AsyncRedisCallStore",
    "CallState",
    "CallStore",
    "MemoryCallStore",
    "RedisCallStore",
    "UncertainCall",
]
