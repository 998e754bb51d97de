"""What may come where in strict JSON (RFC 8259): tables by the next character.

An entry is a step, which reads what begins with that character, or the table that
counts behind it. Under "" stands what is expected, for error messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    # Reads on at a position of a text, and returns where it stops.
    Step: TypeAlias = Callable[[Any, str, int, list[Any]], int]
    Table: TypeAlias = dict[str, Any]

__all__ = [
    "AFTER_ELEMENT",
    "AFTER_FIELD",
    "BETWEEN",
    "COLON",
    "END",
    "ENDED",
    "FAILED",
    "FIRST_ELEMENT",
    "FIRST_KEY",
    "IN_KEY",
    "IN_STRING",
    "KEY",
    "VALUE",
    "WAITING",
    "under",
]

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
"""The tables before which white space may stand."""
for _table in BETWEEN:
    # One space is what mostly comes; a step takes the line breaks, which many follow.
    _table[" "] = _table
# Mostly so much stands between quotes.
AFTER_ELEMENT[", "] = VALUE
AFTER_FIELD[", "] = KEY
COLON[": "] = VALUE
FAILED: Table = {}
"""After a fault nothing is read."""
ENDED: Table = {}
"""After the end of the text nothing may come."""
WAITING: Table = {}
"""Before anything is read, what waits is."""


def _in_key(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401, ARG001 - a step
    end: int = reader.go_on_in_key(text, position)
    return end


def _in_string(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401 - a step
    end: int = reader.go_on_in_string(text, position, out)
    return end


IN_KEY, IN_STRING = _in_key, _in_string
"""The steps that go on inside a key or a string that a piece of text has cut."""


def under(characters: Iterable[str], *tables: Table) -> Callable[[StepT], StepT]:
    """Enter a step into tables, under each of `characters`."""

    def enter(step: StepT) -> StepT:
        for table in tables:
            table.update(dict.fromkeys(characters, step))
        return step

    return enter
