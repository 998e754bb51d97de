"""A run of JSON that is cut at both ends, read in C.

What is open before it is written in front of it, and what it leaves open is closed behind it: so it
becomes a document, which is taken apart again.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from json.scanner import make_scanner
from typing import TYPE_CHECKING, Any, NoReturn

from tokenstream.partial_json._document import Frame
from tokenstream.partial_json._grammar import (
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
from tokenstream.partial_json._numbers import MOST_DIGITS
from tokenstream.partial_json._outline import (
    is_nested_at_most,
    last_border,
    open_string_at,
    outline,
    without_escapes,
)
from tokenstream.partial_json._strings import decided, read_on

if TYPE_CHECKING:
    from tokenstream.partial_json._document import Document

__all__ = ["may_be_too_long", "take_run"]

_STEP = 512
"""Two places so far apart lie in every run of digits that makes a number too long."""
_TWO_DIGITS = re.compile("[0-9][0-9]").finditer

_MARK = "\x13"
"""A key, or the end of a text, that nothing has which is read here: not NUL, which files may hold."""
_WRITTEN_MARK = r"\u0013"
"""JSON has no other way to write it."""
_MEMBER = f'"{_WRITTEN_MARK}":'
_BEFORE_OPEN = {dict: "{" + _MEMBER, list: "["}
"""What is written for an object or array in which another one is open."""
_BEFORE_STRING = {cls: before + '"' for cls, before in _BEFORE_OPEN.items()}
"""What is written for the innermost one, where a string is open in it."""
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
"""What is written for the innermost one, by the table that counts in it."""
_BEHIND = {
    b"{": (f",{_MEMBER}0", f"{_MEMBER}0"),
    b"[": (f',"{_WRITTEN_MARK}"', f'"{_WRITTEN_MARK}"'),
}
"""What is written last in the innermost one that the text opens: if something is in it, and if not."""
_NEXT = {dict: (AFTER_FIELD, FIRST_KEY), list: (AFTER_ELEMENT, FIRST_ELEMENT)}
"""What counts there then."""
_BRACKETS: dict[type, bytes] = {dict: b"{", list: b"["}
_CLASSES = {ord("{"): dict, ord("["): list, ord('"'): str}
_CLOSERS = bytes.maketrans(b"[{", b"]}")
_SIGNS = {b"{": "{", b"[": "["}
_ENDS = {"{": "}", "[": "]"}


def _refuse(word: str) -> NoReturn:
    """Refuse NaN and the infinities, which `json` reads, and JSON has not."""
    raise ValueError(word)


_decoder: Any = JSONDecoder(parse_constant=_refuse)
_scan: Any = make_scanner(_decoder)


def may_be_too_long(text: str) -> bool:
    """Return whether digits follow each other for so long that a number may be beyond the bound."""
    if len(text) <= MOST_DIGITS:
        return False
    starts = (match.start() * _STEP for match in _TWO_DIGITS(text[::_STEP]))
    return any(text[start : start + _STEP].isdigit() for start in starts)


def _scanned(text: str) -> tuple[Any, int] | None:
    """Return the value that a text begins with, and where it ends; None where it may be no JSON."""
    try:
        value, end = _scan(text, 0)
    except (ValueError, StopIteration, RecursionError):
        return None
    return None if may_be_too_long(text) else (value, end)


def take_run(document: Document, at: Any, text: str) -> tuple[int, Any] | None:  # noqa: ANN401 - a table or step
    """Take what can be read of a text in C.

    Args:
        document: Takes it.
        at: The table of what may come; anything else inside a string of which nothing is held.
        text: The text. Where the document has not begun, it begins with its bracket.

    Returns:
        How much was taken, and the table or step that counts then; None where it may be no JSON.
    """
    if not document.frames and _ENDS[text[0]] == text.rstrip()[-1]:
        whole = _scanned(text)
        if whole is not None and is_nested_at_most(text, document.max_depth):
            document.root = whole[0]
            document.has_value = document.complete = True
            return whole[1], END
    start = open_string_at(text)
    last = read_on(text[start:]) if start else None
    if last is None or last[2]:
        return _take_cut(document, at, text)
    taken = _take_cut(document, at, text[:start])
    if taken is None or taken[1] is not IN_STRING:
        return taken
    document.grow_string(last[0], [])
    document.write_pieces()
    return start + last[1], IN_STRING


def _take_cut(document: Document, at: Any, text: str) -> tuple[int, Any] | None:  # noqa: ANN401, C901 - a table or step; what runs for every piece is in one place
    frames = document.frames
    plain = without_escapes(text)
    found = outline(plain, in_string=at.__class__ is not dict)
    if found is None or _WRITTEN_MARK in text:
        return None
    closed, opened, in_string, depth = found
    stay = len(frames) - closed
    if stay < 0 or len(frames) + depth > document.max_depth or (opened and frames and not stay):
        return None
    # What the text closes, and what that stands in.
    touched = frames[stay - 1 if stay else 0 :]
    head = ""
    if touched:
        last = touched[-1].container.__class__
        before = _BEFORE[last].get(id(at)) if at.__class__ is dict else _BEFORE_STRING[last]
        if before is None:
            return None
        head = "".join([_BEFORE_OPEN[frame.container.__class__] for frame in touched[:-1]]) + before
    left = _BRACKETS[touched[0].container.__class__] + opened if stay else opened
    cut, behind, is_empty = len(text), "", False
    if left:
        bracket = left[-1:]
        cut = last_border(plain, in_string=in_string, in_object=bracket == b"{")
        if cut <= 0:
            return 0, at
        # A key that is cut is left out.
        in_string = in_string and plain.find('"', cut) < 0
        is_empty = plain[cut - 1] == _SIGNS[bracket]
        if in_string:
            cut += decided(text[cut:])
            behind = _WRITTEN_MARK + '"'
        elif opened:
            behind = _BEHIND[bracket][is_empty]
        behind += left[::-1].translate(_CLOSERS).decode()
    run = f"{head}{text[:cut]}{behind}"
    read = _scanned(run)
    if read is None or (left and read[1] != len(run)):
        return None
    value, end = read
    if stay and not opened and not value:
        # White space behind a bracket: it may still be followed by the one that closes it.
        return cut, at
    keys = _open_keys(value, left, in_string=in_string, is_marked=bool(opened))
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
                # The value whose key had come before.
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


def _open_keys(value: Any, left: bytes, *, in_string: bool, is_marked: bool) -> list[Any] | None:  # noqa: ANN401 - JSON
    """Return the keys of what is open in what was read, from outside in, and take the mark of it away.

    Args:
        value: What was read.
        left: The brackets of what is open.
        in_string: Whether a string is open in the last of them.
        is_marked: Whether that has a mark at its end.

    Returns:
        None where a key that came twice leads elsewhere.
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
    """Add what was read to what was open before."""
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
