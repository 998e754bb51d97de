"""Base classes of the stages that take pieces of a text and return pieces of a text."""

from __future__ import annotations


class SoundStage:
    """A stage that never has an error, whatever its input."""

    __slots__ = ()

    error: None = None
    """Always None: this stage cannot fail."""

    @property
    def stop(self) -> str | None:
        """The reason why no more text is needed; None while more is needed."""
        return None

    def check(self) -> None:
        """Do nothing: `error` is always None."""


class TextStage(SoundStage):
    """A stage that turns text into text; subclasses define `feed`, and `end` if they hold text back."""

    __slots__ = ()

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the pieces that are due.

        Args:
            item: The next piece of the text.
            now: A clock reading, in seconds.
        """
        raise NotImplementedError

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the text that was held back, at the end of the text.

        Args:
            now: A clock reading, in seconds.
        """
        return []
