"""Read base64 chunks by the fast path for the model's payloads, without decoding their JSON."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.events import Event
    from tokenstream.formats._fast.path import Read

GROUP = 3
"""Four characters of base64 encode this many bytes, so a start of whole groups can be compared as base64."""

_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


def packed(start: bytes, read: Read) -> tuple[bytes, Read]:
    """Return the first bytes of chunks, and a function that reads the rest.

    Args:
        start: The first bytes of the model's payloads, in whole groups.
        read: Reads the rest of a payload with this start.
    """

    def unpack(rest: bytes) -> Event | None:
        if rest[-2:] != _END:
            return None
        inner, between, padding = rest[:-2].partition(_BETWEEN)
        if between and not padding.isalnum():
            return None
        try:
            data = a2b_base64(inner, strict_mode=True)
        except BinasciiError:
            return None
        return read(data)

    return _START + b2a_base64(start, newline=False), unpack
