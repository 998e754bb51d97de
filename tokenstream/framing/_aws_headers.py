"""The headers of a message in AWS's binary event streams: names, and values of nine types."""

from __future__ import annotations

from typing import Any

_CONSTANTS = {0: True, 1: False}
"""Maps each header type that has no further bytes to its value."""
_INTEGERS = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
"""Maps each header type that is an integer to its size in bytes; type 8 is a time in milliseconds."""
_BYTES, _STRING, _UUID = 6, 7, 9
_UUID_SIZE = 16


def read_headers(data: bytes) -> dict[str, Any]:
    r"""Return the headers of a message, as a dict from names to values.

    Args:
        data: All bytes between the message's prelude and its payload.

    Raises:
        ValueError: The protocol does not allow these headers.

    Example:
        >>> read_headers(b"\x05:size\x04\x00\x00\x01\x00")
        {':size': 256}
    """
    headers: dict[str, Any] = {}
    position = 0
    while position < len(data):
        # A header consists of the length of its name, the name, the type of its value, and the value.
        name, position = _read_sized(data, position, size=1)
        key = str(name, "utf-8", "replace")
        if key in headers:
            raise ValueError("a name comes twice")
        (kind,), position = _read_bytes(data, position, size=1)
        headers[key], position = _read_value(kind, data, position)
    return headers


def _read_value(kind: int, data: bytes, position: int) -> tuple[Any, int]:
    """Return a header's value, and the position after it.

    Args:
        kind: The number of the header's type.
        data: The bytes of all headers.
        position: The position in `data` after the byte with the header's type.

    Raises:
        ValueError: There is no such type, or the data ends before the value does.
    """
    if kind in _CONSTANTS:
        return _CONSTANTS[kind], position
    if kind in _INTEGERS:
        value, position = _read_bytes(data, position, _INTEGERS[kind])
        return int.from_bytes(value, "big", signed=True), position
    if kind == _UUID:
        return _read_bytes(data, position, _UUID_SIZE)
    if kind not in (_BYTES, _STRING):
        raise ValueError(f"type {kind} does not exist")
    # Bytes and text come after their length, which takes two bytes.
    value, position = _read_sized(data, position, size=2)
    return (value if kind == _BYTES else str(value, "utf-8", "replace")), position


def _read_sized(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    """Return bytes that follow their own length, and the position after them.

    Args:
        position: The position of the length.
        size: The number of bytes in which the length is written.

    Raises:
        ValueError: The data ends before these bytes do.
    """
    length, position = _read_bytes(data, position, size)
    return _read_bytes(data, position, int.from_bytes(length, "big"))


def _read_bytes(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    """Return the next `size` bytes, and the position after them.

    Raises:
        ValueError: The data ends before these bytes do.
    """
    end = position + size
    if end > len(data):
        raise ValueError("a header is longer than all headers together")
    return data[position:end], end
