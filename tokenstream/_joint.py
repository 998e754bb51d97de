"""The joint of a broken answer's text and its continuation: words that came again, and how sure that is."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["AskedJoint", "Joint", "Prefill", "PrefixJoint", "anchor_of"]

Prefill: TypeAlias = bool | Literal["echo"]
"""True for a server that continues an assistant's turn sent last; "echo" for one that repeats it first."""

_ANCHOR = 40
"""Characters that a continuation is asked to begin with."""
_LEAST = 16
"""The shortest overlap that is taken for one, in characters: shorter ones happen by chance."""
_TAIL = 1_000
"""The longest overlap that is looked for, in characters."""
_PREAMBLE = 200
"""The longest sentence that a model may say before it goes on, in characters."""
_PATIENCE = _PREAMBLE + 2 * _ANCHOR
"""The characters in which it is looked for where nothing is shown before."""

_SURE, _LIKELY, _DOUBTFUL, _UNKNOWN, _BEGUN_AGAIN = 1.0, 0.9, 0.8, 0.5, 0.1


def anchor_of(given: str) -> str:
    """Return the words that a continuation is to begin with: the last ones, without white space around them.

    Example:
        >>> anchor_of("Once upon a time there was a king of Thule. ")
        'e upon a time there was a king of Thule.'
    """
    return given.rstrip()[-_ANCHOR:].lstrip()


class Joint:
    """Finds how much of a continuation's beginning was given before.

    Args:
        given: The text of the answer so far.
    """

    def __init__(self, given: str) -> None:
        self._base = given.rstrip()
        self._space = given[len(self._base) :]
        """White space at the end of what was given, which may come again or not at all."""
        self.dropped = 0
        """Characters at the beginning of the continuation that were given before."""
        self.confidence = _UNKNOWN
        """Confidence that nothing is missing or doubled, from 0 to 1."""
        self.decided = False
        """Nothing that comes can change that."""
        self._whole = self._base
        self._echoed = 0
        """Characters of the whole answer that have come again, from its first one."""
        self._beyond: str | None = None
        """The text behind that; None while all that came is an echo."""

    def feed(self, piece: str) -> bool:
        """Take a piece of the continuation, and tell whether the joint is decided."""
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
        """Decide with what has come."""
        if not self.decided:
            self._look(self._beyond or "", over=True)
            self.decided = True

    @property
    def _is_echo(self) -> bool:
        """All that was given has come again."""
        return self._echoed == len(self._whole)

    def _is_distinct(self, words: str) -> bool:
        """Tell whether words stand in the answer once, and do not end as they begin."""
        if len(words) < _LEAST or self._base.find(words) != len(self._base) - len(words):
            return False
        # Else what they begin with may be all that came again, and the rest of them new.
        begin = words[: min(_LEAST, (len(words) + 1) // 2)]
        at = words.find(begin, 1)
        while at > 0 and not words.startswith(words[at:]):
            at = words.find(begin, at + 1)
        return at < 0

    def _look(self, beyond: str, *, over: bool) -> bool:
        """Decide, where that can be done.

        Args:
            beyond: What came behind the echo of the beginning, be that none.
            over: No more will come.
        """
        raise NotImplementedError

    def _drop(self, length: int, rest: str, confidence: float, *, over: bool) -> bool:
        """Drop that much, and the white space behind it that was given; tell whether that is decided."""
        if not over and len(rest) < len(self._space) and self._space.startswith(rest):
            return False
        self.dropped = length + _common(rest, self._space)
        self.confidence = confidence
        return True


class PrefixJoint(Joint):
    """The joint behind a prefix that the server was given: exact, but for a prefix that it may give back.

    Args:
        given: The text of the answer so far; without white space at its end, it is the prefix.
        echoes: Whether the server gives the prefix back; None where nobody knows.

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
        if self._echoes is False:
            return self._drop(0, beyond[: len(self._space)], _SURE, over=over)
        if self._is_echo and (self._echoes or (self._echoed >= _ANCHOR and self._is_distinct(self._base))):
            return self._drop(self._echoed, beyond, _SURE if self._echoes else _DOUBTFUL, over=over)
        # A text that repeats itself goes on as it began, too.
        in_doubt = self._echoes or self._is_echo
        text = self._base[: self._echoed] + beyond
        return self._drop(0, text[: len(self._space)], _DOUBTFUL if in_doubt else _SURE, over=over)


class AskedJoint(Joint):
    """The joint of a continuation that a model was asked for, and asked to begin with the last words.

    Args:
        given: The text of the answer so far.
        patient: Whether a sentence of the model's own before the rest is waited for.

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
        if not (self.decided or self._echoed or self._beyond):
            words = piece.lstrip()
            self._lead += piece[: len(piece) - len(words)]
            piece = words
        return super().feed(piece)

    def _look(self, beyond: str, *, over: bool) -> bool:
        if self._is_echo:
            confidence = _SURE if self._is_distinct(self._whole) else _DOUBTFUL
            return self._drop(len(self._lead) + self._echoed, beyond, confidence, over=over)
        text = self._whole[: self._echoed] + beyond
        if not over and self._is_pending(text):
            return False
        anchor = self._anchor
        # Piece by piece, nothing is looked for behind the tail either.
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
        """Tell whether more of the text may show that it was given before."""
        if len(text) < len(self._anchor) and self._anchor.startswith(text):
            return True
        return 0 <= self._tail.find(text) < len(self._tail) - len(text)

    def _overlap(self, text: str) -> int:
        """Return the length of the longest beginning of the text that the answer ends with."""
        lengths = range(min(len(text), len(self._tail)), _LEAST - 1, -1)
        return next((length for length in lengths if self._tail.endswith(text[:length])), 0)


def _common(one: str, other: str) -> int:
    """Return the length of what two texts begin with alike."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(at for at in range(length) if one[at] != other[at])
