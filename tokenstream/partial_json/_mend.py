"""Repair of a whole text that is almost JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenstream.partial_json._parser import PartialJSONParser

if TYPE_CHECKING:
    from tokenstream.partial_json._repairs import Lenient, Repair


def mend(text: str, lenient: Lenient, *, max_depth: int) -> tuple[str, tuple[Repair, ...]]:
    """Repair almost-JSON; return it as JSON, with the repairs.

    Raises:
        InvalidJSON: The text cannot be repaired, or its end is missing and `lenient` is "closed".
        LimitExceeded: The text is nested too deeply, or contains too long a number.

    Example:
        >>> mend("{'city': 'Oslo',}", True, max_depth=9)[0]
        '{"city": "Oslo"}'
    """
    parser = PartialJSONParser(lenient=lenient, max_depth=max_depth)
    parser.feed(text)
    parser.end()
    # Raises the parser's error, if there is one.
    parser.check()
    return json.dumps(parser.value), parser.repairs
