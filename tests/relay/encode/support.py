"""What a relay sends, as lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tokenstream import relay
from tokenstream.events import Event
from tokenstream.relay import ProtocolName


async def all_of(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]


def list_payloads(events: list[Event], protocol: ProtocolName) -> list[dict[str, Any]]:
    return [*relay.payloads(events, protocol)]
