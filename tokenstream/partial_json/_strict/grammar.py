"""Grammar of strict JSON (RFC 8259) as tables: one per state, keyed by the next character.

An entry is a step, which reads the token that begins with that character, or the
table that applies after it. The entry "" names what is expected, for error messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    # Reads from a position of a text, and returns the position where it stops.
    Step: TypeAlias = Callable[[Any, str, int, list[Any]], int]
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
"""The tables in which white space may come."""
for _table in BETWEEN:
    # A single space is the common case; line breaks, often followed by more, have a step.
    _table[" "] = _table
# The usual text between two quotes.
AFTER_ELEMENT[", "] = VALUE
AFTER_FIELD[", "] = KEY
COLON[": "] = VALUE
FAILED: Table = {}
"""The state after a fault: nothing is read."""
ENDED: Table = {}
"""The state after `end()`: nothing may follow."""
WAITING: Table = {}
"""The state while pieces wait: they are read before anything else."""


def _continue_key(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401, ARG001 - a step
    end: int = reader.continue_key(text, position)
    return end


def _continue_string(reader: Any, text: str, position: int, out: list[Any]) -> int:  # noqa: ANN401 - a step
    end: int = reader.continue_string(text, position, out)
    return end


IN_KEY, IN_STRING = _continue_key, _continue_string
"""The steps that continue a key or a string split between pieces."""


def under(characters: Iterable[str], *tables: Table) -> Callable[[StepT], StepT]:
    """Return a decorator that enters a step into tables under each of `characters`."""

    def enter(step: StepT) -> StepT:
        for table in tables:
            table.update(dict.fromkeys(characters, step))
        return step

    return enter
