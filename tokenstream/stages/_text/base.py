"""A stage that takes pieces of a text and gives pieces of a text: what all of them share."""

from __future__ import annotations

import math
from typing import Any

from tokenstream.errors import MisuseError

__all__ = ["TextStage", "check_seconds", "check_whole"]


class TextStage:
    """A stage from text to text; a class of it has `feed`, and `end` where it holds something.

    Nothing in a text is an error, so no such stage has one.
    """

    __slots__ = ()

    error: None = None
    """What went wrong: nothing, whatever the text is."""

    @property
    def stop(self) -> str | None:
        """The reason why no more text is needed; None while there is none."""
        return None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the pieces that are due.

        Args:
            item: The next piece of the text.
            now: A clock reading, in seconds.
        """
        raise NotImplementedError

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return what was held back, at the end of the text.

        Args:
            now: A clock reading, in seconds.
        """
        return []

    def check(self) -> None:
        """Raise `error`; there is none."""


def check_seconds(name: str, value: Any, *, unit: str = "seconds") -> float:  # noqa: ANN401 - any argument
    """Return a number above 0 that a caller has given.

    Raises:
        MisuseError: It is no number, or none above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise MisuseError(f"{name}= is a number of {unit} above 0, and not {value!r}")
    return float(value)


def check_whole(name: str, value: Any, *, least: int = 1) -> int:  # noqa: ANN401 - any argument
    """Return a whole number that a caller has given.

    Raises:
        MisuseError: It is no whole number, or less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise MisuseError(f"{name}= is a whole number, {least} or more, and not {value!r}")
    return value
