"""Views shaped by stages, of text and of drafts; some stages act at a certain time, even without input."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Any, Generic, Self

from typing_extensions import TypeVar

from tokenstream._basics.elsewhere import THROTTLE_HINTS, explain_options
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.stages._protocols import ItemT
from tokenstream.stream._views.text_plan import ShapedCursor, ShapingPlan, refuse_closed, stage_maker
from tokenstream.stream._views.view import AsyncView, RepairedView, View

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tokenstream.events import Event
    from tokenstream.partial_json import Partial  # noqa: F401 - the bases below name it in strings
    from tokenstream.stream._protocols import AsyncDriver, SyncDriver


T = TypeVar("T")


class PlannedView(RepairedView, View[ItemT]):
    """A view of text or drafts that keeps its plan: what it reads, and the stages that shape it.

    A view with more stages is made from the plan.
    """

    __slots__ = ("_plan",)

    def __init__(self, driver: SyncDriver, plan: ShapingPlan, instead: str) -> None:
        super().__init__(driver, plan.cursor(driver.clock, paced=plan.timer), instead, plan.reading)
        self._plan = plan

    def close(self) -> None:
        super().close()
        # From now on, adding a stage is refused.
        self._plan = ShapingPlan(refuse_closed)


class ShapedView(PlannedView[ItemT]):
    """A view of text that is shaped by stages, read in a `for` loop."""

    __slots__ = ()

    def __next__(self) -> ItemT:
        """Return the next item; raise StopIteration at the end.

        A stage that acts at a certain time limits the wait for the next event.
        """
        cursor: ShapedCursor[ItemT] = self._cursor
        driver = self._driver
        event: Event | None
        try:
            if cursor.is_behind:
                # The loop was busy for a while: the pieces since then become one.
                self._catch_up(cursor)
            item: ItemT | None = cursor.ready()
            while item is None and not cursor.has_text_ended:
                try:
                    event = self._step(cursor)
                except StopIteration:
                    break
                except AnswerFailure:
                    # An item that a stage still holds is delivered before the error.
                    item = cursor.break_off()
                    if item is None:
                        raise
                else:
                    item = _find_due(cursor, rests=driver.rests) if event is None else cursor.after(event)
            if item is None:
                # Outside of the `except` blocks, so that an error does not get the loop's end as its context.
                item = self._end(cursor)
        except AnswerFailure as error:
            # If the stream goes on, the error means that a restarted answer differs from the delivered
            # items: the stream then ends with the earlier answer.
            driver.fall_back(error)
            raise
        if item is None:
            raise StopIteration
        self._readings[self._reading] = True
        return item

    def _catch_up(self, cursor: ShapedCursor[ItemT]) -> None:
        """Gather the pieces that arrived while the loop was busy."""
        # The end or the error is raised again, after the loop has delivered the gathered pieces.
        with suppress(StopIteration, AnswerFailure):
            while (event := self._driver.step_now()) is not None and cursor.gather(event):
                pass

    def _end(self, cursor: ShapedCursor[ItemT]) -> ItemT | None:
        """Return the next item at the end of the text, at the pace of a stage that paces it; or None."""
        slept_at = None
        while (item := cursor.end()) is None and (due := cursor.deadline) is not None:
            now = self._driver.clock()
            if now == slept_at or self._driver.verdict.end_request is not None:
                # The clock stands still, or the stream was stopped.
                return cursor.break_off()
            slept_at = now
            sleep(max(due - now, 0.0))
        return item

    def _step(self, cursor: ShapedCursor[ItemT]) -> Event | None:
        """Return the next event; None once an item is due, or only the rest of the connection is left.

        If the source's reads cannot be limited, the wait has no limit, unless a stage was added with
        `timer=True`: then a thread reads the source from now on.
        """
        driver, due = self._driver, cursor.deadline
        if due is not None:
            if self._plan.timer and not driver.waits_in_time:
                driver.read_ahead()
            due = due if driver.waits_in_time else None
        elif cursor.is_settled:
            return driver.step()
        return driver.step_until(due, pauses=not cursor.is_settled)


class AsyncPlannedView(RepairedView, AsyncView[ItemT]):
    """A view of text or drafts that keeps its plan: what it reads, and the stages that shape it.

    A view with more stages is made from the plan.
    """

    __slots__ = ("_plan",)

    def __init__(self, driver: AsyncDriver, plan: ShapingPlan, instead: str) -> None:
        super().__init__(driver, plan.cursor(driver.clock, paced=True), instead, plan.reading)
        self._plan = plan

    async def aclose(self) -> None:
        await super().aclose()
        # From now on, adding a stage is refused.
        self._plan = ShapingPlan(refuse_closed)


class AsyncShapedView(AsyncPlannedView[ItemT]):
    """A view of text that is shaped by stages, read in an `async for` loop."""

    __slots__ = ()

    async def __anext__(self) -> ItemT:
        """Return the next item; raise StopAsyncIteration at the end.

        A stage that acts at a certain time limits the wait for the next event.
        """
        cursor: ShapedCursor[ItemT] = self._cursor
        driver = self._driver
        event: Event | None
        try:
            if cursor.is_behind:
                # The loop was busy for a while: the pieces since then become one.
                await self._catch_up(cursor)
            item: ItemT | None = cursor.ready()
            while item is None and not cursor.has_text_ended:
                try:
                    event = await self._step(cursor)
                except StopAsyncIteration:
                    break
                except AnswerFailure:
                    # An item that a stage still holds is delivered before the error.
                    item = cursor.break_off()
                    if item is None:
                        raise
                else:
                    item = _find_due(cursor, rests=driver.rests) if event is None else cursor.after(event)
            if item is None:
                # Outside of the `except` blocks, so that an error does not get the loop's end as its context.
                item = await self._end(cursor)
        except AnswerFailure as error:
            # If the stream goes on, the error means that a restarted answer differs from the delivered
            # items: the stream then ends with the earlier answer.
            driver.fall_back(error)
            raise
        if item is None:
            raise StopAsyncIteration
        self._readings[self._reading] = True
        return item

    async def _catch_up(self, cursor: ShapedCursor[ItemT]) -> None:
        """Gather the pieces that arrived while the loop was busy."""
        # The end or the error is raised again, after the loop has delivered the gathered pieces.
        with suppress(StopAsyncIteration, AnswerFailure):
            while (event := await self._driver.step_now()) is not None and cursor.gather(event):
                pass

    async def _end(self, cursor: ShapedCursor[ItemT]) -> ItemT | None:
        """Return the next item at the end of the text, at the pace of a stage that paces it; or None."""
        from tokenstream.stream._reading.host import find_host

        slept_at = None
        while (item := cursor.end()) is None and (due := cursor.deadline) is not None:
            now, host = self._driver.clock(), find_host()
            if host is None or now == slept_at or self._driver.verdict.end_request is not None:
                # There is no event loop, the clock stands still, or the stream was stopped.
                return cursor.break_off()
            slept_at = now
            # The library is `asyncio` or `trio`.
            await sys.modules[host.name].sleep(max(due - now, 0.0))
        return item

    def _step(self, cursor: ShapedCursor[ItemT]) -> Coroutine[Any, Any, Event | None]:
        """Return the next event; None once an item is due, or only the rest of the connection is left."""
        driver, due = self._driver, cursor.deadline
        if due is not None and not driver.waits_in_time:
            raise MisuseError(
                "this view acts on time, and on trio that takes a stream inside `async with`: read it there"
            )
        return driver.step_until(due, pauses=not cursor.is_settled)


def _find_due(cursor: ShapedCursor[ItemT], *, rests: bool) -> ItemT | None:
    """Return an item that needs no further event: its time has come, or the answer is over."""
    item = cursor.tick()
    return cursor.settle() if item is None and rests else item


class ViewShaper:
    """Base of views that make others: by a longer plan, from the start of the answer."""

    __slots__ = ()

    _driver: Any
    _plan: ShapingPlan
    _instead: str
    """The expression that gives the whole value, such as "stream.message.text"; for errors."""

    def _with(self, plan: ShapingPlan) -> Self:
        """Return a view of the same text or drafts that is shaped by another plan, a list of stages."""
        view: Self = self._shaped()(self._driver, plan, self._instead)
        return view

    def _shaped(self) -> Callable[..., Any]:
        """Return the class of such views with at least one stage; each subclass has its own."""
        raise NotImplementedError


class _DraftShaping(ViewShaper):
    """Methods that shape drafts; each returns a new view from the start of the answer."""

    __slots__ = ()

    @explain_options(**THROTTLE_HINTS)
    def throttle(self, hz: float, *, timer: bool = False) -> Self:
        """Return a view of the newest drafts, at most `hz` per second; the last draft is always delivered.

        The first draft is delivered at once. In an `async for` loop, a draft that was held back is
        delivered on time, even if nothing more arrives. A `for` loop delivers such a draft with the
        next piece or at the end, unless `timer` is set.

        Args:
            hz: Maximum number of drafts per second.
            timer: In a `for` loop, True to let a thread read the source, so that a draft that was held
                back is delivered on time, as with `stream.text.throttle`.

        Raises:
            MisuseError: `hz` is not a number above 0; or, in the loop, `async with` is missing on trio.

        Example:
            >>> from tokenstream import Stream, testing
            >>> with testing.VirtualClock():
            ...     stream = Stream(['{"a": 1, ', '"b": 2, ', '"c": 3}'], format="pieces")
            >>> [draft.to_json() for draft in stream.partials(dict[str, int]).throttle(hz=20)]
            ['{"a":1}', '{"a":1,"b":2,"c":3}']
        """
        return self._with(
            self._plan.then("throttle", stage_maker("Newest", hz, home="._text.pacing"), timer=timer)
        )

    def _with_patches(self, *, append: bool, by_alias: bool | None) -> Self:
        """Return this view with a stage that makes JSON Patches; `append` allows such operations."""
        make = stage_maker("Patches", append=append, by_alias=by_alias, home="._patches")
        return self._with(self._plan.then("patches", make))


class PartialsView(_DraftShaping, PlannedView["Partial[T]"], Generic[T]):
    """A view of an object as it arrives, read in a `for` loop, or throttled or turned into patches."""

    __slots__ = ()

    def patches(self, *, append: bool = False, by_alias: bool | None = None) -> View[list[dict[str, Any]]]:
        """Return a view of the changes since the last draft, as JSON Patch operations (RFC 6902).

        A patch is a list of dicts with `op` ("add", "replace", "remove"), `path` and `value`.
        Applied in order, the patches produce `to_python()` of the last draft. The first patch
        replaces the root, whose path is "", and so does the first patch after a restart.

        Args:
            append: True to send only the added text of a string that grew, with an operation
                that RFC 6902 lacks: `{"op": "append", "path": "/tip", "value": "…"}`.
            by_alias: True to name fields by their aliases; None to let the types decide.

        Raises:
            OutputInvalid: The output is invalid; the loop raises this like all errors of the drafts.

        Example:
            >>> from tokenstream import Stream
            >>> stream = Stream(['{"title": "Pan', 'cakes"}'], format="pieces")
            >>> for patch in stream.partials(dict[str, str]).patches(append=True):
            ...     print(patch)
            [{'op': 'replace', 'path': '', 'value': {'title': 'Pan'}}]
            [{'op': 'append', 'path': '/title', 'value': 'cakes'}]
        """
        return self._with_patches(append=append, by_alias=by_alias)  # type: ignore[return-value] # of patches

    def _shaped(self) -> Callable[..., Any]:
        return ShapedPartialsView


class ShapedPartialsView(ShapedView["Partial[T]"], PartialsView[T]):
    """A throttled view of an object as it arrives, read in a `for` loop or turned into patches."""

    __slots__ = ()


class AsyncPartialsView(_DraftShaping, AsyncPlannedView["Partial[T]"], Generic[T]):
    """A view of an object as it arrives, read in an `async for` loop, or throttled or turned into patches."""

    __slots__ = ()

    def patches(
        self, *, append: bool = False, by_alias: bool | None = None
    ) -> AsyncView[list[dict[str, Any]]]:
        """Return a view of the changes since the last draft, as JSON Patch operations (RFC 6902).

        Applied in order, the patches produce `to_python()` of the last draft. The first patch
        replaces the root, and so does the first patch after a restart.

        The arguments and errors are those of `PartialsView.patches`.
        """
        return self._with_patches(append=append, by_alias=by_alias)  # type: ignore[return-value] # of patches

    def _shaped(self) -> Callable[..., Any]:
        return AsyncShapedPartialsView


class AsyncShapedPartialsView(AsyncShapedView["Partial[T]"], AsyncPartialsView[T]):
    """A throttled view of an object as it arrives, read in an `async for` loop or turned into patches."""

    __slots__ = ()
