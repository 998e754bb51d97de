"""The grammar of strict JSON (RFC 8259) as tables: one for each state, keyed by the next character.

The entry for a character is a step, which is a function that reads the token beginning
there, or the table of the next state. The entry "" says what is expected, for error messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # Reads on from a position in a text; returns the position where it stops.
    ReadStep: TypeAlias = Callable[[Any, str, int, list[Any]], int]
    Table: TypeAlias = dict[str, Any]

StepT = TypeVar("StepT", bound="Callable[..., Any]")

VALUE: Table = {"": "a value"}
FIRST_ELEMENT: Table = {"": 'a value or "]"'}
AFTER_ELEMENT: Table = {"": '"," or "]"', ",": VALUE}
KEY: Table = {"": "a key"}
FIRST_KEY: Table = {"": 'a key or "}"'}
COLON: Table = {"": '":"', ":": VALUE}
AFTER_FIELD: Table = {"": '"," or "}"', ",": KEY}
END: Table = {"": "nothing but white space"}
BETWEEN = (VALUE, FIRST_ELEMENT, AFTER_ELEMENT, KEY, FIRST_KEY, COLON, AFTER_FIELD, END)
"""The tables of the states in which white space is allowed."""
for _table in BETWEEN:
    # A single space is the most common white space; line breaks, usually with an indentation, have a step.
    _table[" "] = _table
# The usual text between two strings, read at once.
AFTER_ELEMENT[", "] = VALUE
AFTER_FIELD[", "] = KEY
COLON[": "] = VALUE
FAILED: Table = {}
"""The state after an error: nothing is read."""
ENDED: Table = {}
"""The state after `end()`: nothing may follow."""


def _continue_key(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401, ARG001 - a step
    end: int = reader.continue_key(text, position)
    return end


def _continue_string(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401 - a step
    end: int = reader.continue_string(text, position, out)
    return end


IN_KEY, IN_STRING = _continue_key, _continue_string
"""The steps that continue a key or a string that is split between pieces."""


def under(characters: Iterable[str], *tables: Table) -> Callable[[StepT], StepT]:
    """Return a decorator that enters a step in the tables under each of these next characters."""

    def enter(step: StepT) -> StepT:
        for table in tables:
            table.update(dict.fromkeys(characters, step))
        return step

    return enter
