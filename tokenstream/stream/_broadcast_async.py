"""One stream for several consumers, in `async for` loops: in any tasks of one event loop."""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream._elsewhere import no_block
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._base import StreamBase
from tokenstream.stream._broadcast_hub import PATIENCE, Hub, checked
from tokenstream.stream._broadcast_reader import Follower
from tokenstream.stream._host import running
from tokenstream.stream._phase import Phase
from tokenstream.stream._said import concurrent
from tokenstream.stream._views import AsyncChoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from types import TracebackType
    from typing import Self

    import anyio

    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.router import Router, ToolResults
    from tokenstream.stream._broadcast_hub import Place, Policy
    from tokenstream.stream._items import Bell

__all__ = ["AsyncBroadcast", "AsyncBroadcastReader"]

FoundT = TypeVar("FoundT")


class AsyncHub(Hub[AsyncDriver]):
    """Reads a stream for readers in any tasks of one event loop."""

    __slots__ = ("_current", "_room", "_told")

    def __init__(self, driver: AsyncDriver) -> None:
        if driver.pump.busy:
            raise concurrent()
        super().__init__(driver)
        self._current: Callable[[], object] | None = None
        """Finds the task that runs; None while nobody has read."""
        self._told: anyio.Event | None = None
        """Set when those who wait are to look again; None where nobody waits."""
        self._room: anyio.Event | None = None
        """Set when those who were behind have gone on; None where nobody waits for that."""

    def whoami(self) -> object:
        current: Any = self._current
        if current is not None:
            try:
                return current() or threading.current_thread()
            except RuntimeError:
                # What needs no event loop may be read in another one, or in none.
                self._current = None
        host = running()
        if host is None:
            return threading.current_thread()
        library = sys.modules[host.name]
        self._current = current = getattr(library, "lowlevel", library).current_task
        return current() or threading.current_thread()

    async def wait_for(
        self, place: Place, look: Callable[[], FoundT | None], until: float | None
    ) -> FoundT | None:
        """Read, or have others read, until a look finds something; None where the time has come first.

        Args:
            place: Whose look it is.
            look: Looks.
            until: The clock at which to stop waiting; None to wait as long as it takes.
        """
        if place.busy:
            raise concurrent()
        place.busy = True
        try:
            while (found := look()) is None:
                if self.over:
                    await self.driver.step()
                if until is not None and self.driver.clock() >= until:
                    return None
                await self._go_on(place, until)
        finally:
            self.rest(place)
        return found

    async def look_now(self, look: Callable[[], FoundT | None]) -> FoundT | None:
        """Return what a look finds, once what has come already was read; None where nothing has."""
        me = self.whoami()
        if (found := look()) is None and self._may_read(me):
            await self._read(me, self.driver.step_now)
            found = look()
        if found is None and self.over:
            await self.driver.step()
        return found

    async def next_beside(self, place: Place, bell: Bell) -> Event | None:
        """Return a reader's next event for a loop that reads other streams as well, where it has come."""
        me = self.whoami()
        if (event := self.take(place)) is None and self._may_read(me):
            await self._read(me, partial(self.driver.next_beside, bell))
            event = self.take(place)
        if event is None and self.over:
            await self.driver.step()
        return event

    async def alone(self, act: Callable[[], Awaitable[object]]) -> None:
        """Do something with the driver as its only reader."""
        me = self.whoami()
        while self.leader is not None:
            if self.leader is me:
                raise concurrent()
            await self._wait(None)
        with self.lead(me):
            await act()

    def wake(self) -> None:
        super().wake()
        told, self._told = self._told, None
        if told is not None:
            told.set()

    def make_room(self) -> None:
        super().make_room()
        room, self._room = self._room, None
        if room is not None:
            room.set()

    async def close(self, *, failed: bool = False) -> None:
        """Close the stream, for all readers.

        Args:
            failed: Whether another error is on its way.
        """
        self.set_free()
        try:
            await self.driver.close(failed=failed)
        finally:
            self.told_to_end()

    def stop(self, reason: str | None = None) -> None:
        """End the stream here, for all readers; from any thread or task.

        Args:
            reason: Why.
        """
        self.driver.stop(reason)
        self.driver.pump.call_soon(self.told_to_end)

    def told_to_end(self) -> None:
        """Have all look that the stream has ended."""
        self.wake()
        self.make_room()
        self.tell()

    async def leave(self, place: Place) -> None:
        """Forget a reader, and let those go on that wait for it."""
        place.gone = True
        self.wake()
        self.make_room()

    # -- within ------------------------------------------------------------

    async def _go_on(self, place: Place, until: float | None) -> None:
        me = self.whoami()
        if self.leader is not None:
            if self.leader is me:
                # What reads the stream, a guard say, reads it once more.
                raise concurrent()
            await self._wait(until)
        elif self.must_wait(me, again=self.watcher is place):
            if self.watcher is None:
                self.watcher = place
            if self.watcher is place:
                await self._watch(until)
            else:
                await self._wait(until)
        elif until is None or self.driver.phase is Phase.ENDED:
            await self._read(me, self.driver.__anext__)
        else:
            await self._read(me, partial(self.driver.step_until, until))

    async def _wait(self, until: float | None) -> None:
        """Wait to be told."""
        import anyio

        self.driver.pump.stay_at_home()
        if self._told is None:
            self._told = anyio.Event()
        if until is None:
            await self._told.wait()
            return
        with anyio.move_on_after(max(until - self.driver.clock(), 0.0)):
            await self._told.wait()

    async def _watch(self, until: float | None) -> None:
        """Wait for those who are behind."""
        import anyio

        self.driver.pump.stay_at_home()
        self._room = anyio.Event()
        seconds = PATIENCE if until is None else min(max(until - self.driver.clock(), 0.0), PATIENCE)
        with anyio.move_on_after(seconds):
            await self._room.wait()

    async def _read(self, me: object, read: Callable[[], Awaitable[Event | None]]) -> None:
        with self.lead(me):
            self.publish(await read())
        self.tell()


class _AsyncFollower(Follower):
    """The driver of one of several readers, in any task."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Event]:
        self.enter_loop()
        return self

    def stop(self, reason: str | None = None) -> None:
        """End the stream here, for all readers."""
        self.hub.stop(reason)

    def expire(self) -> None:
        """Look what it means that nothing came for as long as may be waited."""
        # What may not be read yet is no silence.
        if not self.is_reading and not self.hub.crowded:
            self.hub.driver.expire()
            self.hub.wake()

    def glance_beside(self) -> None:
        """Leave it to `next_beside`: others are to be told."""

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        event: Coroutine[Any, Any, Event] = self.next_event()
        return event


class AsyncBroadcast:
    """One stream for several consumers that come and go; see `AsyncStream.broadcast`.

    Example:
        >>> import asyncio
        >>> from tokenstream import AsyncStream
        >>> async def main() -> list[str]:
        ...     hub = AsyncStream(["The ", "sky"], format="pieces").broadcast()
        ...     readers = [hub.reader(), hub.reader()]
        ...     return [message.text for message in await asyncio.gather(*(one.final() for one in readers))]
        >>> asyncio.run(main())
        ['The sky', 'The sky']
    """

    __slots__ = ("__weakref__", "_hub")

    def __init__(self, hub: AsyncHub) -> None:
        self._hub = hub

    def __repr__(self) -> str:
        return f"<AsyncBroadcast of {self._hub.driver!r}>"

    def reader(self, *, name: str | None = None) -> AsyncBroadcastReader:
        """Return another reader, which begins at the start of the answer.

        Args:
            name: Its name, for errors; None for a number.
        """
        return AsyncBroadcastReader(_AsyncFollower(self._hub, self._hub.join(name)))

    def listen(self, function: Callable[[], object]) -> Callable[[], None]:
        """Have a function called whenever something has come, and at the end.

        It is called by whoever reads, in the midst of that, so it must neither block nor raise.

        Args:
            function: Takes no arguments.

        Returns:
            A function that ends it.
        """
        return self._hub.listen(function)


class AsyncBroadcastReader(StreamBase[AsyncDriver], AsyncChoice):
    """One consumer of a stream that has several: it has a stream's views, and its events.

    It is read by one task at a time. Closing it, or forgetting it, leaves the
    stream and the other readers alone.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, follower: Any) -> None:  # noqa: ANN401 - it stands for a driver
        super().__init__(follower, 0)

    @property
    def name(self) -> str:
        """What errors call it."""
        return self._follower.place.name

    @property
    def dropped(self) -> int:
        """How many events it has missed, with the policy "drop_oldest"."""
        return self._follower.place.dropped

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._driver)

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        return self._driver.__anext__()

    async def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; what had arrived is on the error.
        """
        step = self._driver.step
        while True:
            try:
                await step()
            except StopAsyncIteration:
                return self.message

    def choice(self, index: int) -> AsyncChoice:
        """Return the views of one of several alternative answers, from 0."""
        return AsyncChoice(self._driver, index)

    async def run(self, router: Router) -> ToolResults:
        """Read to the end, and have the router's handlers do what there is to do; see `AsyncStream.run`.

        Args:
            router: The handlers.

        Returns:
            What the tools gave back, by call id, and as the turns of the next request.

        Raises:
            StreamError: The answer failed; `tool_results` has what the tools gave back.
            Exception: A handler's own, with a note that names it; this reader is closed.
        """
        from tokenstream.stream._running import run_async

        return await run_async(self._driver.by_event, self._cursors, router)

    async def aclose(self) -> None:
        """Leave; the stream and its other readers go on. Closing twice is fine."""
        await self._follower.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def _follower(self) -> Follower:
        driver: Any = self._driver
        follower: Follower = driver
        return follower


def broadcast(driver: AsyncDriver, policy: Policy | None, size: int | None) -> tuple[AsyncBroadcast, Any]:
    """Return what shares a stream, and the driver of the stream's own reader.

    Args:
        driver: Drives the stream.
        policy: What to do about a reader of events that is behind by `size`; None for "wait".
        size: How many events are held for readers of events; None for 1,024.
    """
    checked(policy, size)
    hub = AsyncHub(driver)
    hub.choose(policy, size)
    return AsyncBroadcast(hub), _AsyncFollower(hub, hub.join("the stream", here=True), whole=True)


no_block(AsyncBroadcastReader, is_async=True)
