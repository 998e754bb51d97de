"""A JSON value that grows: what both the strict and the lenient reading write to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._log import TextLog
from tokenstream.errors import InvalidJSON, LimitExceeded
from tokenstream.partial_json.events import Place, StringDelta, ValueDone, ValueStart

if TYPE_CHECKING:
    from tokenstream.partial_json.events import JSONEvent, JSONKind

__all__ = ["ARR", "BOOL", "NULL", "NUM", "OBJ", "STR", "Frame", "Growing", "forget"]

# The bits of partial-json-parser's `Allow`, so that whoever does not choose need not load it.
STR, NUM, ARR, OBJ, NULL, BOOL = 1, 2, 4, 8, 16, 32


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
    place = event._place  # noqa: SLF001 - not its path, which takes longer to make
    if isinstance(place, Frame):
        place.container[event.key] = None


class Growing:
    """A JSON value that grows, and the events that tell how.

    Args:
        allow: Bits of what may show before it is complete.
        max_depth: Most objects and arrays inside each other.
    """

    __slots__ = (
        "_allow",
        "_atom_shown",
        "_base",
        "_container",
        "_frame",
        "_frames",
        "_fresh",
        "_key",
        "_max_depth",
        "_pieces",
        "_root",
        "_string",
        "complete",
        "error",
        "has_value",
        "stop",
    )

    def __init__(self, allow: int, max_depth: int) -> None:
        self._allow = allow
        self._max_depth = max_depth
        self._base: int = 0
        """How many characters came before the text that is being read."""
        self._frames: list[Frame] = []
        """The objects and arrays that are open, from outside in."""
        self._frame: Frame | None = None
        """The last of them; None around the document."""
        self._container: Any = None
        """The dict or list of that one."""
        self._key: str | int = 0
        """The key or index in it of the value that is being read, or comes next."""
        self._root: Any = None
        self._fresh = ""
        """What the open string has grown by since it was last written to its place: the first piece."""
        self._pieces = TextLog()
        """The pieces after that one."""
        self._atom_shown = False
        """Whether the unfinished number or literal shows."""
        self._string = ""
        """The open string as far as it is written, where it is not shown."""
        self.has_value = False
        """Whether there is something to show."""
        self.complete = False
        """Whether the document is finished: only white space may follow."""
        self.error: InvalidJSON | LimitExceeded | None = None
        """What went wrong, once something has; what was read before stays readable."""
        self.stop: str | None = None
        """A reason to close the source; this stage never has one."""

    @property
    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value as it is now: for looking, it goes on growing; None while `has_value` is False."""
        if self._fresh:
            self._write_pieces()
        return self._root

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
        for frame in reversed(self._frames):
            copy = frame.container.copy()
            if inner is not None and self._is_shown(inner.container):
                copy[inner.key] = value
            inner, value = frame, copy
        return value

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    # -- what a reading tells ------------------------------------------------

    def _is_shown(self, container: dict[str, Any] | list[Any]) -> bool:
        return bool(self._allow & (OBJ if isinstance(container, dict) else ARR))

    def _show(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Put a value in its place, where there was none."""
        container = self._container
        if container.__class__ is dict:
            container[self._key] = value
        elif container is None:
            self._root = value
            self.has_value = True
        else:
            container.append(value)

    def _replace(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Put a value in the place of what shows of it."""
        container = self._container
        if container is None:
            self._root = value
        else:
            container[self._key] = value

    def _open(self, container: dict[str, Any] | list[Any], offset: int, out: list[JSONEvent]) -> bool:
        """Begin an object or array, and tell whether it may be that deep."""
        if len(self._frames) >= self._max_depth:
            self.error = LimitExceeded(
                f"the JSON document is nested more than {self._max_depth:,} deep at character {offset:,}; "
                "if it is meant to be, PartialJSONParser takes a higher max_depth",
                limit="max_depth",
                value=self._max_depth,
            )
            return False
        is_object = container.__class__ is dict
        out.append(ValueStart(self._frame, "object" if is_object else "array", offset, self._key))
        if self._allow & (OBJ if is_object else ARR):
            self._show(container)
        self._frame = frame = Frame(self._frame, self._key, container)
        self._frames.append(frame)
        self._container = container
        self._key = 0
        return True

    def _close(self, offset: int, out: list[JSONEvent]) -> None:
        """End the open object or array; `offset` is behind its bracket."""
        frames = self._frames
        frame = frames.pop()
        container = frame.container
        if frames:
            self._frame = outer = frames[-1]
            self._container = outer.container
        else:
            self._frame = self._container = None
        self._key = frame.key
        if not self._allow & (OBJ if container.__class__ is dict else ARR):
            self._show(container)
        out.append(ValueDone(self._frame, container, offset, frame.key))

    def _begin_atom(self, kind: JSONKind, offset: int, out: list[JSONEvent]) -> None:
        """Begin a number or a literal."""
        self._atom_shown = False
        out.append(ValueStart(self._frame, kind, offset, self._key))

    def _show_atom(self, value: Any) -> None:  # noqa: ANN401 - a number, True, False or None
        """Show what a number or a literal has come to."""
        if self._atom_shown:
            self._replace(value)
        else:
            self._atom_shown = True
            self._show(value)

    def _end_atom(self, value: Any, offset: int, out: list[JSONEvent]) -> None:  # noqa: ANN401 - as above
        """Finish a number or a literal; `offset` is behind it."""
        self._show_atom(value)
        out.append(ValueDone(self._frame, value, offset, self._key))

    def _begin_string(self, offset: int, out: list[JSONEvent], piece: str = "") -> None:
        """Begin a string, and take the first piece of it."""
        frame, key = self._frame, self._key
        out.append(ValueStart(frame, "string", offset, key))
        if piece:
            out.append(StringDelta(frame, piece, key))
        if self._allow & STR:
            self._show(piece)
        else:
            self._string = piece

    def _grow_string(self, piece: str, out: list[JSONEvent]) -> None:
        out.append(StringDelta(self._frame, piece, self._key))
        if self._fresh:
            self._pieces.append(piece)
        else:
            self._fresh = piece

    def _end_string(self, offset: int, out: list[JSONEvent]) -> None:
        if self._fresh:
            self._write_pieces()
        if self._allow & STR:
            container = self._container
            text = self._root if container is None else container[self._key]
        else:
            text = self._string
            self._show(text)
        out.append(ValueDone(self._frame, text, offset, self._key))

    def _write_pieces(self) -> None:
        """Write what the open string has grown by to its place."""
        grown = self._fresh
        self._fresh = ""
        if self._pieces.length:
            grown += self._pieces.join()
            self._pieces = TextLog()
        container = self._container
        # A string that nobody else holds is extended in place, which takes no longer the longer it
        # is: so it is taken out of where it stands first.
        if not self._allow & STR:
            text, self._string = self._string, ""
            text += grown
            self._string = text
        elif container is None:
            text, self._root = self._root, None
            text += grown
            self._root = text
        else:
            key = self._key
            text, container[key] = container[key], None
            text += grown
            container[key] = text
