"""The tables of lenient JSON, which map the next character to the step that reads it.

There is one table for each *place* in a document, such as after a key.

| key | entry |
|---|---|
| a character | the step that reads from that character on |
| "" | the step at the end of the text |
| OTHER | the step for any other character |
| NAME | what is expected at the place, for error messages |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._strict.grammar import Step, Table

StepT = TypeVar("StepT", bound="Callable[..., Any]")

NAME, OTHER = "name", "other"
WHITE = " \t\n\r"

VALUE: Table = {NAME: "a value"}
FIRST_ELEMENT: Table = {NAME: 'a first element or "]"'}
ELEMENT: Table = {NAME: 'an element or "]"'}
AFTER_ELEMENT: Table = {NAME: '"," or "]"'}
FIRST_KEY: Table = {NAME: 'a first key or "}"'}
KEY: Table = {NAME: 'a key or "}"'}
COLON: Table = {NAME: '":"'}
AFTER_FIELD: Table = {NAME: '"," or "}"'}
START: Table = {NAME: "a document"}
AFTER_DOCUMENT: Table = {NAME: "nothing more"}

VALUES = (VALUE, FIRST_ELEMENT, ELEMENT)
KEYS = (FIRST_KEY, KEY)
AFTER = (AFTER_FIELD, AFTER_ELEMENT)
PLACES = (*VALUES, *KEYS, COLON, *AFTER)
"""The tables of all places inside a document; before and after it are `START` and `AFTER_DOCUMENT`."""

STEPS: dict[str, Step] = {}
"""Maps names to steps, the functions with which a reader may continue at its next piece of text."""

AFTER_MISMATCH: set[Step] = set()
"""The steps (functions) that may run after a closing bracket of the wrong kind."""


def register_step(step: StepT) -> StepT:
    """Register a step, a function that reads on in the text, in `STEPS` by its name; return the function."""
    STEPS[step.__name__] = step
    return step


def register_after_mismatch(step: StepT) -> StepT:
    """Add a step (function) to those that may follow a closing bracket of the wrong kind; return it."""
    AFTER_MISMATCH.add(step)
    return step
