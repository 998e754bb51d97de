"""What stands for a value that has not come."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

__all__ = ["MISSING", "Missing"]


class Missing(Enum):
    """The type of `MISSING`, for annotations."""

    MISSING = "MISSING"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "MISSING"

    __str__ = __repr__


MISSING: Final = Missing.MISSING
"""A value that has not come; an explicit null is None.

Example:
    >>> from tokenstream.partial_json import MISSING
    >>> bool(MISSING), MISSING is None
    (False, False)
"""
