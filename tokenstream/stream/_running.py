"""The method `stream.run`, which reads a stream and calls the handlers of a router.

A `Work` is one call of a handler that is still to be made: the handler (its `entry`) with its argument.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream.errors import AnswerFailure, CallsDiffer, MisuseError
from tokenstream.stages._tools.generators import ToolStopped, finish_call, finish_later, needs_await
from tokenstream.stream._outputs.once import AsyncOnce, Once
from tokenstream.stream._reading.reader import raise_only

if TYPE_CHECKING:
    from anyio import Event
    from anyio.abc import TaskGroup

    from tokenstream import events
    from tokenstream._basics.loose import Action
    from tokenstream.message import Message
    from tokenstream.router import Router, ToolResults
    from tokenstream.stages._handlers import HandlerRun, Work
    from tokenstream.stream._protocols import AsyncDriver, SyncDriver
    from tokenstream.stream._views.aspects import Cursors


def run(driver: SyncDriver, cursors: Cursors, router: Router) -> ToolResults:
    """Read a stream to its end and call a router's handlers, one after the other."""
    run = _begin_run(driver, cursors, router, Once)
    run.refuse_async()
    try:
        _call_all(driver, run, run.begin())
        while True:
            try:
                event = driver.step()
            except StopIteration:
                break
            _call_all(driver, run, run.feed(event))
        _call_all(driver, run, run.end())
        if run.once is not None:
            run.once.do(run.once.end(driver.machine.accumulator))
        return run.finish(*_list_messages(driver))
    except BaseException as error:
        if isinstance(error, AnswerFailure):
            # If the stream goes on, a restarted answer differs: the stream then ends with the earlier one.
            driver.fall_back(error)
        run.put_results_on(error, *_list_messages(driver, error))
        raise
    finally:
        run.dispose()


async def run_async(driver: AsyncDriver, cursors: Cursors, router: Router) -> ToolResults:
    """Read a stream to its end and call a router's handlers; tools run concurrently.

    The arguments are those of `run`.
    """
    from anyio import create_task_group

    run = _begin_run(driver, cursors, router, AsyncOnce)
    tasks = _Tasks(driver, run, router.concurrency)
    try:
        try:
            async with create_task_group() as tasks.group:
                await tasks.read()
        except BaseExceptionGroup as errors:
            # On trio, a Ctrl-C struck during the wait for the tools.
            raise_only(errors)
        return await tasks.finish()
    finally:
        run.dispose()


class _Tasks:
    """Reads a stream for `run_async`, with a task for each tool; `finish` is called once the tasks are over.

    Errors are stored and raised later: a task group would wrap an error that leaves one of
    its tasks in an ExceptionGroup.
    """

    group: TaskGroup

    def __init__(self, driver: AsyncDriver, run: HandlerRun, limit: int) -> None:
        from anyio import CapacityLimiter, get_cancelled_exc_class

        self._driver = driver
        self._run = run
        self._free_slots = limit
        """Number of further tools that may run now."""
        # The event loop's own limiter is shared, and its limit may be smaller than the router's concurrency.
        self._threads = CapacityLimiter(limit)
        self._waiting: deque[Work] = deque()
        self._cancelled = get_cancelled_exc_class()
        self._failure: BaseException | None = None
        """The error to raise once all tasks have ended; None if there is none."""
        self._must_end = False
        """True if a handler or a cancellation caused the failure, which ends the whole run."""

    async def read(self) -> None:
        """Read the stream to its end."""
        try:
            await self._start_all(self._run.begin())
            while (event := await self._next_event()) is not None:
                await self._start_all(self._run.feed(event))
            if self._failure is None:
                await self._start_all(self._run.end())
            if self._failure is None and self._run.once is not None:
                await self._run.once.do(self._run.once.end(self._driver.machine.accumulator))
        except self._cancelled:
            # The task group has to see its own cancellation.
            raise
        except (AnswerFailure, CallsDiffer) as error:
            # The answer differs from an earlier one. Its tools go on, as after an answer that broke off.
            self._store_error(error)
        except BaseException as error:  # noqa: BLE001 - raised once the tasks are over
            self._store_error(error)
            self.group.cancel_scope.cancel()

    async def finish(self) -> ToolResults:
        """Return the results of the tools, or raise the failure; called once all tasks are over."""
        failure, self._failure = self._failure, None
        if failure is None:
            return self._run.finish(*_list_messages(self._driver))
        if self._must_end or isinstance(failure, CallsDiffer):
            # A handler failed, or the run was cancelled: the rest of the answer is not read.
            await self._driver.close(failed=True)
        elif isinstance(failure, AnswerFailure):
            # If the stream goes on, a restarted answer differs: the stream then ends with the earlier one.
            self._driver.fall_back(failure)
        self._run.put_results_on(failure, *_list_messages(self._driver, failure))
        try:
            raise failure
        finally:
            # This avoids a reference cycle between the error and this frame.
            del failure

    async def _next_event(self) -> events.Event | None:
        """Return the next event; None at the end or after a failure."""
        if self._failure is not None:
            return None
        try:
            event = await self._driver.step()
        except StopAsyncIteration:
            return None
        except AnswerFailure as error:
            # Tool calls that were complete stay valid, so their tools go on.
            self._failure = error
            return None
        return event

    async def _start_all(self, works: list[Work]) -> None:
        """Start the tools and call the other handlers; stop at the first failure."""
        for work in works:
            if self._failure is not None:
                return
            _note_delivery(self._driver, work)
            if work.is_tool:
                await self._start_tool(work)
            else:
                await self._finish_work(work)

    async def _start_tool(self, work: Work) -> None:
        """Start a tool in a task, or let it wait for a free slot."""
        from anyio import Event

        if self._free_slots:
            self._free_slots -= 1
            begun = Event()
            self.group.start_soon(self._run_tools, work, begun, name=f"tokenstream tool {work.entry.tool}")
            # Let the tool begin now, not only once the stream has to wait for data. (`group.start`
            # would do that, but turns Ctrl-C into an internal error of trio.)
            await begun.wait()
        else:
            self._waiting.append(work)

    async def _run_tools(self, work: Work, begun: Event) -> None:
        """Run a tool, then the tools that are waiting for a free slot; set `begun` at once."""
        begun.set()
        await self._finish_work(work)
        while self._waiting and not self._must_end:
            await self._finish_work(self._waiting.popleft())
        self._free_slots += 1

    async def _finish_work(self, work: Work) -> None:
        try:
            around_tool = self._run.around_tool
            # Most calls are of event handlers, so the common case is written out here: a further
            # coroutine around each call would cost time.
            if around_tool is None or not work.is_tool:
                value = await self._call(work)
            else:
                with around_tool(work.item) as step:
                    value = await self._call(work, step)
                    _keep_result(step, value)
        except ToolStopped:
            # The tool has no result, as its stream was stopped.
            return
        except self._cancelled as error:
            # The run is being cancelled, or a handler awaited a task that was cancelled.
            self._end_with(error)
            raise
        except CallsDiffer as error:
            # No further call is begun, but the tools that run go on.
            self._store_error(error)
            return
        except BaseException as error:  # noqa: BLE001 - raised once the tasks are over
            # A tool's own failure is its result; the other handlers go on.
            following = self._run.store_failure(work, error)
            if following is None:
                work.add_note_to(error)
                self._end_with(error)
                return
        else:
            following = self._run.store_result(work, value)
        for each in following:
            if not self._must_end:
                await self._finish_work(each)

    async def _call(self, work: Work, step: Any = None) -> object:  # noqa: ANN401 - a step, which is above
        """Call a handler within its `step`, or return the result of a call that has run before."""
        if not work.is_tool:
            value = work.call()
            return await value if value is not None and is_awaitable(value) else value
        once = self._run.once
        if once is None:
            return await self._call_tool(work, step)
        return await once.do(once.make_run(work.item).run(lambda: self._call_tool(work, step)))

    async def _call_tool(self, work: Work, step: Any) -> object:  # noqa: ANN401 - as above
        """Call a tool, and return its result; a sync tool is called in a thread, since it may block."""
        value = work.call() if work.entry.is_async() else await self._run_in_thread(work, step, work.call)
        if value is None or not needs_await(value):
            return value
        # A generator that was awaited may block, as any sync tool.
        return await finish_later(
            value,
            partial(self._show_or_stop, work, step),
            lambda generator: self._run_in_thread(work, step, lambda: generator),
        )

    async def _run_in_thread(self, work: Work, step: Any, call: Action) -> object:  # noqa: ANN401 - as above
        """Call a function in a thread, and run there all of the generator that it may return."""
        from anyio.from_thread import check_cancelled
        from anyio.from_thread import run as run_in_loop
        from anyio.to_thread import run_sync

        def show(output: object) -> None:
            """Show progress in the event loop, and wait until it is shown."""
            goes_on = False
            # On asyncio, this exception means that the handlers were cancelled with the run.
            with suppress(CancelledError):
                goes_on = run_in_loop(self._show, work, step, output)
            self._check_failure()
            # Raises the event loop's own exception, also if no handler has waited.
            check_cancelled()
            if not goes_on:
                raise ToolStopped

        def run() -> tuple[object]:
            """Return the result in a tuple, because trio refuses an awaitable as a thread's result."""
            return (finish_call(call(), show, work.entry.result),)

        (value,) = await run_sync(run, limiter=self._threads)
        return value

    async def _show_or_stop(self, work: Work, step: Any, output: object) -> None:  # noqa: ANN401 - as above
        """Show progress of a tool; raise an exception if the tool is not to go on."""
        from anyio.lowlevel import checkpoint_if_cancelled

        goes_on = await self._show(work, step, output)
        self._check_failure()
        # A cancellation ends all tools; also one that never waits.
        await checkpoint_if_cancelled()
        if not goes_on:
            raise ToolStopped

    async def _show(self, work: Work, step: Any, output: object) -> bool:  # noqa: ANN401 - as above
        """Show a value that a running tool has yielded; return False if the tool is not to go on."""
        _show_in_step(step, output)
        for each in self._run.show_progress(work, output):
            if not self._must_end:
                await self._finish_work(each)
        return not self._must_end and not _was_stopped(self._driver)

    def _check_failure(self) -> None:
        """Raise ToolStopped if a handler has failed; its error gets a note if closing the tool fails, too."""
        if self._must_end and not isinstance(self._failure, self._cancelled):
            raise ToolStopped(self._failure)

    def _end_with(self, error: BaseException) -> None:
        """End the run because a handler failed; its error is raised once the tasks are over."""
        self._store_error(error)
        self._must_end = True
        self.group.cancel_scope.cancel()

    def _store_error(self, error: BaseException) -> None:
        """Store the error to raise once the tasks are over: the first error, with notes about later ones."""
        if self._failure is None:
            self._failure = error
        elif not isinstance(error, self._cancelled):
            # An exception that is a frozen dataclass takes no notes.
            with suppress(AttributeError):
                self._failure.add_note(f"beside it, {type(error).__name__} was raised")


def _begin_run(
    driver: SyncDriver | AsyncDriver, cursors: Cursors, router: Router, kind: type[Once]
) -> HandlerRun:
    """Return the object that chooses the handlers to call; with a store, `kind` runs calls once."""
    from tokenstream.router import Router

    argument: Any = router
    if not isinstance(argument, Router):
        raise MisuseError(f"stream.run() takes a Router, not {type(argument).__name__}")
    run = argument._begin(cursors)  # noqa: SLF001 - only its own driver begins a run
    # A run's readers learn here of calls that no tool is run for, and by `around_tool` of the others.
    run.on_refusal = driver.machine.accumulator.refuse_call
    run.once = None if argument.once is None else kind(argument.once, run.cursor)
    # Steps and observers surround each tool with a context of their own. A stream that a step
    # follows is shared, so its driver has a hub, which knows the step's context.
    hub = getattr(driver, "hub", None)
    around_tool, observer = None if hub is None else hub.around_tool, driver.machine.observer
    run.around_tool = around_tool if observer is None else observer.around_tool(around_tool)
    return run


def _list_messages(driver: SyncDriver | AsyncDriver, error: BaseException | None = None) -> list[Message]:
    """Return the answer and one that was given up for it, which comes first if they differ by an error."""
    messages, given_up = [driver.message], driver.machine.accumulator.given_up
    if given_up is not None:
        event = given_up.event
        is_other = error is not None and (
            error is event.error or getattr(error, "partial", None) is event.discarded
        )
        messages.insert(0 if is_other else 1, event.discarded)
    return messages


def _call_all(driver: SyncDriver, run: HandlerRun, works: list[Work]) -> None:
    """Call the handlers; store the failures of tools as results, but close the stream for any other error."""
    for work in works:
        _note_delivery(driver, work)
        failure: BaseException | None = None
        following: list[Work] | None = []
        try:
            value = _call_handler(driver, run, work)
        except ToolStopped as stopped:
            # A handler of its progress has failed, or the stream was stopped: the tool has no result.
            failure = stopped.error
        except BaseException as error:
            following = run.store_failure(work, error)
            if following is None:
                work.add_note_to(error)
                driver.close(quiet=True)
                raise
        else:
            following = run.store_result(work, value)
        if failure is not None:
            try:
                raise failure
            finally:
                # This avoids a reference cycle between the error and this frame.
                del failure
        if following:
            _call_all(driver, run, following)


def _note_delivery(driver: SyncDriver | AsyncDriver, work: Work) -> None:
    """Note that a handler gets something of the answer: a tool its call, any other handler what arrives."""
    driver.machine.delivered.readings["content" if work.is_tool else "everything"] = True


def _call_handler(driver: SyncDriver, run: HandlerRun, work: Work) -> object:
    """Call a handler; a tool runs inside the context manager of its step or of an observer, if it has one."""
    if not work.is_tool:
        return _refuse_awaitable(work, work.call())
    if run.around_tool is None:
        return _call_once(driver, run, work, None)
    with run.around_tool(work.item) as step:
        value = _call_once(driver, run, work, step)
        _keep_result(step, value)
        return value


def _keep_result(step: Any, value: object) -> None:  # noqa: ANN401 - a step, which is above
    """Store the result of a tool in the step that surrounds the tool; do nothing without a step."""
    if step is not None:
        step.result = value


def _show_in_step(step: Any, output: object) -> None:  # noqa: ANN401 - as above
    """Add a value that a running tool has yielded to the step around it; do nothing without a step."""
    if step is not None:
        # The run of the steps may have been ended meanwhile, from anywhere.
        with suppress(MisuseError):
            step.add_progress(output)


def _was_stopped(driver: SyncDriver | AsyncDriver) -> bool:
    """Return True if the stream was stopped or closed, be it after the end of its answer."""
    return driver.verdict.is_asked or driver.machine.accumulator.ending == "stopped"


def _call_once(driver: SyncDriver, run: HandlerRun, work: Work, step: Any) -> object:  # noqa: ANN401 - as above
    """Call a tool, or return the stored result of a call that has run before."""
    if run.once is None:
        return _call_tool(driver, run, work, step)
    return run.once.do(run.once.make_run(work.item).run(lambda: _call_tool(driver, run, work, step)))


def _call_tool(driver: SyncDriver, run: HandlerRun, work: Work, step: Any) -> object:  # noqa: ANN401 - as above
    """Call a tool, and return its result; the values that a generator yields are shown as they come."""
    value = finish_call(work.call(), partial(_show, driver, run, work, step), work.entry.result)
    return _refuse_awaitable(work, value)


def _show(driver: SyncDriver, run: HandlerRun, work: Work, step: Any, output: object) -> None:  # noqa: ANN401 - as above
    """Show a value that a running tool has yielded; raise ToolStopped if the tool is not to go on."""
    _show_in_step(step, output)
    try:
        _call_all(driver, run, run.show_progress(work, output))
    except BaseException as error:  # noqa: BLE001 - raised once the tool is closed
        # Distinguished from the tool's own failure, which may be for the model.
        raise ToolStopped(error) from None
    if _was_stopped(driver):
        raise ToolStopped


def _refuse_awaitable(work: Work, value: object) -> object:
    """Return what a handler has returned, unless a sync stream would have to await it."""
    # Most handlers return None, and `isawaitable` is slow.
    if value is None or not needs_await(value):
        return value
    if iscoroutine(value):
        # Otherwise Python warns that it was never awaited.
        value.close()
    raise work.entry.make_async_error()
