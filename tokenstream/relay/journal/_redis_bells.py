"""Change notifications from Redis: one connection for all answers that a process waits for.

The records are in Redis streams; each change is also published on a channel of the
answer. A lost message costs only time: the waiting task looks at the answer again
after a while, and whenever the connection was re-established.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LOOK = 5.0
"""Timeout of one read of the connection, in seconds."""
_AGAIN = 0.25
"""Seconds before an unreachable Redis is tried again."""
_IDLE = 30.0
"""Seconds after which an unused channel is unsubscribed."""


class Bell:
    """The subscription to an answer's channel."""

    __slots__ = ("confirmed", "news", "rung", "sure", "used", "waiting")

    def __init__(self) -> None:
        self.confirmed = asyncio.Event()
        """Set when Redis has confirmed the subscription."""
        self.rung = asyncio.Event()
        """Set at the next message, and then replaced."""
        self.news: str | None = None
        """The last message; None if some may have been lost since."""
        self.sure = False
        """True once the answer was read after the subscription began, so that no earlier change is missed."""
        self.waiting = 0
        self.used = 0.0

    def ring(self, news: str | None) -> None:
        """Wake the waiting tasks.

        Args:
            news: The message; None if some may have been lost.
        """
        self.news = news
        if news is None:
            self.sure = False
        rung, self.rung = self.rung, asyncio.Event()
        rung.set()


class Bells:
    """The subscriptions for all answers that a process waits for.

    Args:
        client: An asyncio client of redis-py.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - only the client's creator imports redis
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
            is_new: Returns True if a message reports the awaited change.
            has_changed: Reads the answer itself; called once per new subscription.
        """
        try:
            bell = await self._bell(channel)
        except self._failures:
            # Missing notifications are not an error: the caller looks again by itself.
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
                # Registered first, because the confirmation may arrive before `subscribe` returns.
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
        """Unsubscribe channels that have been unused for a while; the connection stays open for others."""
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
                # The client reconnects and subscribes again at the next call.
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
                # Confirmed twice: the client has reconnected, and messages in between are lost.
                bell.ring(None)
            bell.confirmed.set()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _text(told: Any) -> str:  # noqa: ANN401 - bytes, or str where the client decodes
    return told.decode() if isinstance(told, bytes) else str(told)
