"""A text with all matches of a pattern replaced, even those that arrive in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.stages._matching.matching import LONGEST_SEARCH, TRIED, Matcher
from tokenstream.stages._text.base import TextStage

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    import regex

    from tokenstream.stages._matching.compiled import AnyMatch
    from tokenstream.stages._matching.starts import Starts


@show_members
class Redact(TextStage):
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

    The time for a character is constant, also in a long text without a break, such as a hash,
    and with any `max_length`. Exceptions are patterns compiled by `regex`, and those with a
    reference to a group, an atomic group, a possessive repeat, `$` without MULTILINE, or a
    look-around of more than one character: each character may then take as long as reading
    the longest match. A pattern that can match a text in very many ways, such as `(\w+)+@`,
    makes `re` itself slow; write `\w+@`.

    Args:
        pattern: A regular expression in the syntax of `re`, or one compiled by `re` or
            `regex`. Any pattern except plain text needs the package regex (`llm-tokenstream[shape]`).
        with_: The replacement of a match, taken literally; or a function that returns it for
            a match object. The positions in that object are not positions in the whole text.
        max_length: The most characters that are held back; required if the pattern does not limit the
            length of its matches. None for the limit of the pattern.

    Raises:
        MisuseError: The pattern cannot be used: its matches have no maximum length and `max_length`
            is missing, it matches the empty text, or the package regex is not installed.

    Example:
        >>> secrets = Redact(r"sk-\w{8}")
        >>> secrets.feed("The key is sk-12"), secrets.feed("345678."), secrets.end()
        (['The key is '], ['[redacted].'], [])
    """

    __slots__ = ("_matcher", "_pending_at", "_replaced_end", "_starts", "_text", "_tried", "_with")

    def __init__(
        self,
        pattern: str | re.Pattern[str] | regex.Pattern[str],
        with_: str | Callable[[Any], str] = "[redacted]",
        max_length: int | None = None,
    ) -> None:
        if not isinstance(with_, str) and not callable(with_):
            raise MisuseError(f"with_= is a str, or a function of the match, and not {with_!r}")
        self._matcher = Matcher("Redact", pattern, max_length)
        self._with = with_
        self._text = ""
        """The held-back text, with as many characters before it as the pattern may look back at."""
        self._pending_at = 0
        """Offset of the held-back text in `_text`."""
        self._replaced_end: int | None = None
        """End of the match so far, in `_text`, if the held-back text is a match that was already replaced."""
        self._tried = 0
        """The length of `_text` when that end was looked for."""
        self._starts: Starts | None = None
        """The automaton's reading of the held-back text, if that is long; None if it is searched instead."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that no later match can change, with its matches replaced.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        for new_text in self._matcher.split(item):
            self._take_slice(new_text, out)
        return _join(out)

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text with its matches replaced.

        Args:
            now: Unused; every stage has this parameter.
        """
        out: list[str] = []
        text, position = self._text, self._pending_at
        if self._replaced_end is not None:
            # The held-back match was already replaced.
            position = self._extend_match(text, position, self._replaced_end, self._tried)
        elif self._starts is not None:
            self._starts.end()
            position = self._emit_known(self._starts, text, position, out)
        while (match := self._matcher.find(text, position)) is not None:
            out.append(text[position : match.start()])
            position = self._replace(text, match, out)
        out.append(text[position:])
        self._text, self._pending_at, self._replaced_end, self._starts = "", 0, None, None
        return _join(out)

    def _take_slice(self, new_text: str, out: list[str]) -> None:
        """Take a slice of text, and emit the text that later text cannot change."""
        old_length = len(self._text)
        text = self._text + new_text
        position = self._pending_at
        if self._replaced_end is not None:
            position = self._skip_replaced_match(text, position, self._replaced_end, self._tried)
        if not self._is_dropping:
            # If text was held back, a match may probably still begin at its start, which is tested first.
            position = self._emit_certain(text, position, out, was_open=position < old_length)
        text = self._shorten(text, position)
        keep_from = max(0, position - self._matcher.context)
        self._text, self._pending_at = text[keep_from:], position - keep_from
        if self._starts is not None:
            self._starts.drop_start(keep_from)
        if self._replaced_end is not None:
            self._replaced_end -= keep_from
            self._tried -= keep_from

    @property
    def _is_dropping(self) -> bool:
        """True while the rest of a match that was replaced is dropped."""
        return self._replaced_end is not None

    def _emit_certain(self, text: str, position: int, out: list[str], *, was_open: bool) -> int:
        """Emit the text that later text cannot change; return the start of the rest, which is held back.

        Each round of the loop has one of two ways to read:

        1. An automaton reads on, if the held-back text is long.
        2. A search finds the first position at which a match may still begin or change; the text before it is
           emitted. If more than `max_length` characters follow it, that match is decided as it is.

        Args:
            text: The text so far.
            position: The start of the text to emit.
            out: Receives the text.
            was_open: True if `position` was the start of the text held back before.
        """
        matcher, limit = self._matcher, self._matcher.limit
        # Long text is read by an automaton, each character once; short text is searched, which is faster.
        is_long = len(text) - position > LONGEST_SEARCH
        while not self._is_dropping:
            if self._starts is not None or (is_long and self._begin_following(text, position)):
                position = self._follow(text, position, out)
                if self._is_following:
                    # All text is read, and the automaton holds some of it back.
                    break
                # The automaton holds nothing back any more; text that it has not read may follow.
                is_long, was_open = len(text) - position > LONGEST_SEARCH, False
                continue
            # Text is held back only from a position at which a match may still begin or change.
            open_at = matcher.find_open_position(text, position, was_open=was_open)
            position = self._emit_until(text, position, open_at, out)
            if position > open_at:
                # The last match goes beyond the open position: look for the next one.
                continue
            if self._begin_following(text, position):
                # Much text is held back, so the automaton reads on from here.
                continue
            if limit is None or len(text) - position <= limit:
                # The text from here on is held back.
                break
            position, was_open = self._cut_overlong_match(text, position, out), True
        return position

    @property
    def _is_following(self) -> bool:
        """True while an automaton reads the held-back text, because it is long: each character only once."""
        return self._starts is not None

    def _begin_following(self, text: str, position: int) -> bool:
        """Let an automaton read the held-back text from now on, if it is long; return True if so."""
        self._starts = self._matcher.follow_long(text, position)
        return self._starts is not None

    def _shorten(self, text: str, position: int) -> str:
        """Return the text, but without most of a replaced match that has become very long.

        Otherwise, the text would grow with such a match. It is not shortened at each piece, because that
        copies the text.
        """
        limit = self._matcher.limit
        if self._replaced_end is None or limit is None or len(text) - position <= 4 * limit:
            return text
        shorter = self._drop_middle(text, position, limit)
        dropped = len(text) - len(shorter)
        self._replaced_end -= dropped
        self._tried -= dropped
        if self._starts is not None:
            self._starts.drop_middle(dropped)
        return shorter

    def _follow(self, text: str, position: int, out: list[str]) -> int:
        """Let the automaton read on; emit the text that later text cannot change.

        The result is the start of the text that is still held back. If none of the text that was read is
        held back, the automaton is dropped (`_starts` is None).
        """
        limit = self._matcher.limit
        while (starts := self._starts) is not None and starts.now < len(text):
            # Up to the position at which the first match that is still open becomes too long.
            starts.read(text, len(text) if limit is None else min(len(text), position + limit + 1))
            position = self._emit_known(starts, text, position, out)
            if self._replaced_end is not None:
                return self._skip_replaced_match(text, position, self._replaced_end, self._tried)
            starts.forget_before(position)
        return position

    def _emit_known(self, starts: Starts, text: str, position: int, out: list[str]) -> int:
        """Emit the text that the automaton has read, up to the first match that may still change.

        The result is the start of that match. If the match has become too long, it is replaced.
        """
        limit = self._matcher.limit
        while (start := starts.first(position)) is not None:
            out.append(text[position:start])
            position = start
            is_open = starts.is_open(start)
            if is_open and (limit is None or starts.now - start <= limit):
                return start
            # A match that is still open here has become too long.
            is_too_long = is_open
            match = None
            if starts.has_match(start, cut=is_too_long):
                # The engine (`re`) finds where the match ends.
                match = (
                    self._find_short_match(text, start)
                    if is_too_long
                    else self._matcher.compiled.match(text, start, starts.now)
                )
            if match is None:
                out.append(text[start])
                position = start + 1
                continue
            self._emit_replacement(match, out)
            position = match.end()
            if is_too_long:
                # The rest of the long match is dropped as it arrives.
                starts.keep_only(start)
                self._replaced_end = self._tried = position
                return start
        out.append(text[position : starts.now])
        self._starts = None
        return max(position, starts.now)

    def _emit_until(self, text: str, position: int, open_at: int, out: list[str]) -> int:
        """Emit text with its matches replaced; return the end of the emitted text.

        The end is beyond `open_at` if the last match extends beyond it.

        Args:
            text: The text so far.
            position: The start of the text to emit.
            open_at: The first position at which a match may still begin or change.
            out: Receives the text.
        """
        # At the open position itself, no match is certain.
        while position < open_at:
            match = self._matcher.find(text, position)
            if match is None or match.start() >= open_at:
                out.append(text[position:open_at])
                return open_at
            out.append(text[position : match.start()])
            position = self._replace(text, match, out)
        return position

    def _replace(self, text: str, match: AnyMatch, out: list[str]) -> int:
        """Emit the replacement of a match; return the end of the text that it stands for.

        If a match is longer than `max_length`, and no shorter one begins there, it does not count as a match:
        its first character is emitted.
        """
        start: int = match.start()
        limit = self._matcher.limit
        end: int = match.end()
        if limit is not None and end - start > limit:
            # Cut the match as if the text had arrived in small pieces.
            short_match = self._find_short_match(text, start)
            if short_match is None:
                out.append(text[start])
                return start + 1
            # A shorter match stands for the longer one, whose rest is dropped.
            match, end = short_match, short_match.end()
            end = self._extend_match(text, start, end, tried=end)
        self._emit_replacement(match, out)
        return end

    def _cut_overlong_match(self, text: str, position: int, out: list[str]) -> int:
        """Stop holding back a match that exceeds `max_length`; return the start of the rest.

        If a match lies within its first `max_length` characters, that match is replaced, and the rest of the
        longer one will be dropped; otherwise, its first character is emitted.
        """
        match = self._find_short_match(text, position)
        if match is None:
            out.append(text[position])
            return position + 1
        self._emit_replacement(match, out)
        return self._skip_replaced_match(text, position, match.end(), tried=match.end())

    def _find_short_match(self, text: str, position: int) -> AnyMatch | None:
        """Return the match at `position` within as many characters as may be held back, or None."""
        last = position + (self._matcher.limit or 0)
        # Ends of the text at which a match is tried, the last one first.
        cuts = range(last, max(position, last - TRIED), -1)
        return self._find_match_beyond(position, text, position, cuts)

    def _emit_replacement(self, match: object, out: list[str]) -> None:
        """Emit the replacement of a match."""
        with_ = self._with
        out.append(with_ if isinstance(with_, str) else with_(match))

    def _skip_replaced_match(self, text: str, position: int, end: int, tried: int) -> int:
        """Return the end of a match that was already replaced; its start while more text may belong to it.

        The arguments are those of `_extend_match`.
        """
        limit, starts = self._matcher.limit or 0, self._starts
        if starts is not None:
            starts.read(text, len(text))
            may_grow = starts.is_open(position)
            if may_grow and len(text) - end <= limit:
                # There is no need to know its end yet.
                return position
        else:
            may_grow = self._matcher.may_change(text, position)
        end = self._extend_match(text, position, end, tried)
        if may_grow and len(text) - end <= limit:
            self._replaced_end, self._tried = end, len(text)
            return position
        self._replaced_end = self._starts = None
        return end

    def _extend_match(self, text: str, position: int, end: int, tried: int) -> int:
        """Return the end of a match that exceeds `max_length`, as far as the text shows it.

        It is extended to a longer match only if that ends within the next `max_length + 1` characters, and so
        on from there. So its end does not depend on how much text arrives at once.

        Args:
            text: The text so far.
            position: Start of the match.
            end: End of the match as far as it is known.
            tried: The length of the text in which a longer match was looked for before; `end` if none was.
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
        """Return a match at `position` that ends beyond `end`; None if there is none.

        Args:
            end: The end that is known already; `position` for any match.
            text: The text so far.
            position: Start of the match.
            cuts: The lengths to which the text may be cut when a match is tried, the greatest first; see
                `Matcher.choose_cuts`.
        """
        for cut in self._matcher.choose_cuts(cuts):
            match = self._matcher.match_at(text, position, cut)
            if match is not None and match.end() > end:
                return match
        return None

    def _drop_middle(self, text: str, position: int, limit: int) -> str:
        """Return the text without most of an overlong match's middle, which need not be kept.

        What is dropped lies between two positions at which the match could have ended, so that the rest
        continues the pattern at the first as it did at the second: of `(?:ab)+`, whole pairs are dropped.

        Args:
            text: The text so far.
            position: Start of the match.
            limit: The most characters that are held back.
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
        """Match at `position` in the whole text, then in the text without its last character, and so on.

        Returns:
            The `count` results, in this order: for each, the number of characters from the match's end to the
            end of the whole text; None if nothing matched.
        """
        ends: list[int | None] = []
        for last in range(len(text), len(text) - count, -1):
            match = self._matcher.match_at(text, position, last)
            ends.append(None if match is None else len(text) - match.end())
        return ends


def _join(pieces: list[str]) -> list[str]:
    """Return the pieces joined into one, in a list; an empty list if there is no text."""
    text = "".join(pieces)
    return [text] if text else []
