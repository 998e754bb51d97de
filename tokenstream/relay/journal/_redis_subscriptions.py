"""Change notifications from Redis: one connection for all answers that a process waits for.

The records are in Redis streams; each change is also published on a channel of the
answer. A lost message only costs time: the waiting task reads the answer's state again
after a while, and whenever the connection has been re-established.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from tokenstream.relay.journal._changes import Changes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenstream._basics.loose import JsonObject

_READ_SECONDS = 5.0
"""The timeout of one read from the connection, in seconds."""
_RETRY_SECONDS = 0.25
"""Seconds before an unreachable Redis is tried again."""
_IDLE_SECONDS = 30.0
"""Seconds after which an unused channel is unsubscribed."""


@dataclass(slots=True, eq=False)
class Subscription:
    """This process's subscription to the Redis channel of one answer, for the tasks that wait for changes."""

    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once Redis has confirmed the subscription."""
    news: Changes = field(default_factory=Changes)
    """Wakes the waiting tasks at the next message."""
    last_message: str | None = None
    """The last message of the channel; None if later messages may have been lost."""
    reported_message: str | None = None
    """The last message for which `Subscriptions.wait` has returned; None before the first."""
    is_current: bool = False
    """True if the answer was read since the subscription began or was renewed: nothing is missed."""
    waiting: int = 0
    """The number of tasks that wait for a change."""
    used: float = 0.0
    """The clock reading when a task last ended its wait."""

    def wake(self, last_message: str | None) -> None:
        """Wake the tasks that wait for a message of the channel, or because some may have been lost."""
        self.last_message = last_message
        if last_message is None:
            self.is_current = False
        self.news.notify()


class Subscriptions:
    """The Redis subscriptions of a process: on one connection, a channel for each answer it waits for."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - only the client's creator imports redis
        from redis.exceptions import RedisError

        self._client = client
        self._failures: tuple[type[Exception], ...] = (RedisError, OSError)
        self._pubsub: Any = None
        """redis-py's object for subscriptions; None before the first one."""
        self._subscriptions: dict[str, Subscription] = {}
        self._reader: asyncio.Task[None] | None = None
        """The task that reads all messages; None until there is a subscription."""
        self._subscribing = asyncio.Lock()
        """Held while a channel is subscribed, so that this is done once."""
        self._last_cleanup = 0.0
        """The clock reading when unused channels were last looked for."""

    async def wait(
        self, channel: str, is_new: Callable[[str], bool], has_changed: Callable[[], Awaitable[bool]]
    ) -> None:
        """Wait until an answer may have changed, which `is_new` tells from a message.

        `has_changed` reads the answer's state in two cases: after a new subscription, because a change
        before it sent no message here; and for a message that has ended an earlier wait, because the
        message may be about an earlier answer with the same id.
        """
        try:
            subscription = await self._subscribe(channel)
        except self._failures:
            # It is no error that notifications are missing: the caller reads the answer again anyway.
            await asyncio.sleep(_RETRY_SECONDS)
            return
        subscription.waiting += 1
        try:
            await subscription.confirmed.wait()
            if not subscription.is_current:
                # No message reports a change before the subscription began: read the answer once.
                subscription.is_current = True
                if await has_changed():
                    return
            # If messages may have been lost, return, so that the caller reads the answer again.
            while subscription.is_current:
                message = subscription.last_message
                if message is None or not is_new(message):
                    await subscription.news.wait()
                    continue
                # A message that has ended an earlier wait may be about an earlier answer with this id, which
                # was forgotten: only the state shows if this answer has changed.
                is_unreported = message is not subscription.reported_message
                if is_unreported or await has_changed():
                    subscription.reported_message = message
                    break
                # The message was about the earlier answer: forget it, unless a newer message has arrived
                # during `has_changed`, and wait for the next one.
                if subscription.last_message is message:
                    subscription.last_message = None
        finally:
            subscription.waiting -= 1
            subscription.used = monotonic()

    async def aclose(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            await pubsub.aclose()

    # -- within ------------------------------------------------------------

    async def _subscribe(self, channel: str) -> Subscription:
        """Return this process's subscription to a channel; subscribe to the channel on the first call."""
        subscription = self._subscriptions.get(channel)
        if subscription is not None:
            return subscription
        async with self._subscribing:
            if channel not in self._subscriptions:
                await self._unsubscribe_unused()
                if self._pubsub is None:
                    self._pubsub = self._client.pubsub()
                # Register the subscription first: its confirmation may arrive before `subscribe` returns.
                self._subscriptions[channel] = Subscription()
                try:
                    await self._pubsub.subscribe(channel)
                except BaseException:
                    del self._subscriptions[channel]
                    raise
                if self._reader is None or self._reader.done():
                    self._reader = asyncio.create_task(self._read(), name="hints of the journal's Redis")
            return self._subscriptions[channel]

    async def _unsubscribe_unused(self) -> None:
        """Unsubscribe from channels for which no task has waited for a while; keep the connection open."""
        now = monotonic()
        if now - self._last_cleanup < _IDLE_SECONDS:
            return
        self._last_cleanup = now
        unused = [
            channel
            for channel, subscription in self._subscriptions.items()
            if not subscription.waiting and now - subscription.used > _IDLE_SECONDS
        ]
        for channel in unused:
            del self._subscriptions[channel]
        if unused:
            await self._pubsub.unsubscribe(*unused)

    async def _read(self) -> None:
        """Read the messages of all channels, for as long as the connection is used."""
        while True:
            try:
                message = await self._pubsub.get_message(timeout=_READ_SECONDS)
            except self._failures:
                # The client reconnects and subscribes again at the next call. None: messages may be lost.
                for subscription in self._subscriptions.values():
                    subscription.wake(None)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if message is not None:
                self._handle_message(message)

    def _handle_message(self, message: JsonObject) -> None:
        """Handle a message: news for a subscription, or Redis's confirmation of a subscription."""
        subscription = self._subscriptions.get(_decode_reply(message["channel"]))
        if subscription is None:
            return
        if message["type"] == "message":
            subscription.wake(_decode_reply(message["data"]))
        elif message["type"] == "subscribe":
            if subscription.confirmed.is_set():
                # The second confirmation of a channel means that the client has reconnected: messages
                # in between are lost.
                subscription.wake(None)
            subscription.confirmed.set()


def _decode_reply(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
