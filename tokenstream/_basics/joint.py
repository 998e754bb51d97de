"""The joint between a broken-off answer and its continuation: where the continuation's new text begins.

A continuation may repeat words of the answer: a `Joint` finds out how many of its characters to
drop for that reason, and with how much confidence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Prefill: TypeAlias = bool | Literal["echo"]
"""True if the server continues an assistant's turn that is sent last; "echo" if it repeats the turn first."""

_ANCHOR = 40
"""Length of the anchor: the answer's last characters, with which a continuation is asked to begin."""
_LEAST = 16
"""The shortest overlap that counts, in characters: shorter overlaps occur by chance."""
_TAIL = 1_000
"""The longest overlap that is searched for, in characters."""
_PREAMBLE = 200
"""The longest sentence that a model may write before it continues, in characters."""
_PATIENCE = _PREAMBLE + 2 * _ANCHOR
"""The number of characters to wait for the anchor after such a sentence; nothing is shown meanwhile."""

_SURE, _LIKELY, _DOUBTFUL, _UNKNOWN, _BEGUN_AGAIN = 1.0, 0.9, 0.8, 0.5, 0.1


def anchor_of(given: str) -> str:
    """Return the words with which a continuation should begin: the answer's last words, stripped.

    Example:
        >>> anchor_of("Once upon a time there was a king of Thule. ")
        'e upon a time there was a king of Thule.'
    """
    return given.rstrip()[-_ANCHOR:].lstrip()


class Joint:
    """Finds how much of a continuation's beginning repeats the answer so far.

    Args:
        given: The text of the answer so far.
    """

    def __init__(self, given: str) -> None:
        self._base = given.rstrip()
        self._space = given[len(self._base) :]
        """White space at the end of the answer so far, which the continuation may repeat or not."""
        self.dropped = 0
        """Number of characters at the beginning of the continuation that are repetitions."""
        self.confidence = _UNKNOWN
        """Confidence that nothing is missing or doubled, from 0 to 1."""
        self.decided = False
        """True once no further text can change `dropped` and `confidence`."""
        self._whole = self._base
        self._echoed = 0
        """Number of characters that were repeated, counted from the beginning of the answer."""
        self._beyond: str | None = None
        """The text after the echo (the repeated beginning); None while all that arrived is an echo."""

    def feed(self, piece: str) -> bool:
        """Take a piece of the continuation; return True once the joint is decided."""
        if self.decided:
            return True
        if self._beyond is None:
            again = _common(piece, self._whole[self._echoed : self._echoed + len(piece)])
            self._echoed += again
            if again == len(piece) and not self._is_echo:
                return False
            piece, self._beyond = piece[again:], ""
        self._beyond += piece
        self.decided = self._look(self._beyond, over=False)
        return self.decided

    def end(self) -> None:
        """Decide with the text that has arrived."""
        if not self.decided:
            self._look(self._beyond or "", over=True)
            self.decided = True

    @property
    def _is_echo(self) -> bool:
        """True if the whole answer so far was repeated."""
        return self._echoed == len(self._whole)

    def _is_distinct(self, words: str) -> bool:
        """Return True if words occur only once in the answer, and do not end with their own beginning."""
        if len(words) < _LEAST or self._base.find(words) != len(self._base) - len(words):
            return False
        # If they do, only their beginning may be a repetition, and the rest new text.
        begin = words[: min(_LEAST, (len(words) + 1) // 2)]
        at = words.find(begin, 1)
        while at > 0 and not words.startswith(words[at:]):
            at = words.find(begin, at + 1)
        return at < 0

    def _look(self, beyond: str, *, over: bool) -> bool:
        """Decide the joint if possible; return True if it is decided.

        Args:
            beyond: The text after the echo of the answer's beginning, if there was one.
            over: True if no more text will arrive.
        """
        raise NotImplementedError

    def _drop(self, length: int, rest: str, confidence: float, *, over: bool) -> bool:
        """Drop a number of characters and the repeated white space after them; return True if decided.

        Args:
            length: The number of characters.
            rest: The text after them.
            confidence: The confidence that nothing is missing or doubled.
            over: True if no more text will arrive.
        """
        if not over and len(rest) < len(self._space) and self._space.startswith(rest):
            return False
        self.dropped = length + _common(rest, self._space)
        self.confidence = confidence
        return True


class PrefixJoint(Joint):
    """The joint after a prefix that the server was asked to continue; exact unless it may echo the prefix.

    Args:
        given: The text of the answer so far; the prefix is this text without white space at its end.
        echoes: True if the server repeats the prefix first, False if it does not, None if unknown.

    Example:
        >>> joint = PrefixJoint("Once upon ", echoes=True)
        >>> joint.feed("Once upon"), joint.feed(" a time"), joint.dropped, joint.confidence
        (False, True, 10, 1.0)
    """

    def __init__(self, given: str, *, echoes: bool | None) -> None:
        super().__init__(given)
        self._echoes = echoes
        if echoes is False:
            self._beyond = ""

    def _look(self, beyond: str, *, over: bool) -> bool:
        """Decide the joint: drop the whole echo, or only the repeated white space; see `Joint`."""
        if self._echoes is False:
            return self._drop(0, beyond[: len(self._space)], _SURE, over=over)
        if self._is_echo and (self._echoes or (self._echoed >= _ANCHOR and self._is_distinct(self._base))):
            return self._drop(self._echoed, beyond, _SURE if self._echoes else _DOUBTFUL, over=over)
        # A text that repeats itself may also continue with the words with which it began.
        in_doubt = self._echoes or self._is_echo
        text = self._base[: self._echoed] + beyond
        return self._drop(0, text[: len(self._space)], _DOUBTFUL if in_doubt else _SURE, over=over)


class AskedJoint(Joint):
    """The joint before the text of a model that was asked to begin with the answer's last words.

    Args:
        given: The text of the answer so far.
        patient: True to wait for the anchor if the model writes an introductory sentence first.

    Example:
        >>> joint = AskedJoint("Once upon a time there was ")
        >>> joint.feed("Once upon a time there was a king"), joint.dropped, joint.confidence
        (True, 27, 1.0)
    """

    def __init__(self, given: str, *, patient: bool = False) -> None:
        super().__init__(given)
        self._whole = self._base.lstrip()
        self._patient = patient
        self._anchor = anchor_of(given)
        self._tail = self._base[-_TAIL:]
        self._lead = ""
        """White space before the first word of the continuation."""

    def feed(self, piece: str) -> bool:
        """Take a piece of the continuation, after its leading white space; see `Joint.feed`."""
        if not (self.decided or self._echoed or self._beyond):
            words = piece.lstrip()
            self._lead += piece[: len(piece) - len(words)]
            piece = words
        return super().feed(piece)

    def _look(self, beyond: str, *, over: bool) -> bool:
        """Decide the joint by the first of these: a whole echo, the anchor, an overlap; see `Joint`."""
        if self._is_echo:
            confidence = _SURE if self._is_distinct(self._whole) else _DOUBTFUL
            return self._drop(len(self._lead) + self._echoed, beyond, confidence, over=over)
        text = self._whole[: self._echoed] + beyond
        if not over and self._is_pending(text):
            return False
        anchor = self._anchor
        # Limited to the tail's length, so that the result does not depend on how the text is cut.
        at = text.find(anchor, 0, _TAIL)
        again = text[: at + len(anchor)]
        if at >= 0 and self._base.endswith(again):
            confidence = _SURE if self._is_distinct(again) else _DOUBTFUL
            return self._drop_to(len(again), text, confidence, over=over)
        overlap = self._overlap(text)
        if overlap:
            confidence = _LIKELY if self._is_distinct(text[:overlap]) else _DOUBTFUL
            return self._drop_to(overlap, text, confidence, over=over)
        if self._patient:
            if 0 < at <= _PREAMBLE and self._is_distinct(anchor):
                return self._drop_to(at + len(anchor), text, _DOUBTFUL, over=over)
            if not over and len(text) < _PATIENCE:
                return False
        self.dropped = _common(self._lead, self._space)
        self.confidence = _BEGUN_AGAIN if self._echoed >= _ANCHOR else _UNKNOWN
        return True

    def _drop_to(self, length: int, text: str, confidence: float, *, over: bool) -> bool:
        rest = text[length : length + len(self._space)]
        return self._drop(len(self._lead) + length, rest, confidence, over=over)

    def _is_pending(self, text: str) -> bool:
        """Return True if more text is needed to see whether this text is a repetition."""
        if len(text) < len(self._anchor) and self._anchor.startswith(text):
            return True
        return 0 <= self._tail.find(text) < len(self._tail) - len(text)

    def _overlap(self, text: str) -> int:
        """Return the length of the longest beginning of the text with which the answer ends."""
        lengths = range(min(len(text), len(self._tail)), _LEAST - 1, -1)
        return next((length for length in lengths if self._tail.endswith(text[:length])), 0)


def _common(one: str, other: str) -> int:
    """Return the length of the common prefix of two texts."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(at for at in range(length) if one[at] != other[at])
