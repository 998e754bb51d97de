"""Comparing an error that was raised with the one that is kept: they are two objects with one state."""

from __future__ import annotations

import pytest

from tokenstream.errors import MisuseError


def is_same_error(one: BaseException | None, other: BaseException | None) -> bool:
    """Return True if two errors are of one class and share their attributes, so that a note is on both."""
    return one is other or (
        one is not None and other is not None and type(one) is type(other) and vars(one) is vars(other)
    )


def misuse(kind: str, match: str | None = None) -> pytest.RaisesExc[MisuseError]:
    return pytest.raises(MisuseError, match=match, check=lambda error: error.kind == kind)
