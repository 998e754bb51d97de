"""Programs with many handlers: a stream that runs a router."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from inspect import isawaitable, iscoroutine
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError, StreamError
from tokenstream.stream._reader import unpacked

if TYPE_CHECKING:
    from anyio import Event
    from anyio.abc import TaskGroup

    from tokenstream import events
    from tokenstream.router import Router, ToolResults
    from tokenstream.stages._handlers import Run, Work

__all__ = ["AsyncRunning", "Running"]


class Running:
    """A stream that a router can be run with."""

    __slots__ = ()

    def run(self, router: Router) -> ToolResults:
        """Read to the end, and have the router's handlers do what there is to do.

        Tools, fields and items begin with what has come before; handlers of events
        get those that are still to come.

        Args:
            router: The handlers.

        Returns:
            What the tools gave back, by call id, and as the turns of the next request.

        Raises:
            StreamError: The answer failed; `tool_results` has what the tools gave back.
            OutputInvalid: What a field or an item is read from is not what was asked for.
            OutputIncomplete: It was cut.
            Exception: A handler's own, with a note that names it; the stream is closed, and
                `tool_results` has what the tools gave back before.
        """
        stream: Any = self
        run = _begin(stream, router)
        run.refuse_async()
        try:
            _do(stream, run, run.begin())
            while True:
                try:
                    event: events.Event = stream._step()  # noqa: SLF001 - the stream's own run
                except StopIteration:
                    break
                _do(stream, run, run.feed(event))
            _do(stream, run, run.end(stream.message))
        except BaseException as error:
            run.put_results_on(error, stream.message)
            raise
        return run.finish(stream.message)


class AsyncRunning:
    """A stream that a router can be run with."""

    __slots__ = ()

    async def run(self, router: Router) -> ToolResults:
        """Read to the end, and have the router's handlers do what there is to do.

        Tools run beside the reading, up to `router.concurrency` at once, and plain
        ones in threads; all other handlers are awaited before the stream is read on.
        Tools, fields and items begin with what has come before; handlers of events
        get those that are still to come.

        Args:
            router: The handlers.

        Returns:
            What the tools gave back, by call id, and as the turns of the next request.

        Raises:
            StreamError: The answer failed; `tool_results` has what the tools gave back.
            OutputInvalid: What a field or an item is read from is not what was asked for.
            OutputIncomplete: It was cut.
            Exception: A handler's own, with a note that names it; the stream is closed,
                the tools that were running are cancelled, and `tool_results` has what
                the others gave back.
        """
        from anyio import create_task_group

        stream: Any = self
        tasks = _Tasks(stream, _begin(stream, router), router.concurrency)
        try:
            async with create_task_group() as tasks.group:
                await tasks.read()
        except BaseExceptionGroup as errors:
            # Ctrl-C, where on trio it met what waits for the tools.
            raise unpacked(errors) from None
        return await tasks.finish()


class _Tasks:
    """A run whose tools are tasks, which end with it.

    Nothing that fails leaves the group of tasks by itself: it would come out as
    a part of an ExceptionGroup.

    Args:
        stream: The stream.
        run: The run.
        limit: How many tools may run at once.
    """

    group: TaskGroup

    def __init__(self, stream: Any, run: Run, limit: int) -> None:  # noqa: ANN401 - an AsyncStream
        from anyio import CapacityLimiter, get_cancelled_exc_class

        self._stream = stream
        self._run = run
        self._free = limit
        # One of its own: the event loop's is shared, and may have less room than the router asks for.
        self._threads = CapacityLimiter(limit)
        self._waiting: deque[Work] = deque()
        self._cancelled = get_cancelled_exc_class()
        self._failure: BaseException | None = None
        self._broken = False
        """Whether the failure is none of the answer's, so that nothing goes on."""

    async def read(self) -> None:
        """Read the stream to its end."""
        try:
            await self._do(self._run.begin())
            while (event := await self._next()) is not None:
                await self._do(self._run.feed(event))
            if self._failure is None:
                await self._do(self._run.end(self._stream.message))
        except self._cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised once the tasks are over
            self._keep(error)
            self.group.cancel_scope.cancel()

    async def finish(self) -> ToolResults:
        """Return what came of it, once all tasks are over, or raise what went wrong."""
        failure, self._failure = self._failure, None
        if failure is None:
            return self._run.finish(self._stream.message)
        if self._broken:
            await self._stream._close(failed=True)  # noqa: SLF001 - the stream's own run
        self._run.put_results_on(failure, self._stream.message)
        try:
            raise failure
        finally:
            # The error holds this frame, which would hold the error.
            del failure

    async def _next(self) -> events.Event | None:
        """Return the next event; None at the end, or where nothing more is to be read."""
        if self._failure is not None:
            return None
        try:
            event: events.Event = await self._stream._step()  # noqa: SLF001 - the stream's own run
        except StopAsyncIteration:
            return None
        except StreamError as error:
            # What was called was called: the tools go on.
            self._failure = error
            return None
        return event

    async def _do(self, work: list[Work]) -> None:
        for todo in work:
            if self._failure is not None:
                return
            if todo.is_tool:
                await self._start(todo)
            else:
                await self._done(todo)

    async def _start(self, todo: Work) -> None:
        from anyio import Event

        if self._free:
            self._free -= 1
            begun = Event()
            self.group.start_soon(self._work, todo, begun, name=f"tokenstream tool {todo.entry.tool}")
            # It begins now, and not only when the stream has to wait for more. (`group.start`
            # would do, but turns Ctrl-C into an internal error of trio's.)
            await begun.wait()
        else:
            self._waiting.append(todo)

    async def _work(self, todo: Work, begun: Event) -> None:
        """Run a tool, and then those that wait for a free place."""
        begun.set()
        await self._done(todo)
        while self._waiting and not self._broken:
            await self._done(self._waiting.popleft())
        self._free += 1

    async def _done(self, todo: Work) -> None:
        try:
            value = await self._call(todo)
            if value is not None and isawaitable(value):
                value = await value
        except self._cancelled as error:
            # The run is being ended, or a handler has met the end of somebody else's task.
            self._end_with(error)
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised once the tasks are over
            if self._run.excuses(todo, error):
                return
            todo.blame(error)
            self._end_with(error)
        else:
            self._run.keep(todo, value)

    async def _call(self, todo: Work) -> Any:  # noqa: ANN401 - whatever the handler returns
        """Call a handler: a plain tool in a thread, since it may block, and all else here."""
        if not todo.is_tool or todo.entry.is_async():
            return todo.do()
        from anyio.to_thread import run_sync

        # In a tuple, since trio refuses what is to be awaited.
        (value,) = await run_sync(lambda: (todo.do(),), limiter=self._threads)
        return value

    def _end_with(self, error: BaseException) -> None:
        """End the run because of a handler."""
        self._keep(error)
        self._broken = True
        self.group.cancel_scope.cancel()

    def _keep(self, error: BaseException) -> None:
        """Keep what is to be raised once the tasks are over: the first error, with notes about others."""
        if self._failure is None:
            self._failure = error
        elif not isinstance(error, self._cancelled):
            with suppress(AttributeError):
                self._failure.add_note(f"beside it, {type(error).__name__} was raised")


def _begin(stream: Any, router: Router) -> Run:  # noqa: ANN401 - a stream of either kind
    from tokenstream.router import Router

    given: Any = router
    if not isinstance(given, Router):
        raise MisuseError(f"stream.run() takes a Router, not {type(given).__name__}")
    return given._begin(stream.choice(0), attrgetter("_cursor"))  # noqa: SLF001 - its own driver


def _do(stream: Any, run: Run, work: list[Work]) -> None:  # noqa: ANN401 - a Stream
    for todo in work:
        try:
            run.keep(todo, _plain(todo))
        except BaseException as error:
            if run.excuses(todo, error):
                continue
            todo.blame(error)
            stream._close(quiet=True)  # noqa: SLF001 - the stream's own run
            raise


def _plain(todo: Work) -> Any:  # noqa: ANN401 - whatever the handler returns
    """Return what a handler returns, where nothing can be awaited."""
    value = todo.do()
    # Most handlers return nothing, and to tell of anything else what it is takes long.
    if value is None or not isawaitable(value):
        return value
    if iscoroutine(value):
        value.close()
    raise todo.entry.refusal()
