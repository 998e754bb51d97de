"""Reading of text from the middle of a document with a JSON parser in C.

The brackets of containers that are open before the text are written in front of it, and
the brackets that close the containers still open after it are written behind it. The result
is a whole document; the parts of its value are merged into the containers that were open.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from json.scanner import make_scanner
from typing import TYPE_CHECKING, Any, NoReturn

from tokenstream.partial_json._document import Frame
from tokenstream.partial_json._strict.grammar import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    COLON,
    END,
    FIRST_ELEMENT,
    FIRST_KEY,
    IN_STRING,
    KEY,
    VALUE,
)
from tokenstream.partial_json._strict.numbers import MOST_DIGITS
from tokenstream.partial_json._strict.outline import (
    blank_escapes,
    find_last_boundary,
    find_open_string,
    is_nested_at_most,
    outline,
)
from tokenstream.partial_json._strict.strings import count_decided, decode_open_string

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._document import Document

_STEP = 512
"""Only every 512th character is tested first: a number of too many digits contains at least two of them."""
_TWO_DIGITS = re.compile("[0-9][0-9]").finditer

_MARK = "\x13"
"""Written in place of a key, and at the end of an open string, so that part of a document is valid JSON."""
_WRITTEN_MARK = r"\u0013"
"""The only form in which a JSON text can contain the placeholder `_MARK`."""
_MEMBER = f'"{_WRITTEN_MARK}":'
_REOPENING_OUTER = {dict: "{" + _MEMBER, list: "["}
"""Maps the class of a container to the text that reopens it, if another container is open in it."""
_REOPENING_STRING = {cls: opening + '"' for cls, opening in _REOPENING_OUTER.items()}
"""Maps the class of the innermost container to the text that reopens it with an open string in it."""
_REOPENING = {
    dict: {
        id(FIRST_KEY): "{",
        id(KEY): f"{{{_MEMBER}0,",
        id(COLON): f'{{"{_WRITTEN_MARK}"',
        id(VALUE): f"{{{_MEMBER}",
        id(AFTER_FIELD): f"{{{_MEMBER}0 ",
    },
    list: {id(FIRST_ELEMENT): "[", id(VALUE): "[0,", id(AFTER_ELEMENT): "[0 "},
}
"""Maps the class of the innermost container, and the state in it, to the text that reopens it."""
_END_PLACEHOLDERS = {
    b"{": (f",{_MEMBER}0", f"{_MEMBER}0"),
    b"[": (f',"{_WRITTEN_MARK}"', f'"{_WRITTEN_MARK}"'),
}
"""Maps a bracket to the placeholder at its container's end: with values before it, and if it is empty."""
_STATE_AFTER = {dict: (AFTER_FIELD, FIRST_KEY), list: (AFTER_ELEMENT, FIRST_ELEMENT)}
"""Maps the innermost open container's class to the next state: with values in it, and if it is empty."""
_BRACKETS: dict[type, bytes] = {dict: b"{", list: b"["}
"""Maps the class of a container to its opening bracket."""
_CLASS_BY_FIRST = {ord("{"): dict, ord("["): list, ord('"'): str}
"""Maps the first character of a value to the class of the value."""
_CLOSERS = bytes.maketrans(b"[{", b"]}")
"""Translates opening brackets to closing ones."""
_SIGNS = {b"{": "{", b"[": "["}
"""Maps an opening bracket as bytes to the bracket as text."""
_CLOSING_BRACKETS = {"{": "}", "[": "]"}
"""Maps each opening bracket to the closing one."""


def _refuse(word: str) -> NoReturn:
    """Raise an error for NaN and the infinities, which `json` accepts although they are not JSON."""
    raise ValueError(word)


_decoder: Any = JSONDecoder(parse_constant=_refuse)
_scan: Any = make_scanner(_decoder)


def may_be_too_long(text: str) -> bool:
    """Return True if a run of digits is so long that a number in it may exceed the limit."""
    if len(text) <= MOST_DIGITS:
        return False
    # Characters at a distance of `_STEP` are samples. Where two samples in a row are digits, the characters
    # between them are looked at, too.
    starts = (match.start() * _STEP for match in _TWO_DIGITS(text[::_STEP]))
    return any(text[start : start + _STEP].isdigit() for start in starts)


def _scan_value(text: str) -> tuple[Any, int] | None:
    """Return the value at the start of a text, and its end; None if `json` cannot read the text.

    The result is also None if a number in the text may have too many digits.
    """
    try:
        value, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    return None if may_be_too_long(text) else (value, end)


def read_run(document: Document, state: object, text: str) -> tuple[int, Any] | None:
    """Read as much of a text as possible with the C code of the module `json`.

    Args:
        document: Receives the values.
        state: The state of the reader: the table for the next character, or `IN_STRING` inside a string (not
            inside an escape).
        text: The text; if the document has not begun, its first character is a bracket.

    Returns:
        The number of characters read, and the new state; None if the C code cannot read the text.
    """
    if not document.frames and _CLOSING_BRACKETS[text[0]] == text.rstrip()[-1]:
        # The text seems to be the whole document.
        whole = _scan_value(text)
        if whole is not None and is_nested_at_most(text, document.max_depth):
            document.root = whole[0]
            document.has_value = document.complete = True
            return whole[1], END
    # A long string at the end is read separately.
    start = find_open_string(text)
    decoded = decode_open_string(text[start:]) if start else None
    if decoded is None:
        return _read_cut(document, state, text)
    string, string_end, is_closed = decoded
    if is_closed:
        return _read_cut(document, state, text)
    before_string = _read_cut(document, state, text[:start])
    if before_string is None or before_string[1] is not IN_STRING:
        # The text before the string was not read up to its opening quote.
        return before_string
    # The list gets an event, which nobody reads here.
    document.grow_string(string, [])
    document.write_pieces()
    return start + string_end, IN_STRING


def _read_cut(document: Document, state: object, text: str) -> tuple[int, Any] | None:  # noqa: C901 - a table or step; one function, since it runs for every piece
    """Read a text that may begin and end anywhere in a document; see `read_run`.

    1. Outline the brackets: the containers that the text closes, and the containers that it leaves open.
    2. Write the start of the closed containers in front of the text, and the end of the open ones behind it.
    3. Parse the result, which is a whole document, with the C code of `json`.
    4. Merge the value into the containers of `document`, and open the containers that the text leaves open.
    """
    # 1. Outline the brackets.
    frames = document.frames
    blanked = blank_escapes(text)
    outlined = outline(blanked, in_string=state.__class__ is not dict)
    if outlined is None or _WRITTEN_MARK in text:
        # The brackets do not fit together; or the text contains the placeholder that would be written.
        return None
    closed, opened, in_string, depth = outlined
    staying_count = len(frames) - closed
    closes_too_many = staying_count < 0
    may_be_too_deep = len(frames) + depth > document.max_depth
    begins_another_document = opened and frames and not staying_count
    if closes_too_many or may_be_too_deep or begins_another_document:
        return None
    # The containers that the text closes, and the one around them.
    touched_frames = frames[staying_count - 1 if staying_count else 0 :]
    # 2. Write brackets around the text.
    added_before = ""
    if touched_frames:
        outer = [_REOPENING_OUTER[frame.container.__class__] for frame in touched_frames[:-1]]
        cls = touched_frames[-1].container.__class__
        # Tables have no hash, so `_REOPENING` finds them by their identity.
        innermost = _REOPENING[cls].get(id(state)) if state.__class__ is dict else _REOPENING_STRING[cls]
        if innermost is None:
            # No other table is the state inside a container.
            return None
        added_before = "".join(outer) + innermost
    open_brackets = _BRACKETS[touched_frames[0].container.__class__] + opened if staying_count else opened
    read_to, added_after, is_empty = len(text), "", False
    if open_brackets:
        bracket = open_brackets[-1:]
        read_to = find_last_boundary(blanked, in_string=in_string, in_object=bracket == b"{")
        if read_to <= 0:
            # No prefix can be closed, so nothing is read.
            return 0, state
        # If the end cuts a key, the key is excluded.
        in_string = in_string and blanked.find('"', read_to) < 0
        # True if nothing has followed the innermost opening bracket.
        is_empty = blanked[read_to - 1] == _SIGNS[bracket]
        if in_string:
            read_to += count_decided(text[read_to:])
            added_after = _WRITTEN_MARK + '"'
        elif opened:
            added_after = _END_PLACEHOLDERS[bracket][is_empty]
        added_after += open_brackets[::-1].translate(_CLOSERS).decode()
    # 3. Parse the result.
    run = f"{added_before}{text[:read_to]}{added_after}"
    read = _scan_value(run)
    # If a container is open, nothing may follow the closing brackets that were written.
    if read is None or (open_brackets and read[1] != len(run)):
        return None
    value, end = read
    if staying_count and not opened and not value:
        # There is only white space after a bracket, so the closing bracket may still follow.
        return read_to, state
    keys = _find_open_keys(value, open_brackets, in_string=in_string, is_marked=bool(opened))
    if keys is None:
        # A repeated key has displaced the open value.
        return None
    # 4. Merge the value.
    if touched_frames:
        key = document.key
        _merge(touched_frames, value, state, document)
        del frames[staying_count:]
        if keys:
            container = touched_frames[0].container
            if container.__class__ is list:
                keys[0] = len(container) - 1
            elif keys[0] == _MARK:
                # The value belongs to a key before the text.
                keys[0] = key
    else:
        document.show(value)
        if open_brackets:
            frames.append(Frame(None, 0, value))
    frame = frames[-1] if frames else None
    if frame is None:
        document.frame = document.container = None
        document.key, document.complete = 0, True
        return end - len(added_before), END
    for key in keys[: len(open_brackets) - 1]:
        frame = Frame(frame, key, frame.container[key])
        frames.append(frame)
    document.frame = frame
    document.container = container = frame.container
    if in_string:
        document.key = keys[-1]
        return read_to, IN_STRING
    document.key = len(container)
    return read_to, _STATE_AFTER[container.__class__][is_empty]


def _find_open_keys(
    value: Json,
    open_brackets: bytes,
    *,
    in_string: bool,
    is_marked: bool,
) -> list[Any] | None:
    """Return the keys that lead to the innermost open value, outermost first; remove the placeholder in it.

    The placeholder (`_MARK`) was written where the text ends: at the end of the open string, or as the last
    member or element of the innermost open container.

    Args:
        value: The value that was read.
        open_brackets: The opening brackets of the open containers.
        in_string: True if a string is open in the innermost open container.
        is_marked: True if, without an open string, a placeholder is in the innermost open container.

    Returns:
        The keys; None if they do not lead there, because a repeated key has displaced the open value.
    """
    keys: list[Any] = []
    outer = node = value
    # The first characters of the values from the outside in: the brackets, and the quote of the open string.
    first_characters = open_brackets[1:] + (b'"' if in_string else b"")
    for first_character in first_characters:
        key = next(reversed(node), None) if node.__class__ is dict else len(node) - 1
        if key is None or key == -1:
            # There is no value inside.
            return None
        keys.append(key)
        outer, node = node, node[key]
        if node.__class__ is not _CLASS_BY_FIRST[first_character]:
            return None
    if in_string:
        if node[-1:] != _MARK:
            return None
        outer[keys[-1]] = node[:-1]
    elif is_marked:
        # In an object, the placeholder is a member with the value 0.
        if node.__class__ is dict:
            return keys if node.pop(_MARK, None) == 0 else None
        return keys if node and node.pop() == _MARK else None  # the placeholder is the last element
    return keys


def _merge(touched_frames: list[Frame], value: Any, state: object, document: Document) -> None:  # noqa: ANN401 - a container
    """Merge the value of a text into the containers that were open before it.

    Args:
        touched_frames: The frames of the containers that the text changes, outermost first.
        value: The outermost of these containers, with only what the text adds: the text was parsed with
            their opening brackets in front of it, and with `_MARK` or 0 in place of what is there already.
        state: The state of the reader before the text.
        document: The document; its innermost open container is that of the last of these frames.
    """
    for frame in touched_frames[:-1]:
        container = frame.container
        # The first member or element is the rest of the container inside; the others are new here.
        if container.__class__ is dict:
            inner = value.pop(_MARK)
            container.update(value)
        else:
            inner = value[0]
            container += value[1:]
        value = inner
    container = document.container
    if state is FIRST_KEY:
        container.update(value)
    elif state is FIRST_ELEMENT:
        container += value
    else:
        # In every other state, `_REOPENING` has written the first member or element, or its beginning.
        is_object = container.__class__ is dict
        first = value.pop(_MARK if is_object else 0)
        if state.__class__ is not dict:
            # The text began inside a string: `first` is the rest of it. The list gets an unused event.
            document.grow_string(first, [])
            document.write_pieces()
        if not is_object:
            container += value
        else:
            if state is VALUE or state is COLON:
                # The text began after a key: `first` is the value of that key, not a placeholder.
                container[document.key] = first
            container.update(value)
