"""A rule that stops a text that repeats itself endlessly."""

from __future__ import annotations

import re

from tokenstream._basics.members import show_members
from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage

_STEP = 16
"""The number of characters between two checks, which are made at the same offsets however the text is cut."""
_MIN_LENGTH = 200
"""The length of the shortest repetition that stops a text; a list or laughter may repeat a few words."""
_MIN_LENGTH_OF_ONE_WORD = 1_000
"""The fewest characters if at most one word repeats, as in rules, tables, numbers, blanks, lists of nulls."""
_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")


@show_members
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
        "_stop",
        "_tail",
        "_times",
        "_unchecked",
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
        self._stop: str | None = None

    @property
    def stop(self) -> str | None:
        """The reason to stop the text; None while it does not repeat itself."""
        return self._stop

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
        if len(self._unchecked) >= _STEP and self._stop is None:
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
            if self._stop is not None:
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
                self._stop = (
                    f"the same {period:,} characters came {covered // period:,} times in a row{apart}"
                )


def _has_words(unit: str) -> bool:
    """Return True if a repeated unit has two different words, even if it begins in the middle of a word."""
    twice = unit + unit
    # A word at an end of the doubled unit may be the rest of a longer one.
    words = {match[0] for match in _WORD.finditer(twice) if match.start() > 0 and match.end() < len(twice)}
    return len(words) > 1


def _count_matching(text: str, period: int) -> int:
    """Return the number of characters at the end of a text that equal the characters one period before.

    The number is found by bisection.
    """
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
