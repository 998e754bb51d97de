"""Views of an object as it arrives; for user interfaces, also throttled, or as patches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from tokenstream._basics.elsewhere import THROTTLE_HINTS, explain_options
from tokenstream._basics.members import show_members, show_members_like
from tokenstream.stream._views.shaped_view import AsyncPlannedView, AsyncShapedView, PlannedView, ShapedView

if TYPE_CHECKING:
    from tokenstream.partial_json import Partial  # noqa: F401 - the bases below name it in strings
    from tokenstream.stages import Newest, Patches
    from tokenstream.stream._views.text_plan import ShapingPlan
    from tokenstream.stream._views.view import AsyncView, View

T = TypeVar("T")


def _make_newest_stage(hz: float) -> Newest[Any]:
    """Return a stage that delivers only the newest draft, at a limited rate."""
    from tokenstream.stages import Newest

    return Newest[Any](hz)


def _make_patches_stage(*, append: bool, by_alias: bool | None) -> Patches:
    """Return a stage that turns drafts into patches."""
    from tokenstream.stages import Patches

    return Patches(append=append, by_alias=by_alias)


class _DraftShaping:
    """Methods that shape drafts; each returns a new view from the start of the answer."""

    __slots__ = ()

    _plan: ShapingPlan

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
            >>> from tokenstream import Stream
            >>> stream = Stream(['{"a": 1, ', '"b": 2, ', '"c": 3}'], format="pieces")
            >>> [draft.to_json() for draft in stream.partials(dict[str, int]).throttle(hz=20)]
            ['{"a":1}', '{"a":1,"b":2,"c":3}']
        """
        return self._with(self._plan.then("throttle", partial(_make_newest_stage, hz), timer=timer))

    def _plan_patches(self, *, append: bool, by_alias: bool | None) -> ShapingPlan:
        """Return the plan of this view with a further stage, which turns drafts into JSON Patches.

        Args:
            append: True for "append" operations, which only add text to a string.
            by_alias: True to write fields under their aliases; None for each type's default.
        """
        return self._plan.then("patches", partial(_make_patches_stage, append=append, by_alias=by_alias))

    def _with(self, plan: ShapingPlan) -> Self:
        """Return a view of the same drafts that is shaped by another plan, a list of stages."""
        raise NotImplementedError


@show_members
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
        return ShapedView(self._driver, self._plan_patches(append=append, by_alias=by_alias), self._instead)

    def _with(self, plan: ShapingPlan) -> Self:
        view: ShapedPartialsView[T] = ShapedPartialsView(self._driver, plan, self._instead)
        return view  # type: ignore[return-value] # of the same kind, but shaped


class ShapedPartialsView(ShapedView["Partial[T]"], PartialsView[T]):
    """A throttled view of an object as it arrives, read in a `for` loop or turned into patches."""

    __slots__ = ()


@show_members_like(PartialsView)
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
        return AsyncShapedView(
            self._driver, self._plan_patches(append=append, by_alias=by_alias), self._instead
        )

    def _with(self, plan: ShapingPlan) -> Self:
        view: AsyncShapedPartialsView[T] = AsyncShapedPartialsView(self._driver, plan, self._instead)
        return view  # type: ignore[return-value] # of the same kind, but shaped


class AsyncShapedPartialsView(AsyncShapedView["Partial[T]"], AsyncPartialsView[T]):
    """A throttled view of an object as it arrives, read in an `async for` loop or turned into patches."""

    __slots__ = ()
