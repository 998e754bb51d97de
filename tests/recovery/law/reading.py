"""A program that reads the answer of a draw by one of the views, runs its calls, and may leave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from tests.recovery.law.draws import CALLS, Draw
from tests.recovery.law.leaving import Leaver, Left, watch_purses
from tests.recovery.law.provider import INPUT_PRICE, OUTPUT_PRICES, PATHS, Providers, payload_of
from tests.support.either import Each, connect_in, got, run_in
from tokenstream import Message, Purse, Retry, Route, Routes, Usage
from tokenstream.call_store import AsyncRedisCallStore, MemoryCallStore, RedisCallStore
from tokenstream.events import Restarted, TextDelta, ToolCallDone


@dataclass
class Places:
    """The places of purses and stores, which several programs of a draw share."""

    folder: Path
    redis: Any
    memory: MemoryCallStore = field(default_factory=lambda: MemoryCallStore(lease=0.05))
    runs: Counter[str] = field(default_factory=Counter[str])
    client: Any = None
    """The client that an `AsyncRedisCallStore` has; None without one."""

    def make_purse(self, draw: Draw) -> Purse | None:
        if draw.purse in (None, "bound"):
            return None
        file = self.folder / f"purse-{draw.seed}" if draw.purse == "file" else None
        redis = self.redis if draw.purse == "redis" else None
        return Purse(most=draw.most, file=file, redis=redis)

    def make_store(self, draw: Draw) -> Any:
        """Return the store of calls; on trio, no client of Redis can be waited for."""
        if draw.store == "memory" or draw.world == "trio":
            return self.memory
        if draw.world == "sync":
            return RedisCallStore(self.redis, lease=0.05)
        from redis.asyncio import Redis

        self.client = Redis(unix_socket_path=self.redis.get_connection_kwargs()["path"])
        return AsyncRedisCallStore(self.client, lease=0.05)


@dataclass
class Seen:
    draw: Draw
    providers: Providers
    purse: Purse | None
    spent_before: float = 0.0
    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    error: Exception | None = None
    has_left: bool = False
    stream: Any = None
    tasks_left: int = 0

    @property
    def message(self) -> Message:
        message: Message = self.stream.message
        return message


def run(draw: Draw, places: Places) -> Seen:
    leaver = Leaver(draw.leave)
    providers = Providers(draw, leaver)
    purse = places.make_purse(draw)
    seen = Seen(draw, providers, purse)
    seen.spent_before = 0.0 if purse is None else purse.spent
    with watch_purses(leaver):
        run_in(draw.world, _live, seen, leaver, places)
    return seen


def _ask(seen: Seen) -> Any:
    draw = seen.draw
    client = seen.providers.client()
    first, *others = [
        Route(
            f"https://route{number}.test{PATHS[plan.format]}",
            json=payload_of(plan.format, is_background=draw.is_background),
            client=client,
            attempts=plan.attempts,
            name=f"route {number}",
            format=plan.format,
            rest=None,
            price=_price_of(number) if draw.purse else None,
        )
        for number, plan in enumerate(draw.routes)
    ]
    most: Any = draw.most if draw.purse == "bound" else seen.purse
    judges: Any = {"accept": draw.accepts} if draw.is_judged else {}
    if draw.skipped is not None:
        judges["on_retry"] = lambda attempt: attempt.skip() if attempt.number == draw.skipped else None
    hedge: Any = {} if draw.hedge_after is None else {"hedge_after": draw.hedge_after}
    retry = Retry(routes=Routes(*others, **hedge), wait=0, again=draw.asks_again, most=most, **judges)
    return connect_in(draw.world)(first, retry=retry, job="the tide")


def _price_of(route: int) -> Callable[[Usage], float]:
    def price(usage: Usage) -> float:
        return (usage.input_tokens or 0) * INPUT_PRICE + (usage.output_tokens or 0) * OUTPUT_PRICES[route]

    return price


async def _live(seen: Seen, leaver: Leaver, places: Places) -> None:
    if seen.draw.world == "sync":
        await _read(seen, leaver, places)
        return
    leaver.loop = anyio.lowlevel.current_token()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leaver.count_turns)
        if seen.draw.world == "asyncio":
            task = asyncio.ensure_future(_read(seen, leaver, places))
            if leaver.leave and leaver.leave.how == "task":
                leaver.go = task.cancel
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        else:
            await _read(seen, leaver, places)
        tasks.cancel_scope.cancel()
    if places.client is not None:
        await places.client.aclose()
        places.client = None
    if seen.draw.world == "asyncio":
        for _ in range(20):
            await asyncio.sleep(0)
        seen.tasks_left = len(asyncio.all_tasks()) - 1


async def _read(seen: Seen, leaver: Leaver, places: Places) -> None:
    stream = seen.stream = _ask(seen)
    how = None if leaver.leave is None else leaver.leave.how
    if how == "stop":
        leaver.go = lambda: stream.stop("enough")
    reader = _Reader(seen, leaver, places)
    try:
        if seen.draw.world == "sync":
            with stream:
                await reader.read()
        else:
            with anyio.CancelScope() as scope:
                if how == "scope" or (how == "task" and seen.draw.world == "trio"):
                    leaver.go = scope.cancel
                async with stream:
                    await reader.read()
    except Exception as error:  # noqa: BLE001 - the laws judge it
        seen.error = error
    finally:
        seen.has_left = leaver.has_left


class _Reader:
    def __init__(self, seen: Seen, leaver: Leaver, places: Places) -> None:
        self._seen, self._leaver, self._places = seen, leaver, places
        self._stream = seen.stream

    async def read(self) -> None:
        """Read to the end, to an error, or until the reader leaves."""
        view = self._seen.draw.view
        if view == "final":
            self._seen.text = (await got(self._stream.final())).text
            return
        how = None if self._leaver.leave is None else self._leaver.leave.how
        async for item in Each(self._open(view)):
            await self._take(view, item)
            before = self._leaver.has_left
            self._leaver.passes("item")
            if self._leaver.has_left and not before:
                if how == "raise":
                    raise Left
                if how == "close":
                    stream = self._stream
                    await got(stream.close() if self._seen.draw.world == "sync" else stream.aclose())
                if how in ("close", "break"):
                    break

    def _open(self, view: str) -> Any:
        stream = self._stream
        if view == "events":
            return stream
        if view == "sentences":
            return stream.text.sentences()
        if view == "validated_calls":
            store = self._places.make_store(self._seen.draw)
            return stream.validated_calls(moor=self._moor, signal=self._signal, once=store)
        return getattr(stream, view)

    async def _take(self, view: str, item: Any) -> None:
        seen = self._seen
        if view in ("text", "sentences"):
            seen.text += item
        elif view == "tool_calls":
            seen.calls.append((item.name, item.arguments))
        elif view == "validated_calls":
            await got(item.run())
            seen.calls.append((item.name, CALLS[item.name]))
        elif isinstance(item, TextDelta):
            seen.text += item.text
        elif isinstance(item, ToolCallDone):
            seen.calls.append((item.call.name, item.call.arguments))
        elif isinstance(item, Restarted):
            seen.text, seen.calls = "", []

    def _moor(self, boat: str, ropes: int) -> str:
        """Moor a boat."""
        self._places.runs["moor"] += 1
        return f"{boat} lies at {ropes} ropes."

    def _signal(self, light: str) -> str:
        """Show a light."""
        self._places.runs["signal"] += 1
        return light
