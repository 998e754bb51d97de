"""Matches of a pattern in a text that is still arriving, and the text up to the first of them."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._matching import Matcher
from tokenstream.stages._text import TextStage

if TYPE_CHECKING:
    import regex

    from tokenstream._basics.loose import AnyMatch


class SearchStage(TextStage):
    """Holds text back only while it may still belong to a match; subclasses say what becomes of a match.

    Args:
        stage: The name of the stage, for error messages.
        pattern: The pattern.
        max_length: The most characters that are held back; None for the limit of the pattern.
    """

    def __init__(self, stage: str, pattern: object, max_length: int | None) -> None:
        self._matcher = Matcher(stage, pattern, max_length)
        self._text = ""
        """The held-back text, with as many characters before it as the pattern may look back at."""
        self._pending_at = 0
        """Offset of the held-back text in `_text`."""
        self._rests = False
        """True while no text is emitted, because it belongs to a match or follows the last one."""

    # -- what becomes of a match -----------------------------------------------

    @abstractmethod
    def _accept(self, text: str, match: AnyMatch, out: list[str], *, is_cut: bool) -> int:
        """Emit what stands for a match, or, if it `is_cut`, for its beginning; return the end of that."""

    @abstractmethod
    def _accept_open(self, text: str, match: AnyMatch, out: list[str]) -> int:
        """Do the same for a match that may become longer, and is too long; or return its start to rest."""

    @abstractmethod
    def _go_on(self, text: str, position: int) -> int:
        """Return the start of the text to search, or to hold back while no text is emitted."""

    def _is_sure(self, start: int, open_at: int) -> bool:
        """Return True if a match is final although more text may follow."""
        return start < open_at

    def _find_short_match(self, text: str, position: int) -> AnyMatch | None:
        """Return the match at `position` within as many characters as may be held back, or None."""
        return self._matcher.match_at(text, position)

    # -- the stage ---------------------------------------------------------------

    @property
    def holds_match(self) -> bool:
        """True while text is held back, because it may belong to a match."""
        return not self._rests and len(self._text) > self._pending_at

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that no later text can change.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        for new_text in self._matcher.split(item):
            old_length = len(self._text)
            text = self._text + new_text
            position = self._pending_at
            if self._rests:
                position = self._go_on(text, position)
            if not self._rests:
                # If text was held back, a match may probably still begin at its start, which is tested first.
                position = self._emit_certain(text, position, out, was_open=position < old_length)
            self._keep(text, position)
        return _join(out)

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text; a match in it that has not ended is none.

        Args:
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        text, position = self._text, self._pending_at
        while not self._rests and (match := self._matcher.find(text, position)) is not None:
            out.append(text[position : match.start()])
            position = self._meet(text, match, out)
        if not self._rests:
            out.append(text[position:])
        self._text, self._pending_at = "", 0
        return _join(out)

    # -- within ------------------------------------------------------------------

    def _keep(self, text: str, position: int) -> int:
        """Keep the text from a position on, and what the pattern looks back at; return what is dropped."""
        keep_from = max(0, position - self._matcher.context)
        self._text, self._pending_at = text[keep_from:], position - keep_from
        return keep_from

    def _emit_certain(self, text: str, position: int, out: list[str], *, was_open: bool) -> int:
        """Emit the text that later text cannot change; return the start of the rest, which is held back.

        Each round of the loop finds the first position at which a match may still begin or change, and emits
        the text before it. If more than `max_length` characters follow it, that match is decided as it is.
        """
        limit = self._matcher.limit
        while not self._rests:
            # Text is held back only from a position at which a match may still begin or change.
            open_at = self._matcher.find_open_position(text, position, was_open=was_open)
            position = self._emit_until(text, position, open_at, out)
            if position > open_at or self._rests:
                # The last match goes beyond the open position: look for the next one.
                continue
            if limit is None or len(text) - position <= limit:
                # The text from here on is held back.
                break
            # No more text may be held back: its first characters decide, as if it had come in small pieces.
            after = self._emit_too_long(text, position, limit, out)
            match = self._find_short_match(text, position) if after == position else None
            position, was_open = after if match is None else self._accept_open(text, match, out), True
        return position

    def _emit_too_long(self, text: str, position: int, limit: int, out: list[str]) -> int:
        """Emit characters at which no match of an allowed length begins, down to `limit` of them."""
        start = position
        while len(text) - position > limit and self._find_short_match(text, position) is None:
            position += 1
            if not self._matcher.sure_at_end:
                # The text after `limit` characters may decide about a match: it is looked for again.
                break
        out.append(text[start:position])
        return position

    def _emit_until(self, text: str, position: int, open_at: int, out: list[str]) -> int:
        """Emit text up to the open position, and what stands for the matches; return where that ends.

        The end is beyond `open_at` if the last match extends beyond it.
        """
        while position <= open_at and not self._rests:
            last = open_at if self._is_sure(open_at, open_at) else open_at - 1
            match = self._matcher.find_up_to(text, position, last) if position <= last else None
            if match is None:
                out.append(text[position:open_at])
                return open_at
            out.append(text[position : match.start()])
            position = self._meet(text, match, out)
        return position

    def _meet(self, text: str, match: AnyMatch, out: list[str]) -> int:
        """Emit what stands for a match; return the end of the text that it stands for.

        If a match is longer than `max_length`, and no shorter one begins there, it does not count as a match:
        its first character is emitted.
        """
        start, end, limit = match.start(), match.end(), self._matcher.limit
        if limit is None or end - start <= limit:
            return self._accept(text, match, out, is_cut=False)
        # Cut the match as if the text had arrived in small pieces.
        short = self._find_short_match(text, start)
        if short is None:
            out.append(text[start])
            return start + 1
        return self._accept(text, short, out, is_cut=True)


def _join(pieces: list[str]) -> list[str]:
    """Return the pieces joined into one, in a list; an empty list if there is no text."""
    text = "".join(pieces)
    return [text] if text else []


class Until(SearchStage):
    r"""Returns a text up to the first match of a marker, and nothing after it.

    Text is held back only while it may still become the marker. Once the marker has arrived,
    `stop` is "until" and `feed` returns nothing any more; the stream itself goes on.

    Args:
        marker: The text that ends the result, taken literally, or a regular expression compiled by `re`
            or `regex`; one of `re` needs no further package.
        include: True if the marker is returned, too. It is returned whole, so the stage waits for
            the end of a marker that may still grow, such as `\n+`.
        max_length: The most characters that are held back; required if a compiled marker does
            not limit its matches to 10,000 characters. A longer match ends the text only if its first
            `max_length` characters match, too.

    Raises:
        MisuseError: The marker cannot be used: it is empty or a function, its matches may be too
            long and `max_length` is missing, or it needs the package regex, which is not installed.

    Example:
        >>> answer = Until("\nUser:")
        >>> answer.feed("Hi!\nUs"), answer.feed("er: And"), answer.stop, answer.feed("?")
        (['Hi!'], [], 'until', [])
    """

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
        if self._include:
            out.append(match.group())
        self._rests = True
        return match.end()

    def _accept_open(self, text: str, match: AnyMatch, out: list[str]) -> int:
        """End the text with the marker, which is too long to wait for the end of it."""
        return self._accept(text, match, out, is_cut=True)

    def _go_on(self, text: str, position: int) -> int:
        """Return the end of the text: nothing follows the marker."""
        return len(text)
