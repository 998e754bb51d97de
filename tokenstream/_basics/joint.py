"""The joint between a broken-off answer and its continuation: where the continuation's new text begins.

A continuation may repeat words of the answer: a `Joint` finds out how many of its characters to
drop for that reason, and with how much confidence. As long as more text could change the result,
the joint is undecided.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, TypeAlias

Prefill: TypeAlias = bool | Literal["echo"]
"""True if the server continues an assistant's turn that is sent last; "echo" if it repeats the turn first."""

_ANCHOR = 40
"""Length of the anchor: the answer's last characters, with which a continuation is asked to begin."""
_SHORTEST_OVERLAP = 16
"""The shortest overlap that counts, in characters: shorter overlaps occur by chance."""
_LONGEST_OVERLAP = 1_000
"""The longest overlap that is searched for, in characters."""
_LONGEST_PREAMBLE = 200
"""The longest sentence that a model may write before it continues, in characters."""
_LONGEST_WAIT = _LONGEST_PREAMBLE + 2 * _ANCHOR
"""The number of characters to wait for the anchor after a preamble; nothing is shown meanwhile."""

_SURE, _LIKELY, _DOUBTFUL, _UNKNOWN, _BEGUN_AGAIN = 1.0, 0.9, 0.8, 0.5, 0.1


def anchor_of(answer: str) -> str:
    """Return the text with which a continuation should begin: the answer's last 40 characters, stripped.

    Example:
        >>> anchor_of("Once upon a time there was a king of Thule. ")
        'e upon a time there was a king of Thule.'
    """
    return answer.rstrip()[-_ANCHOR:].lstrip()


class Joint:
    """Finds how much of a continuation's beginning repeats the answer so far.

    Args:
        answer: The text of the answer so far.
    """

    def __init__(self, answer: str) -> None:
        self._base = answer.rstrip()
        """The text of the answer so far, without white space at its end."""
        self._space = answer[len(self._base) :]
        """White space at the end of the answer so far, which the continuation may repeat or not."""
        self.dropped = 0
        """Number of characters at the beginning of the continuation that are repetitions."""
        self.confidence = _UNKNOWN
        """Confidence that nothing is missing or doubled, from 0 to 1."""
        self.decided = False
        """True once no further text can change `dropped` and `confidence`."""
        self._compared_text = self._base
        """The text that is compared with the beginning of the continuation."""
        self._echoed = 0
        """Number of characters that were repeated, counted from the beginning of the answer."""
        self._after_echo: str | None = None
        """The text after the echo (the repeated beginning); None while all that arrived is an echo."""

    def feed(self, piece: str) -> bool:
        """Take a piece of the continuation; return True once the joint is decided."""
        if self.decided:
            return True
        if self._after_echo is None:
            repeated = _common_length(piece, self._compared_text[self._echoed : self._echoed + len(piece)])
            self._echoed += repeated
            if repeated == len(piece) and not self._echoed_all:
                # So far, the continuation repeats the answer from its beginning, but not yet all of it.
                return False
            # The repetition is over. If it broke off, it may be new text: `_try_to_decide` then puts it back,
            # since it knows the repeated characters by their number, `_echoed`.
            piece, self._after_echo = piece[repeated:], ""
        self._after_echo += piece
        self.decided = self._try_to_decide(self._after_echo, ended=False)
        return self.decided

    def end(self) -> None:
        """Decide how much is repeated, from the text so far, since no more text will arrive."""
        if not self.decided:
            # `_after_echo` is None if the continuation is nothing but an echo.
            self._try_to_decide(self._after_echo or "", ended=True)
            self.decided = True

    @cached_property
    def _is_echo_distinct(self) -> bool:
        """True if an echo of the whole answer can only be a repetition: see `_is_distinct`."""
        return self._is_distinct(self._compared_text)

    @property
    def _echoed_all(self) -> bool:
        """True if the continuation has repeated the whole answer so far, from the answer's beginning."""
        return self._echoed == len(self._compared_text)

    def _is_distinct(self, words: str) -> bool:
        """Return True if `words` in a continuation can only be a repetition of the answer's end.

        The condition: the words occur nowhere else in the answer, and do not end with their own beginning.
        """
        if len(words) < _SHORTEST_OVERLAP or self._base.find(words) != len(self._base) - len(words):
            return False
        # If the words end with their own beginning, perhaps only that is repeated, and new text follows it.
        # A repetition of fewer characters than `shortest` does not count: it occurs by chance.
        shortest = min(_SHORTEST_OVERLAP, (len(words) + 1) // 2)
        # The search is fast, and mostly finds that there is nothing to compare.
        return words.find(words[:shortest], 1) < 0 or _length_repeated_at_end(words) < shortest

    def _try_to_decide(self, beyond: str, *, ended: bool) -> bool:
        """Decide the joint if possible; return True if it is decided.

        Args:
            beyond: The continuation's text after the echo (its repetition of the answer's beginning);
                all of its text if there is no echo.
            ended: True if no more text will arrive.
        """
        raise NotImplementedError

    def _decide(self, length: int, following: str, confidence: float, *, ended: bool) -> bool:
        """Decide to drop a number of characters of the continuation, and repeated white space after them.

        Args:
            length: The number of characters.
            following: The text after these characters.
            confidence: The confidence that nothing is missing or doubled.
            ended: True if no more text will arrive.

        Returns:
            True, or False if the joint is still undecided, because more white space may follow.
        """
        if not ended and len(following) < len(self._space) and self._space.startswith(following):
            return False
        self.dropped = length + _common_length(following, self._space)
        self.confidence = confidence
        return True


class PrefixJoint(Joint):
    """Finds the new text of a continuation by a server that was asked to continue a prefix.

    The result is certain, unless the server may echo the prefix (repeat the prefix first).

    Args:
        answer: The text of the answer so far; the prefix is this text without white space at its end.
        echoes: True if the server repeats the prefix first, False if it does not, None if unknown.

    Example:
        >>> joint = PrefixJoint("Once upon ", echoes=True)
        >>> joint.feed("Once upon"), joint.feed(" a time"), joint.dropped, joint.confidence
        (False, True, 10, 1.0)
    """

    def __init__(self, answer: str, *, echoes: bool | None) -> None:
        super().__init__(answer)
        self._echoes = echoes
        """True if the server repeats the prefix first, False if it does not, None if unknown."""
        if echoes is False:
            # There is no echo, so all of the continuation is the text after it.
            self._after_echo = ""

    def _try_to_decide(self, beyond: str, *, ended: bool) -> bool:
        """Decide the joint: drop the whole echo, or only repeated white space; return True if it is decided.

        Args:
            beyond: The continuation's text after the echo; all of its text if there is no echo.
            ended: True if no more text will arrive.
        """
        if self._echoes is False:
            # The server repeats no text (None would mean that this is unknown), so only white space may be.
            return self._decide(0, beyond[: len(self._space)], _SURE, ended=ended)
        if self._echoed_all:
            # If nothing is known about the server, only a long and distinct repetition counts as an echo.
            is_long = self._echoed >= _ANCHOR
            if self._echoes or (is_long and self._is_echo_distinct):
                return self._decide(self._echoed, beyond, _SURE if self._echoes else _DOUBTFUL, ended=ended)
        # Nothing but white space is dropped. That is in doubt if the server should have repeated the prefix,
        # or seems to have done so: new text may also begin with the words with which the answer began.
        in_doubt = self._echoes or self._echoed_all
        # The repeated characters count as new text.
        text = self._base[: self._echoed] + beyond
        return self._decide(0, text[: len(self._space)], _DOUBTFUL if in_doubt else _SURE, ended=ended)


class AskedJoint(Joint):
    """Finds the new text of a model that was asked to begin with the answer's last words, the anchor.

    Args:
        answer: The text of the answer so far.
        patient: True to wait for the anchor if the model writes an introductory sentence first.

    Example:
        >>> joint = AskedJoint("Once upon a time there was ")
        >>> joint.feed("Once upon a time there was a king"), joint.dropped, joint.confidence
        (True, 27, 1.0)
    """

    def __init__(self, answer: str, *, patient: bool = False) -> None:
        super().__init__(answer)
        self._compared_text = self._base.lstrip()
        self._patient = patient
        """True to wait for the anchor if the model writes an introductory sentence first."""
        self._anchor = anchor_of(answer)
        self._tail = self._base[-_LONGEST_OVERLAP:]
        """The end of the answer, in which an overlap is searched for."""
        self._leading_space = ""
        """White space before the first word of the continuation."""

    def feed(self, piece: str) -> bool:
        """Take a piece of the continuation; return True once the joint is decided.

        White space before the continuation's first word is kept apart.
        """
        # True as long as nothing but white space has arrived.
        if not (self.decided or self._echoed or self._after_echo):
            words = piece.lstrip()
            self._leading_space += piece[: len(piece) - len(words)]
            piece = words
        return super().feed(piece)

    def _try_to_decide(self, beyond: str, *, ended: bool) -> bool:
        """Decide the joint by the first repetition that is found.

        First an echo of the whole answer is tried; then the anchor, which is the answer's last words; then
        an overlap, which is a beginning of the text with which the answer ends. The arguments are those of
        `Joint._try_to_decide`.

        Returns:
            True if the joint is decided; False if more text is needed.
        """
        if self._echoed_all:
            confidence = _SURE if self._is_echo_distinct else _DOUBTFUL
            return self._decide(len(self._leading_space) + self._echoed, beyond, confidence, ended=ended)
        text = self._compared_text[: self._echoed] + beyond
        if not ended and self._may_become_repetition(text):
            return False
        anchor = self._anchor
        # Limited to the tail's length, so that the result does not depend on how the text is cut.
        position = text.find(anchor, 0, _LONGEST_OVERLAP)
        # The anchor, together with the text before it, is a repetition if both end the answer.
        through_anchor = text[: position + len(anchor)]
        if position >= 0 and self._base.endswith(through_anchor):
            confidence = _SURE if self._is_distinct(through_anchor) else _DOUBTFUL
            return self._drop_beginning(len(through_anchor), text, confidence, ended=ended)
        overlap = self._find_overlap(text)
        if overlap:
            confidence = _LIKELY if self._is_distinct(text[:overlap]) else _DOUBTFUL
            return self._drop_beginning(overlap, text, confidence, ended=ended)
        if self._patient:
            # The model may have written a sentence of its own before the anchor.
            if 0 < position <= _LONGEST_PREAMBLE and self._is_distinct(anchor):
                return self._drop_beginning(position + len(anchor), text, _DOUBTFUL, ended=ended)
            if not ended and len(text) < _LONGEST_WAIT:
                return False
        # No repetition was found: only white space is dropped.
        self.dropped = _common_length(self._leading_space, self._space)
        # A text that began like the answer, but differs from some place on, is perhaps the answer told anew.
        self.confidence = _BEGUN_AGAIN if self._echoed >= _ANCHOR else _UNKNOWN
        return True

    def _drop_beginning(self, length: int, text: str, confidence: float, *, ended: bool) -> bool:
        """Decide to drop the first characters of a text, and white space around them.

        The white space before them is dropped in any case, the white space after them only if it is a
        repetition.

        Args:
            length: The number of characters.
            text: The continuation's text, without the white space before its first word.
            confidence: The confidence that nothing is missing or doubled.
            ended: True if no more text will arrive.

        Returns:
            True, or False if the joint is still undecided, because more white space may follow.
        """
        following = text[length : length + len(self._space)]
        return self._decide(len(self._leading_space) + length, following, confidence, ended=ended)

    def _may_become_repetition(self, text: str) -> bool:
        """Return True if more text is needed to see whether this text repeats the end of the answer."""
        if len(text) < len(self._anchor) and self._anchor.startswith(text):
            return True
        # The text occurs in the answer's end, and more of the answer follows it there.
        return 0 <= self._tail.find(text) < len(self._tail) - len(text)

    def _find_overlap(self, text: str) -> int:
        """Return the length of the longest beginning of the text with which the answer ends; 0 if none."""
        lengths = range(min(len(text), len(self._tail)), _SHORTEST_OVERLAP - 1, -1)
        return next((length for length in lengths if self._tail.endswith(text[:length])), 0)


def _length_repeated_at_end(words: str) -> int:
    """Return the length of the longest beginning of a text with which the text ends, not counting all of it.

    The time is proportional to the length of the text (the prefix function of Knuth, Morris and Pratt).
    """
    # For each beginning of the text: the length that this function returns for it.
    repeated = [0] * len(words)
    length = 0
    for end in range(1, len(words)):
        while length and words[end] != words[length]:
            length = repeated[length - 1]
        if words[end] == words[length]:
            length += 1
        repeated[end] = length
    return length


def _common_length(one: str, other: str) -> int:
    """Return the length of the common prefix of two texts."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(index for index in range(length) if one[index] != other[index])
