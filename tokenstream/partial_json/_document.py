"""A JSON document while it is being read: its value so far, its events, and its error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import InvalidJSON, LimitExceeded
from tokenstream.partial_json._events import KeyOrIndex, Place, StringDelta, ValueDone, ValueStart
from tokenstream.partial_json._strict.numbers import MOST_DIGITS, parse_prefix

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._events import JSONEvents, JSONKind

# The bits of `Allow` in partial-json-parser, repeated here to avoid loading that package.
STR, NUM, ARR, OBJ, NULL, BOOL = 1, 2, 4, 8, 16, 32

new_event: Any = object.__new__
"""Creates an event without calling its constructor; setting its attributes takes two thirds of the time."""


class OpenPlace(Place):
    """An open object or array, with the dict or list that receives its values."""

    __slots__ = ("container",)

    def __init__(self, parent: OpenPlace | None, key: KeyOrIndex, container: Any) -> None:  # noqa: ANN401 - a dict or a list
        self.parent = parent
        self.key = key
        # `Place` builds both paths when they are first asked for: its own, and that of the element used last.
        self.cached_path = None
        self.last_path = ()
        self.container = container


def release_value(event: ValueDone) -> None:
    """Let a finished value be freed in an open object or array; None stays there for the count."""
    # Found by the event's place: building its path would take longer.
    place = event.place
    # An `OpenPlace` is an open object or array; a value at the top level is in none.
    if isinstance(place, OpenPlace):
        place.container[event.key] = None


class Document:
    """The value that a reader builds, the events that report its growth, and its error.

    The reader, strict or lenient, knows the grammar and the text. It calls a method
    of this class for everything it has read. Offsets are numbers of characters from the
    start of the text; each method appends its events to `out`.

    Args:
        allow: `Allow` bits of the kinds of values that are visible before they are complete.
        max_depth: The maximum nesting of objects and arrays.
        decimals: True to read numbers with a fraction or an exponent as Decimals.
    """

    def __init__(self, allow: int = STR | ARR | OBJ, max_depth: int = 512, *, decimals: bool = False) -> None:
        # The options.
        self.allow = allow
        self.shows_strings = bool(allow & STR)
        self.max_depth = max_depth
        self.decimals = decimals

        # The reader's position.
        self.frames: list[OpenPlace] = []
        """The open objects and arrays, outermost first."""
        self.frame: OpenPlace | None = None
        """The innermost of `frames`; None at the top level."""
        self.container: Any = None
        """The dict or list of `frame`; None at the top level."""
        self.key: KeyOrIndex = 0
        """Key or index in `container` of the current value, or of the next one."""

        # The open string, number or literal.
        self.pending = ""
        """The first piece of the open string that has not been written to `container` yet."""
        self.more_pending = TextLog()
        """The pieces of the open string that follow `pending`."""
        self.atom_shown = False
        """True if the unfinished number or literal is visible in `container`."""
        self.string = ""
        """The open string as far as it has arrived, if unfinished strings are not visible."""

        # The result so far.
        self.root: Any = None
        self.has_value = False
        """True once any part of the value is visible."""
        self.complete = False
        """True once the document is finished: only white space may follow it."""
        self.error: InvalidJSON | LimitExceeded | None = None
        """The error, or None; the part of the value read before it remains available."""

    @property
    def value(self) -> Json:
        """The current value, which changes while the text is read; None while `has_value` is False."""
        if self.pending:
            self.write_pieces()
        return self.root

    def snapshot(self) -> Json:
        """Return a copy of the current value that never changes.

        All snapshots share the finished objects and arrays; each open object or array
        is copied, but not the values in it.
        """
        value = self.value
        if not self.has_value:
            return None
        inner_frame: OpenPlace | None = None
        # From the innermost container outwards: each copy gets the copy of the container inside it.
        for frame in reversed(self.frames):
            copy = frame.container.copy()
            # A container that is invisible until it ends has no place in the copy.
            if inner_frame is not None and self.is_shown(inner_frame.container):
                copy[inner_frame.key] = value
            inner_frame, value = frame, copy
        return value

    # -- faults ------------------------------------------------------------------

    def fail(self, offset: int, why: str) -> None:
        """Set the error for a text that is not JSON; `why` is the error's message."""
        hint = "; what came before is still readable" if offset else ""
        # The text is not kept here: callers that have it make an error with the text from this one.
        self.error = InvalidJSON(f"{why}{hint}", text="", offset=offset)

    def refuse(self, offset: int, expected: str) -> None:
        """Set the error for a character that the grammar does not allow; `expected` names what it allows."""
        advice = "" if offset else "; if prose or a code fence surrounds the JSON, pass lenient=True"
        self.fail(offset, f"the text is not JSON: at character {offset:,} {expected} was expected{advice}")

    def exceed(self, why: str, limit: str, value: int) -> None:
        self.error = LimitExceeded(why, limit=limit, value=value)

    def exceed_digits(self, number: str, offset: int) -> None:
        """Set the error for a number with too many digits, and make as many digits visible as allowed."""
        self.show_number(number)
        self.exceed(
            f"the number at character {offset:,} has more than {MOST_DIGITS:,} digits, the most "
            "that is read; ask the model for a string",
            "digits",
            MOST_DIGITS,
        )

    def exceed_exponent(self, number: str, offset: int) -> None:
        """Set the error for a number whose exponent is too large for a Decimal.

        The part of the number before the exponent becomes visible, if `allow` contains `NUM`.
        """
        from decimal import MAX_EMAX

        self.show_number(number)
        self.exceed(
            f"the number at character {offset:,} has an exponent too large for a Decimal; read "
            "the document without decimals=True",
            "exponent",
            MAX_EMAX,
        )

    def end(self, offset: int) -> None:
        if not self.complete and self.error is None:
            self.fail(offset, f"the text ended after {offset:,} characters, before the document did")

    # -- called by the reader ------------------------------------------------------

    def is_shown(self, container: dict[str, Any] | list[Any]) -> bool:
        """Return True if an object or array is visible before it is complete."""
        return bool(self.allow & (OBJ if isinstance(container, dict) else ARR))

    def show(self, value: object) -> None:
        """Insert a value at `self.key` into the innermost open container, or as the document without one."""
        container = self.container
        if container.__class__ is dict:
            container[self.key] = value
        elif container is None:
            self.root = value
            self.has_value = True
        else:
            container.append(value)

    def replace(self, value: object) -> None:
        container = self.container
        if container is None:
            self.root = value
        else:
            container[self.key] = value

    def open(self, container: dict[str, Any] | list[Any], offset: int, out: JSONEvents) -> bool:
        """Begin an object or array; return False, with an error set, if it is nested too deeply."""
        if len(self.frames) >= self.max_depth:
            self.exceed(
                f"the JSON document is nested more than {self.max_depth:,} deep at character {offset:,}; "
                "if that is intended, pass a higher max_depth to PartialJSONParser",
                "max_depth",
                self.max_depth,
            )
            return False
        is_object = container.__class__ is dict
        outer, key = self.frame, self.key
        event = new_event(ValueStart)
        event.place = outer
        event.member = key
        event.kind = "object" if is_object else "array"
        event.offset = offset
        out.append(event)
        if self.allow & (OBJ if is_object else ARR):
            # Visible at once; otherwise `close` makes it visible. An array gets it without a call of `show`.
            outer_container = self.container
            if outer_container.__class__ is list:
                outer_container.append(container)
            else:
                self.show(container)
        self.frame = frame = OpenPlace(outer, key, container)
        self.frames.append(frame)
        self.container = container
        # The index of an array's first element; for an object, the reader sets each key.
        self.key = 0
        return True

    def close(self, offset: int, out: JSONEvents) -> None:
        """Finish the innermost open object or array; `offset` is the position after its bracket."""
        frame: Any = self.frames.pop()
        container = frame.container
        self.frame = outer = frame.parent
        self.container = None if outer is None else outer.container
        self.key = key = frame.key
        if not self.allow & (OBJ if container.__class__ is dict else ARR):
            # The container was invisible while it was open.
            self.show(container)
        event = new_event(ValueDone)
        event.place = outer
        event.member = key
        event.value = container
        event.offset = offset
        out.append(event)

    def begin_atom(self, kind: JSONKind, offset: int, out: JSONEvents) -> None:
        """Begin an atom, a number or literal, which is not visible yet, in the innermost open container."""
        self.atom_shown = False
        out.append(ValueStart(self.frame, kind, offset, self.key))

    def show_atom(self, value: object) -> None:
        if self.atom_shown:
            self.replace(value)
        else:
            self.atom_shown = True
            self.show(value)

    def show_number(self, number: str) -> None:
        value = parse_prefix(number, decimals=self.decimals) if self.allow & NUM else None
        if value is not None:
            self.show_atom(value)

    def end_atom(self, value: object, offset: int, out: JSONEvents) -> None:
        """Finish a number or literal; `offset` is the position after it."""
        self.show_atom(value)
        out.append(ValueDone(self.frame, value, offset, self.key))

    def begin_string(self, offset: int, out: JSONEvents, piece: str = "") -> None:
        """Begin a string; `piece` is the part of it that has already been read."""
        frame, key = self.frame, self.key
        out.append(ValueStart(frame, "string", offset, key))
        if piece:
            out.append(StringDelta(frame, piece, key))
        if self.shows_strings:
            self.show(piece)
        else:
            # The string is shown once it is complete.
            self.string = piece

    def grow_string(self, piece: str, out: JSONEvents) -> None:
        """Report a new piece of the open string, and keep it until `write_pieces` adds it to the value."""
        out.append(StringDelta(self.frame, piece, self.key))
        # `pending` is the first piece that waits, `more_pending` has the others.
        if self.pending:
            self.more_pending.append(piece)
        else:
            self.pending = piece

    def end_string(self, offset: int, out: JSONEvents) -> None:
        """End the open string; `offset` is the position after its quote."""
        if self.pending:
            self.write_pieces()
        if self.shows_strings:
            # The string has been in its place since it began.
            container = self.container
            text = self.root if container is None else container[self.key]
        else:
            text = self.string
            self.show(text)
        out.append(ValueDone(self.frame, text, offset, self.key))

    def write_pieces(self) -> None:
        """Lengthen the stored value of the open string by the pieces that were read since the last call."""
        added = self.pending
        self.pending = ""
        if self.more_pending.length:
            added += self.more_pending.join()
            self.more_pending = TextLog()
        container = self.container
        # CPython extends a string in place if there is only one reference to it, which takes no
        # longer for a longer string. So the string is first removed from its container.
        if not self.shows_strings:
            text, self.string = self.string, ""
            text += added
            self.string = text
        elif container is None:
            text, self.root = self.root, None
            text += added
            self.root = text
        else:
            key = self.key
            text, container[key] = container[key], None
            text += added
            container[key] = text
