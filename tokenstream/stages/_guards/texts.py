"""Rules that stop a text: one that contains a match of a pattern, or that repeats itself endlessly."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tokenstream.errors import MisuseError
from tokenstream.limits import check_whole
from tokenstream.stages._matching import count_ahead, width_of
from tokenstream.stages._matching.rewriting import find_beginnings, watch_end
from tokenstream.stages._text import TextStage

LONGEST_MATCH = 1_000
"""The longest match, in characters, that is found even if it is split across pieces."""
_SHORT = 48
"""The length of a match up to which all places where it may begin are tried again with each piece."""
_NEXT = ("a", "0", " ", "\n", ".", "\na")
"""Next characters to try: together they stand for all that a pattern without look-ahead can test."""

_STEP = 16
"""The number of characters between two checks, which are made at the same offsets however the text is cut."""
_MIN_LENGTH = 200
"""The length of the shortest repetition that stops a text; a list or laughter may repeat a few words."""
_MIN_LENGTH_OF_ONE_WORD = 1_000
"""The fewest characters if at most one word repeats, as in rules, tables, numbers, blanks, lists of nulls."""
_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")


def compile_pattern(pattern: str | re.Pattern[Any]) -> re.Pattern[str]:
    if isinstance(pattern, str):
        try:
            pattern = re.compile(pattern)
        except re.error as error:
            raise MisuseError(f"the guard's pattern is not a regular expression: {error}") from error
    if not isinstance(pattern.pattern, str):
        raise MisuseError("the guard's pattern is for bytes, but an answer is text")
    if pattern.search(""):
        raise MisuseError("the guard's pattern matches the empty text, and would stop every answer")
    return pattern


class Match(TextStage):
    r"""Stops a text once it contains a match of a pattern.

    A match counts as soon as no next character could undo it: `\bcat\b` is not found in
    the first half of "catalogue". A match of up to 1,000 characters is found across pieces.

    If another match has begun before it and is still open, one of more than 48 characters is found once
    that is decided.

    Example:
        >>> match = Match(compile_pattern(r"\bcat\b"))
        >>> [match.feed(piece) and match.stop for piece in ("a cat", "alogue")]
        [None, None]
        >>> match.feed(" of a cat"), match.end(), match.stop
        ([' of a cat'], [], "the text matches '\\\\bcat\\\\b'")
    """

    __slots__ = (
        "_ahead",
        "_beginnings",
        "_behind",
        "_first",
        "_is_sure",
        "_must_wait",
        "_open_at",
        "_pattern",
        "_search_back",
        "_tail",
        "stop",
    )

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        surroundings = _find_context_size(pattern)
        self._ahead = surroundings.ahead
        """The number of characters after a match that must be known, because they may undo it."""
        self._behind = surroundings.behind
        """The number of characters before a match that must be known, because the pattern may test them."""
        self._is_sure = surroundings.is_sure
        """True if a match stays a match, whatever follows it."""
        self._must_wait = "(?!" in pattern.pattern
        """True if no trial of next characters can prove that a match is final: then more text is awaited."""
        self._search_back = min(width_of(pattern.pattern, pattern.flags), LONGEST_MATCH) + self._ahead
        """The length of the longest match, together with the characters after it that may undo it."""
        self._beginnings = find_beginnings(pattern, self._ahead) if self._search_back > _SHORT else None
        """Matches the end of a text that may become a match; None if matches are short."""
        self._open_at = 0
        """The first place in the tail from which a match may still arise, if matches may be long."""
        self._tail = ""
        """The last characters of the text."""
        self._first = 0
        """The first place in the tail at which a match may be looked for."""
        self.stop: str | None = None  # once it matches
        """The reason to stop the text; None while no match was found."""

    def fresh(self) -> Match:
        """Return a copy of the rule that has read nothing yet, for another text."""
        return Match(self._pattern)

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the piece, and set `stop` if the pattern is found."""
        if self.stop is None:
            searched = len(self._tail)
            self._tail += item
            if self._beginnings is None:
                self._search(searched - self._search_back)
            else:
                self._search_open(self._beginnings, searched)
            # The tail is cut rarely, because that copies it.
            tail_length = self._behind + LONGEST_MATCH + self._ahead
            if len(self._tail) > 2 * tail_length:
                dropped = len(self._tail) - tail_length
                # The tail is no longer the start of the text: `^` and look-behinds must not take it for that.
                self._tail, self._first = self._tail[dropped:], self._behind
                self._open_at = max(0, self._open_at - dropped)
        return [item]

    def end(self, *, now: float = 0.0) -> list[str]:
        """Set `stop` if the text ends with a match; return an empty list."""
        if self.stop is None:
            searched = len(self._tail) - self._search_back
            self._search(searched if self._beginnings is None else self._open_at, at_end=True)
        return []

    def _search_open(self, beginnings: re.Pattern[str], searched: int) -> None:
        """Set `stop` if a match is final that may be long; try a place while it is the first open one."""
        tail = self._tail
        # Longer matches are not found anyway.
        start = max(self._open_at, searched - self._search_back, self._first)
        open_match = beginnings.search(tail, start)
        open_at = len(tail) if open_match is None else open_match.start()
        self._open_at = open_at
        if len(tail) - open_at <= _SHORT:
            self._search(start)
            return
        # A search would try all places in a text without a break, and read each time to its end.
        for place in range(start, open_at + 1):
            if (match := self._pattern.match(tail, place)) is not None:
                self._check(match)
        self._search(max(open_at + 1, searched - _SHORT))

    def _search(self, start: int, *, at_end: bool = False) -> None:
        """Set `stop` if the tail has a match, from `start` on, that no later text can undo."""
        match = self._pattern.search(self._tail, max(self._first, start))
        if match is not None:
            self._check(match, at_end=at_end)

    def _check(self, match: re.Match[str], *, at_end: bool = False) -> None:
        # At most `_ahead` characters after a match may undo it.
        is_final = at_end or self._is_sure or match.end() + self._ahead <= len(self._tail)
        if is_final or self._survives_next_text(match.start()):
            self.stop = f"the text matches {self._pattern.pattern!r}"  # pyright: ignore[reportIncompatibleMethodOverride]

    def _survives_next_text(self, start: int) -> bool:
        """Return True if the match that begins at `start` stays a match, whatever text follows the tail.

        Each text in `_NEXT` is tried, once and very often: a match that grows with the text after it may
        become too long to count. These trials stand for any text, except after a negative look-ahead.
        """
        if self._must_wait:
            return False
        tail, search = self._tail, self._pattern.search
        return all(
            (match := search(tail + following * times, start)) is not None and match.start() == start
            for following in _NEXT
            for times in (1, LONGEST_MATCH)
        )


class _Surroundings(NamedTuple):
    """The text around a match on which it depends if this is a match.

    Args:
        ahead: The number of characters after the match that may undo it.
        behind: The number of characters before the match that the pattern may test.
        is_sure: True if no text after the match can undo it.
    """

    ahead: int
    behind: int
    is_sure: bool


def _find_context_size(pattern: re.Pattern[str]) -> _Surroundings:
    """Return on how much text before and after a match it depends if this is a match of the pattern."""
    try:
        watched = watch_end("a guard", pattern)
    except MisuseError:
        # The pattern cannot be analysed, so it may look at any number of characters.
        return _Surroundings(LONGEST_MATCH, LONGEST_MATCH, is_sure=False)
    ahead = count_ahead(pattern.pattern, watched.ahead)
    # One character before the match, for `^` and `\b`; also at the start of a look-behind.
    behind = 1 + sum(width_of(body, 0) for body in watched.behind)
    return _Surroundings(min(ahead, LONGEST_MATCH), min(behind, LONGEST_MATCH), watched.sure_at_end)


class Repetition(TextStage):
    r"""Stops a text that repeats the same words over and over.

    A stage over pieces of text, which returns each of them unchanged; `stop` is set to a
    reason once the same characters were repeated `times` times in a row and cover at least
    200 characters. A repetition with fewer than two different words must cover 1,000,
    because rules, tables, numbers and lists of nulls repeat on purpose.

    Args:
        times: The fewest occurrences in a row.
        longest: The longest repeated unit, in characters.
        ignore_digits: True to count passages as the same that differ only in their numbers, such as
            "Step 17: I will now check the file."; each number counts as one character.

    Raises:
        MisuseError: `times` is below 2, or `longest` below 1.

    Example:
        >>> loop = Repetition(times=5)
        >>> pieces = ["I am sorry, but I can't help you with that request. "] * 8
        >>> [n for n, piece in enumerate(pieces, 1) if loop.feed(piece) and loop.stop]
        [6, 7, 8]
        >>> loop.stop
        'the same 52 characters came 5 times in a row'
    """

    __slots__ = (
        "_ends_number",
        "_ignore_digits",
        "_longest",
        "_period",
        "_repeated",
        "_tail",
        "_times",
        "_unchecked",
        "stop",
    )

    def __init__(self, times: int = 6, *, longest: int = 2_000, ignore_digits: bool = False) -> None:
        self._times = check_whole("times", times, least=2)
        self._longest = check_whole("longest", longest)
        self._ignore_digits = ignore_digits
        self._ends_number = False
        """True if the text ends with a digit, and digits are ignored."""
        self._unchecked = ""
        """The text since the last check."""
        self._tail = ""
        """The last characters before `_unchecked`."""
        self._period = 0
        """The length of the unit that repeats at the end of the tail; 0 if nothing repeats."""
        self._repeated = 0
        """The number of characters at the end that equal the characters one period before them."""
        self.stop: str | None = None  # once it matches
        """The reason to stop the text; None while it does not repeat itself."""

    def fresh(self) -> Repetition:
        """Return a copy of the rule that has read nothing yet, for another text."""
        return Repetition(self._times, longest=self._longest, ignore_digits=self._ignore_digits)

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the piece, and set `stop` if the text repeats itself.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        self._unchecked += self._replace_numbers(item) if self._ignore_digits else item
        if len(self._unchecked) >= _STEP and self.stop is None:
            self._check_new_text()
        return [item]

    # -- within ------------------------------------------------------------

    def _replace_numbers(self, piece: str) -> str:
        """Return a piece with "0" for each number that begins in it, and nothing for other digits."""
        if not piece:
            return piece
        starts_within = self._ends_number and piece[0].isdecimal()
        self._ends_number = piece[-1].isdecimal()
        replaced = _DIGITS.sub("0", piece)
        return replaced[1:] if starts_within else replaced

    def _check_new_text(self) -> None:
        """Check the new text for a repetition, after every `_STEP` characters."""
        text = self._unchecked
        checked_to = len(text) // _STEP * _STEP
        # The tail is cut rarely, because that copies it.
        tail_length = self._longest + 2 * _STEP
        for start in range(0, checked_to, _STEP):
            self._tail += text[start : start + _STEP]
            if len(self._tail) > 2 * tail_length:
                self._tail = self._tail[-tail_length:]
            self._check_tail()
            if self.stop is not None:
                return
        self._unchecked = text[checked_to:]

    def _check_tail(self) -> None:
        """Set `stop` if the tail (the last characters of the text) ends with a long enough repetition.

        If the last `_STEP` characters also appear earlier in the tail, the distance between the two
        places is the length of the repeated unit: the period.
        """
        tail, period = self._tail, self._period
        size = len(tail)
        last = tail[-_STEP:]
        if period and tail.endswith(last, 0, size - period):
            # The repetition goes on.
            self._repeated += _STEP
        else:
            # The last position at which the same characters appeared before; -1 if they did not.
            earlier = tail.rfind(last, max(0, size - self._longest - _STEP), size - 1)
            period = self._period = 0 if earlier < 0 else size - _STEP - earlier
            self._repeated = _count_matching(tail, period) if period else 0
        if period:
            covered = self._repeated + period
            is_long = covered >= _MIN_LENGTH and covered >= self._times * period
            # A single word, or a line of a table or the like, may repeat more often.
            if is_long and (covered >= _MIN_LENGTH_OF_ONE_WORD or _has_words(tail[size - period :])):
                apart = ", apart from numbers" if self._ignore_digits else ""
                self.stop = f"the same {period:,} characters came {covered // period:,} times in a row{apart}"  # pyright: ignore[reportIncompatibleMethodOverride]


def _has_words(unit: str) -> bool:
    """Return True if a repeated unit has two different words, even if it begins in the middle of a word."""
    twice = unit + unit
    # A word at an end of the doubled unit may be the rest of a longer one.
    words = {match[0] for match in _WORD.finditer(twice) if match.start() > 0 and match.end() < len(twice)}
    return len(words) > 1


def _count_matching(text: str, period: int) -> int:
    """Return, by bisection, the number of characters at a text's end that equal those one period before."""
    size = len(text)
    # The result is at least `low` and at most `high`.
    low, high = 0, size - period
    while low < high:
        middle = (low + high + 1) // 2
        if text.endswith(text[size - middle :], 0, size - period):
            low = middle
        else:
            high = middle - 1
    return low
