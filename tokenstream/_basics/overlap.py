"""The overlap of a broken-off answer and its continuation: where the continuation's new text begins.

When an answer breaks off, another request may ask the model to continue it. The continuation may first
repeat words of the answer. An `Overlap` finds the number of characters to drop from the continuation's
beginning for that reason, and the confidence in that number. As long as more text could change the
result, the overlap is undecided. A model may also copy the markers that enclose the answer's last words in
the request, which must be removed.
"""

from __future__ import annotations

import re
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
"""Maximum length, in characters, of a preamble: a sentence that a model writes before it continues."""
_LONGEST_WAIT = _LONGEST_PREAMBLE + 2 * _ANCHOR
"""Number of characters of a continuation in which the anchor may follow; until then, none is shown."""

_MIN_PERIODIC = 4
"""Number of equal characters, at the answer's end and before its last words, that make the answer periodic.

A periodic answer repeats itself, so a continuation with the same words may be new text.
"""
_WRAPPING = tuple("\"'`*_~>([{<«“„「『\u2018")
"""Characters that open a quotation, bracket or markup; the model would close it after the text."""

UNKNOWN = 0.5
"""Confidence in a continuation if nothing shows whether it goes on exactly where the answer ends."""
_SURE, _LIKELY, _DOUBTFUL, _BEGUN_AGAIN = 1.0, 0.9, 0.8, 0.1

LAST_WORDS = ("<last_words>", "</last_words>")
"""The marker before the answer's last words, and the one after them."""
_MARKERS = ("\n</last_words>", *LAST_WORDS)
"""The texts to remove: the markers, and the line break before a closing marker on a line of its own."""
_MARKER = re.compile(r"\n?</last_words>|<last_words>")
_LINE_BREAK_AFTER = re.compile(r"</last_words>\s*\n")


def anchor_of(answer: str) -> str:
    """Return the last 40 characters of a broken-off answer, without white space around them: the anchor.

    A model that is asked to continue the answer is asked to begin with the anchor.

    Example:
        >>> anchor_of("Once upon a time there was a king of Thule. ")
        'e upon a time there was a king of Thule.'
    """
    return answer.rstrip()[-_ANCHOR:].lstrip()


def is_recognizable(answer: str) -> bool:
    """Return True if an answer is long enough to be recognized when its continuation repeats the end of it.

    Example:
        >>> is_recognizable("Once upon"), is_recognizable("Once upon a time there")
        (False, True)
    """
    return len(anchor_of(answer)) >= _SHORTEST_OVERLAP


class Overlap:
    """Finds the number of characters at a continuation's beginning that repeat the broken-off answer.

    An answer breaks off, and another request asks the model to continue it. The text of this continuation
    is passed to `feed` in pieces. The result is in `dropped` and `confidence` once `decided` is True.

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
        self.confidence = UNKNOWN
        """Confidence that nothing is missing or doubled, from 0 to 1."""
        self.decided = False
        """True once no further text can change `dropped` and `confidence`."""
        self._compared_text = self._base
        """The text that a continuation with an echo (one that repeats the answer first) begins with."""
        self._is_closed = False
        self._echoed = 0
        """Number of characters of the continuation that repeat the answer from the answer's beginning."""
        self._after_echo: str | None = None
        """The continuation's text after the echo; None while everything that has arrived is an echo."""

    def close_text(self) -> None:
        """Note that the answer's text had ended: then what repeats all of a short one is no chance."""
        self._is_closed = True

    def feed(self, piece: str) -> bool:
        """Take a piece of the continuation; return True once `dropped` and `confidence` are decided."""
        if self.decided:
            return True
        if self._after_echo is None:
            repeated = _common_length(piece, self._compared_text[self._echoed : self._echoed + len(piece)])
            self._echoed += repeated
            if repeated == len(piece) and not self._echoed_all:
                # So far, the continuation repeats the answer from its beginning, but not yet all of it.
                return False
            # The repetition is over. If it is not a repetition of the whole answer, it may be new text:
            # `_try_to_decide` then puts it back, with the first `_echoed` characters of the answer.
            piece, self._after_echo = piece[repeated:], ""
        self._after_echo += piece
        self.decided = self._try_to_decide(self._after_echo, ended=False)
        return self.decided

    def end(self) -> None:
        """Decide `dropped` and `confidence` from the text so far, since no more text will arrive."""
        if not self.decided:
            # `_after_echo` is None if the continuation is nothing but an echo.
            self._try_to_decide(self._after_echo or "", ended=True)
            self.decided = True

    def doubt(self) -> None:
        """Lower `confidence` to `UNKNOWN`, because of something other than text, such as a refusal."""
        self.confidence = min(self.confidence, UNKNOWN)

    def trust(self) -> None:
        """Raise `confidence`, because a call follows a text that had ended: nothing is missing or doubled."""
        self.confidence = max(self.confidence, _LIKELY)

    @cached_property
    def _is_echo_distinct(self) -> bool:
        """True if a continuation that begins with all words of the answer must be a repetition of the answer.

        In a short answer, or in one that ends with its own beginning, these words may be new text.
        """
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
        """Decide `dropped` and `confidence` by the text `beyond` the echo; return True if that was enough."""
        raise NotImplementedError

    def _decide(self, length: int, following: str, confidence: float, *, ended: bool) -> bool:
        """Drop `length` characters and the repeated space after them, or return False while more may come."""
        may_repeat_more_space = len(following) < len(self._space) and self._space.startswith(following)
        if may_repeat_more_space and not ended:
            return False
        self.dropped = length + _common_length(following, self._space)
        self.confidence = confidence
        return True


class PrefixOverlap(Overlap):
    """Finds the new text of a continuation if the answer so far was sent as a prefix to continue.

    Such a continuation does not repeat the answer's last words, so there is nothing to compare. The result
    is certain only if the server is known to continue prefixes. If the server ignores the prefix, the model
    starts over, which only a repetition of the answer's beginning shows.

    Args:
        answer: The text of the answer so far; the prefix is this text without white space at its end.
        echoes: True if the server repeats the prefix first, False if it does not, None if unknown.
        known: True if the server is known to continue a prefix.

    Example:
        >>> overlap = PrefixOverlap("Once upon ", echoes=True)
        >>> overlap.feed("Once upon"), overlap.feed(" a time"), overlap.dropped, overlap.confidence
        (False, True, 10, 1.0)
    """

    def __init__(self, answer: str, *, echoes: bool | None, known: bool = True) -> None:
        super().__init__(answer)
        self._echoes = echoes
        """True if the server repeats the prefix first, False if it does not, None if unknown."""
        self._highest = _SURE if known else _LIKELY
        """The confidence in a continuation that does not seem to repeat the answer's beginning."""
        if echoes is False:
            # There is no echo, so only the answer's first words are compared, in case the model starts over.
            self._compared_text = self._base[:_ANCHOR]

    def _try_to_decide(self, beyond: str, *, ended: bool) -> bool:
        """Decide to drop the whole echo, or only repeated white space; return True if it is decided."""
        if self._echoed_all and self._echoes:
            return self._decide(self._echoed, beyond, _SURE, ended=ended)
        # If nothing is known about the server, only a long and distinct repetition counts as an echo.
        is_long = self._echoed >= _ANCHOR
        if self._echoed_all and self._echoes is None and is_long and self._is_echo_distinct:
            return self._decide(self._echoed, beyond, _DOUBTFUL, ended=ended)
        # Nothing but white space is dropped: the repeated characters count as new text.
        text = self._base[: self._echoed] + beyond
        return self._decide(0, text[: len(self._space)], self._confidence_without_echo(), ended=ended)

    def _confidence_without_echo(self) -> float:
        """Return the confidence in a continuation from which nothing but white space is dropped."""
        if self._echoed >= _ANCHOR and self._base.find(self._base[:_ANCHOR], 1) < 0:
            # The model has written the answer's first words again, which occur nowhere else in the answer:
            # it has probably started over.
            return _BEGUN_AGAIN
        if self._echoes is None and self._echoed_all and self._is_echo_distinct:
            # The echo is too short to be dropped, and too long for chance.
            return UNKNOWN
        # In doubt if the server should have repeated the prefix, or seems to have done so: new text may also
        # begin with the words with which the answer began.
        seems_echoed = self._echoed_all and self._echoes is None
        return _DOUBTFUL if self._echoes or seems_echoed else self._highest


class AskedOverlap(Overlap):
    """Finds the new text of a continuation if the model was asked to begin with the answer's last words.

    The request that continues the broken-off answer quotes these words: the *anchor*.

    Args:
        answer: The text of the answer so far.

    Example:
        >>> overlap = AskedOverlap("Once upon a time there was ")
        >>> overlap.feed("Once upon a time there was a king"), overlap.dropped, overlap.confidence
        (True, 27, 1.0)
    """

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self._compared_text = self._base.lstrip()
        self._anchor = anchor_of(answer)
        self._tail = self._base[-_LONGEST_OVERLAP:]
        """The end of the answer, in which an overlap is searched for."""
        self._leading_space = ""
        """White space before the first word of the continuation."""

    def feed(self, piece: str) -> bool:
        """Take a piece of the continuation; return True once `dropped` and `confidence` are decided.

        White space before the continuation's first word is not compared with the answer.
        """
        # True as long as nothing but white space has arrived.
        if not (self.decided or self._echoed or self._after_echo):
            words = piece.lstrip()
            self._leading_space += piece[: len(piece) - len(words)]
            piece = words
        return super().feed(piece)

    def _try_to_decide(self, beyond: str, *, ended: bool) -> bool:
        """Decide to drop the first of these repetitions that the continuation has; return True once decided.

        1. An echo: the continuation begins with the whole answer.
        2. The anchor: the continuation has the answer's last words at its beginning, or after a preamble.
        3. An overlap: a beginning of the continuation, of any other length, ends the answer.
        """
        if self._echoed_all:
            if not ended and self._may_end_before(beyond):
                return False
            confidence = self._confidence_in(self._compared_text, self._is_echo_distinct, beyond)
            return self._decide(len(self._leading_space) + self._echoed, beyond, confidence, ended=ended)
        text = self._compared_text[: self._echoed] + beyond
        if not ended and self._may_become_repetition(text):
            return False
        # Limited to the tail's length, so that the result does not depend on how the text is cut.
        anchor_at = text.find(self._anchor, 0, _LONGEST_OVERLAP)
        length = self._find_repetition(text, anchor_at)
        if length:
            repeated, beyond = text[:length], text[length:]
            if not ended and self._may_end_before(beyond):
                return False
            confidence = self._confidence_in(repeated, self._is_distinct(repeated), beyond)
            return self._drop_beginning(length, text, confidence, ended=ended)
        # The model may have written a sentence of its own before the anchor.
        if 0 < anchor_at <= _LONGEST_PREAMBLE and self._is_distinct(self._anchor):
            confidence = _DOUBTFUL if _is_preamble(text[:anchor_at]) else UNKNOWN
            return self._drop_beginning(anchor_at + len(self._anchor), text, confidence, ended=ended)
        if not ended and len(text) < _LONGEST_WAIT:
            return False
        # No repetition was found: only white space is dropped.
        self.dropped = _common_length(self._leading_space, self._space)
        # A text that begins like the answer, and then differs, is perhaps the answer written again.
        self.confidence = _BEGUN_AGAIN if self._echoed >= _ANCHOR else UNKNOWN
        return True

    def _may_end_before(self, beyond: str) -> bool:
        """Return True if more text would be one that the answer does not have, because its text had ended."""
        return self._is_closed and not beyond.strip() and len(beyond) < _LONGEST_WAIT

    def _find_repetition(self, text: str, anchor_at: int) -> int:
        """Return the number of characters at the start of `text` that repeat the answer's end; 0 if none."""
        through_anchor = text[: anchor_at + len(self._anchor)]
        if anchor_at >= 0 and self._base.endswith(through_anchor):
            return len(through_anchor)
        lengths = range(min(len(text), len(self._tail)), _SHORTEST_OVERLAP - 1, -1)
        return next((length for length in lengths if self._tail.endswith(text[:length])), 0)

    def _confidence_in(self, repeated: str, is_distinct: bool, beyond: str) -> float:  # noqa: FBT001 - one fact
        """Return the confidence that the first words of a continuation repeat the answer's end.

        A model that was asked to begin with the anchor, and does, is believed. Other repetitions may also be
        new text, unless they are distinct: nowhere else in the answer. What has only a few words in common
        with a text that had ended, and goes on, is another answer.
        """
        if len(repeated) < _SHORTEST_OVERLAP:
            return _LIKELY if self._is_closed and not beyond[:_LONGEST_WAIT].strip() else UNKNOWN
        is_anchor = repeated == self._anchor
        if not is_distinct:
            return _DOUBTFUL if is_anchor else UNKNOWN
        # If the text before the repeated words ends as they do, the answer repeats itself at this distance.
        text_before = self._base[: len(self._base) - len(repeated)].rstrip()
        ends = [text[: -_SHORTEST_OVERLAP - 1 : -1] for text in (text_before, self._base)]
        common_ending = _common_length(*ends)
        if common_ending >= _MIN_PERIODIC:
            return _DOUBTFUL if is_anchor else UNKNOWN
        return _SURE if is_anchor and not common_ending else _LIKELY

    def _drop_beginning(self, length: int, text: str, confidence: float, *, ended: bool) -> bool:
        """Decide to drop `length` characters and space around them; return False while more may come.

        The white space before them is dropped in any case, the white space after them only if it is a
        repetition.
        """
        following = text[length : length + len(self._space)]
        return self._decide(len(self._leading_space) + length, following, confidence, ended=ended)

    def _may_become_repetition(self, text: str) -> bool:
        """Return True if this text may become a repetition of the answer's end when more of it arrives."""
        if len(text) < len(self._anchor) and self._anchor.startswith(text):
            return True
        # True if the text occurs in the answer's end, and more of the answer follows it there.
        return 0 <= self._tail.find(text) < len(self._tail) - len(text)


def _is_preamble(words: str) -> bool:
    """Return True if words before the anchor are a remark of the model, which can be dropped with it.

    They are not if they have several lines, which may be new text of an answer that repeats itself, or open
    something around the text, such as a quotation or a code block, which the model will close again.
    """
    words = words.strip()
    return not ("\n" in words or "```" in words or words.endswith(_WRAPPING))


def _length_repeated_at_end(words: str) -> int:
    """Return the length of the longest beginning of `words` that is also their end, but not all of them.

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
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(index for index in range(length) if one[index] != other[index])


def holds_markers(text: str) -> bool:
    """Return True if a text contains `<last_words>` or `</last_words>`.

    Example:
        >>> holds_markers("<last_words>a king"), holds_markers("the last words")
        (True, False)
    """
    return _MARKER.search(text) is not None


def breaks_line_after_marker(text: str) -> bool:
    """Return True if a line break follows the marker `</last_words>`.

    It is unknown whether the model meant the line break as part of the marker or of the answer's text.
    """
    return _LINE_BREAK_AFTER.search(text) is not None


def without_markers(text: str) -> str:
    r"""Return a whole text without the markers.

    Example:
        >>> without_markers("<last_words>was a king\n</last_words> of Thule")
        'was a king of Thule'
    """
    return _MARKER.sub("", text)


class MarkerFilter:
    """Removes the markers `<last_words>` and `</last_words>` from a text that arrives in pieces.

    Example:
        >>> markers = MarkerFilter()
        >>> markers.feed("a king</last"), markers.feed("_words> of Thule <"), markers.flush()
        ('a king', ' of Thule ', '<')
    """

    def __init__(self) -> None:
        self._held = ""
        """The end of the text so far, if it may be the beginning of a marker."""

    def feed(self, piece: str) -> str:
        """Take the next piece of the text; return the text that is certainly not part of a marker."""
        # Text before and after a marker is not joined to another marker.
        *before, text = _MARKER.split(self._held + piece)
        begun = [
            length
            for marker in _MARKERS
            for length in range(1, len(marker))
            if text.endswith(marker[:length])
        ]
        held = max(begun, default=0)
        self._held = text[len(text) - held :]
        return "".join(before) + text[: len(text) - held]

    def flush(self) -> str:
        """Return the text that was held back as the possible beginning of a marker; no more text follows."""
        held, self._held = self._held, ""
        return held
