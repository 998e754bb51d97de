"""Two journals on one place, which stand for two processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.relay.journals import Place
from tests.relay.storage_laws import Opened
from tokenstream.relay.journal import Journal

LEASE = 0.6


@asynccontextmanager
async def two_journals(
    opened: Opened, *, lease: float = 15.0, drain: float = 0.0, **bounds: Any
) -> AsyncGenerator[tuple[Journal, Journal, Place, Place]]:
    async with opened(**bounds) as storages:
        one, other = map(Place, storages)
        async with Journal(one, lease=lease, drain=drain) as a, Journal(other, lease=lease, drain=drain) as b:
            yield a, b, one, other
