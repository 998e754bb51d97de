"""Repair of a whole text: almost JSON in, JSON out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenstream.partial_json._parser import PartialJSONParser

if TYPE_CHECKING:
    from tokenstream.partial_json._repairs import Lenient, Repair


def mend(text: str, lenient: Lenient, *, max_depth: int) -> tuple[str, tuple[Repair, ...]]:
    """Return a whole text as JSON, and the repairs that were needed.

    Raises:
        InvalidJSON: The text cannot be repaired, or its end is missing and `lenient` is "closed".
        LimitExceeded: It is nested too deeply, or has too long a number.

    Example:
        >>> mend("{'city': 'Oslo',}", True, max_depth=9)[0]
        '{"city": "Oslo"}'
    """
    parser = PartialJSONParser(lenient=lenient, max_depth=max_depth)
    parser.feed(text)
    parser.end()
    parser.check()
    return json.dumps(parser.value), parser.repairs
