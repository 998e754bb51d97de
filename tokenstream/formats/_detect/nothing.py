"""Bare data that are known not to be content, such as heartbeats and greetings of gateways."""

from __future__ import annotations

import re

from tokenstream._basics.untrusted import is_dict, is_list

_TIME = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:\ ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_DATE = rf"\d{{4}}-\d\d-\d\d(?:[T\ ]{_TIME})?"
_DAY = rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\ [\w\ ]{{5,12}}\ {_TIME}"
_NUMBER = r"-?\d[\d.]{0,30}(?:[eE][+-]?\d{1,4})?"
_WORD = (
    r"(?i:ping|pong|connect(?:ed|ing)?|keep[-_ ]?alive|heart[-_ ]?beat|alive|ack|ok|ready|open(?:ed)?"
    r"|start(?:ed|ing)?|init|waiting|queued|pending|processing)"
)
_match_nothing = re.compile(
    rf"""
    null | true | false | {_NUMBER}                     # JSON's scalars
    | "[\w.:\-]{{0,40}}"
    | \[\s*\]
    | :.{{0,200}}                                       # a comment of SSE, sent as data
    | {_WORD}(?:\ ?[-:#]?\ ?(?:{_DATE}|{_NUMBER}))?[.!]{{0,3}}
    | [A-Z][A-Z0-9]{{2,30}}(?:[_\-][A-Z0-9]{{1,30}}){{0,4}}  # a word in capitals
    | [\[(][A-Za-z][\w\-]{{0,30}}[\])]                  # a word in brackets
    | {_DATE} | {_TIME} | {_DAY}
    """.encode(),
    re.VERBOSE,
).fullmatch
_LONGEST = 202
"""The longest data that may say nothing, in bytes."""


def is_nothing(payload: bytes) -> bool:
    """Return whether bare data are known not to be content.

    These are: JSON's null, booleans and numbers, a JSON string of one word, an empty array, a comment of SSE,
    one word in brackets or in capitals, a word such as "ping" or "connected", and a time.

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
