"""The value that stands for a value that has not arrived."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, NoReturn


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
        """Not iterable: `__getitem__` alone would make it look so."""

        @property
        def name(self) -> NoReturn:
            # An enum's own attributes `name` and `value` are common names of fields.
            raise AttributeError

        value = name

        def __getattr__(self, name: str) -> NoReturn:
            # Names such as `__rich_repr__`, which Python and its tools ask of any object, are not fields.
            asked = f"Missing has no {name}" if name.startswith("_") else _explain(f".{name}")
            raise AttributeError(asked, name=name, obj=self)

        def __getitem__(self, key: object) -> NoReturn:
            raise AttributeError(_explain(f"[{key!r}]"), name=str(key), obj=self)


def _explain(asked: str) -> str:
    return (
        f"{asked} was read on MISSING, a value that has not arrived yet; ask the draft for the whole path: "
        'draft.get("a", "b") returns MISSING then, and draft.get(lambda r: r.a.b) returns None'
    )


MISSING: Final = Missing.MISSING
"""A value that has not arrived; an explicit null is None.

Reading an attribute or item of it raises an AttributeError that says how to ask
for a deeper value.

Example:
    >>> from tokenstream.partial_json import MISSING
    >>> bool(MISSING), MISSING is None, getattr(MISSING, "title", "…")
    (False, False, '…')
"""
