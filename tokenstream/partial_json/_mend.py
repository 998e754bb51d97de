"""What is almost JSON, written as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenstream.partial_json._parser import PartialJSONParser

if TYPE_CHECKING:
    from tokenstream.partial_json._repairs import Lenient, Repair

__all__ = ["mend"]


def mend(text: str, lenient: Lenient, *, max_depth: int) -> tuple[str, tuple[Repair, ...]]:
    """Return what a whole text says as JSON, and what was repaired in it.

    Raises:
        InvalidJSON: Nothing says what it means, or with "closed" its end is missing.
        LimitExceeded: It is nested too deeply, or holds too long a number.

    Example:
        >>> mend("{'city': 'Oslo',}", True, max_depth=9)[0]
        '{"city": "Oslo"}'
    """
    parser = PartialJSONParser(lenient=lenient, max_depth=max_depth)
    parser.feed(text)
    parser.end()
    parser.check()
    return json.dumps(parser.value), parser.repairs
