"""A text up to a marker, even if the marker arrives in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.stages._matching.matching import Matcher
from tokenstream.stages._text.base import TextStage

if TYPE_CHECKING:
    import regex


@show_members
class Until(TextStage):
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

    __slots__ = ("_has_ended", "_include", "_matcher", "_pending_at", "_text")

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
        self._matcher = Matcher("Until", pattern, max_length)
        self._include = include
        self._text = ""
        """The held-back text, with as many characters before it as the pattern may look back at."""
        self._pending_at = 0
        """Offset of the held-back text in `_text`."""
        self._has_ended = False

    @property
    def stop(self) -> str | None:
        """The reason why no more text is needed: "until" once the marker has arrived, None before that."""
        return "until" if self._has_ended else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that is certain to be before the marker.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        for new_text in self._matcher.split(item):
            if not self._has_ended:
                self._take_slice(new_text, out)
        text = "".join(out)
        return [text] if text else []

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text, up to a marker in it.

        Args:
            now: Unused; every stage has this parameter.
        """
        if self._has_ended:
            return []
        out: list[str] = []
        text, position = self._text, self._pending_at
        match = self._matcher.find(text, position)
        if match is None:
            out.append(text[position:])
        else:
            self._finish(text, position, match, out)
        self._text, self._pending_at = "", 0
        last_text = "".join(out)
        return [last_text] if last_text else []

    def _take_slice(self, new_text: str, out: list[str]) -> None:
        """Take a slice of text: emit the text before a possible marker, or finish at the marker."""
        matcher, position = self._matcher, self._pending_at
        # Text is held back only from a position at which a match may still begin or change.
        limit = matcher.limit
        # True if text is held back: the last search found that a match may begin at `position`.
        was_open = position < len(self._text)
        text = self._text + new_text
        while True:
            open_at = matcher.find_open_position(text, position, was_open=was_open)
            match = matcher.find(text, position)
            if match is not None and self._is_sure(match.start(), open_at):
                start = match.start()
                if limit is not None and match.end() - start > limit:
                    # Cut the match as if the text had arrived in small pieces.
                    match = matcher.match_at(text, start)
            else:
                start = open_at
                if limit is None or len(text) - start <= limit:
                    # The text from here on is held back.
                    out.append(text[position:start])
                    position = start
                    break
                # No more text may be held back: it is the marker now, or it is not.
                match = matcher.match_at(text, start)
            if match is not None:
                self._finish(text, position, match, out)
                return
            # No marker begins at `start`.
            out.append(text[position : start + 1])
            position, was_open = start + 1, True
        keep_from = max(0, position - matcher.context)
        self._text, self._pending_at = text[keep_from:], position - keep_from

    def _is_sure(self, start: int, open_at: int) -> bool:
        """Return True if a match is certain to be the marker, and is complete if it has to be returned.

        Args:
            start: The start of the match.
            open_at: The first position at which a match may still begin or change.
        """
        # `sure_at_end`: no later text can undo a match of this pattern, at most lengthen it.
        return start < open_at or (start == open_at and self._matcher.sure_at_end and not self._include)

    def _finish(self, text: str, position: int, match: Any, out: list[str]) -> None:  # noqa: ANN401 - a match
        """Append the last text, from `position` to the marker, to `out`, and drop the rest."""
        out.append(text[position : match.end() if self._include else match.start()])
        self._has_ended = True
        self._text = ""
