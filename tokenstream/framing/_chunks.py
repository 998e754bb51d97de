"""Validation of chunks: parsers take bytes of any kind, until the input has ended."""

from __future__ import annotations

from tokenstream.errors import MisuseError


def as_bytes(chunk: object, parser: str, *, ended: bool, advice: str = "") -> bytes:
    """Return a chunk as immutable bytes.

    Args:
        chunk: The argument of `feed`.
        parser: The name of the parser's class.
        ended: True if the input had ended.
        advice: The end of the error message for anything that is not bytes.

    Raises:
        MisuseError: The chunk is not bytes, or comes after the end.

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
