"""Bare data that are known not to be content, such as heartbeats and greetings of gateways."""

from __future__ import annotations

import re

from tokenstream._basics.untrusted import is_dict, is_list

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
    null | true | false | {_NUMBER}                     # JSON's scalars
    | \[\s*\]
    | :.{{0,200}}                                       # a comment of SSE, sent as data
    | (?:event|id):\ ?[\w.:\-]{{0,100}} | retry:\ ?\d{{0,9}} | data:\ ?  # a field of SSE without content
    | {_WORD}(?:\ ?[-:\#]?\ ?(?:{_STAMP}|{_NUMBER}))?(?:[.!]{{1,3}}|…)?
    | (?:{_CAPITALS})(?:\.{{1,3}}|…)?                   # a word in capitals
    | [a-z]{{2,20}}(?:_[a-z]{{2,20}}){{1,4}}            # a word that only a program writes
    | [\[(][A-Za-z][\w\-]{{0,30}}[\])]                 # a word in brackets
    | {_STAMP} | \[{_STAMP}\]
"""
_match_nothing = re.compile(
    rf"""{_NOTHING} | "(?:[\w.:\-]{{0,40}}|{_NOTHING})" """.encode(),
    re.VERBOSE,
).fullmatch
_LONGEST = 202
"""The longest data that may say nothing, in bytes."""


def is_nothing(payload: bytes) -> bool:
    """Return whether bare data are known not to be content.

    These are: JSON's null, booleans and numbers, an empty array, a comment or another line of SSE without
    data, one word in brackets, in capitals or with underscores, a word such as "ping" or "connected", and a
    time; and a JSON string of one of these, or of any one word.

    Args:
        payload: The data of a frame without a name, without the white space around them.

    Example:
        >>> [is_nothing(data) for data in (b"null", b"[START]", b": hi", b"PROCESSING", b"ping 3", b"09:30")]
        [True, True, True, True, True, True]
        >>> [is_nothing(data) for data in (b"Hello", b"I", b"{}", b"[DONE", b'"Hello there"')]
        [False, False, False, False, False]
    """
    return len(payload) <= _LONGEST and _match_nothing(payload) is not None


def is_empty_value(value: object) -> bool:
    """Return whether a JSON value has no place in a format whose payloads are objects, and may be skipped.

    Only an object, or an array with one, may be a payload.

    Example:
        >>> is_empty_value(42), is_empty_value([1, None]), is_empty_value({}), is_empty_value([{}])
        (True, True, False, False)
    """
    if is_list(value):
        return not any(is_dict(item) or is_list(item) for item in value)
    return not is_dict(value)
