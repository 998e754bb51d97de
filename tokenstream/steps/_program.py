"""A program whose output is read: its silence, the reads beside which others run, and its exit code."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from inspect import isawaitable, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import MisuseError, ProviderError, StreamError, StreamStalled
from tokenstream.limits import Deadlines
from tokenstream.steps._agents.detect import AgentRun
from tokenstream.stream._reading.reader import raise_only, run_until_cancelled
from tokenstream.stream._reading.silence import make_stalled_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from tokenstream.steps._agents import AgentReader
    from tokenstream.steps._run import Steps

PATIENCE = 5.0
"""Seconds to wait for an agent's process after its last line."""

AGENT_DEADLINES = Deadlines(idle_bytes=None)
"""The default: a tool may work for minutes, in which its agent prints nothing at all."""

NOTHING = object()
"""Returned if there is no item yet."""
_ENDS_OF_TURN = ("turn", "idle")


class Exit(NamedTuple):
    """The end of an agent's process, as far as is known."""

    code: int | None = None
    """The exit code; None if it is not known."""
    still_runs: bool = False
    """True if the process had not ended in time."""


def ask(exit_code: Any) -> Exit:  # noqa: ANN401 - a number or any function
    """Return the exit of a process that has closed its output, from a code or a function, as `Popen.wait`."""
    if not callable(exit_code):
        return _read(exit_code)
    if iscoroutinefunction(exit_code):
        raise MisuseError("exit_code= is asynchronous, but the agent's output is not: pass a plain function")
    from subprocess import TimeoutExpired

    try:
        if _takes_timeout(exit_code):
            return _read(exit_code(timeout=PATIENCE))
        return _call_in_thread(exit_code)
    except TimeoutExpired:
        return Exit(still_runs=True)


async def ask_async(exit_code: Any) -> Exit:  # noqa: ANN401 - a number or any function
    """Return the exit of a process that has closed its output; the code or function may be asynchronous."""
    if not callable(exit_code):
        return _read(exit_code)
    from anyio import move_on_after, to_thread

    with move_on_after(PATIENCE):
        if iscoroutinefunction(exit_code):
            return _read(await exit_code())
        if _takes_timeout(exit_code):
            return await to_thread.run_sync(ask, exit_code, abandon_on_cancel=True)
        code = exit_code()
        return _read(await code if isawaitable(code) else code)
    return Exit(still_runs=True)


def _call_in_thread(function: Callable[[], object]) -> Exit:
    """Call a function that takes no time limit in a thread, which is left behind if it takes too long."""
    results: list[object] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=call, name="tokenstream exit code", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if errors:
        raise errors[0]
    return _read(results[0]) if results else Exit(still_runs=True)


def _read(code: object) -> Exit:
    """Return the exit for a code."""
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise MisuseError(
            f"exit_code= is a number or a function that returns it, and not {type(code).__name__}"
        )
    return Exit(code)


def _takes_timeout(function: Any) -> bool:  # noqa: ANN401 - any function
    """Return True for a function with a parameter named `timeout`."""
    try:
        return "timeout" in signature(function).parameters
    except (TypeError, ValueError):
        return False


class Patience:
    """Measures how long a program has waited for an agent, and tells how long it may go on.

    Args:
        deadlines: The longest waits.
        clock: Returns the time in seconds.
    """

    def __init__(self, deadlines: Deadlines, clock: Callable[[], float]) -> None:
        self._deadlines = deadlines
        self._clock = clock
        self._started: float | None = None
        """Time of the first wait; None before it."""
        self._wait_began = 0.0
        self._has_content = False
        """True once a first line or message has come."""
        self._without_bytes = 0.0
        """Seconds of waiting since the last byte."""
        self._without_content = 0.0
        """Seconds of waiting since the last line or message."""

    def begin_wait(self, *, is_resting: bool = False, grace: float = 0.0) -> float | None:
        """Begin to wait; return the longest time in seconds for which to wait, or None for no limit.

        No silence is too long while the agent `is_resting`. Past a deadline, all waits together may last
        `grace` seconds, to read what is there already.
        """
        now = self._wait_began = self._clock()
        if self._started is None:
            self._started = now
        total = self._deadlines.total
        if total is not None and now - self._started > total:
            raise make_stalled_error("total", total)
        if is_resting:
            self._without_bytes = self._without_content = 0.0
        waits = self._list_waits(now, is_resting=is_resting)
        left = min((left for left, _, _ in waits), default=0.0)
        return max(left, min(left, 0.0) + grace, 0.0) if waits else None

    def end_wait(self, *, has_bytes: bool) -> None:
        """Record the end of a wait."""
        waited = self._clock() - self._wait_began
        self._without_bytes = 0.0 if has_bytes else self._without_bytes + waited
        self._without_content += waited

    def note_content(self) -> None:
        """Record that what has come was a line or a message."""
        self._has_content = True
        self._without_content = 0.0

    def make_error(self) -> StreamStalled:
        """Return the error for a wait that was too long."""
        waits = self._list_waits(self._wait_began, is_resting=False)
        _, limit, seconds = min(waits)
        return make_stalled_error(limit, seconds)

    def _list_waits(self, now: float, *, is_resting: bool) -> list[tuple[float, str, float]]:
        """Return the seconds that are left of each deadline that applies, with its name and its length."""
        deadlines, started = self._deadlines, now if self._started is None else self._started
        if is_resting:
            starts = [(started, "total", deadlines.total)]
        elif self._has_content:
            starts = [
                (now - self._without_bytes, "idle_bytes", deadlines.idle_bytes),
                (now - self._without_content, "idle_content", deadlines.idle_content),
                (started, "total", deadlines.total),
            ]
        else:
            starts = [
                (now - self._without_content, "first_event", deadlines.first_event),
                (started, "total", deadlines.total),
            ]
        return [
            (start + seconds - now, limit, seconds) for start, limit, seconds in starts if seconds is not None
        ]


class RunBuilder(ABC):
    """Builds a run from an agent's items as the loop takes them, and detects which agent sends them.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
        until: Ends the loop before the end of the input: "turn" or "idle" once a turn has ended and none is
            open, what `peer.begin(…)` returns once it is answered, or a function of an item that returns
            True for the last one. None to read all of the input.

    Raises:
        MisuseError: `agent` is not the name of a known agent, or `until` is none of these values.
    """

    def __init__(self, run: Steps, agent: str | None, until: Any) -> None:  # noqa: ANN401 - checked here
        if until is not None and until not in _ENDS_OF_TURN and not callable(until):
            raise MisuseError(
                'until= takes "turn", "idle", a function of an item or what peer.begin(…) returns, '
                f"not {until!r}"
            )
        self._until: str | Callable[[Any], object] | None = until
        self._turns_before = 0
        """Number of turns that had ended when the loop began."""
        self.has_ended = False
        """True once the run's turns were ended."""
        self.must_stop = False
        """True once the loop must end because of `until`."""
        self._run = run
        self._agent = AgentRun(run, agent, self._prepare)

    @property
    def _reader(self) -> AgentReader | None:
        """The reader of the agent; None until the agent is known."""
        return self._agent.reader

    # -- input -------------------------------------------------------------

    @abstractmethod
    def feed(self, item: object) -> bool:
        """Take in a chunk or an item; return True if it completes a line or a message."""

    @abstractmethod
    def end(self) -> None:
        """Take in the end of the input."""

    @abstractmethod
    def take(self) -> object:
        """Return the next item for the loop, and build the run from it; `NOTHING` if there is none yet."""

    @property
    def is_resting(self) -> bool:
        """True if the agent has nothing to do, so that its silence means nothing."""
        return False

    @property
    def plain_lines(self) -> int:
        """Number of lines that hold no item, such as logs, and were passed by."""
        return 0

    # -- the loop ----------------------------------------------------------

    def begin_loop(self) -> None:
        """Note that a loop begins, or goes on after the last turn."""
        self.must_stop = False
        self._turns_before = 0 if self._reader is None else self._reader.turns_ended

    def finish(self, ended: Exit) -> StreamError | None:
        """End the run's turns; return the error of the run, or None."""
        if self.has_ended:
            return None
        self.has_ended = True
        name = "the agent" if self._reader is None else self._reader.name
        if self._reader is not None:
            error = self._reader.end(ended.code)
        elif ended.code:
            error = ProviderError(f"the process of {name} ended with exit code {ended.code}")
        else:
            is_unknown = not ended.still_runs and (self._agent.has_lines or self.plain_lines > 0)
            error = self._agent.make_unknown_error() if is_unknown else None
        if ended.still_runs and error is not None:
            error.args = (f"{error.message}; its process still runs",)
        elif ended.still_runs:
            error = StreamStalled(
                f"the process of {name} still runs {PATIENCE:g} s after the end of its output; what had "
                "arrived is in .partial, and the process is yours to end",
                limit="exit_code",
            )
            self._add_partial(error)
        return error

    def stop(self, error: BaseException) -> None:
        """End the open turn with an exception, because nothing more is read."""
        if self._reader is not None and not self.has_ended:
            if isinstance(error, StreamError):
                self._add_partial(error)
            self._reader.stop(error)
        self.has_ended = True

    # -- within ------------------------------------------------------------

    def _read(self, item: object, payload: object) -> None:
        """Build the run further from an item that the loop gets now."""
        if not self.has_ended:
            self._agent.read(payload)
        if self._until is not None:
            if callable(self._until):
                self.must_stop = bool(self._until(item))
            self._check_turns()

    def _check_turns(self) -> None:
        """End the loop if a turn has ended, and that is what it waits for."""
        reader = self._reader
        if reader is not None and self._until in _ENDS_OF_TURN and not reader.has_open_turn:
            self.must_stop = reader.turns_ended > self._turns_before

    def _call_reader(self, method: str, shown: dict[str, Any], *arguments: Any) -> None:  # noqa: ANN401 - of several methods
        """Call a method of the reader; keep the call until something `shown` tells which agent it is."""
        if not self.has_ended:
            self._agent.call(method, shown, *arguments)

    def _prepare(self, reader: AgentReader) -> None:
        """Give a reader what it needs beyond the items, and let the run steer its agent."""
        self._run.note_reader(reader)

    def _add_partial(self, error: StreamError) -> None:
        """Store the last answer in an error."""
        partial = None if self._reader is None else self._reader.find_partial()
        if partial is not None:
            error.partial = partial


class AccompaniedReader:
    """Reads an input piece by piece; other coroutines run during each read, and are cancelled after it.

    So none of them is a task that could outlive the loop over the input, on asyncio or on trio.

    Args:
        beside: Functions that return the other coroutines, anew for each read; a cancellation must lose
            nothing that a coroutine has read.
    """

    def __init__(self, beside: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        self._beside = beside
        self._held: object = NOTHING
        """A piece that could not be returned, because a cancellation came after its read; else `NOTHING`."""

    async def read(self, read: Callable[[], Awaitable[object]]) -> object:
        """Return the next piece of the input; run the other coroutines until it was read."""
        if not self._beside:
            return await read()
        from anyio import create_task_group

        if self._held is NOTHING:
            try:
                async with create_task_group() as tasks:
                    for each in self._beside:
                        tasks.start_soon(run_until_cancelled, each)
                    self._held = await read()
                    tasks.cancel_scope.cancel()
            except BaseExceptionGroup as errors:
                raise_only(errors)
        item, self._held = self._held, NOTHING
        return item
