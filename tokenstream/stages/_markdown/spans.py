"""Spans in which marks are not emphasis: tags, link destinations, entities, formulas."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 300
"""The most characters of an unfinished link, image, tag or formula; a longer one is text."""
OPEN: Final = -1
"""Returned for a span whose end has not arrived."""

_NAME = r"[A-Za-z][A-Za-z0-9-]*"
_KEY = r"[A-Za-z_:][A-Za-z0-9_.:-]*"
# The repeats are possessive, so nothing is read twice. The end of the text may cut the last value.
_VALUE = r"[^\s\"'=<>`]++|'[^']*+'|\"[^\"]*+\""
_ATTRIBUTES = rf"(?:\s++{_KEY}(?:\s*+=\s*+(?:{_VALUE}))?+)*+"
_HALF_ATTRIBUTES = rf"(?:\s++{_KEY}(?:\s*+=\s*+(?:{_VALUE}|(?:'[^']*+|\"[^\"]*+)?\Z))?+)*+"
_LOCAL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{1,31}"
_WHOLE_TAG = re.compile(
    rf"<{_NAME}{_ATTRIBUTES}\s*/?>"
    rf"|</{_NAME}\s*>"
    r"|<!--(?:>|->|.*?-->)"
    r"|<\?.*?\?>"
    r"|<![A-Za-z][^>]*>"
    r"|<!\[CDATA\[.*?\]\]>"
    rf"|<{_SCHEME}:[^\s<>\x00-\x20]*>"
    rf"|<{_LOCAL}+@[A-Za-z0-9.-]+>",
    re.DOTALL,
)
_HALF_TAG = re.compile(
    rf"<{_NAME}{_HALF_ATTRIBUTES}\s*+/?"
    rf"|</(?:{_NAME}\s*)?"
    r"|<!(?:-(?:-.*)?|[A-Za-z][^>]*|\[[A-Z]*(?:\[.*)?)?"
    r"|<\?.*"
    rf"|<{_SCHEME}:[^\s<>\x00-\x20]*"
    rf"|<[A-Za-z]{_LOCAL}*(?:@[A-Za-z0-9.-]*)?"
    r"|<",
    re.DOTALL,
)
_SWITCHES = (
    "allowfullscreen|async|autofocus|autoplay|checked|controls|default|defer|disabled|hidden|inert|ismap|loop"
    "|multiple|muted|nomodule|novalidate|open|playsinline|readonly|required|reversed|selected"
)
# "if a <b and c is less" could become a tag, but is prose: three words without a value, then a fourth word.
_PROSE = re.compile(rf"<{_NAME}(?:\s+(?!(?:{_SWITCHES})\s){_KEY}(?=\s+[^\s=/>])){{3}}")
_HALF_ENTITY = re.compile(r"&(?:#(?:[xX][0-9a-fA-F]{0,6}|[0-9]{0,7})|[A-Za-z][A-Za-z0-9]{0,31})?")

_DEST_MARK = re.compile(r"[()\\\x00-\x20\x7f]")
_ANGLED = re.compile(r"<(?:[^<>\n\\]|\\[^\n])*+(>?)")
_TITLES = {
    '"': re.compile(r'"(?:[^"\\]|\\.)*+("?)', re.DOTALL),
    "'": re.compile(r"'(?:[^'\\]|\\.)*+('?)", re.DOTALL),
    "(": re.compile(r"\((?:[^()\\]|\\.)*+(\)?)", re.DOTALL),
}
_BLANKS = re.compile(r"[ \t\n]*+")
_DEEPEST = 32

_FORMULA_ENDS = {
    "$": re.compile(r"(?<![\s\\])\$(?=[^0-9])"),
    "$$": re.compile(r"(?<!\\)\$\$"),
    r"\(": re.compile(r"\\\)"),
    r"\[": re.compile(r"\\\]"),
}


def tag_end(text: str, at: int) -> int | None:
    """Return the end of a tag, comment or autolink; OPEN if it has not arrived; None if there is no span.

    Example:
        >>> tag_end("<br>a", 0), tag_end("<a href", 0), tag_end("< b", 0), tag_end("<3", 0)
        (4, -1, None, None)
    """
    if _PROSE.match(text, at, at + LONGEST):
        return None
    whole = _WHOLE_TAG.match(text, at, at + LONGEST)
    if whole is not None:
        return whole.end()
    if len(text) - at <= LONGEST and _HALF_TAG.fullmatch(text, at):
        return OPEN
    return None


def entity_is_open(text: str, at: int) -> bool:
    """Return True if the text ends in a possible character reference.

    Example:
        >>> entity_is_open("a &am", 2), entity_is_open("a & b", 2)
        (True, False)
    """
    return len(text) - at < 40 and _HALF_ENTITY.fullmatch(text, at) is not None


def formula_end(text: str, at: int, mark: str) -> int | None:
    """Return the end of the formula that a mark begins; OPEN if it has not arrived; None for no formula.

    Example:
        >>> formula_end("$x$ y", 0, "$"), formula_end("$x", 0, "$"), formula_end("$ 5", 0, "$")
        (3, -1, None)
    """
    start = at + len(mark)
    if mark == "$" and text[start : start + 1].isspace():
        return None
    end = _FORMULA_ENDS[mark].search(text, start + 1, at + LONGEST)
    if end is not None:
        return end.end()
    return OPEN if len(text) - at <= LONGEST else None


def dest_end(text: str, at: int, scanned: list[int]) -> int | None:
    """Return the end of a link's `(destination "title")`; OPEN if it has not arrived, else None.

    Args:
        text: The text.
        at: The position after the opening parenthesis.
        scanned: State between calls: the end of the scanned part of a bare destination, and the
            nesting depth there. Pass an empty list first; it is modified, so that a destination
            that arrives in many pieces is read only once.

    Example:
        >>> dest_end("(u)", 1, []), dest_end("(u 'a", 1, []), dest_end("(a b", 1, [])
        (3, -1, None)
    """
    size = len(text)
    at = _skip(text, at)
    if at == size:
        return OPEN
    if text[at] == "<":
        angled = _ANGLED.match(text, at)
        if angled is None or not angled[1]:
            return _cut_short(text, at, angled)
        return _after_dest(text, angled.end())
    end = _bare_end(text, at, scanned)
    return end if end is None or end == OPEN else _after_dest(text, end)


def _after_dest(text: str, at: int) -> int | None:
    """Return the position after the `)` that follows a destination and its optional title."""
    start = _skip(text, at)
    title = _TITLES.get(text[start : start + 1]) if start > at else None
    if title is not None:
        found = title.match(text, start)
        if found is None or not found[1]:
            return _cut_short(text, start, found)
        start = _skip(text, found.end())
    if start == len(text):
        return OPEN
    return start + 1 if text[start] == ")" else None


def _cut_short(text: str, at: int, found: re.Match[str] | None) -> int | None:
    """Return OPEN if the text ends in the middle of the span that `found` matched; otherwise None."""
    if found is None or len(text) - at > LONGEST:
        return None
    return OPEN if text[found.end() :] in {"", "\\"} else None


def _bare_end(text: str, at: int, scanned: list[int]) -> int | None:
    """Return the end of a destination without angle brackets; OPEN or None as in `dest_end`."""
    place, depth = scanned or (at, 0)
    while mark := _DEST_MARK.search(text, place):
        place = mark.start()
        character = text[place]
        if character == "(":
            depth += 1
            if depth > _DEEPEST:
                return None
        elif character == ")":
            if not depth:
                return place
            depth -= 1
        elif character != "\\":
            return place if not depth and character in " \t\n" else None
        elif place + 1 == len(text):
            return OPEN
        elif text[place + 1] not in " \t\n":
            place += 1
        place += 1
        scanned[:] = place, depth
    scanned[:] = len(text), depth
    return OPEN


def _skip(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at
