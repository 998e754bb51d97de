"""A stage that returns a text in whole sentences, for speech, with the rules for their ends."""

from __future__ import annotations

import math
import re

from tokenstream.limits import check_seconds, check_whole
from tokenstream.stages._text import TextStage
from tokenstream.stages._text.scanning import end_of_match
from tokenstream.stages._text.spoken import MarkdownSpeech
from tokenstream.stages._text.units import WORD_CUT, find_last_boundary, is_inside_letter

_WIDE = "。！？｡։።။។"  # noqa: RUF001 - as they are written
"""Marks that end a sentence even without a blank after them."""
_STRONG = "!?؟۔।॥‼⁇⁈⁉"  # noqa: RUF001 - as above
_MARKS_AT_END = f".…{_STRONG}{_WIDE}"
_CLOSING = "\"'”’»›)}*_~`」』》】〉〕〗〙〛〞〟）］｝｠｣"  # noqa: RUF001 - as above
_CLOSING_QUOTES = "」』〟”’）］】》〉"  # noqa: RUF001 - as above
_PARTICLES = "とっをがのはにへ"
"""First letters of Japanese particles, which go on with a sentence after a quotation."""
CLAUSES = ",;:-–—،؛，、；："  # noqa: RUF001 - as above
"""Marks that end a clause, most of them only if a blank follows."""
_UNSPACED = "—，、；："  # noqa: RUF001 - as above
_CONTINUING = frozenset(f"{CLAUSES}{_MARKS_AT_END})]}}")
"""Characters before which a sentence does not end (rule SB8a of UAX #29)."""


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


MARKS = re.compile(rf"[{re.escape(_MARKS_AT_END + _CLOSING)}\]]*+")
"""Full stops and similar marks, with the quotes, brackets and emphasis marks that close after them."""
CLOSERS = re.compile(rf"[{re.escape(_CLOSING)}\]]*+")
_STRONG_MARK = re.compile(f"[{_STRONG}]")
_WIDE_MARK = re.compile(f"[{_WIDE}]")
_LINE_END = re.compile(r"[\n\r\x85\u2028\u2029]")
_BARE = re.compile(r"[\s>#*_+=|•(\[–-]{0,20}(?:(?:\d{1,3}|[A-Za-z]|[ivxlIVXL]{1,5})[.):]{1,2})?[*_]{0,3}")
"""A line start without words: empty, or the bullet or number of a list item."""
_LETTER = re.compile(r"[^\W\d_]\.")

_TITLES = _words(
    "adm atty brig capt cmdr col cpl dr fr gen gov hon lt maj messrs mlle mm mme mr mrs ms mt mx pres prof"
    " rep rev sen sens sgt st ste supt hr dipl ing dres"
)
"""Abbreviations before a name, with a capital letter."""
_NAMES = _words("vs inc ltd co corp bros jr sr phd univ assn dept ave blvd")
_INSIDE = _words("approx ca cf viz al resp incl excl ext ggf bzw evtl vgl sog bspw inkl zzgl env chap éd")
"""Abbreviations that rarely end a sentence; if one does, two sentences are returned as one."""
_NUMBERED = _words(
    "no nos nr num n° max min tel op rs p pp s fig figs abb tab vol vols ch sec sect art eq ver v par para"
    " abs bd aufl anm kap"
    " jan feb mar apr jun jul aug sep sept oct nov dec"
)
"""Abbreviations before a number; some of them are words as well."""
_AT_THE_END_TOO = _words("a.m p.m")
_WITH_DOTS = _words("ph.d m.sc b.sc ed.d ll.m ll.b b.eng et.al p.ex")
_SEARCHED = 20
"""The number of characters before a full stop that are searched for an abbreviation."""
_OPENING = "\"'“„‘‚«‹([{*_`~—–/"  # noqa: RUF001 - as above


def ends_line(blanks: str) -> bool:
    """Return True if white space contains a line ending, which also ends the sentence (rule SB4)."""
    return _LINE_END.search(blanks) is not None


def ends_sentence(text: str, start: int, mark_at: int, marks_end: int, next_at: int) -> bool:
    """Return True if a sentence ends at a mark, judged by the text up to the first character after it."""
    if _BARE.fullmatch(text, start, marks_end):
        # The mark belongs to the number of a list item, such as "1."
        return False
    if ends_line(text[marks_end:next_at]):
        return True
    marks, following = text[mark_at:marks_end], text[next_at]
    closes_quote = following == "»" and text.rfind("«", start, mark_at) >= 0
    if following in _CONTINUING or closes_quote:
        return False
    if marks[-1] in _CLOSING_QUOTES and next_at == marks_end and following in _PARTICLES:
        # In 「行くよ。」と言った。, the quotation is a part of the sentence.
        return False
    if _WIDE_MARK.search(marks):
        # A full-width full stop or the like needs no blank after it.
        return True
    # A question mark or an exclamation mark.
    is_strong = _STRONG_MARK.search(marks) is not None
    if next_at == marks_end:
        # Without a blank, the mark is part of a name, an address or a number, except before kana and Han.
        return is_strong and "\u3040" <= following <= "\u9fff"
    if following.islower():
        # In `"Really?" she asked`, the quote after the mark shows that the sentence continues.
        return is_strong and marks[-1] in _MARKS_AT_END
    is_ellipsis = marks.startswith(("..", "…"))
    return is_strong or is_ellipsis or not _is_abbreviated(text, start, mark_at, following)


def _is_abbreviated(text: str, start: int, mark_at: int, following: str) -> bool:
    """Return True if a full stop belongs to an abbreviation within a sentence."""
    before = text[max(start, mark_at - _SEARCHED) : mark_at]
    if not before or before[-1].isspace():
        # No word precedes the full stop directly.
        return False
    words = before.split()
    word = words[-1].lstrip(_OPENING)
    name = word.lower()
    if name in _AT_THE_END_TOO:
        return False
    if len(word) == 1 and word.isalpha() and word.isupper():
        # An initial; "I" counts as an initial only after a capitalised word.
        return word != "I" or (len(words) > 1 and words[-2][0].isupper())
    if word == "z" and following == "B":
        # The German "z. B.": without this rule, the capital would begin a sentence.
        return True
    is_short = len(word) == 1 or word == "ex"
    if is_short and len(words) > 1 and _LETTER.fullmatch(words[-2]):
        # The last part of an abbreviation that is written with blanks: "u. a.", "p. ex."
        return True
    if "." in word:
        # The known ones, and single letters between full stops, such as "e.g" and "U.S".
        return name in _WITH_DOTS or all(len(letter) == 1 and letter.isalpha() for letter in name.split("."))
    if name in _NUMBERED and following.isdigit():
        return True
    # These rarely end a sentence; a title such as "Dr.", before a name, has a capital letter.
    return word in _INSIDE or name in _NAMES or (name in _TITLES and word[0].isupper())


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
        spoken: Read Markdown as a CommonMark renderer shows it, but leave out code blocks, addresses in
            angle brackets, and HTML. The text of links, images and inline code stays, and table cells
            are separated by commas. A line with a bar waits for the next one, which may make it a table.

    Example:
        >>> sentences = Sentences()
        >>> [sentences.feed(piece) for piece in ("Dr. Ada paid 3", ".50. Th", "en she left.")]
        [[], ['Dr. Ada paid 3.50. '], []]
        >>> sentences.end()
        ['Then she left.']
        >>> Sentences(first=4, spoken=True).feed("**Well**, it's `3`. No")
        ['Well, ', "it's 3. "]
    """

    def __init__(self, *, first: int | None = None, longest: int | None = None, spoken: bool = False) -> None:
        # None if clauses do not count: without `first`, and once the first piece has been returned.
        self._min_first = None if first is None else check_whole("first", first)
        self._longest = _LONGEST if longest is None else check_whole("longest", longest)
        self._spoken = MarkdownSpeech() if spoken else None
        self._held = ""
        """The sentence that may still go on."""
        self._scanned_to = 0
        """Offset in the held text up to which the text was scanned."""
        self._mark_at: int | None = None
        """Offset of a mark that may end the sentence; None while none is found."""
        self._marks_end: int | None = None
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
        """Return the rest of the text: the last sentence, or with `spoken` perhaps several.

        Args:
            now: Unused; every stage has this parameter.
        """
        # `MarkdownSpeech` has held some text back, too, in which further sentences may end.
        out = [] if self._spoken is None else self._cut(self._held + self._spoken.end())
        held, self._held = self._held, ""
        self._scanned_to, self._mark_at, self._marks_end = 0, None, None
        # White space alone cannot be spoken.
        if held and not (self._spoken is not None and held.isspace()):
            out.append(held)
        return out

    def _cut(self, text: str) -> list[str]:
        """Return the sentences of a text whose end is certain, and keep the rest."""
        out: list[str] = []
        start = 0
        while (mark := self._find_next_mark(text)) is not None:
            mark_at, marks_end = mark
            next_start = self._scanned_to
            start = self._cut_overlong(text, start, next_start, out)
            if mark_at < start:
                # The sentence before this mark has been cut already: scan the rest as a new sentence.
                self._scanned_to = start
            elif self._min_first is None and text[mark_at] in CLAUSES:
                # The first piece has been returned already: from then on, clauses do not count.
                self._scanned_to = mark_at + 1
            elif self._is_end(text, start, mark_at, marks_end):
                start = self._emit(text, start, next_start, out)
        # Half a reference after a mark may belong to the next sentence, so the length does not include it.
        self._keep(text, self._cut_overlong(text, start, self._scanned_to, out))
        return out

    def _keep(self, text: str, start: int) -> None:
        if self._mark_at is not None and self._mark_at < start:
            # The text with this mark has been cut off: look for another mark in the rest.
            self._scanned_to, self._mark_at, self._marks_end = start, None, None
        # The offsets are relative to the held text.
        self._held = text[start:]
        self._scanned_to -= start
        if self._mark_at is not None:
            self._mark_at -= start
        if self._marks_end is not None:
            self._marks_end -= start

    def _find_next_mark(self, text: str) -> tuple[int, int] | None:
        """Find a mark that may end a sentence, and the end of its quotes; None until both have arrived.

        Afterwards, the text is scanned up to the first character after the mark and its white
        space: that character decides whether the mark ends the sentence. Each character is
        scanned once, however small the pieces are.
        """
        if self._mark_at is None:
            match = (_END if self._min_first is None else _END_OR_CLAUSE).search(text, self._scanned_to)
            if match is None:
                self._scanned_to = len(text)
                return None
            self._mark_at = match.start()
            # A line ending is a mark, and also belongs to the white space after the mark.
            self._scanned_to = match.start() if match[0].isspace() else match.end()
        mark_at, marks_end = self._mark_at, self._marks_end
        if marks_end is None:
            marks_end = self._marks_end = self._skip_closing_marks(text, text[mark_at])
        if marks_end is None:
            return None
        self._scanned_to = end_of_match(_BLANKS, text, self._scanned_to)
        if self._scanned_to == len(text):
            return None
        # The next call looks for another mark.
        self._mark_at = self._marks_end = None
        return mark_at, marks_end

    def _skip_closing_marks(self, text: str, mark: str) -> int | None:
        """Advance past the quotes and references after a mark; return their end, None if more may come."""
        if not mark.isspace():
            # After the end of a sentence, further marks may follow, as in "?!".
            closing = CLOSERS if mark in CLAUSES else MARKS
            self._scanned_to = end_of_match(closing, text, self._scanned_to)
            while (citation := _CITATION.match(text, self._scanned_to)) is not None:
                self._scanned_to = end_of_match(closing, text, citation.end())
            if self._scanned_to == len(text) or _HALF_CITATION.match(text, self._scanned_to):
                return None
        return self._scanned_to

    def _is_end(self, text: str, start: int, mark_at: int, marks_end: int) -> bool:
        """Return True if the sentence, or a clause that may be the first piece, ends at this mark."""
        next_start = self._scanned_to
        # The next character belongs to the letter before it, so no sentence begins there.
        if is_inside_letter(text, next_start):
            return False
        if text[mark_at] not in CLAUSES:
            return ends_sentence(text, start, mark_at, marks_end, next_start)
        blanks = text[marks_end:next_start]
        if ends_line(blanks):
            return True
        is_long_enough = self._min_first is not None and marks_end - start >= self._min_first
        # No blank follows the full-width marks in `_UNSPACED`, nor a comma within a number.
        return is_long_enough and (text[mark_at] in _UNSPACED or bool(blanks))

    def _emit(self, text: str, start: int, boundary: int, out: list[str]) -> int:
        """Append a piece to `out`, and return its end; only the first piece may end at a clause."""
        out.append(text[start:boundary])
        self._min_first = None
        return boundary

    def _cut_overlong(self, text: str, start: int, end: int, out: list[str]) -> int:
        """Cut pieces off a sentence while it is too long; return the start of the rest."""
        while end - start > self._longest:
            start = self._emit(text, start, self._find_cut(text, start), out)
        return start

    def _find_cut(self, text: str, start: int) -> int:
        """Return the place to cut an overlong sentence: after a clause, else a word, else a letter."""
        latest = start + self._longest
        clause = _LAST_CLAUSE.match(text, start, latest)
        if clause is not None:
            return find_last_boundary(text, start, clause.end())
        return _find_word_end(text, start, latest) or find_last_boundary(text, start, latest)


def _find_word_end(text: str, start: int, latest: int) -> int | None:
    """Return the last place between two words, up to `latest`, with the blanks there; None without one."""
    match = _LAST_BLANK.match(text, start, latest)
    if match is not None:
        return find_last_boundary(text, start, match.end())
    # Scripts without blanks have boundaries between words, too.
    cuts = (match.start() for match in WORD_CUT.finditer(text, start + 1, latest + 1))
    boundary = max(cuts, default=0)
    return boundary if start < boundary <= latest else None


class TimelySentences(Sentences):
    """A stage as `Sentences`, which holds no whole word for longer than `max_delay`.

    If a sentence takes longer, its words so far are a piece; what looks like its end is one without waiting
    for the next sentence. A word that is not whole waits for its end.

    Args:
        max_delay: The longest time to hold whole words, in seconds.

    Raises:
        MisuseError: `max_delay` is not a number above 0.
    """

    def __init__(
        self, max_delay: float, *, first: int | None = None, longest: int | None = None, spoken: bool = False
    ) -> None:
        super().__init__(first=first, longest=longest, spoken=spoken)
        self._max_delay = check_seconds("max_delay", max_delay)
        self._due = 0.0
        """The clock reading at which the held text is due; minus infinity if it was, without a whole word."""

    @property
    def deadline(self) -> float | None:
        """The clock reading at which words are due; None while none are held, or none is whole."""
        return self._due if self._held and self._due > -math.inf else None

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the sentences whose end is certain, and the words that are due."""
        held_before = self._held
        out = super().feed(item)
        if out or not held_before:
            self._due = now + self._max_delay
        return out + self.tick(now)

    def tick(self, now: float) -> list[str]:
        """Return the words that are due; none are due before `deadline`."""
        text, out = self._held, list[str]()
        if not text or now < self._due:
            return out
        # After a mark that may end the sentence, only its closing quotes and blanks have come.
        end = _find_word_end(text, 0, len(text)) if self._mark_at is None else len(text)
        if end is not None:
            self._keep(text, self._emit(text, 0, end, out))
        self._due = -math.inf if end is None else now + self._max_delay
        return out
