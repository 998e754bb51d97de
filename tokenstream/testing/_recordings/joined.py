"""The strings of a body, joined across its events, with no knowledge of its format."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRING = rb'(?<!\\)"((?:[^"\\\n]|\\.)*+)"'
_TOKEN = re.compile(
    rb"[{}]|\n(?=data:|\{)|" + _STRING + rb'(?:\s*+:\s*+(?:"((?:[^"\\\n]|\\.)*+)"?|(-?[0-9]++)))?+'
)
"""Matches a brace, the beginning of an event, or a string with the text or number that it names.

The text may be cut off.
"""
_TEXT_LINE = re.compile(rb"^data:[ ]?([^\r\n{\[][^\r\n]*+)", re.MULTILINE)
"""Matches a `data` line of an SSE event whose data are not JSON."""
_DEEPEST = 64
"""Most objects around a string that are looked at."""
_BORDER = b"\n\0\n"
"""Stands between joined texts, and in no secret."""

_Object = dict[bytes, bytes]
"""The ids and indexes that a JSON object has."""


def join_strings(body: bytes) -> bytes:
    """Return the strings of a body that belong together, each group joined to a text, in lines of their own.

    A group has the strings of all members of one name, or of those that also have one id, or the same
    indexes: choices, calls and items may arrive in turns. The bytes after an error, a limit or the
    terminal event are joined, too. SSE data that are not JSON are a group.
    """
    groups: defaultdict[object, list[bytes]] = defaultdict(list)
    # The id of an object may stand behind its strings.
    for name, text, objects in list(_strings(body)):
        marks = [mark for each in objects for mark in each.items()]
        ids = [mark for mark in marks if not mark[0].endswith(b"ndex")]
        indexes = tuple(mark for mark in marks if mark[0].endswith(b"ndex"))
        for group in (None, indexes, *ids):
            groups[name, group].append(text)
    # Bedrock wraps the payloads of other APIs in base64 under "bytes".
    wrapped = b"\n".join(map(_decode_base64, groups.get((b"bytes", None), ())))
    groups[None] = _TEXT_LINE.findall(body)
    # A single string was searched with the body.
    joined = dict.fromkeys(b"".join(texts) for texts in groups.values() if len(texts) > 1)
    return _BORDER.join([*joined, *([join_strings(wrapped)] if wrapped else [])])


def _strings(body: bytes) -> Iterator[tuple[bytes, bytes, list[_Object]]]:
    """Yield the name and the text of each member that is a string, and the objects that it is in."""
    objects: list[_Object] = [{}]
    for match in _TOKEN.finditer(body):
        name, text, number = match.groups()
        if match[0] == b"{":
            objects = [*objects[-_DEEPEST:], {}]
        elif match[0] == b"}":
            objects = objects[:-1] or [{}]
        elif name is None:
            objects = [{}]
        elif text is not None or number is not None:
            if name.endswith((b"index", b"Index", b"id", b"Id", b"ID")):
                objects[-1][name] = number or text or b""
            if text is not None:
                yield name, text, objects


def _decode_base64(coded: bytes) -> bytes:
    """Return decoded base64; b"" if the text is invalid."""
    try:
        return b64decode(coded)
    except ValueError:
        return b""
