"""The value `MISSING`, which stands for a value that has not arrived."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, NoReturn


class MissingValue(Enum):
    """The type of `MISSING`, which takes the place of a value that has not arrived; for annotations."""

    MISSING = "MISSING"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISSING"

    __str__ = __repr__

    # Hidden from type checkers, which report unknown names by themselves.
    if not TYPE_CHECKING:
        __iter__ = None
        """Prevents iteration, which `__getitem__` alone would make possible."""

        @property
        def name(self) -> NoReturn:
            # The attributes `name` and `value` of an enum are common names of fields.
            raise AttributeError

        value = name

        def __getattr__(self, name: str) -> NoReturn:
            # Names such as `__rich_repr__`, which Python and its tools look up on any object, are not fields.
            message = f"Missing has no {name}" if name.startswith("_") else _explain(f".{name}")
            raise AttributeError(message, name=name, obj=self)

        def __getitem__(self, key: object) -> NoReturn:
            # The same kind of error as for an attribute.
            raise AttributeError(_explain(f"[{key!r}]"), name=str(key), obj=self)


def _explain(asked: str) -> str:
    """Return the message of the error for reading an attribute or an item of MISSING."""
    return (
        f"{asked} was read on MISSING, a value that has not arrived yet; ask the draft for the whole path: "
        'draft.get("a", "b") returns MISSING then, and draft.get(lambda r: r.a.b) returns None'
    )


MISSING: Final = MissingValue.MISSING
"""A value that has not arrived; an explicit null is None instead.

Reading an attribute or an item of it raises an AttributeError whose message explains
how to read a deeper value.

Example:
    >>> from tokenstream.partial_json import MISSING
    >>> bool(MISSING), MISSING is None, getattr(MISSING, "title", "…")
    (False, False, '…')
"""
