"""Validation of chunks: a parser accepts bytes of any type, until the input has ended."""

from __future__ import annotations

from tokenstream.errors import MisuseError


def as_bytes(chunk: object, parser: str, *, ended: bool, advice: str = "") -> bytes:
    """Return a chunk as immutable bytes.

    Args:
        chunk: The argument of `feed`.
        parser: The name of the parser's class.
        ended: True if the input has already ended.
        advice: Text to add to the error message for a chunk that is not bytes.

    Raises:
        MisuseError: The chunk is not bytes, or was fed after the end of the input.

    Example:
        >>> as_bytes(bytearray(b"data"), "SSEParser", ended=False)
        b'data'
    """
    if isinstance(chunk, memoryview):
        chunk = chunk.tobytes()
    elif not isinstance(chunk, bytes | bytearray):
        raise MisuseError(
            f"{parser}.feed takes bytes as the transport delivered them, not {type(chunk).__name__}{advice}"
        )
    if ended:
        raise MisuseError(f"{parser}.feed came after end(); a new connection needs a new parser or reset()")
    return bytes(chunk)
