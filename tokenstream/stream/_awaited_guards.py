"""Guards that have to be awaited, each call in a separate task."""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream.errors import MisuseError
from tokenstream.stream._reading.host import find_host
from tokenstream.stream._reading.reader import CLOSING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from anyio import CancelScope, Event

    from tokenstream._basics.loose import Action
    from tokenstream._pipeline.machine import Machine
    from tokenstream.stages._guards.asked import AnswerRule
    from tokenstream.stream._reading.async_pump import AsyncPump


class AwaitedGuards:
    """Calls guards that have to be awaited, and passes their verdicts to the machine.

    This object has no reference to the driver, so that an unused stream can be garbage-collected.
    """

    def __init__(self, machine: Machine, pump: AsyncPump) -> None:
        self._machine = machine
        self._pump = pump
        self._needs_task = False
        """True if a guard is known to need a task."""
        self._running: set[CancelScope] = set()
        """Cancel scopes of the guards that are awaited now."""
        self._has_returned: Event | None = None
        """Set once a guard has returned its verdict; None unless somebody waits for that."""

    def add(self, rule: AnswerRule, *, awaited: bool) -> None:
        """Let a guard function be awaited in separate tasks, if it is `awaited` or returns awaitables."""
        self._needs_task = self._needs_task or awaited
        rule.ask_async = self._ask_guard

    def check(self) -> None:
        """Refuse to begin to read if a guard needs a task, and no task can be started."""
        if self._needs_task:
            self._check_task_group()

    async def wait(self, seconds: float | None) -> None:
        """Wait until a guard has returned its verdict; return at once if no guard is running."""
        from anyio import Event, move_on_after

        if self._running:
            self._has_returned = self._has_returned or Event()
            with move_on_after(seconds):
                await self._has_returned.wait()

    def cancel(self) -> None:
        for scope in [*self._running]:
            scope.cancel()

    async def close(self) -> None:
        """Cancel all running guards, and wait until they have ended, for `CLOSING_SECONDS` at most."""
        from anyio import CancelScope, current_time

        self.cancel()
        if not self._running:
            return
        # Shielded, since the caller itself may be cancelled.
        with CancelScope(shield=True, deadline=current_time() + CLOSING_SECONDS):
            while self._running:
                await self.wait(None)

    # -- within ------------------------------------------------------------

    def _check_task_group(self) -> None:
        """Raise `MisuseError` if no task can be started."""
        if not self._pump.can_start_task:
            raise MisuseError(
                "a guard that has to be awaited runs in a task beside the stream: "
                "call .guard(), and read the stream inside `async with stream`"
            )

    def _ask_guard(self, rule: AnswerRule, argument: object) -> None:
        """Call a guard function; if the result is awaitable, await the result in a separate task."""
        from anyio import CancelScope

        result = rule.ask(argument)
        if not is_awaitable(result):
            rule.record_result(result)
            return
        try:
            self._check_task_group()
        except MisuseError:
            if iscoroutine(result):
                # Otherwise Python warns that it was never awaited.
                result.close()
            raise
        scope = CancelScope()
        self._running.add(scope)
        self._pump.spawn(self._run_guard, rule, result, scope)

    async def _run_guard(self, rule: AnswerRule, awaitable: Awaitable[object], scope: CancelScope) -> None:
        """Await a guard's verdict and pass it to the machine, unless the answer was restarted meanwhile."""
        # A restart begins another answer, for which the guard is asked again.
        answer_number = rule.answer_number
        record_verdict: Action | None = None
        try:
            with scope:
                record_verdict = await _await_verdict(rule, awaitable)
        finally:
            self._running.discard(scope)
            if rule.answer_number == answer_number:
                rule.pending = False
            # Wake whoever waits for a guard; a later wait makes another event.
            has_returned, self._has_returned = self._has_returned, None
            if has_returned is not None:
                has_returned.set()
        is_same_answer = rule.answer_number == answer_number
        # A verdict that comes in spite of a cancellation comes too late; no further value is judged after it.
        if record_verdict is not None and is_same_answer and not scope.cancel_called:
            if self._machine.way.guarding is not None:
                self._machine.way.guarding.call(record_verdict)
            self._pump.wake()


async def _await_verdict(rule: AnswerRule, awaitable: Awaitable[object]) -> Action:
    """Await a guard's verdict; return a function that records the verdict or raises the guard's exception."""
    from anyio import get_cancelled_exc_class

    try:
        result = await awaitable
    except Exception as error:  # noqa: BLE001 - a guard may raise anything; the loop raises it again
        return _make_raiser(error)
    except get_cancelled_exc_class() as error:
        if _is_cancelled():
            raise
        # A guard without a verdict must not look like a guard that lets the answer go on.
        failed = RuntimeError("the guard gave no answer: something that it awaited was cancelled")
        failed.__cause__ = error
        return _make_raiser(failed)
    return lambda: rule.record_result(result)


def _is_cancelled() -> bool:
    """Return True if the current task was cancelled, False if only something that the task awaited was."""
    host = find_host()
    if host is None or host.name != "asyncio":
        # On trio, only the cancellation of this task raises the exception.
        return True
    from asyncio import current_task

    task = current_task()
    return task is None or task.cancelling() > 0


def _make_raiser(error: Exception) -> Action:
    def raise_error() -> None:
        raise error

    return raise_error
