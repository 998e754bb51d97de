"""A frame's name and payload: whether it is whole, cut off, malformed, or says nothing."""

from __future__ import annotations

import codecs
import json
import re
from functools import cache
from typing import TYPE_CHECKING

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing._frames import EventStreamMessage, ServerSentEvent

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import Frame
    from tokenstream.limits import Limits

_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
"""Values that are words in JSON or in a superset of JSON."""
_LONGEST_REST = 10
"""Characters after a syntax error that show whether a word was cut off there: one more than a word has."""
# The beginnings of an escape, and of a number's fraction or exponent, which the end may have cut off.
_CUT_ESCAPE = re.compile(r"u?[0-9A-Fa-f]{0,4}")
_CUT_NUMBER = re.compile(r"\.|[eE][+-]?")

_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
_DATE = r"\d{4}-\d\d-\d\d|\d{1,4}[/.]\d{1,2}[/.]\d{1,4}|\d{8}(?=T\d)"
_DAY_OR_MONTH = (
    r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
)
_ZONE = r"Z|[A-Z]{3,4}|(?:UTC|GMT)?[+-]\d\d:?\d\d|[AP]M|\([A-Z][\w\ ]{2,40}\)"
# A clock or a date is in it, and nothing but what belongs to one, such as a day, a year, or a time zone.
_STAMP = rf"""
    (?=.{{0,40}}?(?:{_CLOCK}|{_DATE}|\d{{8}}T\d))
    (?:(?>(?:{_CLOCK}|{_DATE}|{_DAY_OR_MONTH}|T\d{{6}}|T|{_ZONE}|\d{{4}}|\d{{1,2}})[,\-\ ]{{0,2}})){{1,9}}+
"""
_NUMBER = r"-?\d[\d.]{0,30}(?:[eE][+-]?\d{1,4})?"
_WORD = (
    r"(?i:ping|pong|connect(?:ed|ing)?|keep[-_ ]?alive|heart[-_ ]?beat|alive|ack|ok|ready|open(?:ed)?"
    r"|start(?:ed|ing)?|begin|init|load(?:ed|ing)|thinking|waiting|queued|pending|processing"
    r"|tick|no[-_]?op|nop|none|nil|undefined)"
)
_CAPITALS = r"[A-Z][A-Z0-9]{2,30}(?:[_\-][A-Z0-9]{1,30}){0,4}|[A-Z][A-Z0-9]?(?:[_\-][A-Z0-9]{1,30}){1,4}"
_NOTHING = rf"""
    null | true | false | NaN | {_NUMBER}               # JSON's scalars
    | \[\s*+(?:(?:null|{_NUMBER}|"[\w\-]{{0,40}}")\s*+)?\]  # an array of one of them, or of a word
    | :.{{0,200}}                                       # a comment of SSE, sent as data
    | (?:event|id):\ ?[\w.:\-]{{0,100}} | retry:\ ?\d{{0,9}} | data:\ ?  # a field of SSE without content
    | {_WORD}(?:\ ?[-:\#]?\ ?(?:{_STAMP}|{_NUMBER}))?(?:[.!]{{1,3}}|…)?
    | (?:{_CAPITALS})(?:\.{{1,3}}|…)?                   # a word in capitals
    | [a-z]{{2,20}}(?:_[a-z]{{2,20}}){{1,4}}            # a word that only a program writes
    | [\[(][A-Za-z][\w\-]{{0,30}}[\])]                 # a word in brackets
    | {_STAMP} | \[{_STAMP}\]
"""
_LONGEST = 202
"""The longest data that may say nothing, in bytes."""

_WRAPPED = re.compile(rb"(?:(?:event|id|retry):[^\n]*\n){0,8}data: ?(?:\{|\[DONE\])")

PING_NAMES = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
"""Names of SSE events that only show that the server is alive, whatever their data."""


def payload_of(frame: Frame) -> bytes | JsonObject:
    """Return the payload in a frame: the data of an SSE event or AWS message, or the frame itself."""
    return frame.payload if isinstance(frame, ServerSentEvent | EventStreamMessage) else frame


def object_of(frame: Frame, limits: Limits) -> JsonObject:
    """Return a frame's payload if it is a JSON object, and otherwise an empty dict."""
    payload: object = payload_of(frame)
    if isinstance(payload, bytes):
        try:
            payload = decode(payload, limits)
        except (ProtocolError, LimitExceeded):
            return {}
    return payload if is_dict(payload) else {}


def is_whole(frame: Frame, limits: Limits) -> bool:
    """Return whether the last frame has a whole payload, although the mark that ends a frame is missing."""
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


def is_nothing(payload: bytes) -> bool:
    """Return whether bare data, without white space around them, are known not to be content.

    These are: JSON's null, booleans and numbers, an array of one of them or of none, a comment or another
    line of SSE without data, one word in brackets, in capitals or with underscores, a word such as "ping" or
    "connected", and a time; and a JSON string of one of these, or of any one word.
    """
    return len(payload) <= _LONGEST and _compile_nothing().fullmatch(payload) is not None


@cache
def _compile_nothing() -> re.Pattern[bytes]:
    """Return the pattern of data that say nothing, which few streams need: compiling takes milliseconds."""
    return re.compile(rf"""{_NOTHING} | "(?:[\w.:\-]{{0,40}}|{_NOTHING})" """.encode(), re.VERBOSE)


def is_empty_value(value: object) -> bool:
    """Return whether a value, no object and no array with one, may be skipped where payloads are objects."""
    if is_list(value):
        return not any(is_dict(item) or is_list(item) for item in value)
    return not is_dict(value)


def find_wrapping(payload: bytes) -> ProtocolError | None:
    """Return the error for data that are an SSE event themselves; None for any other data."""
    if _WRAPPED.match(payload) is None:
        return None
    return ProtocolError(
        "the data of an SSE event begin with `data:` again: the server passes whole events to a library that "
        "adds `data:` to each line; let the server pass the payloads alone",
        offset=0,
    )


def name_of(event: ServerSentEvent | EventStreamMessage) -> str:
    """Return an event's name; "" for an event without a name, which the SSE standard calls "message"."""
    return "" if event.event == "message" else event.event


def event_in(frame: Frame) -> str:
    """Return the name of a frame's event; "" if the frame is a payload alone, or its event has no name."""
    return name_of(frame) if isinstance(frame, ServerSentEvent | EventStreamMessage) else ""


def has_snowflakes_call(payload: JsonObject) -> bool:
    """Return whether a payload has a piece of a tool call as Snowflake Cortex sends it."""
    fields = {"tool_use_id", "content_list", "input"}
    deltas = (dict_of(choice, "delta") for choice in dicts_of(payload.get("choices")))
    return any(each.get("type") == "tool_use" and not each.keys().isdisjoint(fields) for each in deltas)
