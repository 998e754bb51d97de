"""Hints of a Redis that something has changed: one connection for all answers that a process waits for.

The records are in streams of Redis, and a change is published on a channel of the
answer besides. A message that is lost costs time and nothing else: whoever waits
looks again after a while, and once more where the connection was a new one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Bell", "Bells"]

_LOOK = 5.0
"""Seconds after which a silent connection is looked at."""
_AGAIN = 0.25
"""Seconds before a Redis that is out of reach is asked again."""
_IDLE = 30.0
"""Seconds after which a channel that nobody waits for is left."""


class Bell:
    """The channel of an answer."""

    __slots__ = ("confirmed", "news", "rung", "sure", "used", "waiting")

    def __init__(self) -> None:
        self.confirmed = asyncio.Event()
        """Set when Redis has said that messages will come."""
        self.rung = asyncio.Event()
        """Set at the next message, and replaced then."""
        self.news: str | None = None
        """The last message."""
        self.sure = False
        """Somebody has looked at the answer since messages come: what came before it is known."""
        self.waiting = 0
        self.used = 0.0

    def ring(self, news: str | None) -> None:
        """Wake who waits.

        Args:
            news: The message; None where some may have been lost.
        """
        self.news = news
        if news is None:
            self.sure = False
        rung, self.rung = self.rung, asyncio.Event()
        rung.set()


class Bells:
    """The channels of the answers that a process waits for.

    Args:
        client: A client of redis-py, for asyncio.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - redis is imported by whoever has made it
        from redis.exceptions import RedisError

        self._client = client
        self._failures: tuple[type[Exception], ...] = (RedisError, OSError)
        self._pubsub: Any = None
        self._bells: dict[str, Bell] = {}
        self._reader: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._swept = 0.0

    async def wait(
        self, channel: str, is_new: Callable[[str], bool], has_changed: Callable[[], Awaitable[bool]]
    ) -> None:
        """Wait until something may have changed.

        Args:
            channel: The answer's channel.
            is_new: Tells whether a message says what is waited for.
            has_changed: Looks at the answer itself, which is done once for a new channel.
        """
        try:
            bell = await self._bell(channel)
        except self._failures:
            # Not to be told is no failure: who waits looks again.
            await asyncio.sleep(_AGAIN)
            return
        bell.waiting += 1
        try:
            await bell.confirmed.wait()
            if not bell.sure:
                bell.sure = True
                if await has_changed():
                    return
            while bell.sure and not (bell.news is not None and is_new(bell.news)):
                await bell.rung.wait()
        finally:
            bell.waiting -= 1
            bell.used = _now()

    async def aclose(self) -> None:
        """Close the connection."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            await pubsub.aclose()

    # -- within ------------------------------------------------------------

    async def _bell(self, channel: str) -> Bell:
        bell = self._bells.get(channel)
        if bell is not None:
            return bell
        async with self._changing:
            if channel not in self._bells:
                await self._sweep()
                if self._pubsub is None:
                    self._pubsub = self._client.pubsub()
                # It is there before its confirmation comes.
                self._bells[channel] = Bell()
                try:
                    await self._pubsub.subscribe(channel)
                except BaseException:
                    del self._bells[channel]
                    raise
                if self._reader is None or self._reader.done():
                    self._reader = asyncio.create_task(self._read(), name="hints of the journal's Redis")
            return self._bells[channel]

    async def _sweep(self) -> None:
        """Leave channels that nobody has waited for of late; others come, so the connection stays."""
        now = _now()
        if now - self._swept < _IDLE:
            return
        self._swept = now
        old = [name for name, bell in self._bells.items() if not bell.waiting and now - bell.used > _IDLE]
        for name in old:
            del self._bells[name]
        if old:
            await self._pubsub.unsubscribe(*old)

    async def _read(self) -> None:
        while True:
            try:
                message = await self._pubsub.get_message(timeout=_LOOK)
            except self._failures:
                # The client connects anew and subscribes again at the next call.
                for bell in self._bells.values():
                    bell.ring(None)
                await asyncio.sleep(_AGAIN)
                continue
            if message is not None:
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        bell = self._bells.get(_text(message["channel"]))
        if bell is None:
            return
        if message["type"] == "message":
            bell.ring(_text(message["data"]))
        elif message["type"] == "subscribe":
            if bell.confirmed.is_set():
                # The connection is another one: what was said between the two is lost.
                bell.ring(None)
            bell.confirmed.set()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _text(told: Any) -> str:  # noqa: ANN401 - bytes, or str where the client decodes
    return told.decode() if isinstance(told, bytes) else str(told)
