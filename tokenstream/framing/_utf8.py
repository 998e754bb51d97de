"""A check for valid UTF-8, and a count of malformed sequences."""

from __future__ import annotations

from codecs import getincrementaldecoder

from tokenstream.framing._lines import SLICE

UTF8 = getincrementaldecoder("utf-8")


def is_utf8(payload: bytes) -> bool:
    """Return True if a payload is valid UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def count_malformed(payload: bytes) -> int:
    r"""Return how many U+FFFD decoding inserts; those that the server sent are not counted.

    Example:
        >>> count_malformed("\ufffd".encode() + b"\xff\xe2\x82")
        2
    """
    if len(payload) <= SLICE:
        try:
            payload.decode()
        except UnicodeDecodeError:
            pass
        else:
            return 0
    # Decoded in pieces: a single character beyond U+FFFF makes Python use four bytes for every character.
    replacing, ignoring = UTF8("replace"), UTF8("ignore")
    count = 0
    for start in range(0, len(payload), SLICE):
        piece = payload[start : start + SLICE]
        count += replacing.decode(piece).count("\ufffd") - ignoring.decode(piece).count("\ufffd")
    # A character that is cut off at the end becomes one U+FFFD.
    return count + len(replacing.decode(b"", final=True))
