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
from tokenstream.stages import CallDraft


class Order(BaseModel):
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
    for drafted in stream.tool_partials(Order, get_weather, once=store):
        assert_type(drafted, CallDraft[Order] | CallDraft[dict[str, Any], str])
    for named in stream.tool_partials(get_weather=get_weather, once=store):
        assert_type(named, CallDraft[dict[str, Any], str])


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
    async for drafted in stream.tool_partials(book, once=store):
        if drafted.call is not None:
            assert_type(await drafted.call.run(), int)
    async for draft in stream.tool_partials(Order, once=store):
        assert_type(draft, CallDraft[Order])
    async for plain_draft in stream.tool_partials(get_weather, once=store):
        if plain_draft.call is not None:
            assert_type(await plain_draft.call.run(), str)


def stores() -> None:
    plain_stores: list[CallStore] = [MemoryCallStore(), RedisCallStore(Redis())]
    later: AsyncCallStore = AsyncRedisCallStore(AsyncRedis())
    assert_type(plain_stores[0].uncertain(), list[UncertainCall])
    assert_type(plain_stores[0].settle("key", 1), bool)
    Router(once=plain_stores[0])
    Router(once=later)
