"""Spans in which marks are not emphasis: tags, link destinations, entities, formulas."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 300
"""The most characters of an unfinished link, image, tag or formula; a longer one is text."""
UNFINISHED: Final = -1
"""Returned for a span whose end has not arrived."""

_NAME = r"[A-Za-z][A-Za-z0-9-]*"
_KEY = r"[A-Za-z_:][A-Za-z0-9_.:-]*"
# The repeats are possessive, so nothing is read twice. The end of the text may cut the last value.
_VALUE = r"[^\s\"'=<>`]++|'[^']*+'|\"[^\"]*+\""
_ATTRIBUTES = rf"(?:(?>\s++{_KEY}(?:(?>\s*+=\s*+(?:{_VALUE})))?+))*+"
_HALF_ATTRIBUTES = rf"(?:(?>\s++{_KEY}(?:(?>\s*+=\s*+(?:{_VALUE}|(?:'[^']*+|\"[^\"]*+)?\Z)))?+))*+"
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


def find_tag_end(text: str, position: int) -> int | None:
    """Return the end of a tag, comment or autolink.

    The result is UNFINISHED if the end has not arrived, and None if none of these begins at `position`.

    Example:
        >>> find_tag_end("<br>a", 0), find_tag_end("<a href", 0), find_tag_end("< b", 0)
        (4, -1, None)
    """
    if _PROSE.match(text, position, position + LONGEST):
        # Several words without values, as in "if a <b and c is less": a tag is unlikely.
        return None
    tag = _WHOLE_TAG.match(text, position, position + LONGEST)
    if tag is not None:
        return tag.end()
    if len(text) - position <= LONGEST and _HALF_TAG.fullmatch(text, position):
        return UNFINISHED
    return None


def is_unfinished_entity(text: str, position: int) -> bool:
    """Return True if the text ends in a possible character reference.

    Example:
        >>> is_unfinished_entity("a &am", 2), is_unfinished_entity("a & b", 2)
        (True, False)
    """
    # No character reference has 40 characters.
    return len(text) - position < 40 and _HALF_ENTITY.fullmatch(text, position) is not None


def find_formula_end(text: str, position: int, mark: str) -> int | None:
    """Return the end of the formula that a mark begins.

    The result is UNFINISHED if the end has not arrived, and None if the mark does not begin a formula.

    Example:
        >>> find_formula_end("$x$ y", 0, "$"), find_formula_end("$x", 0, "$"), find_formula_end("$ 5", 0, "$")
        (3, -1, None)
    """
    start = position + len(mark)
    if mark == "$" and text[start : start + 1].isspace():
        # A lone dollar before white space is not the mark of a formula.
        return None
    # A formula has at least one character.
    end = _FORMULA_ENDS[mark].search(text, start + 1, position + LONGEST)
    if end is not None:
        return end.end()
    return UNFINISHED if len(text) - position <= LONGEST else None


def find_dest_end(text: str, position: int, state: list[int]) -> int | None:
    """Return the end of a link's `(destination "title")`.

    The result is UNFINISHED if the end has not arrived, and None if the text is something else.

    Args:
        position: The position after the opening parenthesis.
        state: State between calls: the end of the scanned part of a bare destination, and the
            nesting depth there. Pass an empty list first; it is modified, so that a destination
            that arrives in many pieces is read only once.

    Example:
        >>> find_dest_end("(u)", 1, []), find_dest_end("(u 'a", 1, []), find_dest_end("(a b", 1, [])
        (3, -1, None)
    """
    size = len(text)
    position = _skip_blanks(text, position)
    if position == size:
        return UNFINISHED
    if text[position] == "<":
        match = _ANGLED.match(text, position)
        # The group is the closing mark; without it, the mark may still arrive.
        if match is None or not match[1]:
            return _unfinished_or_none(text, position, match)
        return _find_link_end(text, match.end())
    end = _find_bare_end(text, position, state)
    return end if end is None or end == UNFINISHED else _find_link_end(text, end)


def _find_link_end(text: str, position: int) -> int | None:
    """Return the position after the `)` that follows a destination and its optional title.

    The result is UNFINISHED if the `)` may still arrive, and None if something else follows.

    Args:
        position: The end of the destination.
    """
    start = _skip_blanks(text, position)
    # White space must precede a title.
    title = _TITLES.get(text[start : start + 1]) if start > position else None
    if title is not None:
        match = title.match(text, start)
        # The group is the closing quote or parenthesis, which may still arrive.
        if match is None or not match[1]:
            return _unfinished_or_none(text, start, match)
        start = _skip_blanks(text, match.end())
    if start == len(text):
        return UNFINISHED
    return start + 1 if text[start] == ")" else None


def _unfinished_or_none(text: str, position: int, match: re.Match[str] | None) -> int | None:
    """Return UNFINISHED if the text ends inside a span; otherwise None.

    Args:
        position: The start of the span.
        match: The match of the span's beginning, as far as it goes; None if no span begins there.
    """
    if match is None or len(text) - position > LONGEST:
        return None
    # A backslash at the end waits for the character that it escapes.
    return UNFINISHED if text[match.end() :] in {"", "\\"} else None


def _find_bare_end(text: str, position: int, state: list[int]) -> int | None:
    """Return the end of a destination without angle brackets.

    The result is UNFINISHED if it may go on, and None if it is not a valid destination.

    Args:
        position: The start of the destination.
        state: The position up to which an earlier call has searched, and the number of open parentheses
            there; empty at first. It is updated for the next call.
    """
    index, depth = state or (position, 0)
    while mark := _DEST_MARK.search(text, index):
        index = mark.start()
        character = text[index]
        if character == "(":
            depth += 1
            if depth > _DEEPEST:
                return None
        elif character == ")":
            if not depth:
                return index
            depth -= 1
        elif character != "\\":
            # White space ends the destination; another control character makes it invalid.
            return index if not depth and character in " \t\n" else None
        elif index + 1 == len(text):
            return UNFINISHED
        elif text[index + 1] not in " \t\n":
            # The backslash escapes the next character.
            index += 1
        index += 1
        state[:] = index, depth
    state[:] = len(text), depth
    return UNFINISHED


def _skip_blanks(text: str, position: int) -> int:
    """Return the position after the blanks that begin at a position; the same one if there are none."""
    match = _BLANKS.match(text, position)
    return match.end() if match else position
