"""A text with all matches of a pattern replaced, even those that arrive in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._matching import TRIED
from tokenstream.stages._text.searching import SearchStage

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    import regex

    from tokenstream._basics.loose import AnyMatch


class Redact(SearchStage):
    r"""Replaces every match of a pattern, however the text is cut into pieces.

    The pieces joined are the result of `re.sub` on the whole text. Text is held back only
    while it may still become part of a match, or decide about a match: for `sk-\w+`, the
    last letters; for `\d{4}\b`, the character after the digits. `^` and `$` are the start
    and the end of the whole text.

    A match longer than `max_length` is handled in one of two ways:

    1. If a match lies within its first `max_length` characters, as with `sk-\w+`, that match is
       replaced at once, and the rest of the longer match is dropped as it arrives. The match
       counts as ended if it does not grow over more than `max_length` characters.
    2. If none does, as with `<key>.*</key>`, the text does not count as a match.

    If the pattern tests the character after a match (`\b`, `$`, a look-ahead), the end of the
    first `max_length` characters counts as the end of the text. Of a longer match, the part
    that is replaced may then depend on how the text is cut.

    If the text ends in the middle of a match, the part before the end is not a match, and is returned.

    The time for a character is constant in usual text. While a match is open that does not
    end, as in a hash, each character may take as long as reading `max_length` characters. A
    pattern that can match a text in very many ways, such as `(\w+)+@`, makes `re` itself
    slow; write `\w+@`.

    Args:
        pattern: A regular expression in the syntax of `re`, or one compiled by `re` or
            `regex`; one of `re` needs no further package, if its look-aheads have bounds.
        with_: The replacement of a match, taken literally; or a function that returns it for
            a match object. The positions in that object are not positions in the whole text.
        max_length: The most characters that are held back; required if the pattern does not limit its
            matches to 10,000 characters. None for the limit of the pattern.

    Raises:
        MisuseError: The pattern cannot be used: its matches may be too long and `max_length`
            is missing, it matches the empty text, or it needs the package regex, which is not installed.

    Example:
        >>> secrets = Redact(r"sk-\w{8}")
        >>> secrets.feed("The key is sk-12"), secrets.feed("345678."), secrets.end()
        (['The key is '], ['[redacted].'], [])
    """

    def __init__(
        self,
        pattern: str | re.Pattern[str] | regex.Pattern[str],
        with_: str | Callable[[Any], str] = "[redacted]",
        max_length: int | None = None,
    ) -> None:
        if not isinstance(with_, str) and not callable(with_):
            raise MisuseError(f"with_= is a str, or a function of the match, and not {with_!r}")
        super().__init__("Redact", pattern, max_length)
        self._with = with_
        self._replaced_end = 0
        """End of the match so far, in `_text`, while its rest is dropped."""
        self._tried = 0
        """The length of `_text` when that end was looked for."""

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text with its matches replaced.

        Args:
            now: Unused; every stage has this parameter.
        """
        if self._rests:
            # The held-back match was already replaced.
            self._pending_at = self._extend_match(
                self._text, self._pending_at, self._replaced_end, self._tried
            )
            self._rests = False
        return super().end()

    # -- what becomes of a match -----------------------------------------------

    def _accept(self, text: str, match: AnyMatch, out: list[str], *, is_cut: bool) -> int:
        """Emit the replacement of a match; return the end of the text that it stands for."""
        with_, end = self._with, int(match.end())
        out.append(with_ if isinstance(with_, str) else with_(match))
        # A shorter match stands for the longer one, whose rest is dropped.
        return self._extend_match(text, match.start(), end, tried=end) if is_cut else end

    def _accept_open(self, text: str, match: AnyMatch, out: list[str]) -> int:
        """Emit the replacement; the rest of the long match is dropped as it arrives."""
        start = match.start()
        self._replaced_end = self._tried = self._accept(text, match, out, is_cut=False)
        self._rests = True
        return self._go_on(text, start)

    def _find_short_match(self, text: str, position: int) -> AnyMatch | None:
        last = position + (self._matcher.limit or 0)
        # Ends of the text at which a match is tried, the last one first.
        cuts = range(last, max(position, last - TRIED), -1)
        return self._find_match_beyond(position, text, position, cuts)

    # -- within ------------------------------------------------------------------

    def _keep(self, text: str, position: int) -> int:
        """Keep the text from a position on, without most of a replaced match that has become very long."""
        keep_from = super()._keep(self._shorten(text, position), position)
        if self._rests:
            self._replaced_end -= keep_from
            self._tried -= keep_from
        return keep_from

    def _shorten(self, text: str, position: int) -> str:
        """Return the text, but without most of a replaced match that has become very long.

        Otherwise, the text would grow with such a match. It is not shortened at each piece, because that
        copies the text.
        """
        limit = self._matcher.limit
        if not self._rests or limit is None or len(text) - position <= 4 * limit:
            return text
        shorter = self._drop_middle(text, position, limit)
        dropped = len(text) - len(shorter)
        self._replaced_end -= dropped
        self._tried -= dropped
        return shorter

    def _go_on(self, text: str, position: int) -> int:
        """Return the end of a match that was replaced, whose rest is dropped; its start while it may grow."""
        limit, end = self._matcher.limit or 0, self._replaced_end
        may_grow = self._matcher.may_change(text, position)
        if may_grow and len(text) - end <= limit:
            # There is no need to know its end yet.
            return position
        end = self._extend_match(text, position, end, self._tried)
        if may_grow and len(text) - end <= limit:
            self._replaced_end, self._tried = end, len(text)
            return position
        self._rests = False
        return end

    def _extend_match(self, text: str, position: int, end: int, tried: int) -> int:
        """Return the end of a match that exceeds `max_length`, as far as the text shows it.

        It is extended to a longer match only if that ends within the next `max_length + 1` characters, and so
        on from there. So its end does not depend on how much text arrives at once.
        """
        step = (self._matcher.limit or 0) + 1
        while True:
            # The ends to try, from the longest match on, without those that were tried before.
            cuts = range(min(len(text), end + step), max(end, tried), -1)
            longer = self._find_match_beyond(end, text, position, cuts)
            if longer is None:
                return end
            end = longer.end()

    def _find_match_beyond(self, end: int, text: str, position: int, cuts: range) -> AnyMatch | None:
        for cut in self._matcher.choose_cuts(cuts):
            match = self._matcher.match_at(text, position, cut)
            if match is not None and match.end() > end:
                return match
        return None

    def _drop_middle(self, text: str, position: int, limit: int) -> str:
        """Return the text without most of an overlong match's middle, which need not be kept.

        What is dropped lies between two positions at which the match could have ended, so that the rest
        continues the pattern at the first as it did at the second: of `(?:ab)+`, whole pairs are dropped.
        """
        head = self._find_short_match(text, position)
        head_end = position + limit if head is None else int(head.end())
        last = len(text) - 2 * limit
        # Ends to try for the second position, the last ones first.
        cuts = range(last, max(head_end, last - TRIED), -1)
        longer = self._find_match_beyond(head_end, text, position, cuts)
        if longer is not None:
            last_end = longer.end()
            shortened = text[:head_end] + text[last_end:]
            # The match must end as before, however many of the last characters are left out.
            count = min(TRIED, len(text) - last_end)
            if self._find_last_ends(shortened, position, count) == self._find_last_ends(
                text, position, count
            ):
                return shortened
        # Without two such positions, the whole text is kept up to a bound; then its middle is dropped, too.
        return text if len(text) - position <= 16 * limit else text[:head_end] + text[-2 * limit :]

    def _find_last_ends(self, text: str, position: int, count: int) -> list[int | None]:
        """Match at `position` in ever shorter texts; return each match's distance from the text's end."""
        ends: list[int | None] = []
        for last in range(len(text), len(text) - count, -1):
            match = self._matcher.match_at(text, position, last)
            ends.append(None if match is None else len(text) - match.end())
        return ends
