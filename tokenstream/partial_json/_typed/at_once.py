"""Documents that arrive in one piece: validated at once, and read field by field only if needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._strict.numbers import is_nested_at_most, may_be_too_long
from tokenstream.partial_json._typed.defaults import FilledObject
from tokenstream.partial_json._typed.dump import get_names_and_view
from tokenstream.partial_json._typed.paths import get_member
from tokenstream.partial_json._typed.state import get_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.partial_json._shapes.shape import Slot
    from tokenstream.partial_json._typed.partial import Partial

_SPACE = " \t\n\r"
_CLOSERS = {"{": "}", "[": "]"}
_PARTS = frozenset(("log", "length", "_distinct", "name", "growing", "fillers"))
"""Attributes of a `FilledObject`, which a `LateObject` sets when one of them is first used."""


def find_closer(text: str) -> str:
    """Return the closing bracket of a text that begins and ends with a pair of brackets; otherwise "".

    Example:
        >>> find_closer(' {"a": [1]} '), find_closer('{"a": [1]'), find_closer("12")
        ('}', '', '')
    """
    closer = _CLOSERS.get(text.lstrip(_SPACE)[:1], "")
    return closer if closer and text.rstrip(_SPACE)[-1:] == closer else ""


def may_have_nan(text: str) -> bool:
    """Return True if a text may contain NaN or Infinity, which pydantic accepts and JSON does not.

    Example:
        >>> may_have_nan('{"share": NaN}'), may_have_nan('{"share": 1}')
        (True, False)
    """
    # The search for a single character takes a tenth of the time.
    return ("N" in text and "NaN" in text) or ("I" in text and "Infinity" in text)


def read_at_once(slot: Slot, text: str, *, max_depth: int) -> object:
    """Return the value of a whole text; MISSING if the text must be read value by value."""
    # Pydantic accepts NaN, and numbers that are too long; the parser does not.
    if may_have_nan(text) or may_be_too_long(text):
        return MISSING
    try:
        value = slot.read(text)
    except Exception:  # noqa: BLE001 - validators may raise anything; the second reading raises it
        return MISSING
    return value if is_nested_at_most(text, max_depth) else MISSING


def pick_fields(names: Iterable[str], value: object) -> dict[str, Any]:
    """Return the named fields of a finished object, with their values."""
    return {name: found for name in names if (found := get_member(value, name)) is not MISSING}


class LateObject(FilledObject):
    """The view of an object that was validated at once; its fields are read when they are first used.

    For that, the text is read a second time. The values shown are nevertheless the values of
    `outcome`, so that the second reading is not visible.

    Args:
        read_fields: Reads the text field by field, and returns its last snapshot.
        names: The names of the fields of the type.
        outcome: The finished object.
    """

    __slots__ = ("_made", "_names", "_outcome", "_read_fields")

    def __init__(
        self, read_fields: Callable[[], Partial[Any]], names: Iterable[str], outcome: object
    ) -> None:
        self._read_fields = read_fields
        self._names = names
        self._outcome = outcome
        self._made: dict[None, FilledObject] = {}
        """The view from the second reading, under the key None: `setdefault` is safe between threads."""

    def __getattr__(self, name: str) -> object:
        """Read the fields when an attribute of `FilledObject` is first used; until then, all are unset."""
        if name not in _PARTS:
            raise AttributeError(name, name=name, obj=self)
        if None not in self._made:
            # Another thread may have read the fields meanwhile: both use the result that `setdefault` kept.
            self._made.setdefault(None, self._make_view())
        made = self._made[None]
        for part in _PARTS:
            setattr(self, part, getattr(made, part))
        return getattr(made, name)

    def _make_view(self) -> FilledObject:
        """Read the text again, field by field; return a view of the fields, with the values of `outcome`."""
        partial = self._read_fields()
        _, view = get_names_and_view(partial)
        second_outcome = get_state(partial).outcome
        values = view.log.values
        for position, name in enumerate(view.log.names):
            # Show the object in `outcome`, not its copy; a field that a validator of the whole has changed
            # is shown as it was read.
            if values[position] is get_member(second_outcome, name):
                values[position] = get_member(self._outcome, name)
        # Fields that are not in the text are shown with the values that the finished object has.
        fillers = pick_fields(self._names, self._outcome)
        return FilledObject(view.log, name="", growing=MISSING, fillers=fillers)
