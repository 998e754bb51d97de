"""A JSON document while it is read: the value that grows, its events, its error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._log import TextLog
from tokenstream.errors import InvalidJSON, LimitExceeded
from tokenstream.partial_json._numbers import MOST_DIGITS, so_far
from tokenstream.partial_json.events import Place, StringDelta, ValueDone, ValueStart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json.events import JSONEvent, JSONKind

__all__ = [
    "ARR",
    "BOOL",
    "NULL",
    "NUM",
    "OBJ",
    "STR",
    "TO_SETTLE",
    "Document",
    "Frame",
    "forget",
    "new_event",
]

# The bits of partial-json-parser's `Allow`, so that whoever does not choose need not load it.
STR, NUM, ARR, OBJ, NULL, BOOL = 1, 2, 4, 8, 16, 32

TO_SETTLE = "what waits is still to be read"
"""Stands in `Document.fresh` while something waits: looking at the value checks that alone."""
new_event: Any = object.__new__
"""Makes an event whose attributes are set one by one, in two thirds of the time that its class takes."""


class Frame(Place):
    """An object or array that is open."""

    __slots__ = ("container",)

    def __init__(self, parent: Frame | None, key: str | int, container: Any) -> None:  # noqa: ANN401 - a dict or a list
        self.parent = parent
        self.key = key
        self.known = None
        self.last = ()
        self.container = container


def forget(event: ValueDone) -> None:
    """Have the parser let go of a finished value, where what it stands in is still open.

    Its place stays, because the parser counts them.
    """
    # Not its path, which takes longer to make.
    place = event.place
    if isinstance(place, Frame):
        place.container[event.key] = None


class Document:
    """The value that a reader builds, the events that tell how it grows, and what went wrong.

    A reader, strict or lenient, knows the grammar and the text; it says here what
    it has read. Offsets are characters from the start of the text, and `out` takes
    the events.

    Args:
        allow: Bits of what may show before it is complete.
        max_depth: Most objects and arrays inside each other.
        decimals: Whether numbers with a fraction or an exponent become Decimals.
    """

    __slots__ = (
        "allow",
        "atom_shown",
        "complete",
        "container",
        "decimals",
        "error",
        "frame",
        "frames",
        "fresh",
        "has_value",
        "key",
        "max_depth",
        "pieces",
        "root",
        "shows_strings",
        "string",
        "waiting",
    )

    def __init__(self, allow: int = STR | ARR | OBJ, max_depth: int = 512, *, decimals: bool = False) -> None:
        self.allow = allow
        self.shows_strings = bool(allow & STR)
        self.max_depth = max_depth
        self.decimals = decimals
        self.frames: list[Frame] = []
        """The objects and arrays that are open, from outside in."""
        self.frame: Frame | None = None
        """The last of them; None around the document."""
        self.container: Any = None
        """The dict or list of that one."""
        self.key: str | int = 0
        """The key or index in it of the value that is being read, or comes next."""
        self.root: Any = None
        self.fresh = ""
        """What the open string has grown by since it was last written to its place: the first piece."""
        self.pieces = TextLog()
        """The pieces after that one."""
        self.atom_shown = False
        """Whether the unfinished number or literal shows."""
        self.string = ""
        """The open string as far as it is written, where it is not shown."""
        self.has_value = False
        """Whether there is something to show."""
        self.complete = False
        """Whether the document is finished: only white space may follow."""
        self.error: InvalidJSON | LimitExceeded | None = None
        """What went wrong, once something has; what was read before stays readable."""
        self.waiting: Callable[[], None] | None = None
        """Reads the long pieces that nobody has looked at yet; all who look at the document do so first."""

    def settle(self) -> None:
        """Read what waits."""
        read, self.waiting = self.waiting, None
        if read is not None:
            self.fresh = ""
            read()

    @property
    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value as it is now: for looking, it goes on growing; None while `has_value` is False."""
        if self.fresh:
            self.write_pieces()
        return self.root

    def snapshot(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value as it is now: a copy that never changes.

        Finished objects and arrays are shared by all snapshots; those that are
        still open are copied, each one level deep.
        """
        value = self.value
        if not self.has_value:
            return None
        inner: Frame | None = None
        # From inside out, so that each copy takes the copy of what is open in it.
        for frame in reversed(self.frames):
            copy = frame.container.copy()
            if inner is not None and self.is_shown(inner.container):
                copy[inner.key] = value
            inner, value = frame, copy
        return value

    # -- faults ------------------------------------------------------------------

    def fail(self, offset: int, why: str) -> None:
        """Set the error of a text that is no JSON."""
        kept = "; what came before is still readable" if offset else ""
        self.error = InvalidJSON(f"{why}{kept}", text="", offset=offset)

    def refuse(self, offset: int, expected: str) -> None:
        """Set the error of a character that stands where another was expected."""
        advice = "" if offset else "; where prose or a code fence stands around the JSON, pass lenient=True"
        self.fail(
            offset, f"the text is no JSON from character {offset:,} on, where {expected} was expected{advice}"
        )

    def exceed(self, why: str, limit: str, value: int) -> None:
        """Set the error of a document that outgrows a bound."""
        self.error = LimitExceeded(why, limit=limit, value=value)

    def exceed_digits(self, number: str, offset: int) -> None:
        """Set the error of a number with too many digits, and show as many as there may be."""
        self.show_number(number)
        self.exceed(
            f"the number at character {offset:,} has more than {MOST_DIGITS:,} digits, which no "
            "reader takes; ask the model for a string",
            "digits",
            MOST_DIGITS,
        )

    def exceed_exponent(self, number: str, offset: int) -> None:
        """Set the error of a number whose exponent no Decimal holds, and show what comes before it."""
        from decimal import MAX_EMAX

        self.show_number(number)
        self.exceed(
            f"the number at character {offset:,} has an exponent that no Decimal holds; read the "
            "document without decimals=True",
            "exponent",
            MAX_EMAX,
        )

    def end(self, offset: int) -> None:
        """Set the error of a text that ended before its document did; `offset` is its length."""
        if not self.complete and self.error is None:
            self.fail(offset, f"the text ended after {offset:,} characters, before the document did")

    # -- what a reader tells -------------------------------------------------------

    def is_shown(self, container: dict[str, Any] | list[Any]) -> bool:
        """Return whether an object or array shows before it is complete."""
        return bool(self.allow & (OBJ if isinstance(container, dict) else ARR))

    def show(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Put a value in its place, where there was none."""
        container = self.container
        if container.__class__ is dict:
            container[self.key] = value
        elif container is None:
            self.root = value
            self.has_value = True
        else:
            container.append(value)

    def replace(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Put a value in the place of what shows of it."""
        container = self.container
        if container is None:
            self.root = value
        else:
            container[self.key] = value

    def open(self, container: dict[str, Any] | list[Any], offset: int, out: list[JSONEvent]) -> bool:
        """Begin an object or array, and tell whether it may be that deep."""
        if len(self.frames) >= self.max_depth:
            self.exceed(
                f"the JSON document is nested more than {self.max_depth:,} deep at character {offset:,}; "
                "if it is meant to be, PartialJSONParser takes a higher max_depth",
                "max_depth",
                self.max_depth,
            )
            return False
        is_object = container.__class__ is dict
        outer, key = self.frame, self.key
        begun = new_event(ValueStart)
        begun.place = outer
        begun.member = key
        begun.kind = "object" if is_object else "array"
        begun.offset = offset
        out.append(begun)
        if self.allow & (OBJ if is_object else ARR):
            around = self.container
            if around.__class__ is list:
                around.append(container)
            else:
                self.show(container)
        self.frame = frame = Frame(outer, key, container)
        self.frames.append(frame)
        self.container = container
        self.key = 0
        return True

    def close(self, offset: int, out: list[JSONEvent]) -> None:
        """End the open object or array; `offset` is behind its bracket."""
        frame: Any = self.frames.pop()
        container = frame.container
        self.frame = outer = frame.parent
        self.container = None if outer is None else outer.container
        self.key = key = frame.key
        if not self.allow & (OBJ if container.__class__ is dict else ARR):
            self.show(container)
        done = new_event(ValueDone)
        done.place = outer
        done.member = key
        done.value = container
        done.offset = offset
        out.append(done)

    def begin_atom(self, kind: JSONKind, offset: int, out: list[JSONEvent]) -> None:
        """Begin a number or a literal."""
        self.atom_shown = False
        out.append(ValueStart(self.frame, kind, offset, self.key))

    def show_atom(self, value: Any) -> None:  # noqa: ANN401 - a number, True, False or None
        """Show what a number or a literal has come to."""
        if self.atom_shown:
            self.replace(value)
        else:
            self.atom_shown = True
            self.show(value)

    def show_number(self, number: str) -> None:
        """Show what an unfinished number has come to, where that is asked for."""
        value = so_far(number, decimals=self.decimals) if self.allow & NUM else None
        if value is not None:
            self.show_atom(value)

    def end_atom(self, value: Any, offset: int, out: list[JSONEvent]) -> None:  # noqa: ANN401 - as above
        """Finish a number or a literal; `offset` is behind it."""
        self.show_atom(value)
        out.append(ValueDone(self.frame, value, offset, self.key))

    def begin_string(self, offset: int, out: list[JSONEvent], piece: str = "") -> None:
        """Begin a string, and take the first piece of it."""
        frame, key = self.frame, self.key
        out.append(ValueStart(frame, "string", offset, key))
        if piece:
            out.append(StringDelta(frame, piece, key))
        if self.shows_strings:
            self.show(piece)
        else:
            self.string = piece

    def grow_string(self, piece: str, out: list[JSONEvent]) -> None:
        """Take the next piece of the open string."""
        out.append(StringDelta(self.frame, piece, self.key))
        if self.fresh:
            self.pieces.append(piece)
        else:
            self.fresh = piece

    def end_string(self, offset: int, out: list[JSONEvent]) -> None:
        """End the open string; `offset` is behind its quote."""
        if self.fresh:
            self.write_pieces()
        if self.shows_strings:
            container = self.container
            text = self.root if container is None else container[self.key]
        else:
            text = self.string
            self.show(text)
        out.append(ValueDone(self.frame, text, offset, self.key))

    def write_pieces(self) -> None:
        """Write what the open string has grown by to its place."""
        grown = self.fresh
        if grown is TO_SETTLE:
            self.settle()
            grown = self.fresh
            if not grown:
                return
        self.fresh = ""
        if self.pieces.length:
            grown += self.pieces.join()
            self.pieces = TextLog()
        container = self.container
        # A string that nobody else holds is extended in place, which takes no longer the longer it
        # is: so it is taken out of where it stands first.
        if not self.shows_strings:
            text, self.string = self.string, ""
            text += grown
            self.string = text
        elif container is None:
            text, self.root = self.root, None
            text += grown
            self.root = text
        else:
            key = self.key
            text, container[key] = container[key], None
            text += grown
            container[key] = text
