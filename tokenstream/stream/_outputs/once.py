"""Runs tool calls at most once: the views, and the waiting for stores, in both kinds of streams."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from inspect import GEN_CLOSED, getgeneratorstate, iscoroutine
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream.errors import MisuseError
from tokenstream.stages._protocols import ItemT
from tokenstream.stages._tools.once import CallRun, Interruption, Sleep
from tokenstream.stages._tools.same_calls import SameCalls
from tokenstream.stream._log import warn
from tokenstream.stream._views.view import AsyncToolCallView, AsyncView, CallT, ToolCallView, View

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream.stages._handlers import CheckedCalls
    from tokenstream.stages._tools.call import CheckedCall
    from tokenstream.stages._tools.once import CallStep, CallSteps
    from tokenstream.stages._tools.store import AnyCallStore


_MEMBERS = ("begin", "look", "finish", "forget", "lease")
"""Members that a store has, and few other objects."""
_GRACE = 5.0
"""Seconds that a cancelled task may wait for a store that it tells of the call it was running."""


class Once:
    """Runs calls at most once, for a `Stream`.

    Args:
        store: Remembers the calls.
        cursor: The cursor in the calls, which also gives those of a checkpoint; None if there are no tools.
        choice: The index of the choice that the calls belong to; 0 for the first choice.

    Raises:
        MisuseError: `store` is not a store.
    """

    def __init__(self, store: AnyCallStore, cursor: CheckedCalls | None, choice: int = 0) -> None:
        if isinstance(store, type) or not all(hasattr(store, name) for name in _MEMBERS):
            raise MisuseError(f"once= takes a CallStore, such as MemoryCallStore(), and not {store!r:.80}")
        self.store = store
        self._choice = choice
        # A store may have been written without the option.
        has_list = getattr(store, "same_calls", False) is True
        describe = None if cursor is None else cursor.describe
        self._same_calls = SameCalls(store, describe) if has_list else None
        if cursor is not None:
            cursor.use_store()

    def make_run(self, call: CheckedCall) -> CallRun:
        """Return an object that runs a call at most once; its methods yield steps for `do` to carry out."""
        return CallRun(call, self.store, warn, self._same_calls)

    def end(self, accumulator: Accumulator) -> CallSteps:
        """Compare the calls of a complete answer with those of the first one; yield the steps to take."""
        # Choice 0 stands for the first choice, which may have another index.
        choice = self._choice or accumulator.main
        if self._same_calls is None or accumulator.message_of(choice).ending != "complete":
            return
        calls = accumulator.calls.find_choice(choice)
        if calls is not None:
            yield from self._same_calls.check_end(calls)

    def do(self, steps: Generator[CallStep, Any, Any]) -> object:
        """Call the functions and make the pauses that a generator yields, and return its result."""
        taking = _TakenSteps(steps)
        try:
            while True:
                try:
                    step = taking.find_next()
                    if step is None:
                        return taking.result
                    taking.send(_take(step))
                except BaseException as error:
                    if taking.is_over:
                        raise
                    taking.throw(error)
        finally:
            taking.close()

    def leave(self, run: CallRun, error: BaseException) -> Any:  # noqa: ANN401 - None, or an awaitable
        """Give up a call that the application has in hand, because it was interrupted."""
        self.do(run.leave())


class AsyncOnce(Once):
    """Runs calls at most once, for an `AsyncStream`."""

    async def do(self, steps: Generator[CallStep, Any, Any]) -> object:
        """Carry out the steps that a generator yields, awaiting awaitables; return the generator's result.

        After a cancellation, the steps that are left are shielded from it, for five seconds each.
        """
        taking = _TakenSteps(steps)
        try:
            while True:
                try:
                    step = taking.find_next()
                    if step is None:
                        return taking.result
                    taking.send(await _take_async(step, taking.interruption))
                except BaseException as error:
                    if taking.is_over:
                        raise
                    taking.throw(error)
        finally:
            taking.close()

    async def leave(self, run: CallRun, error: BaseException) -> None:
        steps = run.leave()
        for step in steps:
            try:
                await _take_async(step, error)
            except Exception as failure:  # noqa: BLE001 - the steps say what follows from it
                with suppress(StopIteration):
                    steps.throw(failure)


class _TakenSteps:
    """The steps of a generator while they are taken: what to send into it next, and how it has ended."""

    def __init__(self, steps: Generator[CallStep, Any, Any]) -> None:
        self._steps = steps
        self._resume: Callable[[], CallStep] = partial(next, steps)
        self.interruption: BaseException | None = None
        """The exception by which a step was stopped from outside; the end of the steps raises it."""
        self.result: Any = None
        """The generator's result, once `find_next` has returned None."""

    @property
    def is_over(self) -> bool:
        return getgeneratorstate(self._steps) == GEN_CLOSED

    def find_next(self) -> CallStep | None:
        """Return the next step to take; None at the end."""
        try:
            return self._resume()
        except StopIteration as end:
            self.result = end.value
        except Interruption:
            pass
        if self.interruption is not None:
            raise self.interruption
        return None

    def send(self, result: object) -> None:
        self._resume = partial(self._steps.send, result)

    def throw(self, error: BaseException) -> None:
        """Let the generator go on with the exception of its step, or with an `Interruption` in its place."""
        if not isinstance(error, Exception):
            self.interruption = error
            # A generator would end at a GeneratorExit, and take no further step.
            error = Interruption()
        self._resume = partial(self._steps.throw, error)

    def close(self) -> None:
        """Let go of the exceptions, which refer to the frame that refers to this object."""
        self.interruption = None
        self._resume = partial(next, self._steps)


class _Asking:
    """Base of the views that ask a store, in both kinds of loops."""

    __slots__ = ()
    _driver: Any
    _once: Any
    _taken: Any
    """A call or draft that was read and not yet delivered; an error or a cancellation leaves it here."""
    _run: Any
    """Asks the store about `_taken`; kept after an error, to ask again under the same token."""

    def __init__(self, driver: Any, cursor: Any, instead: str, once: Once) -> None:  # noqa: ANN401 - of either kind
        super().__init__(driver, cursor, instead)  # type: ignore[call-arg] # that of a view
        self._once = once
        self._taken = self._run = None

    def _ask(self) -> Generator[CallStep, Any, object] | None:
        """Return the steps to take at the store before a call, or the end, is delivered; None for others."""
        if self._taken is None:
            return self._once.end(self._driver.accumulator)  # type: ignore[no-any-return] # as in `Once`
        call = _find_ended_call(self._taken)
        if call is None:
            return None
        self._run = self._run or self._once.make_run(call)
        # To look the call up, or to begin it.
        return call.enter(self._run)  # type: ignore[no-any-return] # as in `CheckedCall`

    def _deliver(self) -> Any:  # noqa: ANN401 - what the view's cursor gives
        """Return the item that was taken, whose call the store knows by now."""
        item, run = self._taken, self._run
        if run is not None:
            _find_ended_call(item).join_store(run, self._once.do)
            if run.is_in_hand:
                self._driver.calls_in_hand.append((self._once, run))
        self._taken = self._run = None
        return item


class OnceView(_Asking, View[ItemT]):
    """A view that asks a store, which remembers the calls that have run, before it delivers a call."""

    __slots__ = ("_once", "_run", "_taken")

    once_type = Once

    def __next__(self) -> ItemT:
        """Return the next item; before one with a call that has ended, ask the store about the call.

        At the end, this raises the stream's error or StopIteration.
        """
        # Kept until it is delivered: if the store raises an error, the next read asks it again.
        if self._taken is None:
            with suppress(StopIteration):
                self._taken = super().__next__()
        if (steps := self._ask()) is not None:
            self._once.do(steps)
        if self._taken is None:
            raise StopIteration
        return self._deliver()  # type: ignore[no-any-return] # what the view's cursor gives


class OnceCallView(OnceView[CallT], ToolCallView[CallT]):
    """A view of calls that asks a store before it delivers one."""

    __slots__ = ()

    def when_complete(self) -> View[CallT]:
        return OnceCallView(self._driver, self._cursor.make_waiting(), self._instead, self._once)  # type: ignore[attr-defined] # one in calls


class AsyncOnceView(_Asking, AsyncView[ItemT]):
    """A view that asks a store, which remembers the calls that have run, before it delivers a call."""

    __slots__ = ("_once", "_run", "_taken")

    once_type = AsyncOnce

    async def __anext__(self) -> ItemT:
        """Return the next item; before one with a call that has ended, ask the store about the call.

        At the end, this raises the stream's error or StopAsyncIteration.
        """
        # Kept until it is delivered: if the wait for the store is cancelled, or the store raises an error,
        # the next read asks it again.
        if self._taken is None:
            with suppress(StopAsyncIteration):
                self._taken = await super().__anext__()
        if (steps := self._ask()) is not None:
            await self._once.do(steps)
        if self._taken is None:
            raise StopAsyncIteration
        return self._deliver()  # type: ignore[no-any-return] # what the view's cursor gives


class AsyncOnceCallView(AsyncOnceView[CallT], AsyncToolCallView[CallT]):
    """A view of calls that asks a store before it delivers one."""

    __slots__ = ()

    def when_complete(self) -> AsyncView[CallT]:
        return AsyncOnceCallView(self._driver, self._cursor.make_waiting(), self._instead, self._once)  # type: ignore[attr-defined] # one in calls


ASKING: dict[Any, Any] = {
    View: OnceView,
    ToolCallView: OnceCallView,
    AsyncView: AsyncOnceView,
    AsyncToolCallView: AsyncOnceCallView,
}
"""The classes of views that ask a store, each by the class of those that ask none."""


def _find_ended_call(item: Any) -> Any:  # noqa: ANN401 - a call or a draft
    """Return the call that has ended with an item; None for a draft before that, or if it cannot be run."""
    call = getattr(item, "call", item)
    # A call with an error cannot be run, so the store need not know it.
    return None if call is None or call.error is not None else call


def _take(step: CallStep) -> object:
    """Take a step, and return its result; None for a pause."""
    if isinstance(step, Sleep):
        time.sleep(step.seconds)
        return None
    return _refuse_awaitable(step())


async def _take_async(step: CallStep, interruption: BaseException | None) -> object:
    """Take a step, bounded after an interruption, and return its awaited result; None for a pause."""
    from anyio import fail_after, sleep

    if isinstance(step, Sleep):
        await sleep(step.seconds)
        return None
    result: Any = step()
    if result is None or not is_awaitable(result):
        return result
    if interruption is None:
        return await result
    if isinstance(interruption, GeneratorExit):
        # The event loop has dropped the task, which cannot wait for anything.
        return _refuse_awaitable(result)
    with fail_after(_GRACE, shield=True):
        return await result


def _refuse_awaitable(result: object) -> object:
    """Return the result of a tool or a store, unless it is an awaitable."""
    if result is None or not is_awaitable(result):
        return result
    if iscoroutine(result):
        # Otherwise Python warns that it was never awaited.
        result.close()
    raise MisuseError(
        "a Stream cannot await the tool or the store: give once= a store with plain methods, and plain "
        "functions as tools, or read with an AsyncStream"
    )
