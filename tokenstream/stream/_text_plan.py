"""What a view of a text is made of: the text, and the stages behind it in an order that makes sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from tokenstream.errors import MisuseError
from tokenstream.stream._shaped_cursor import ShapedCursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._cursor import Cursor

__all__ = ["Plan", "closed"]

_CHANGES, _PIECES, _PACE, _LAST = 1, 2, 3, 4
_ORDER: dict[str, tuple[int, str]] = {
    "redact": (_CHANGES, "changes the text"),
    "until": (_CHANGES, "ends the text"),
    "split_tags": (_CHANGES, "takes text out"),
    "words": (_PIECES, "says where pieces end"),
    "graphemes": (_PIECES, "says where pieces end"),
    "lines": (_PIECES, "says where pieces end"),
    "sentences": (_PIECES, "says where pieces end"),
    "throttle": (_PACE, "says when pieces come"),
    "smooth": (_PACE, "says when pieces come"),
    "accumulate": (_LAST, "gives the whole text each time"),
    "markdown_blocks": (_LAST, "gives blocks"),
    "patches": (_LAST, "gives patches"),
}
"""The methods with their ranks: behind one of a higher rank, a method would undo what that one promises."""


class Step(NamedTuple):
    """A stage of a view: the method that asks for it, and what makes it."""

    method: str
    make: Callable[[], Any]


class Plan(NamedTuple):
    """What a view is made of: the text from its start, and the stages behind it."""

    text: Callable[[], Cursor[Any]]
    steps: tuple[Step, ...] = ()
    timer: bool = False

    def then(self, method: str, make: Callable[[], Any], *, timer: bool = False) -> Plan:
        """Return the plan with one more stage.

        Raises:
            MisuseError: It would undo what a stage before it promises, or the view was closed.
        """
        place = _ORDER[method][0]
        for step in reversed(self.steps):
            before, promise = _ORDER[step.method]
            if before > place:
                advice = f"put .{method}() first" if before != _LAST else "nothing stands behind it"
                raise MisuseError(
                    f".{step.method}() {promise}, which .{method}() behind it would undo: {advice}"
                )
            if before == place != _CHANGES:
                raise MisuseError(f".{step.method}() {promise}, and so does .{method}(): keep one of them")
        if self.text is closed:
            closed()
        # Made once here, so that a wrong argument is told where it stands.
        make()
        return Plan(self.text, (*self.steps, Step(method, make)), self.timer or timer)

    @property
    def paces(self) -> bool:
        """A stage says when pieces come."""
        return any(_ORDER[step.method][0] == _PACE for step in self.steps)

    @property
    def cuts(self) -> bool:
        """A stage says where pieces end."""
        return any(_ORDER[step.method][0] == _PIECES for step in self.steps)

    def cursor(self, clock: Callable[[], float]) -> Any:  # noqa: ANN401 - of text or of blocks
        """Return a cursor at the start of the text, with stages of its own."""
        if not self.steps:
            return self.text()
        shaped: ShapedCursor[Any] = ShapedCursor(self.text(), tuple(step.make for step in self.steps), clock)
        return shaped


def closed() -> NoReturn:
    """Refuse to give a text: its view was closed.

    Raises:
        MisuseError: Always.
    """
    raise MisuseError("this view was closed, and lets go of the stream: ask the stream for another one")
