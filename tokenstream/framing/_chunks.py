"""What parsers are fed: bytes of any kind, as long as the input has not ended."""

from __future__ import annotations

from tokenstream.errors import MisuseError

__all__ = ["as_bytes"]


def as_bytes(chunk: object, parser: str, *, ended: bool, advice: str = "") -> bytes:
    """Return a chunk as bytes that nobody changes.

    Args:
        chunk: What was fed.
        parser: The name of the parser's class.
        ended: Whether the input had ended.
        advice: What to say besides to who feeds anything else.

    Raises:
        MisuseError: It is no bytes, or comes after the end.

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
