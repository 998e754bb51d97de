"""What stands for a value that has not come."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, NoReturn

__all__ = ["MISSING", "Missing"]


class Missing(Enum):
    """The type of `MISSING`, for annotations."""

    MISSING = "MISSING"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISSING"

    __str__ = __repr__

    # Not for checkers, which flag such a name by themselves.
    if not TYPE_CHECKING:
        __iter__ = None
        """There is nothing to go through: without it `__getitem__` would make this look as if there were."""

        @property
        def name(self) -> NoReturn:
            # An enum's own attributes have the names that fields often have.
            raise AttributeError

        value = name

        def __getattr__(self, name: str) -> NoReturn:
            # What Python itself and its tools ask any object for, such as `__rich_repr__`, is nobody's field.
            asked = f"Missing has no {name}" if name.startswith("_") else _advice(f".{name}")
            raise AttributeError(asked, name=name, obj=self)

        def __getitem__(self, key: object) -> NoReturn:
            raise AttributeError(_advice(f"[{key!r}]"), name=str(key), obj=self)


def _advice(asked: str) -> str:
    return (
        f"{asked} was asked of what has not come yet (MISSING); ask the draft for the whole path, as in "
        'draft.get("a", "b") or draft.get(lambda r: r.a.b), which tell when nothing is there'
    )


MISSING: Final = Missing.MISSING
"""A value that has not come; an explicit null is None.

Any attribute or item of it is an AttributeError that says how to ask for what
lies deeper.

Example:
    >>> from tokenstream.partial_json import MISSING
    >>> bool(MISSING), MISSING is None, getattr(MISSING, "title", "…")
    (False, False, '…')
"""
