"""What users' editors infer of calls that run once; checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_type

from pydantic import BaseModel
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from tokenstream import AsyncStream, Router, Stream
from tokenstream.call_store import (
    AsyncCallStore,
    AsyncRedisCallStore,
    CallState,
    CallStore,
    MemoryCallStore,
    RedisCallStore,
    UncertainCall,
)
from tokenstream.errors import CallUncertain, OutputInvalid
from tokenstream.relay import MemoryJournal


class Order(BaseModel):
    """A type that declares a tool."""

    dish: str


def get_weather(city: str) -> str:
    return city


async def book(room: int) -> int:
    return room


def plain(stream: Stream, store: MemoryCallStore) -> None:
    for call in stream.validated_calls(get_weather, once=store):
        assert_type(call.run(), str)
        assert_type(call.key, str)
        assert_type(call.state, CallState | None)
        assert_type(call.error, OutputInvalid | CallUncertain | None)
    for order in stream.validated_calls(Order, once=RedisCallStore(Redis())):
        assert_type(order.arguments, Order)


async def asynchronous(stream: AsyncStream, store: AsyncCallStore, journal: MemoryJournal) -> None:
    async for call in stream.validated_calls(get_weather, once=store):
        assert_type(await call.run(), str)
    async for booking in stream.validated_calls(book, once=AsyncRedisCallStore(AsyncRedis())):
        assert_type(await booking.run(), int)
    async for order in stream.validated_calls(Order, once=MemoryCallStore()):
        assert_type(order.arguments, Order)
        await order.finish(1)
    async for named in stream.validated_calls(get_weather=book, once=journal.calls):
        assert_type(await named.run(), Any)


def stores() -> None:
    plain_stores: list[CallStore] = [MemoryCallStore(), RedisCallStore(Redis())]
    later: AsyncCallStore = AsyncRedisCallStore(AsyncRedis())
    assert_type(plain_stores[0].uncertain(), list[UncertainCall])
    assert_type(plain_stores[0].settle("key", 1), bool)
    Router(once=plain_stores[0])
    Router(once=later)
