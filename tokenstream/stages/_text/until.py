"""A text up to a marker, even if the marker arrives in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._matching.matching import Matcher
from tokenstream.stages._text.base import TextStage

if TYPE_CHECKING:
    import regex


class Until(TextStage):
    r"""Returns a text up to the first match of a marker, and nothing after it.

    Text is held back only while it may still become the marker. Once the marker has arrived,
    `stop` is "until" and `feed` returns nothing any more; the stream itself goes on.

    Args:
        marker: The text that ends the result, taken literally, or a regular expression compiled by `re`
            or `regex`; any marker except plain text needs the package regex (`llm-tokenstream[shape]`).
        include: Whether the marker is returned, too. It is returned whole, so the stage waits for
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

    __slots__ = ("_at", "_include", "_matcher", "_over", "_text")

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
        self._at = 0
        """Offset of the held-back text in `_text`."""
        self._over = False

    @property
    def stop(self) -> str | None:
        """The reason why no more text is needed: "until" once the marker has arrived, None before that."""
        return "until" if self._over else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that is certain to be before the marker.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        for piece in self._matcher.split(item):
            if not self._over:
                self._take(piece, out)
        text = "".join(out)
        return [text] if text else []

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text, up to a marker in it.

        Args:
            now: Unused; every stage has this parameter.
        """
        if self._over:
            return []
        out: list[str] = []
        text, at = self._text, self._at
        found = self._matcher.find(text, at)
        if found is None:
            out.append(text[at:])
        else:
            self._finish(text, at, found, out)
        self._text, self._at = "", 0
        given = "".join(out)
        return [given] if given else []

    def _take(self, item: str, out: list[str]) -> None:
        """Take a slice of text: emit the text before an open match, or finish at the marker."""
        matcher, at = self._matcher, self._at
        limit, held = matcher.limit, at < len(self._text)
        text = self._text + item
        while True:
            opens = matcher.find_open(text, at, held=held)
            found = matcher.find(text, at)
            if found is not None and self._is_sure(found.start(), opens):
                start = found.start()
                if limit is not None and found.end() - start > limit:
                    # Cut the match as if the text had arrived in small pieces.
                    found = matcher.match_at(text, start)
            else:
                start, found = opens, None
                if limit is None or len(text) - start <= limit:
                    out.append(text[at:start])
                    at = start
                    break
                found = matcher.match_at(text, start)
            if found is not None:
                self._finish(text, at, found, out)
                return
            out.append(text[at : start + 1])
            at, held = start + 1, True
        kept = max(0, at - matcher.context)
        self._text, self._at = text[kept:], at - kept

    def _is_sure(self, start: int, opens: int) -> bool:
        """Return True if a match is certain to be the marker, and is complete if it has to be returned."""
        return start < opens or (start == opens and self._matcher.sure and not self._include)

    def _finish(self, text: str, at: int, found: Any, out: list[str]) -> None:  # noqa: ANN401 - a match
        out.append(text[at : found.end() if self._include else found.start()])
        self._over = True
        self._text = ""
