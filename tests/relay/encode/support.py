"""An answer to encode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def all_of(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]
