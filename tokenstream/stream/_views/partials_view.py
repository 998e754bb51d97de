"""Views of an object that fills in, and their throttled and patch forms for user interfaces."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from tokenstream.stream._views.shaped_view import AsyncPlannedView, AsyncShapedView, PlannedView, ShapedView

if TYPE_CHECKING:
    from tokenstream.partial_json import Partial  # noqa: F401 - the bases below name it in strings
    from tokenstream.stream._views.text_plan import Plan
    from tokenstream.stream._views.view import AsyncView, View

T = TypeVar("T")


def _newest(hz: float) -> Any:  # noqa: ANN401 - a stage
    from tokenstream.stages import Newest

    return Newest[Any](hz)


def _patches(*, append: bool, by_alias: bool | None) -> Any:  # noqa: ANN401 - a stage
    from tokenstream.stages import Patches

    return Patches(append=append, by_alias=by_alias)


class _Drafts:
    """Methods that shape drafts; each returns a new view that starts at the answer's beginning."""

    __slots__ = ()

    _plan: Plan

    def throttle(self, hz: float, *, timer: bool = False) -> Self:
        """Return a view of the newest drafts, at most `hz` a second; the last draft always comes.

        The first draft comes at once. In an `async for` loop a held draft is delivered
        on time, even if nothing more arrives. A `for` loop delivers it with the next
        piece or at the end, unless it has a timer.

        Args:
            hz: Most drafts a second.
            timer: For a `for` loop: whether a thread reads the source, so that a held draft is
                delivered on time, as with `stream.text.throttle`.

        Raises:
            MisuseError: `hz` is not a number above 0. In the loop: on trio, outside of `async with`.

        Example:
            >>> from tokenstream import Stream
            >>> stream = Stream(['{"a": 1, ', '"b": 2, ', '"c": 3}'], format="pieces")
            >>> [draft.to_json() for draft in stream.partials(dict[str, int]).throttle(hz=20)]
            ['{"a":1}', '{"a":1,"b":2,"c":3}']
        """
        shaped: Self = self._with(self._plan.then("throttle", partial(_newest, hz), timer=timer))
        return shaped

    def _plan_patches(self, *, append: bool, by_alias: bool | None) -> Plan:
        return self._plan.then("patches", partial(_patches, append=append, by_alias=by_alias))

    def _with(self, plan: Plan) -> Any:  # noqa: ANN401 - Self
        raise NotImplementedError


class PartialsView(_Drafts, PlannedView["Partial[T]"], Generic[T]):
    """An object that fills in, read in a `for` loop, throttled, or turned into patches."""

    __slots__ = ()

    def patches(self, *, append: bool = False, by_alias: bool | None = None) -> View[list[dict[str, Any]]]:
        """Return a view of the changes since the last draft, as JSON Patch operations (RFC 6902).

        A patch is a list of dicts with `op` ("add", "replace", "remove"), `path` and `value`.
        Applied in order, patches produce `to_python()` of the last draft. The first patch
        replaces the root, whose path is "", and so does the first one after a restart.

        Args:
            append: Whether a string that grew sends only the added text, with an operation
                outside RFC 6902: `{"op": "append", "path": "/tip", "value": "…"}`.
            by_alias: Whether fields go by their aliases; None leaves it to the types.

        Raises:
            OutputInvalid: In the loop, like all errors of the drafts.

        Example:
            >>> from tokenstream import Stream
            >>> stream = Stream(['{"title": "Pan', 'cakes"}'], format="pieces")
            >>> for patch in stream.partials(dict[str, str]).patches(append=True):
            ...     print(patch)
            [{'op': 'replace', 'path': '', 'value': {'title': 'Pan'}}]
            [{'op': 'append', 'path': '/title', 'value': 'cakes'}]
        """
        return ShapedView(self._driver, self._plan_patches(append=append, by_alias=by_alias), self._instead)

    def _with(self, plan: Plan) -> Any:  # noqa: ANN401 - Self
        view: ShapedPartialsView[T] = ShapedPartialsView(self._driver, plan, self._instead)
        return view


class ShapedPartialsView(ShapedView["Partial[T]"], PartialsView[T]):
    """An object that fills in, throttled, read in a `for` loop, or as patches."""

    __slots__ = ()


class AsyncPartialsView(_Drafts, AsyncPlannedView["Partial[T]"], Generic[T]):
    """An object that fills in, read in an `async for` loop, throttled, or turned into patches."""

    __slots__ = ()

    def patches(
        self, *, append: bool = False, by_alias: bool | None = None
    ) -> AsyncView[list[dict[str, Any]]]:
        """Return a view of the changes since the last draft, as JSON Patch operations (RFC 6902).

        A patch is a list of dicts with `op` ("add", "replace", "remove"), `path` and `value`.
        Applied in order, patches produce `to_python()` of the last draft. The first patch
        replaces the root, whose path is "", and so does the first one after a restart.

        Args:
            append: Whether a string that grew sends only the added text, with an operation
                outside RFC 6902: `{"op": "append", "path": "/tip", "value": "…"}`.
            by_alias: Whether fields go by their aliases; None leaves it to the types.

        Raises:
            OutputInvalid: In the loop, like all errors of the drafts.
        """
        return AsyncShapedView(
            self._driver, self._plan_patches(append=append, by_alias=by_alias), self._instead
        )

    def _with(self, plan: Plan) -> Any:  # noqa: ANN401 - Self
        view: AsyncShapedPartialsView[T] = AsyncShapedPartialsView(self._driver, plan, self._instead)
        return view


class AsyncShapedPartialsView(AsyncShapedView["Partial[T]"], AsyncPartialsView[T]):
    """An object that fills in, throttled, read in an `async for` loop, or as patches."""

    __slots__ = ()
