"""Runs tool calls at most once: the views, and the waiting for stores, in both kinds of streams."""

from __future__ import annotations

import time
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._tools.once import CallRun, Pause
from tokenstream.stream._log import warn
from tokenstream.stream._views.view import AsyncToolCallView, AsyncView, CallT, ToolCallView, View

if TYPE_CHECKING:
    from collections.abc import Generator

    from tokenstream.message import ToolCall
    from tokenstream.stages._tools.once import Step
    from tokenstream.stages._tools.store import AnyCallStore
    from tokenstream.stream._protocols import AsyncDriverView, CallCursor, SyncDriverView


_MEMBERS = ("begin", "look", "finish", "forget", "lease")
"""Members that a store has, and few other objects."""


class Once:
    """Runs calls at most once, for a `Stream`.

    Args:
        store: Remembers the calls.

    Raises:
        MisuseError: `store` is not a store.
    """

    __slots__ = ("store",)

    def __init__(self, store: AnyCallStore) -> None:
        if isinstance(store, type) or not all(hasattr(store, name) for name in _MEMBERS):
            raise MisuseError(f"once= takes a CallStore, such as MemoryCallStore(), and not {store!r:.80}")
        self.store = store

    def make_run(self, call: ToolCall) -> CallRun:
        """Return an object that runs a call at most once; its methods yield steps for `do` to carry out."""
        return CallRun(call, self.store, warn)

    def do(self, steps: Generator[Step, Any, Any]) -> object:
        """Carry out the steps that a generator yields, and return the generator's result.

        Args:
            steps: Yields functions to call, whose results or exceptions it gets, and pauses to make.
        """
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(steps)
                    continue
                try:
                    result = _refuse_awaitable(step())
                except Exception as error:  # noqa: BLE001 - the steps say what follows from it
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return end.value
        finally:
            # After Ctrl-C, the steps have to know at once that they are over.
            steps.close()


class AsyncOnce(Once):
    """Runs calls at most once, for an `AsyncStream`."""

    __slots__ = ()

    async def do(self, steps: Generator[Step, Any, Any]) -> object:
        """Carry out the steps that a generator yields, and return the generator's result.

        Args:
            steps: Yields functions to call, whose results or exceptions it gets, and pauses to make. A
                result that is awaitable is awaited first.
        """
        from anyio import sleep

        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await sleep(step.seconds)
                    step = next(steps)
                    continue
                try:
                    result: Any = step()
                    if result is not None and isawaitable(result):
                        result = await result
                except Exception as error:  # noqa: BLE001 - the steps say what follows from it
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return end.value
        finally:
            # After a cancellation, the steps have to know at once that they are over.
            steps.close()


class OnceView(ToolCallView[CallT]):
    """A view that asks a store, which remembers the calls that have run, before it delivers a call."""

    __slots__ = ("_once", "_run", "_taken")

    def __init__(self, driver: SyncDriverView, cursor: CallCursor[CallT], instead: str, once: Once) -> None:
        super().__init__(driver, cursor, instead)
        self._once = once
        self._taken: Any = None
        """A call that was read, and is not yet delivered; an error of the store leaves it here."""
        self._run: CallRun | None = None
        """Asks the store about `_taken`; kept after an error, to ask again under the same token."""

    def when_complete(self) -> View[CallT]:
        """Return a view that holds back all calls until the whole answer is complete."""
        cursor: CallCursor[CallT] = self._cursor  # type: ignore[assignment] # the one that `__init__` got
        return OnceView(self._driver, cursor.make_waiting(), self._instead, self._once)

    def __next__(self) -> CallT:
        """Return the next call, once the store was asked about it.

        At the end, this raises the stream's error or StopIteration.
        """
        # Kept until the call is delivered: if the store raises an error, the next read asks it again.
        if self._taken is None:
            self._taken = super().__next__()
        call = self._taken
        # A call with an error cannot be run, so the store need not know it.
        if call.error is None:
            run = self._run = self._run or self._once.make_run(call)
            # `call.enter` returns the steps to take at the store: to look the call up, or to begin it.
            self._once.do(call.enter(run))
            call.join_store(run, self._once.do)
        self._taken = self._run = None
        return call  # type: ignore[no-any-return] # what the view's cursor gives


class AsyncOnceView(AsyncToolCallView[CallT]):
    """A view that asks a store, which remembers the calls that have run, before it delivers a call."""

    __slots__ = ("_once", "_run", "_taken")

    def __init__(
        self, driver: AsyncDriverView, cursor: CallCursor[CallT], instead: str, once: AsyncOnce
    ) -> None:
        super().__init__(driver, cursor, instead)
        self._once = once
        self._taken: Any = None
        """A call that was read, and is not yet delivered; an error or a cancellation leaves it here."""
        self._run: CallRun | None = None
        """Asks the store about `_taken`; kept after an error, to ask again under the same token."""

    def when_complete(self) -> AsyncView[CallT]:
        """Return a view that holds back all calls until the whole answer is complete."""
        cursor: CallCursor[CallT] = self._cursor  # type: ignore[assignment] # the one that `__init__` got
        return AsyncOnceView(self._driver, cursor.make_waiting(), self._instead, self._once)

    async def __anext__(self) -> CallT:
        """Return the next call, once the store was asked about it.

        At the end, this raises the stream's error or StopAsyncIteration.
        """
        # Kept until the call is delivered: if the wait for the store is cancelled, or the store raises an
        # error, the next read asks it again.
        if self._taken is None:
            self._taken = await super().__anext__()
        call = self._taken
        # A call with an error cannot be run, so the store need not know it.
        if call.error is None:
            run = self._run = self._run or self._once.make_run(call)
            # `call.enter` returns the steps to take at the store: to look the call up, or to begin it.
            await self._once.do(call.enter(run))
            call.join_store(run, self._once.do)
        self._taken = self._run = None
        return call  # type: ignore[no-any-return] # what the view's cursor gives


def _refuse_awaitable(result: object) -> object:
    """Return the result of a tool or a store, unless it is an awaitable.

    Raises:
        MisuseError: The result is an awaitable, which a `Stream` cannot await.
    """
    if result is None or not isawaitable(result):
        return result
    if iscoroutine(result):
        # Otherwise Python warns that it was never awaited.
        result.close()
    raise MisuseError(
        "a Stream cannot await the tool or the store: give once= a store with plain methods, and plain "
        "functions as tools, or read with an AsyncStream"
    )
