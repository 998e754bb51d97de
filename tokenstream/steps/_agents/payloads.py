"""Takes the value out of a line, which may be JSON, or an event of SSE that holds JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import ProtocolError
from tokenstream.framing._json_frames import DATA

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

_ENVELOPE = (b"event:", b"id:", b"retry:", b":")
"""The beginnings of lines of SSE that hold no data."""


def is_envelope(line: bytes) -> bool:
    """Return True for a line of SSE that holds no data, such as a comment.

    Example:
        >>> is_envelope(b": ping"), is_envelope(b'data: {"a": 1}')
        (True, False)
    """
    return line.startswith(_ENVELOPE)


def begins_as_payload(line: bytes) -> bool:
    """Return True for a line that may be whole although its line end is missing.

    Example:
        >>> begins_as_payload(b'{"a": 1}'), begins_as_payload(b"data: 1"), begins_as_payload(b'{"a"')
        (True, True, False)
    """
    return (line[:1] == b"{" and line[-1:] == b"}") or line.startswith(DATA)


def value_in(line: bytes) -> Json:
    r"""Return the object of a line, or the text of an event; None for anything else, such as a log.

    A string in SSE may again hold the JSON of an object.

    Raises:
        ProtocolError: The line is not JSON, or exceeds a limit.

    Example:
        >>> value_in(b'{"a": 1}'), value_in(b'data: {"a": 1}'), value_in(b'data: "{\\"a\\": 1}"')
        ({'a': 1}, {'a': 1}, {'a': 1})
        >>> value_in(b'data: "Hel"')
        'Hel'
    """
    is_data = line.startswith(DATA)
    text = line.removeprefix(DATA).lstrip()
    # Only a server sends a string as its answer; on a line of its own, it is a log.
    if text[:1] != b"{" and not (is_data and text[:1] == b'"'):
        return None
    value = decode(text)
    if isinstance(value, str) and value[:1] == "{":
        try:
            inner = decode(value)
        except ProtocolError:
            return value
        return inner if is_dict(inner) else value
    return value
