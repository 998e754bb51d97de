"""Values as JSON that is safe to print on a terminal."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

from pydantic import BaseModel

from tokenstream._basics.visible import one_line


def quote_text(text: str) -> str:
    r"""Return `text` as a JSON string that is safe to print on a terminal.

    Example:
        >>> print(quote_text('say "Hé\u202e"'))
        "say \"Hé\u202e\""
    """
    return one_line(json.dumps(text, ensure_ascii=False))


def _to_json(value: object) -> object:
    """Return a value that JSON lacks as one that JSON has; the JSON encoder calls this function.

    A pydantic model becomes a dict, bytes become base64, and any other value becomes its `str`.
    """
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, bytes):
        return urlsafe_b64encode(value).decode("ascii")
    return str(value)


def to_compact_json(value: object, *, ascii_only: bool = False) -> str:
    r"""Return `value` as JSON on one line.

    Args:
        value: Any JSON value; it may also contain bytes, and pydantic models such as parts.
        ascii_only: True to escape all characters that are not ASCII, so that any program can read
            the text; False to escape only characters that are not safe on a terminal.

    Example:
        >>> print(to_compact_json({"city": "Malmö"}), to_compact_json("ö", ascii_only=True))
        {"city":"Malmö"} "\u00f6"
    """
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), default=_to_json)
    return text if ascii_only else one_line(text)
