"""Relays, which send a stream on to browsers and other clients, in the protocol of any provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream.relay._asgi.assets import assets
    from tokenstream.relay._asgi.delivery import Timing
    from tokenstream.relay._asgi.endpoints import endpoints, refusal
    from tokenstream.relay._asgi.follow import follow, stop
    from tokenstream.relay._asgi.origins import is_cross_site
    from tokenstream.relay._asgi.respond import respond
    from tokenstream.relay._asgi.shutdown import shut_down
    from tokenstream.relay._asgi.websocket import websocket
    from tokenstream.relay._encode import encode, payloads
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay._protocols import headers, losses
    from tokenstream.relay.journal import Bounds, Journal, JournalError, MemoryJournal, RedisJournal

__all__ = [
    "Bounds",
    "Journal",
    "JournalError",
    "MemoryJournal",
    "ProtocolName",
    "RedisJournal",
    "Timing",
    "assets",
    "encode",
    "endpoints",
    "follow",
    "headers",
    "is_cross_site",
    "losses",
    "payloads",
    "refusal",
    "respond",
    "shut_down",
    "stop",
    "websocket",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(
        globals(),
        dict.fromkeys(__all__, "journal")
        | {
            "ProtocolName": "_encoders",
            "Timing": "_asgi.delivery",
            "assets": "_asgi.assets",
            "encode": "_encode",
            "endpoints": "_asgi.endpoints",
            "headers": "_protocols",
            "losses": "_protocols",
            "payloads": "_encode",
            "follow": "_asgi.follow",
            "is_cross_site": "_asgi.origins",
            "refusal": "_asgi.endpoints",
            "respond": "_asgi.respond",
            "shut_down": "_asgi.shutdown",
            "stop": "_asgi.follow",
            "websocket": "_asgi.websocket",
        },
    )
