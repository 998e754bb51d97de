"""The beginning of a JSON value, which proves that a call's arguments were cut off."""

from __future__ import annotations

from tokenstream._basics.json import split_leading_values


def is_beginning(text: str) -> bool:
    """Return True if a text ends inside a JSON value.

    The value may follow whole objects, since some servers join the arguments of several calls. Text that is
    no JSON is no beginning.

    Example:
        >>> is_beginning('{"path": "/srv'), is_beginning('{}{"path"')
        (True, True)
        >>> is_beginning('{"path": "/srv"}'), is_beginning("cat /srv"), is_beginning("")
        (False, False, False)
    """
    # Imported here, because only an answer without a finish reason needs it.
    from tokenstream.partial_json import PartialJSONParser

    _, rest = split_leading_values(text)
    if not rest or rest.isspace():
        return False
    parser = PartialJSONParser()
    parser.feed(rest)
    if parser.error is not None:
        return False
    parser.end()
    return parser.error is not None
