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
    from tokenstream.partial_json._document import Document

_STEP = 512
"""Distance between samples: too long a run of digits contains two neighbouring samples."""
_TWO_DIGITS = re.compile("[0-9][0-9]").finditer

_MARK = "\x13"
"""Placeholder for keys, and for the end of an open string. It is not NUL, which occurs in files."""
_WRITTEN_MARK = r"\u0013"
"""The only form in which JSON can contain the placeholder."""
_MEMBER = f'"{_WRITTEN_MARK}":'
_BEFORE_OPEN = {dict: "{" + _MEMBER, list: "["}
"""Maps the class of a container to the text that reopens it, if another container is open in it."""
_BEFORE_STRING = {cls: before + '"' for cls, before in _BEFORE_OPEN.items()}
"""Maps the class of the innermost container to the text that reopens it with an open string in it."""
_BEFORE = {
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
_BEHIND = {
    b"{": (f",{_MEMBER}0", f"{_MEMBER}0"),
    b"[": (f',"{_WRITTEN_MARK}"', f'"{_WRITTEN_MARK}"'),
}
"""Placeholder written at the end of the innermost open container: if it is not empty, and if it is."""
_NEXT = {dict: (AFTER_FIELD, FIRST_KEY), list: (AFTER_ELEMENT, FIRST_ELEMENT)}
"""State in the innermost open container after that: if it is not empty, and if it is."""
_BRACKETS: dict[type, bytes] = {dict: b"{", list: b"["}
"""Maps the class of a container to its opening bracket."""
_CLASSES = {ord("{"): dict, ord("["): list, ord('"'): str}
"""Maps the first character of a value to the class of the value."""
_CLOSERS = bytes.maketrans(b"[{", b"]}")
_SIGNS = {b"{": "{", b"[": "["}
_ENDS = {"{": "}", "[": "]"}
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
    starts = (match.start() * _STEP for match in _TWO_DIGITS(text[::_STEP]))
    return any(text[start : start + _STEP].isdigit() for start in starts)


def _scan_value(text: str) -> tuple[Any, int] | None:
    """Return the value at the start of a text, and its end; None if the text may not be JSON."""
    try:
        value, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    return None if may_be_too_long(text) else (value, end)


def read_run(document: Document, at: Any, text: str) -> tuple[int, Any] | None:  # noqa: ANN401 - a table or step
    """Read as much of a text as possible in C.

    Args:
        document: Receives the values.
        at: The state: a table, or the step inside a string of which no escape is held back.
        text: The text; if the document has not begun, its first character is a bracket.

    Returns:
        The number of characters read, and the new state; None if the text may not be JSON.
    """
    if not document.frames and _ENDS[text[0]] == text.rstrip()[-1]:
        whole = _scan_value(text)
        if whole is not None and is_nested_at_most(text, document.max_depth):
            document.root = whole[0]
            document.has_value = document.complete = True
            return whole[1], END
    start = find_open_string(text)
    last = decode_open_string(text[start:]) if start else None
    if last is None or last[2]:
        return _read_cut(document, at, text)
    taken = _read_cut(document, at, text[:start])
    if taken is None or taken[1] is not IN_STRING:
        return taken
    document.grow_string(last[0], [])
    document.write_pieces()
    return start + last[1], IN_STRING


def _read_cut(document: Document, at: Any, text: str) -> tuple[int, Any] | None:  # noqa: ANN401, C901 - a table or step; one function, since it runs for every piece
    """Read a text that is cut at its start, at its end, or both.

    1. Outline its brackets: the containers that it closes, and those that it leaves open.
    2. Write the start of the closed containers in front of it, and the end of the open ones behind it.
    3. Parse the result, which is a whole document, in C.
    4. Merge the value into the containers of `document`, and open those that the text leaves open.

    Returns:
        See `read_run`.
    """
    frames = document.frames
    plain = blank_escapes(text)
    found = outline(plain, in_string=at.__class__ is not dict)
    if found is None or _WRITTEN_MARK in text:
        return None
    closed, opened, in_string, depth = found
    stay = len(frames) - closed
    if stay < 0 or len(frames) + depth > document.max_depth or (opened and frames and not stay):
        return None
    # The containers that the text closes, and the one around them.
    touched = frames[stay - 1 if stay else 0 :]
    head = ""
    if touched:
        last = touched[-1].container.__class__
        before = _BEFORE[last].get(id(at)) if at.__class__ is dict else _BEFORE_STRING[last]
        if before is None:
            return None
        head = "".join([_BEFORE_OPEN[frame.container.__class__] for frame in touched[:-1]]) + before
    left = _BRACKETS[touched[0].container.__class__] + opened if stay else opened
    cut, ending, is_empty = len(text), "", False
    if left:
        bracket = left[-1:]
        cut = find_last_boundary(plain, in_string=in_string, in_object=bracket == b"{")
        if cut <= 0:
            return 0, at
        # If the end cuts a key, the key is excluded.
        in_string = in_string and plain.find('"', cut) < 0
        is_empty = plain[cut - 1] == _SIGNS[bracket]
        if in_string:
            cut += count_decided(text[cut:])
            ending = _WRITTEN_MARK + '"'
        elif opened:
            ending = _BEHIND[bracket][is_empty]
        ending += left[::-1].translate(_CLOSERS).decode()
    run = f"{head}{text[:cut]}{ending}"
    read = _scan_value(run)
    if read is None or (left and read[1] != len(run)):
        return None
    value, end = read
    if stay and not opened and not value:
        # There is only white space after a bracket, so the closing bracket may still follow.
        return cut, at
    keys = _find_open_keys(value, left, in_string=in_string, is_marked=bool(opened))
    if keys is None:
        return None
    if touched:
        key = document.key
        _merge(touched, value, at, document)
        del frames[stay:]
        if keys:
            container = touched[0].container
            if container.__class__ is list:
                keys[0] = len(container) - 1
            elif keys[0] == _MARK:
                # The value belongs to a key before the text.
                keys[0] = key
    else:
        document.show(value)
        if left:
            frames.append(Frame(None, 0, value))
    frame = frames[-1] if frames else None
    if frame is None:
        document.frame = document.container = None
        document.key, document.complete = 0, True
        return end - len(head), END
    for key in keys[: len(left) - 1]:
        frame = Frame(frame, key, frame.container[key])
        frames.append(frame)
    document.frame = frame
    document.container = container = frame.container
    if in_string:
        document.key = keys[-1]
        return cut, IN_STRING
    document.key = len(container)
    return cut, _NEXT[container.__class__][is_empty]


def _find_open_keys(value: Any, left: bytes, *, in_string: bool, is_marked: bool) -> list[Any] | None:  # noqa: ANN401 - JSON
    """Return the keys that lead to the innermost open value, outermost first; remove its placeholder.

    Args:
        value: The value that was read.
        left: The opening brackets of the open containers.
        in_string: True if a string is open in the innermost of them.
        is_marked: True if a placeholder was written at the end of the innermost container.

    Returns:
        The keys; None if they lead elsewhere because a key is repeated.
    """
    keys: list[Any] = []
    outer = node = value
    for bracket in left[1:] + b'"' if in_string else left[1:]:
        key = next(reversed(node), None) if node.__class__ is dict else len(node) - 1
        if key is None or key == -1:
            return None
        keys.append(key)
        outer, node = node, node[key]
        if node.__class__ is not _CLASSES[bracket]:
            return None
    if in_string:
        if node[-1:] != _MARK:
            return None
        outer[keys[-1]] = node[:-1]
    elif is_marked:
        if node.__class__ is dict:
            return keys if node.pop(_MARK, None) == 0 else None
        return keys if node and node.pop() == _MARK else None
    return keys


def _merge(touched: list[Frame], value: Any, at: Any, document: Document) -> None:  # noqa: ANN401 - as above
    """Merge the value that was read into the containers that were open before."""
    for frame in touched[:-1]:
        container = frame.container
        if container.__class__ is dict:
            inner = value.pop(_MARK)
            container.update(value)
        else:
            inner = value[0]
            container += value[1:]
        value = inner
    container = document.container
    if at is FIRST_KEY:
        container.update(value)
    elif at is FIRST_ELEMENT:
        container += value
    else:
        is_object = container.__class__ is dict
        first = value.pop(_MARK if is_object else 0)
        if at.__class__ is not dict:
            document.grow_string(first, [])
            document.write_pieces()
        if not is_object:
            container += value
        else:
            if at is VALUE or at is COLON:
                container[document.key] = first
            container.update(value)
