"""The tables of lenient JSON: one for each place, mapping the next character to its step.

| key | entry |
|---|---|
| a character | the step that reads from that character |
| "" | the step at the end of the text |
| OTHER | the step for any other character |
| NAME | what is expected here, for error messages |
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
"""The places in a document."""

STEPS: dict[str, Step] = {}
"""The steps that a reader continues with, by name."""

AFTER_CROOKED: set[Step] = set()
"""The steps that are allowed after a mismatched closing bracket."""


def is_step(step: StepT) -> StepT:
    """Enter a step into `STEPS`."""
    STEPS[step.__name__] = step
    return step


def after_crooked(step: StepT) -> StepT:
    """Enter a step into `AFTER_CROOKED`."""
    AFTER_CROOKED.add(step)
    return step
