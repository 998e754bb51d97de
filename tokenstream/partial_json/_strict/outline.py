"""Outlines of pieces of a document: the brackets that a piece closes, and those that it leaves open."""

from __future__ import annotations

from array import array
from itertools import accumulate

_MARKS = b'[{]}"'
_ALL_BUT_MARKS = bytes(set(range(256)) - set(_MARKS))
_ALL_BUT_OPENERS = bytes(set(range(256)) - set(b"[{"))
_DEPTH_CHANGES = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""Maps each bracket to the change of depth, as a signed byte: 1 or -1."""
_MOST_PASSES = 32
"""Maximum passes over the brackets in which pairs that enclose nothing, such as `[]`, are removed."""
_SHORT = 20_000
"""In texts up to this length, counting the opening brackets usually shows that the depth is allowed."""
_MOST_SPACE = 64
"""Maximum white space that is expected before a string, in characters."""
_SPACE = " \t\n\r"
_MEMBERS = ('": "', '":"')
"""Text between a key and the string that is its value, including the quotes."""
_LONG = 256
"""An open string at the end of a piece is read separately from this length on, in characters."""
_BOUNDARIES = ",]}[{"
"""Characters next to which a piece may be cut so that the part before is whole elements and members."""


def blank_escapes(text: str) -> str:
    r"""Return a text of the same length without escaped quotes: every quote begins or ends a string.

    Example:
        >>> blank_escapes(r'"\\", "\""')
        '"  ", "  "'
    """
    return text.replace("\\\\", "  ").replace('\\"', "  ") if "\\" in text else text


def find_open_string(text: str) -> int:
    """Return the start of a long string value that the piece may leave open; 0 if there is none.

    Reading that string separately takes half the time of searching it for brackets.

    Args:
        text: The piece.

    Example:
        >>> find_open_string('{"text": "' + "much " * 100), find_open_string('{"text": "little')
        (10, 0)
    """
    # The two ways to write the text between a key and its string: with a space, and without.
    spaced, dense = _MEMBERS
    if "\\" not in text:
        start = text.rfind('"') + 1
        if len(text) - start < _LONG or not text[max(0, start - len(spaced)) : start].endswith(_MEMBERS):
            return 0
    else:
        # The last quote may be escaped. A colon between quotes is outside of strings: inside a
        # string, these quotes would be escaped, so there would be a backslash between them.
        start = text.rfind(spaced) + len(spaced)
        if start < len(spaced):
            # Not found.
            start = text.rfind(dense) + len(dense)
    # Without a match, the start is smaller than the text that was searched for.
    return start if start > len(spaced) and len(text) - start >= _LONG else 0


def outline(text: str, *, in_string: bool = False) -> tuple[int, bytes, bool, int] | None:
    """Return the brackets that a piece closes, and those that it leaves open.

    Args:
        text: The piece, without escaped quotes (see `blank_escapes`).
        in_string: True if the piece begins inside a string.

    Returns:
        The number of containers before the piece that it closes; the brackets that it leaves
        open; True if the piece ends inside a string; an upper bound on the nesting within the piece. None
        if the brackets cannot belong to JSON, or are nested too deeply.

    Example:
        >>> outline('{"a": [{"b": 1}, {"c": "d'), outline('e"}]', in_string=True)
        ((0, b'{[{', True, 5), (2, b'', False, 0))
    """
    brackets, in_string = _collect_brackets(text, in_string=in_string)
    size, passes = len(brackets), 0
    # Each pass removes the innermost pairs, until only the brackets without a partner are left. The work is
    # limited, because each pass over brackets that are nested very deeply removes only a few.
    remaining_work = _MOST_PASSES * size
    while size and remaining_work > 0:
        remaining_work -= size
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == size:
            break
        size = len(brackets)
        passes += 1
    opened = brackets.lstrip(b"]}")
    if b"]" in opened or b"}" in opened:
        return None
    closed_count = size - len(opened)
    # Each pass removes two levels at most: `[]`, and then a `{}` around it.
    max_depth = len(opened) + 2 * passes
    return closed_count, opened, in_string, max_depth


def _collect_brackets(text: str, *, in_string: bool) -> tuple[bytes, bool]:
    """Return the brackets outside of strings, and True if the text ends inside a string.

    Args:
        text: The text, without escaped quotes.
        in_string: True if the text begins inside a string.
    """
    marks = text.encode("utf-8", "surrogatepass").translate(None, _ALL_BUT_MARKS)
    if in_string:
        # The quote that began the string is in an earlier text.
        marks = b'"' + marks
    # Usually no string contains a bracket. The two quotes of a string are then neighbours, and are removed.
    marks = marks.replace(b'""', b"")
    in_string = marks[-1:] == b'"'
    if in_string:
        marks = marks[:-1]
    if b'"' not in marks:
        return marks, in_string
    # Every second part is between the quotes of a string.
    parts = marks.split(b'"')
    # The text ends inside a string if the number of quotes is odd, together with the one cut off above.
    quote_count = len(parts) - 1 + in_string
    return b"".join(parts[::2]), quote_count % 2 == 1


def is_nested_at_most(text: str, max_depth: int) -> bool:
    """Return True if the nesting of a JSON text is at most `max_depth` levels deep.

    Example:
        >>> is_nested_at_most("[[1]]", 2), is_nested_at_most("[[1]]", 1)
        (True, False)
    """
    if (
        len(text) < _SHORT
        and len(text.encode("utf-8", "surrogatepass").translate(None, _ALL_BUT_OPENERS)) <= max_depth
    ):
        # All opening brackets together, even those in strings, would not be too deep.
        return True
    blanked = blank_escapes(text)
    outlined = outline(blanked)
    if outlined is not None and outlined[3] <= max_depth:
        # Even an upper bound on the depth is small enough.
        return True
    brackets, _ = _collect_brackets(blanked, in_string=False)
    # The exact depth, one bracket at a time.
    return max(accumulate(array("b", brackets.translate(_DEPTH_CHANGES))), default=0) <= max_depth


def find_last_boundary(text: str, *, in_string: bool, in_object: bool) -> int:
    """Return the length of the prefix that closing quotes and brackets would make whole; 0 if there is none.

    The prefix has all elements and members that are certain to be complete, but not the comma after them.
    If a string that is a value follows them, the prefix includes that string; if the string is open at the
    end of the piece, only its opening quote.

    Args:
        text: The piece, without escaped quotes.
        in_string: True if the piece ends inside a string.
        in_object: True if the innermost open container is an object.

    Example:
        >>> text = '{"a": 1, "b": "c'
        >>> find_last_boundary(text, in_string=True, in_object=True), text[:15]
        (15, '{"a": 1, "b": "')
        >>> find_last_boundary(text[:13], in_string=False, in_object=True), text[:7]
        (7, '{"a": 1')
    """
    last_quote = opening_quote = text.rfind('"')
    if not in_string:
        after_quote = text[last_quote + 1 :]
        boundary = max(map(after_quote.rfind, _BOUNDARIES))
        if boundary >= 0:
            # Before a comma, or after a bracket.
            is_bracket = after_quote[boundary] != ","
            return last_quote + 1 + boundary + is_bracket
        if last_quote < 0:
            return 0
        # The last string of the piece is whole.
        opening_quote = text.rfind('"', 0, last_quote)
    # The character before the last string, without the white space between them.
    char_before = text[max(0, opening_quote - _MOST_SPACE) : max(0, opening_quote)].rstrip(_SPACE)[-1:]
    is_value = char_before == ":" or (char_before and not in_object)
    if is_value and in_string:
        return opening_quote + 1
    if is_value:
        string_end = last_quote + 1
        is_last = not text[string_end:].strip(_SPACE)
        return string_end if is_last else 0
    # The string is a key: exclude it.
    if char_before == ",":
        return text.rfind(",", 0, opening_quote)
    return text.rfind("{", 0, opening_quote) + 1 if char_before == "{" else 0
