"""A text in whole sentences, for speech."""

from __future__ import annotations

import re

from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import WORD_CUT, is_joined, last_boundary
from tokenstream.stages._text.sentence_rules import (
    CLAUSES,
    CLOSERS,
    MARKS,
    ends_clause,
    ends_line,
    ends_sentence,
)
from tokenstream.stages._text.spoken import MarkdownSpeech

_LONGEST = 10_000
_ENDS = r"[.!?…؟۔।॥‼⁇⁈⁉。！？｡։።။។\n\r\x85\u2028\u2029]"  # noqa: RUF001 - as they are written
_END = re.compile(_ENDS)
_END_OR_CLAUSE = re.compile(rf"{_ENDS}|[,;:–—،؛，、；：]|(?<=\s)-")  # noqa: RUF001 - as above
_BLANKS = re.compile(r"\s*+")
_CITATION = re.compile(r"\[\^?\d{1,3}\]")
_HALF_CITATION = re.compile(r"\[(?:\^?\d{0,3})\Z")
_LAST_CLAUSE = re.compile(r"(?s)\s*+\S.*(?:[,;:–—،؛][\"'”’)\]]*\s+|[，、；：])")  # noqa: RUF001 - as above
_LAST_BLANK = re.compile(r"(?s)\s*+\S.*\s")


class Sentences(TextStage):
    r"""A stage that returns a text sentence by sentence, as text-to-speech needs it.

    A sentence includes the white space after it. It is returned when the first character
    of the next sentence arrives, or at the end. The boundaries are those of UAX #29, except
    that none of these ends a sentence: common abbreviations ("Dr.", "e.g.", "U.S."), initials,
    decimals, versions, file names, addresses, the numbers of lists, and anything that closes
    after a full stop: quotes, brackets, emphasis, references such as [1]. A line ending always
    ends a sentence. In doubt, a sentence continues: one that is too long sounds better than
    half a sentence. The pieces joined are the text, unless `spoken` is set.

    Args:
        first: Let the very first piece end at a clause (a comma, a semicolon, a colon, a dash) if it has
            at least this many characters, so that speech starts early. None: only at a sentence.
        longest: A sentence with more characters is cut: at a clause, else between words, else between
            letters. None: 10,000, which no sentence reaches.
        spoken: Leave out Markdown: marks, fenced code, the addresses of links and images, HTML. The text of
            links, images and inline code stays, and table cells are separated by commas.

    Example:
        >>> sentences = Sentences()
        >>> [sentences.feed(piece) for piece in ("Dr. Ada paid 3", ".50. Th", "en she left.")]
        [[], ['Dr. Ada paid 3.50. '], []]
        >>> sentences.end()
        ['Then she left.']
        >>> Sentences(first=4, spoken=True).feed("**Well**, it's `3`. No")
        ['Well, ', "it's 3. "]
    """

    __slots__ = ("_at", "_first", "_held", "_longest", "_mark", "_marked", "_spoken")

    def __init__(self, *, first: int | None = None, longest: int | None = None, spoken: bool = False) -> None:
        self._first = None if first is None else check_whole("first", first)
        self._longest = _LONGEST if longest is None else check_whole("longest", longest)
        self._spoken = MarkdownSpeech() if spoken else None
        self._held = ""
        """The sentence that may still go on."""
        self._at: int = 0
        """Offset in the held text up to which the text was scanned."""
        self._mark: int | None = None
        """Offset of a mark that may end the sentence; None while none is found."""
        self._marked: int | None = None
        """Offset of the end of the marks, quotes and brackets after that mark; None while unknown."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the sentences whose end is certain.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        if self._spoken is not None:
            item = self._spoken.feed(item)
        return self._cut(self._held + item) if item else []

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last sentence.

        Args:
            now: Unused; every stage has this parameter.
        """
        out = [] if self._spoken is None else self._cut(self._held + self._spoken.end())
        held, self._held = self._held, ""
        self._at, self._mark, self._marked = 0, None, None
        if held and not (self._spoken is not None and held.isspace()):
            out.append(held)
        return out

    def _cut(self, text: str) -> list[str]:
        """Return the sentences of a text whose end is certain, and keep the rest."""
        out: list[str] = []
        start = 0
        while self._seek(text):
            mark, marked, at = self._mark or 0, self._marked or 0, self._at
            self._mark = self._marked = None
            start = self._shorten(text, start, at, out)
            if mark < start:
                # The sentence before this mark has been cut already: scan the rest as a new sentence.
                self._at = start
            elif self._first is None and text[mark] in CLAUSES:
                # The first piece has been returned already: from then on, clauses do not count.
                self._at = mark + 1
            elif self._is_end(text, start, mark, marked):
                start = self._emit(text, start, at, out)
        # Half a reference after a mark may belong to the next sentence, so the length does not include it.
        start = self._shorten(text, start, self._at, out)
        if self._mark is not None and self._mark < start:
            self._at, self._mark, self._marked = start, None, None
        self._held = text[start:]
        self._at -= start
        if self._mark is not None:
            self._mark -= start
        if self._marked is not None:
            self._marked -= start
        return out

    def _seek(self, text: str) -> bool:
        """Advance to the character that decides about the next mark; return False if it has not arrived.

        Each character is scanned once, however small the pieces are.
        """
        if self._mark is None:
            match = (_END if self._first is None else _END_OR_CLAUSE).search(text, self._at)
            if match is None:
                self._at = len(text)
                return False
            self._mark = match.start()
            self._at = match.start() if match[0].isspace() else match.end()
        if self._marked is None and not self._pass_marks(text, text[self._mark]):
            return False
        self._at = _end_of(_BLANKS, text, self._at)
        return self._at < len(text)

    def _pass_marks(self, text: str, mark: str) -> bool:
        """Advance past the quotes, brackets and references after a mark; return False if more may come."""
        marks = CLOSERS if mark in CLAUSES else MARKS
        while not mark.isspace():
            self._at = _end_of(marks, text, self._at)
            citation = _CITATION.match(text, self._at)
            if citation is None:
                if self._at == len(text) or _HALF_CITATION.match(text, self._at):
                    return False
                break
            self._at = citation.end()
        self._marked = self._at
        return True

    def _is_end(self, text: str, start: int, mark: int, marked: int) -> bool:
        """Return True if the sentence, or a clause that may be the first piece, ends at this mark.

        Args:
            text: The held text.
            start: Start of the sentence.
            mark: Position of the mark.
            marked: End of the marks, quotes and brackets that follow the mark.
        """
        if is_joined(text[self._at - 1], text[self._at]):
            return False
        if text[mark] not in CLAUSES:
            return ends_sentence(text, start, mark, marked, self._at)
        blanks = text[marked : self._at]
        if ends_line(blanks):
            return True
        return self._first is not None and marked - start >= self._first and ends_clause(text, mark, blanks)

    def _emit(self, text: str, start: int, boundary: int, out: list[str]) -> int:
        """Emit a piece and return its end; after it, clauses no longer end a piece."""
        out.append(text[start:boundary])
        self._first = None
        return boundary

    def _shorten(self, text: str, start: int, boundary: int, out: list[str]) -> int:
        """Cut off pieces while the rest is too long; return the start of the rest."""
        while boundary - start > self._longest:
            start = self._emit(text, start, self._find_cut(text, start), out)
        return start

    def _find_cut(self, text: str, start: int) -> int:
        """Return the place at which to cut a sentence that is too long, regardless of the text after it."""
        most = start + self._longest
        match = _LAST_CLAUSE.match(text, start, most) or _LAST_BLANK.match(text, start, most)
        if match is not None:
            return last_boundary(text, start, match.end())
        boundary = max((found.start() for found in WORD_CUT.finditer(text, start + 1, most + 1)), default=0)
        return boundary if start < boundary <= most else last_boundary(text, start, most)


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return the end of the pattern's match at `at`; `at` itself if there is no match."""
    match = pattern.match(text, at)
    return at if match is None else match.end()
