"""Read chunks at a glance, whose payload is base64 in JSON, by what the model's own payloads look like."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.events import Event
    from tokenstream.formats._fast.path import Read

__all__ = ["GROUP", "packed"]

GROUP = 3
"""Bytes that are four characters of base64, so what is always the same in whole groups is not unpacked."""

_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


def packed(start: bytes, read: Read) -> tuple[bytes, Read]:
    """Return what chunks begin with, and what reads their rest.

    Args:
        start: What the model's payloads begin with, in whole groups.
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
