"""A text up to a marker, even if the marker arrives in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.stages._text.searching import Searching

if TYPE_CHECKING:
    import regex

    from tokenstream.stages._matching.compiled import AnyMatch


@show_members
class Until(Searching):
    r"""Returns a text up to the first match of a marker, and nothing after it.

    Text is held back only while it may still become the marker. Once the marker has arrived,
    `stop` is "until" and `feed` returns nothing any more; the stream itself goes on.

    Args:
        marker: The text that ends the result, taken literally, or a regular expression compiled by `re`
            or `regex`; any marker except plain text needs the package regex (`llm-tokenstream[shape]`).
        include: True if the marker is returned, too. It is returned whole, so the stage waits for
            the end of a marker that may still grow, such as `\n+`.
        max_length: The most characters that are held back; required if a compiled marker does
            not limit the length of its matches. A longer match ends the text only if its first
            `max_length` characters match, too.

    Raises:
        MisuseError: The marker cannot be used: it is empty or a function, its matches have no maximum
            length and `max_length` is missing, or the package regex is not installed.

    Example:
        >>> answer = Until("\nUser:")
        >>> answer.feed("Hello!\nUs"), answer.stop, answer.feed("er: And"), answer.stop, answer.feed("?")
        (['Hello!'], None, [], 'until', [])
    """

    __slots__ = ("_include",)

    def __init__(
        self,
        marker: str | re.Pattern[str] | regex.Pattern[str],
        *,
        include: bool = False,
        max_length: int | None = None,
    ) -> None:
        if callable(marker):
            raise MisuseError(
                "Until takes a text or a compiled pattern, not a function: one that were given all text so "
                "far would cost more with every piece; stop the stream with a rule of your own instead"
            )
        if marker == "":
            raise MisuseError("Until takes a marker that has text: an empty one ends every text at once")
        pattern: Any = re.compile(re.escape(marker)) if isinstance(marker, str) else marker
        super().__init__("Until", pattern, max_length)
        self._include = include

    @property
    def stop(self) -> str | None:
        """The reason why no more text is needed: "until" once the marker has arrived, None before that."""
        return "until" if self._rests else None

    # -- what becomes of a match -----------------------------------------------

    def _is_sure(self, start: int, open_at: int) -> bool:
        """Return True if a match is certain to be the marker, and is complete if it has to be returned."""
        # `sure_at_end`: no later text can undo a match of this pattern, at most lengthen it. With `_include`,
        # the marker is returned, so its end must be certain, too.
        return start < open_at or (start == open_at and self._matcher.sure_at_end and not self._include)

    def _accept(self, text: str, match: AnyMatch, out: list[str], *, is_cut: bool) -> int:
        """End the text with the marker."""
        if self._include:
            out.append(match.group())
        self._rests, self._starts = True, None
        return match.end()

    def _accept_open(self, text: str, match: AnyMatch, out: list[str]) -> int:
        """End the text with the marker, which is too long to wait for the end of it."""
        return self._accept(text, match, out, is_cut=True)

    def _go_on(self, text: str, position: int) -> int:
        """Return the end of the text: nothing follows the marker."""
        return len(text)
