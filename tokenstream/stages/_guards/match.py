"""A rule that stops a text that contains a match of a pattern."""

from __future__ import annotations

import re
from typing import Any

from tokenstream.errors import MisuseError
from tokenstream.stages._matching.lookahead import watch_end
from tokenstream.stages._matching.matching import width_of
from tokenstream.stages._text.base import TextStage

LONGEST_MATCH = 1_000
"""The longest match, in characters, that is found even if it is split across pieces."""
_NEXT = ("a", "0", " ", "\n", ".", "\na")
"""Next characters to try: together they stand for all that a pattern without look-ahead can test."""
_ASKS_MORE = re.compile(r"\\[bBZ]|\$|\(\?")
"""Constructs with which a look-ahead reads one character more than its own width."""
_ESCAPED = re.compile(r"\\[^bBZ]", re.DOTALL)


def compiled(pattern: str | re.Pattern[Any]) -> re.Pattern[str]:
    """Compile and check the pattern of a guard.

    Raises:
        MisuseError: The pattern is not a regular expression for text, or it matches the empty text.
    """
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

    Args:
        pattern: The pattern.

    Example:
        >>> match = Match(compiled(r"\bcat\b"))
        >>> [match.feed(piece) and match.stop for piece in ("a cat", "alogue")]
        [None, None]
        >>> match.feed(" of a cat"), match.end(), match.stop
        ([' of a cat'], [], "the text matches '\\\\bcat\\\\b'")
    """

    __slots__ = ("_ahead", "_pattern", "_reach", "_refuses", "_stop", "_tail", "_whole")

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._ahead = _looks_ahead(pattern)
        """The number of characters after a match that may undo it."""
        self._refuses = "(?!" in pattern.pattern
        """True if trying next characters cannot prove that a match is final."""
        self._reach = min(width_of(pattern.pattern, pattern.flags), LONGEST_MATCH) + self._ahead
        """The length of the longest match, together with the characters after it that may undo it."""
        self._tail = ""
        self._whole = True
        """True while the tail is the whole text."""
        self._stop: str | None = None

    @property
    def stop(self) -> str | None:
        return self._stop

    def fresh(self) -> Match:
        """Return a copy of the rule for another text."""
        return Match(self._pattern)

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the piece, and set `stop` if the pattern is found.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        if self._stop is None:
            before = len(self._tail)
            self._tail += item
            self._look(before, at_end=False)
            if len(self._tail) > 2 * (LONGEST_MATCH + self._ahead):
                self._tail, self._whole = self._tail[-LONGEST_MATCH - self._ahead :], False
        return [item]

    def end(self, *, now: float = 0.0) -> list[str]:
        """Set `stop` if the text ends with a match."""
        if self._stop is None:
            self._look(len(self._tail), at_end=True)
        return []

    def _look(self, before: int, *, at_end: bool) -> None:
        """Set `stop` if the tail contains a match that cannot be undone.

        Args:
            before: The length of the part of the tail that was searched before.
            at_end: Whether the text ends here, so that nothing can undo a match.
        """
        tail, search = self._tail, self._pattern.search
        # A shortened tail is not the start of the text, so `^` and the like must not match at its index 0.
        found = search(tail, max(0 if self._whole else 1, before - self._reach))
        if found is None:
            return
        start = found.start()
        sure = at_end or found.end() + self._ahead <= len(tail)
        if not sure and not self._refuses:
            sure = all(_begins(search(tail + following, start), start) for following in _NEXT)
        if sure:
            self._stop = f"the text matches {self._pattern.pattern!r}"


def _looks_ahead(pattern: re.Pattern[str]) -> int:
    """Return the number of characters after a match that may undo it."""
    source = pattern.pattern
    try:
        ahead = watch_end("a guard", pattern).ahead
    except MisuseError:
        return LONGEST_MATCH
    widths = [
        width_of(body, 0) + (_ASKS_MORE.search(_ESCAPED.sub("", body)) is not None) for body in ahead if body
    ]
    # `$` also matches before a final newline.
    ends = "$" in _ESCAPED.sub("", source)
    return min(max([1, *([2] if ends else []), *widths]), LONGEST_MATCH)


def _begins(found: re.Match[str] | None, start: int) -> bool:
    return found is not None and found.start() == start
