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
"""The places inside a document."""

STEPS: dict[str, Step] = {}
"""Steps by name, for those that a reader keeps in `inside_step` or `outside_step`."""

AFTER_MISMATCH: set[Step] = set()
"""The steps that are allowed after a mismatched closing bracket."""


def register_step(step: StepT) -> StepT:
    """Register a step in `STEPS` under its name; return the step."""
    STEPS[step.__name__] = step
    return step


def register_after_mismatch(step: StepT) -> StepT:
    """Register a step that is allowed after a closing bracket of the wrong kind; return the step."""
    AFTER_MISMATCH.add(step)
    return step
