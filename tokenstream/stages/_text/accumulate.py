"""The whole text so far, returned for each piece."""

from __future__ import annotations

from tokenstream._basics.members import show_members
from tokenstream.stages._text.base import TextStage


@show_members
class Accumulate(TextStage):
    """A stage that returns the whole text so far whenever the text has grown.

    Each item takes time in proportion to the text, so put a `Throttle` before this stage.

    Example:
        >>> so_far = Accumulate()
        >>> so_far.feed("The"), so_far.feed(" sky")
        (['The'], ['The sky'])
    """

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = ""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        if not item:
            return []
        self._text += item
        return [self._text]
