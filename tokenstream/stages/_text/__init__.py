"""Stages that take pieces of a text and return pieces of a text, and their base classes."""

from __future__ import annotations


class SoundStage:
    """Base class of the stages that never have an error, whatever their input is."""

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
    """Base class of the stages that turn text into text.

    Subclasses define `feed`, and also `end` if they hold text back. More text may follow `end`, as when a
    tool call interrupts the text: it begins another word, sentence or the like.
    """

    __slots__ = ()

    @property
    def holds_match(self) -> bool | None:
        """True while text is held back for a match, which may go on in the next part of the text.

        It is None for a stage that looks for no matches.
        """
        return None

    @property
    def holds_pace(self) -> bool:
        """True while the stage holds text back to spread it over a time."""
        return False

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
