"""A stage that takes pieces of a text and gives pieces of a text: what all of them share."""

from __future__ import annotations


class SoundStage:
    """A stage that never has an error, whatever it is fed."""

    __slots__ = ()

    error: None = None
    """What went wrong: nothing, whatever came."""

    @property
    def stop(self) -> str | None:
        """The reason why no more is needed; None while there is none."""
        return None

    def check(self) -> None:
        """Raise `error`; there is none."""


class TextStage(SoundStage):
    """A stage from text to text; a class of it has `feed`, and `end` where it holds something."""

    __slots__ = ()

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
