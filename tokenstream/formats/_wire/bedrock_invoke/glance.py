"""Read base64 chunks at a glance, by the fast path for the model's own payloads."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.events import Event
    from tokenstream.formats._fast.path import Read

GROUP = 3
"""Bytes per four characters of base64: a constant start of whole groups is compared without unpacking."""

_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


def packed(start: bytes, read: Read) -> tuple[bytes, Read]:
    """Return the bytes that chunks begin with, and a function for the rest.

    Args:
        start: The bytes that the model's payloads begin with, in whole groups.
        read: Reads the rest of such a payload.
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
