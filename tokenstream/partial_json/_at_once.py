"""A document that comes in one piece: validated at once, gone through by its fields when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._defaults import FilledObject
from tokenstream.partial_json._dump import faced
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._outline import is_nested_at_most
from tokenstream.partial_json._run import may_be_too_long
from tokenstream.partial_json._state import state_of
from tokenstream.partial_json._walk import member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.partial_json._draft import Draft
    from tokenstream.partial_json._shape import Slot
    from tokenstream.partial_json._show import Cutter, How

__all__ = ["LateObject", "end_of", "fields_of", "may_be_odd", "read_at_once"]

_SPACE = " \t\n\r"
_CLOSERS = {"{": "}", "[": "]"}
_PARTS = frozenset(("log", "length", "_distinct", "name", "tail", "rest"))


def end_of(text: str) -> str:
    """Return the bracket that a text ends with, if it begins with the one that opens it; else "".

    Example:
        >>> end_of(' {"a": [1]} '), end_of('{"a": [1]'), end_of("12")
        ('}', '', '')
    """
    closer = _CLOSERS.get(text.lstrip(_SPACE)[:1], "")
    return closer if closer and text.rstrip(_SPACE)[-1:] == closer else ""


def may_be_odd(text: str) -> bool:
    """Return whether a text may have the numbers that pydantic takes, and JSON does not have.

    Example:
        >>> may_be_odd('{"share": NaN}'), may_be_odd('{"share": 1}')
        (True, False)
    """
    # One character is looked for in a tenth of the time.
    return ("N" in text and "NaN" in text) or ("I" in text and "Infinity" in text)


def read_at_once(slot: Slot, text: str, *, most_depth: int) -> Any:  # noqa: ANN401 - any value
    """Return the value of a text; MISSING where reading it value by value has to tell what it is.

    Args:
        slot: What the document is to become; pydantic reads it.
        text: The text.
        most_depth: Most objects and arrays inside each other.
    """
    # Pydantic takes these; the parser may not.
    if may_be_odd(text) or may_be_too_long(text):
        return MISSING
    try:
        value = slot.read(text)
    except Exception:  # noqa: BLE001 - validators may raise anything; it is raised again in its place
        return MISSING
    return value if is_nested_at_most(text, most_depth) else MISSING


def fields_of(names: Iterable[str], value: Any) -> dict[str, Any]:  # noqa: ANN401 - any value
    """Return those of some fields that a finished object has.

    Args:
        names: The fields.
        value: The object.
    """
    return {name: found for name in names if (found := member(value, name)) is not MISSING}


class LateObject(FilledObject):
    """An object that was validated at once: its fields are gone through when somebody first looks at them.

    What is finished in it is the same object as in the whole: that it was read twice shows nowhere.

    Args:
        make: The class of drafts, and what makes one that has read nothing: the schema, whether defaults
            show, when strings show, and what makes what cuts them into words.
        text: The document.
        names: The names of its type's fields.
        outcome: The finished object.
    """

    __slots__ = ("_made", "_make", "_names", "_outcome", "_text")

    def __init__(
        self,
        make: tuple[type[Draft[Any]], Any, bool, How, Callable[[], Cutter] | None],
        text: str,
        names: Iterable[str],
        outcome: Any,  # noqa: ANN401 - any value
    ) -> None:
        self._make = make
        self._text = text
        self._names = names
        self._outcome = outcome
        self._made: dict[None, FilledObject] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any part of it
        # Arguments of a view of its kind, each asked for here once.
        if name not in _PARTS:
            raise AttributeError(name, name=name, obj=self)
        if None not in self._made:
            # Another thread may have gone through it meanwhile: both have what was there first.
            self._made.setdefault(None, self._gone_through())
        made = self._made[None]
        for part in _PARTS:
            setattr(self, part, getattr(made, part))
        return getattr(made, name)

    def _gone_through(self) -> FilledObject:
        make, schema, filled, how, words = self._make
        draft = make(schema, defaults=filled, show=how, words=words)
        # In two pieces, or it would be validated at once again.
        draft.feed(self._text[:1])
        draft.feed(self._text[1:])
        taken = draft.partial()
        view, other = faced(taken)[1], state_of(taken).outcome
        values = view.log.values
        for place, name in enumerate(view.log.names):
            if values[place] is member(other, name):
                values[place] = member(self._outcome, name)
        return FilledObject(view.log, "", MISSING, fields_of(self._names, self._outcome))
