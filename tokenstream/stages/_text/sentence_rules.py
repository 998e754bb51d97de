"""Rules for the end of a sentence: those of UAX #29, and lists of abbreviations, which UAX #29 lacks."""

from __future__ import annotations

import re

_WIDE = "。！？｡։።။។"  # noqa: RUF001 - as they are written
"""Marks that end a sentence even without a blank after them."""
_STRONG = "!?؟۔।॥‼⁇⁈⁉"  # noqa: RUF001 - as above
_ENDS = f".…{_STRONG}{_WIDE}"
_CLOSING = "\"'”’»›)}*_~`」』》】〉〕〗〙〛〞〟）］｝｠｣"  # noqa: RUF001 - as above
_CLOSING_QUOTES = "」』〟”’）］】》〉"  # noqa: RUF001 - as above
_PARTICLES = "とっをがのはにへ"
"""First letters of Japanese particles, which go on with a sentence after a quotation."""
CLAUSES = ",;:-–—،؛，、；："  # noqa: RUF001 - as above
"""Marks that end a clause, most of them only if a blank follows."""
_UNSPACED = "—，、；："  # noqa: RUF001 - as above
_CONTINUING = frozenset(f"{CLAUSES}{_ENDS})]}}")
"""Characters before which a sentence does not end (rule SB8a of UAX #29)."""


def _words(listed: str) -> frozenset[str]:
    """Return the words in a list that is separated by white space."""
    return frozenset(listed.split())


MARKS = re.compile(rf"[{re.escape(_ENDS + _CLOSING)}\]]*+")
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


def ends_clause(text: str, mark_at: int, blanks: str) -> bool:
    """Return True if a comma or a similar mark ends a clause; within a number, it does not.

    Args:
        text: The text so far.
        mark_at: Position of the mark.
        blanks: The white space after the mark.
    """
    # No blank follows the full-width marks in `_UNSPACED`, nor a comma within a number.
    return text[mark_at] in _UNSPACED or bool(blanks)


def ends_sentence(text: str, start: int, mark_at: int, marks_end: int, next_at: int) -> bool:
    """Return True if a sentence ends at a mark, judged by the text up to the first character after it.

    Args:
        text: The text so far.
        start: Start of the sentence.
        mark_at: Position of the sentence's full stop, of a similar mark, or of the line ending.
        marks_end: End of the marks, quotes and brackets that follow the mark.
        next_at: Position of the first character after the white space.
    """
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
        return is_strong and marks[-1] in _ENDS
    is_ellipsis = marks.startswith(("..", "…"))
    return is_strong or is_ellipsis or not _is_abbreviated(text, start, mark_at, following)


def _is_abbreviated(text: str, start: int, mark_at: int, following: str) -> bool:
    """Return True if a full stop belongs to an abbreviation within a sentence.

    Args:
        text: The text so far.
        start: Start of the sentence.
        mark_at: Position of the full stop.
        following: The first character after the white space.
    """
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
