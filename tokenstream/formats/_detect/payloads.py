"""The payload of a frame, and checks whether it is whole, was cut off, or is malformed."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import decode
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing import ServerSentEvent
from tokenstream.framing._aws_eventstream import EventStreamMessage

if TYPE_CHECKING:
    from tokenstream.formats._base import Frame
    from tokenstream.limits import Limits

_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
"""Values that are words in JSON or in a superset of JSON."""
_LONGEST_REST = 10
"""Characters after a syntax error that show whether a word was cut off there: one more than a word has."""
# The beginnings of an escape, and of a number's fraction or exponent, which the end may have cut off.
_CUT_ESCAPE = re.compile(r"u?[0-9A-Fa-f]{0,4}")
_CUT_NUMBER = re.compile(r"\.|[eE][+-]?")


def payload_of(frame: Frame) -> bytes | dict[str, Any]:
    """Return the payload in a frame: the data of an SSE event or AWS message, or the frame itself."""
    return frame.payload if isinstance(frame, ServerSentEvent | EventStreamMessage) else frame


def is_whole(frame: Frame, limits: Limits) -> bool:
    """Return whether the last frame has a whole payload, although the mark that ends a frame is missing.

    Raises:
        LimitExceeded: The payload exceeds one of the limits.

    Example:
        >>> from tokenstream.limits import DEFAULT_LIMITS
        >>> is_whole(b'{"done": true}', DEFAULT_LIMITS), is_whole(b'{"done": tr', DEFAULT_LIMITS)
        (True, False)
    """
    payload = payload_of(frame)
    if not isinstance(payload, bytes) or payload.strip() == b"[DONE]":
        return True
    if payload.lstrip()[:1] not in (b"{", b"["):
        # Other data do not show by themselves if they were cut off.
        return False
    try:
        decode(payload, limits)
    except LimitExceeded:
        # It is a `ProtocolError`, too, but does not mean that the payload was cut off.
        raise
    except ProtocolError:
        return False
    return True


def is_malformed(document: bytes) -> bool:
    """Return whether an incomplete document has a syntax error, so that it was not merely cut off.

    Args:
        document: The bytes that arrived; `is_whole` has checked them against the limits.

    Example:
        >>> is_malformed(b'{"done": tr'), is_malformed(b'{"done": <'), is_malformed(b'{"done": true} <')
        (False, True, True)
    """
    # A UTF-8 character that was cut in half is not a syntax error.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(document)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        position = error.pos
        if position == len(text) or error.msg.startswith("Unterminated string"):
            return False
        # If the text was only cut off, the rest is the beginning of a word, an escape or a number's end.
        rest = text[position : position + _LONGEST_REST]
        if error.msg.startswith("Expecting value"):
            return not any(word.startswith(rest) for word in _WORDS)
        if error.msg.startswith("Invalid \\uXXXX"):
            return _CUT_ESCAPE.fullmatch(rest) is None
        is_cut_number = text[position - 1].isdecimal() and _CUT_NUMBER.fullmatch(rest) is not None
        return not is_cut_number
    return False
