"""Find out whether a text is the beginning of a JSON value: such arguments were cut off, or may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import split_leading_values

if TYPE_CHECKING:
    from tokenstream.partial_json import PartialJSONParser


def is_beginning(text: str) -> bool:
    """Return True if a text ends inside a JSON value.

    The value may follow whole objects, since some servers join the arguments of several calls. For a text
    that is not JSON, the result is False.

    Example:
        >>> is_beginning('{"path": "/srv'), is_beginning('{}{"path"')
        (True, True)
        >>> is_beginning('{"path": "/srv"}'), is_beginning("cat /srv"), is_beginning("")
        (False, False, False)
    """
    _, rest = split_leading_values(text)
    if not rest or rest.isspace():
        return False
    parser = _read(rest)
    if parser.error is not None:
        return False
    # An error at the end means that the value is incomplete.
    parser.end()
    return parser.error is not None


def may_go_on(text: str) -> bool:
    """Return True if a text is one JSON value, or the beginning of one.

    Example:
        >>> may_go_on('{"usd":{"usd": 1}'), may_go_on('{"us{"usd": 1}')
        (True, False)
    """
    return _read(text).error is None


def _read(text: str) -> PartialJSONParser:
    # Imported here, because only unusual answers need it.
    from tokenstream.partial_json import PartialJSONParser

    parser = PartialJSONParser()
    parser.feed(text)
    return parser
