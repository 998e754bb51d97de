"""What a format is given of the objects of other libraries."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from tokenstream import Stream
from tokenstream.errors import StreamTruncated
from tokenstream.formats import Format

__all__ = ["payloads_of"]


def payloads_of(*items: Any, source: Any = None) -> list[dict[str, Any]]:
    """Return the payloads that a stream hands to its format, of objects or of a source of them."""
    kept: list[dict[str, Any]] = []

    class Keeping(Format):
        """A format that keeps its payloads, and makes nothing of them."""

        name: ClassVar[str] = "keeping"

        @classmethod
        def recognises(cls, payload: dict[str, Any], event: str) -> bool:
            return bool(payload or event)

        def read(self, payload: dict[str, Any], event: str) -> None:
            kept.append(payload)

    with suppress(StreamTruncated):
        Stream(iter(items) if source is None else source, format=Keeping()).final()
    return kept
