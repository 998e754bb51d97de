"""Values in other clothes: bytes that came as base64, arguments that came as JSON values."""

from __future__ import annotations

import json
from base64 import b64decode

from tokenstream.errors import ProtocolError

__all__ = ["base64_bytes", "json_text"]

_STANDARD = str.maketrans("-_", "+/")


def base64_bytes(written: object) -> bytes | None:
    r"""Return the bytes that base64 text is, in either alphabet, padded or not; None where it is none.

    Example:
        >>> base64_bytes("-_8="), base64_bytes("+/8"), base64_bytes("a text"), base64_bytes(None)
        (b'\xfb\xff', b'\xfb\xff', None, None)
    """
    if not isinstance(written, str):
        return None
    text = written.translate(_STANDARD) if "-" in written or "_" in written else written
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


def json_text(value: object, what: str = "the arguments of a tool call") -> str:
    """Return values as JSON text.

    Args:
        value: The values, as they were decoded.
        what: What they are, for the error.

    Raises:
        ProtocolError: They are nested too deeply, or no JSON values.

    Example:
        >>> json_text({"city": "Zürich"})
        '{"city": "Zürich"}'
    """
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        # Only payloads that were made in Python can be so; JSON was bounded when it was decoded.
        msg = f"{what} are nested too deeply, or no JSON values"
        raise ProtocolError(msg) from None
