"""A text up to a marker that ends it, though the marker may come in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._matching.matching import Matcher
from tokenstream.stages._text.base import TextStage

if TYPE_CHECKING:
    import regex


class Until(TextStage):
    r"""Gives a text up to the first match of a marker, and nothing behind it.

    Only what may still become the marker is held back. Once it has come, `stop` is
    "until" and `feed` returns nothing any more; the stream itself goes on.

    Args:
        marker: The text that ends it, as it is, or a regular expression that `re` or `regex`
            has compiled; all but plain text needs the package regex (`llm-tokenstream[shape]`).
        include: Whether the marker is given, too. It is given whole, so that one which may
            go on, such as `\n+`, is waited for.
        max_length: The most characters that are held back; to be given where a compiled marker
            does not bound its matches. A longer one ends the text only if its first
            `max_length` characters match, too.

    Raises:
        MisuseError: The marker cannot be used: it is empty or a function, it is unbounded
            and `max_length` is missing, or regex is not installed.

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
        """What is held back, behind as much of what was given as a match may look at."""
        self._at = 0
        """Where in it that begins which is held back."""
        self._over = False

    @property
    def stop(self) -> str | None:
        """The reason why no more text is needed: "until" once the marker has come, None before."""
        return "until" if self._over else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that is before the marker for certain.

        Args:
            item: The next piece of the text.
            now: Unused; every stage takes it.
        """
        out: list[str] = []
        for piece in self._matcher.slices(item):
            if not self._over:
                self._take(piece, out)
        text = "".join(out)
        return [text] if text else []

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return what was held back, if it holds no marker.

        Args:
            now: Unused; every stage takes it.
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
        matcher, at = self._matcher, self._at
        limit, held = matcher.limit, at < len(self._text)
        text = self._text + item
        while True:
            opens = matcher.opens(text, at, held=held)
            found = matcher.find(text, at)
            if found is not None and self._is_sure(found.start(), opens):
                start = found.start()
                if limit is not None and found.end() - start > limit:
                    # The same as if it had come in small pieces.
                    found = matcher.begun(text, start)
            else:
                start, found = opens, None
                if limit is None or len(text) - start <= limit:
                    out.append(text[at:start])
                    at = start
                    break
                found = matcher.begun(text, start)
            if found is not None:
                self._finish(text, at, found, out)
                return
            out.append(text[at : start + 1])
            at, held = start + 1, True
        kept = max(0, at - matcher.context)
        self._text, self._at = text[kept:], at - kept

    def _is_sure(self, start: int, opens: int) -> bool:
        """Tell whether what matches now is the marker, and as much of it as is asked for."""
        return start < opens or (start == opens and self._matcher.sure and not self._include)

    def _finish(self, text: str, at: int, found: Any, out: list[str]) -> None:  # noqa: ANN401 - a match
        out.append(text[at : found.end() if self._include else found.start()])
        self._over = True
        self._text = ""
