"""What a case of a compatible server is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

OSLO, BERGEN = {"city": "Oslo"}, {"city": "Bergen"}
OSLO_TEXT, BERGEN_TEXT = '{"city": "Oslo"}', '{"city": "Bergen"}'


@dataclass(frozen=True)
class CompatibleCase:
    format: str
    name: str
    sends: str
    """What the server does, and which one."""
    body: bytes
    text: str = ""
    calls: Sequence[tuple[str | None, str, Any]] = ()
    """Id (None where any will do), name and arguments of each call."""
    about: dict[str, Any] = field(default_factory=dict)
    """Other fields of an answer that the case is about."""
    fails: bool = False
    """Whether the server says that it failed: then an error is right, and no error is wrong."""
