"""How a piece of JSON that is cut at both ends stands: what it closes, leaves open, and ends in."""

from __future__ import annotations

from array import array
from itertools import accumulate

__all__ = ["is_nested_at_most", "last_border", "open_string_at", "outline", "without_escapes"]

_MARKS = b'[{]}"'
_NO_MARKS = bytes(set(range(256)) - set(_MARKS))
_NO_OPENERS = bytes(set(range(256)) - set(b"[{"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_MOST_LOOKS = 32
"""How often all brackets may be looked at for pairs: each time those go that have nothing inside."""
_SHORT = 20_000
"""Characters up to which the brackets of a text are mostly few enough to be counted."""
_GAP = 64
"""Characters of white space before a string, at most."""
_SPACE = " \t\n\r"
_MEMBERS = ('": "', '":"')
"""How the string of a member begins, behind its key."""
_LONG = 256
"""Characters of an open string from which on it is read apart."""
_BORDERS = ",]}[{"


def without_escapes(text: str) -> str:
    r"""Return a text as long as it was, in which every quote begins or ends a string.

    Example:
        >>> without_escapes(r'"\\", "\""')
        '"  ", "  "'
    """
    return text.replace("\\\\", "  ").replace('\\"', "  ") if "\\" in text else text


def open_string_at(text: str) -> int:
    """Return where the string of a member begins that a piece may leave open; 0 where none is long.

    To look how the brackets of a piece stand takes twice as long as to read its string.

    Args:
        text: The piece.

    Example:
        >>> open_string_at('{"text": "' + "much " * 100), open_string_at('{"text": "little')
        (10, 0)
    """
    if "\\" not in text:
        start = text.rfind('"') + 1
        if len(text) - start < _LONG or not text[max(0, start - 4) : start].endswith(_MEMBERS):
            return 0
    else:
        # In a string the quote before the colon is escaped, and so is the one behind it.
        start = text.rfind(_MEMBERS[0]) + len(_MEMBERS[0])
        if start < len(_MEMBERS[0]):
            start = text.rfind(_MEMBERS[1]) + len(_MEMBERS[1])
    return start if start > len(_MEMBERS[0]) and len(text) - start >= _LONG else 0


def outline(text: str, *, in_string: bool = False) -> tuple[int, bytes, bool, int] | None:
    """Return how the brackets of a piece stand to those around it.

    Args:
        text: The piece, without escapes of quotes.
        in_string: Whether it begins in a string.

    Returns:
        How many objects and arrays it closes that were open before, the brackets that it opens and leaves
        open, whether it ends in a string, and how deep it is at most. None where its brackets
        fit nowhere, or too many are inside each other.

    Example:
        >>> outline('{"a": [{"b": 1}, {"c": "d'), outline('e"}]', in_string=True)
        ((0, b'{[{', True, 5), (2, b'', False, 0))
    """
    marks, in_string = _brackets(text, in_string=in_string)
    size, passes = len(marks), 0
    spare = _MOST_LOOKS * size
    while size and spare > 0:
        spare -= size
        marks = marks.replace(b"[]", b"").replace(b"{}", b"")
        if len(marks) == size:
            break
        size = len(marks)
        passes += 1
    opened = marks.lstrip(b"]}")
    if b"]" in opened or b"}" in opened:
        return None
    return size - len(opened), opened, in_string, len(opened) + 2 * passes


def _brackets(text: str, *, in_string: bool) -> tuple[bytes, bool]:
    """Return the brackets that are in no string, and whether the text ends in one."""
    marks = text.encode("utf-8", "surrogatepass").translate(None, _NO_MARKS)
    if in_string:
        marks = b'"' + marks
    # Mostly no string has a bracket in it, and nothing is left of the quotes.
    marks = marks.replace(b'""', b"")
    in_string = marks[-1:] == b'"'
    if in_string:
        marks = marks[:-1]
    if b'"' not in marks:
        return marks, in_string
    parts = marks.split(b'"')
    return b"".join(parts[::2]), len(parts) % 2 == in_string


def is_nested_at_most(text: str, room: int) -> bool:
    """Return whether no more than `room` objects and arrays are inside each other in a JSON text.

    Example:
        >>> is_nested_at_most("[[1]]", 2), is_nested_at_most("[[1]]", 1)
        (True, False)
    """
    if len(text) < _SHORT and len(text.encode("utf-8", "surrogatepass").translate(None, _NO_OPENERS)) <= room:
        return True
    plain = without_escapes(text)
    found = outline(plain)
    if found is not None and found[3] <= room:
        return True
    brackets, _ = _brackets(plain, in_string=False)
    return max(accumulate(array("b", brackets.translate(_STEPS))), default=0) <= room


def last_border(text: str, *, in_string: bool, in_object: bool) -> int:
    """Return how much of a piece can be read if what is open behind it is closed; 0 where nothing can.

    That is all but the last element or member, unless that is a string: it may be cut. For a member
    that is whole it is the comma behind it.

    Args:
        text: The piece, without escapes of quotes.
        in_string: Whether it ends in a string.
        in_object: Whether what is open last is an object.

    Example:
        >>> text = '{"a": 1, "b": "c'
        >>> last_border(text, in_string=True, in_object=True), text[:15]
        (15, '{"a": 1, "b": "')
        >>> last_border(text[:13], in_string=False, in_object=True), text[:7]
        (7, '{"a": 1')
    """
    behind = 0
    quote = text.rfind('"')
    if not in_string:
        tail = text[quote + 1 :]
        border = max(map(tail.rfind, _BORDERS))
        if border >= 0:
            return quote + 1 + border + (tail[border] != ",")
        if quote < 0:
            return 0
        behind = quote + 1
        quote = text.rfind('"', 0, quote)
    mark = text[max(0, quote - _GAP) : max(0, quote)].rstrip(_SPACE)[-1:]
    if mark == ":" or (mark and not in_object):
        return quote + 1 if in_string else behind if not text[behind:].strip(_SPACE) else 0
    if mark == ",":
        return text.rfind(",", 0, quote)
    return text.rfind("{", 0, quote) + 1 if mark == "{" else 0
