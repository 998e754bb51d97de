"""Chunks, which contain a model's payload as base64."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from tokenstream.errors import ProtocolError

if TYPE_CHECKING:
    from tokenstream.events import Event
    from tokenstream.formats._fast.entry import Read

BYTES_PER_GROUP = 3
"""Four characters of base64 encode this many bytes, so a start of whole groups can be compared as base64."""

# A chunk is the payload in base64 between these bytes; random padding, if any, follows it.
_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


def unpack(encoded: object) -> bytes:
    """Return the bytes of a chunk, which are base64 on the wire.

    Raises:
        ProtocolError: The value is neither bytes nor base64.
    """
    if isinstance(encoded, bytes):
        return encoded
    if not isinstance(encoded, str):
        raise ProtocolError("a chunk has no bytes")
    # White space in base64 is harmless, but strict decoding would refuse it.
    try:
        return a2b_base64("".join(encoded.split()), strict_mode=True)
    except ValueError:
        raise ProtocolError("the bytes of a chunk are not base64") from None


def may_have_payload(encoded: object) -> bool:
    """Return whether a chunk's bytes begin like a model's payload, or are the sentinel.

    The chunks of Bedrock's agents have bytes, too, but those are text.

    Example:
        >>> may_have_payload(b'{"generation": "a"}'), may_have_payload("e30="), may_have_payload(b"Hello")
        (True, True, False)
    """
    try:
        data = unpack(encoded).strip()
    except ProtocolError:
        return False
    return data[:1] == b"{" or data in (b"", b"[DONE]")


def make_chunk_reader(start: bytes, read: Read) -> tuple[bytes, Read]:
    """Return the first bytes of chunks with similar payloads, and a function that reads the other bytes.

    Args:
        start: The first bytes of the payloads; their number is a multiple of `BYTES_PER_GROUP`.
        read: Makes the event from a payload's bytes after `start`; returns None if the payload must be
            decoded.

    Returns:
        The first bytes of the chunks, and a function that makes the event from the other bytes of a chunk.
        The function does not decode the payload's JSON; it returns None if the chunk must be decoded.
    """

    def read_rest(rest: bytes) -> Event | None:
        """Return the event of a chunk; None if the chunk must be decoded.

        Args:
            rest: The bytes of the chunk after its first bytes.
        """
        if rest[-2:] != _END:
            return None
        # The payload may be followed by a field with random padding.
        encoded, between, padding = rest[:-2].partition(_BETWEEN)
        if between and not padding.isalnum():
            # The chunk contains more than the payload and padding.
            return None
        try:
            data = a2b_base64(encoded, strict_mode=True)
        except BinasciiError:
            return None
        return read(data)

    return _START + b2a_base64(start, newline=False), read_rest
