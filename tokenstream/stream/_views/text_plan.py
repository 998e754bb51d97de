"""The plan of a view: a text and the stages that shape it, in an order that makes sense."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from tokenstream._basics.elsewhere import MissingMethod
from tokenstream.errors import MisuseError
from tokenstream.stream._views.shaped_cursor import ShapedCursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.delivered import Reading
    from tokenstream.stages._cursor import Cursor
    from tokenstream.stages._stage import Stage
    from tokenstream.stream._protocols import TextCursor

_CHANGES, _PIECES, _PACE, _LAST = 1, 2, 3, 4
"""Ranks of the methods that shape a view, which must be called in the order of their ranks."""
_ORDER: dict[str, tuple[int, str]] = {
    "redact": (_CHANGES, "changes the text"),
    "until": (_CHANGES, "ends the text"),
    "split_tags": (_CHANGES, "removes text"),
    "words": (_PIECES, "determines where pieces end"),
    "graphemes": (_PIECES, "determines where pieces end"),
    "lines": (_PIECES, "determines where pieces end"),
    "sentences": (_PIECES, "determines where pieces end"),
    "throttle": (_PACE, "determines when pieces come"),
    "smooth": (_PACE, "determines when pieces come"),
    "accumulate": (_LAST, "gives the whole text each time"),
    "markdown_blocks": (_LAST, "gives blocks"),
    "patches": (_LAST, "gives patches"),
}
"""For each shaping method: its rank, and its promise, which a later method of lower rank would break."""
_REFUSED = {"markdown_blocks": _ORDER.keys() - {"patches"}, "patches": {"throttle", "patches"}}
"""For each method whose view can't be shaped further: the methods that the view before it has."""


class PlanStep(NamedTuple):
    """A stage of a view: the method that adds the stage, and a function that makes it."""

    method: str
    make: Callable[[], Stage[Any, Any]]


class _StageSource:
    """Makes a stage for each view that is read.

    The first view gets the stage that was made in advance, to check the arguments.
    """

    __slots__ = ("_make", "_unused")

    def __init__(self, make: Callable[[], Stage[Any, Any]]) -> None:
        self._make = make
        self._unused = [make()]

    def __call__(self) -> Stage[Any, Any]:
        """Return a stage that no other view has."""
        # `pop` gives the stage to one thread only.
        with suppress(IndexError):
            return self._unused.pop()
        return self._make()


class ShapingPlan(NamedTuple):
    """The plan of a view: its text, and the stages that shape the text.

    `text` makes a cursor in the text; `steps` are the stages; `timer` is True if a thread may read the
    source, so that a stage can return text when time has passed; `reading` is the part of the answer that
    the text is.
    """

    text: Callable[[], TextCursor[Any]]
    steps: tuple[PlanStep, ...] = ()
    timer: bool = False
    reading: Reading = "everything"

    def then(self, method: str, make: Callable[[], Stage[Any, Any]], *, timer: bool = False) -> ShapingPlan:
        """Return the plan with one more stage.

        Args:
            method: The method that adds the stage.
            timer: True to allow a thread to read the source.

        Raises:
            MisuseError: The stage would break the promise of an earlier stage, or the view was closed.
        """
        self._check_order(method)
        if self.text is refuse_closed:
            # The plan of a closed view has this function in place of its text; it raises the error.
            refuse_closed()
        # The stage is made here, so that a wrong argument is reported by the call that passed it.
        step = PlanStep(method, _StageSource(make))
        return self._replace(steps=(*self.steps, step), timer=self.timer or timer)

    def _check_order(self, method: str) -> None:
        """Check that a method may come after the earlier ones.

        Raises:
            MisuseError: Its stage would break the promise of an earlier stage.
        """
        rank, _ = _ORDER[method]
        for step in reversed(self.steps):
            earlier_rank, promise = _ORDER[step.method]
            if earlier_rank > rank:
                raise MisuseError(
                    f".{step.method}() {promise}, which .{method}() after it would undo: "
                    f"put .{method}() first"
                )
            # Several stages may change the text, but only one may set its pieces, and only one its pace.
            must_be_single = rank != _CHANGES
            if must_be_single and earlier_rank == rank:
                raise MisuseError(f".{step.method}() {promise}, and so does .{method}(): keep one of them")

    def refuse_missing(self, method: str) -> None:
        """Explain why the view of the last stage lacks a method that the view before it has.

        Args:
            method: A name that the view lacks; nothing happens if no view before it has the name.

        Raises:
            MissingMethod: The method comes too late.
        """
        if self.steps and method in _REFUSED.get(self.steps[-1].method, ()):
            try:
                self._check_order(method)
            except MisuseError as error:
                raise MissingMethod(str(error)) from None

    @property
    def has_pace(self) -> bool:
        """True if a stage determines when pieces are delivered."""
        # `_ORDER` has the rank of each method, which shows what its stage does.
        return any(_ORDER[step.method][0] == _PACE for step in self.steps)

    @property
    def has_whole_pieces(self) -> bool:
        """True if pieces are words, lines or sentences, which `smooth` would otherwise divide."""
        # `_ORDER` has the rank of each method, which shows what its stage does.
        return any(_ORDER[step.method][0] == _PIECES and step.method != "graphemes" for step in self.steps)

    def cursor(self, clock: Callable[[], float], *, paced: bool) -> Cursor[Any]:
        """Return a cursor at the start of the text, with stages of its own.

        Args:
            clock: Returns the time in seconds.
            paced: True if the cursor is read on time, even at the end of the text.
        """
        if not self.steps:
            return self.text()
        return ShapedCursor(self.text(), tuple(step.make for step in self.steps), clock, paced=paced)


def refuse_closed() -> NoReturn:
    """Refuse to read the text of a closed view.

    Raises:
        MisuseError: Always.
    """
    raise MisuseError("this view was closed: ask the stream for a new one")
