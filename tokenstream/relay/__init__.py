"""Relays, which send a stream on to browsers and other clients, in the protocol of any provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream.relay._asgi.assets import assets as assets
    from tokenstream.relay._asgi.delivery import Timing as Timing
    from tokenstream.relay._asgi.endpoints import endpoints as endpoints
    from tokenstream.relay._asgi.endpoints import refusal as refusal
    from tokenstream.relay._asgi.follow import follow as follow
    from tokenstream.relay._asgi.follow import stop as stop
    from tokenstream.relay._asgi.origins import is_cross_site as is_cross_site
    from tokenstream.relay._asgi.respond import respond as respond
    from tokenstream.relay._asgi.shutdown import shut_down as shut_down
    from tokenstream.relay._asgi.websocket import websocket as websocket
    from tokenstream.relay._encode import encode as encode
    from tokenstream.relay._encode import payloads as payloads
    from tokenstream.relay._encoders import ProtocolName as ProtocolName
    from tokenstream.relay._protocols import headers as headers
    from tokenstream.relay._protocols import losses as losses
    from tokenstream.relay.journal import Bounds as Bounds
    from tokenstream.relay.journal import Journal as Journal
    from tokenstream.relay.journal import JournalError as JournalError
    from tokenstream.relay.journal import MemoryJournal as MemoryJournal
    from tokenstream.relay.journal import RedisJournal as RedisJournal

_HOMES = {
    "Bounds": "journal",
    "Journal": "journal",
    "JournalError": "journal",
    "MemoryJournal": "journal",
    "ProtocolName": "_encoders",
    "RedisJournal": "journal",
    "Timing": "_asgi.delivery",
    "assets": "_asgi.assets",
    "encode": "_encode",
    "endpoints": "_asgi.endpoints",
    "follow": "_asgi.follow",
    "headers": "_protocols",
    "is_cross_site": "_asgi.origins",
    "losses": "_protocols",
    "payloads": "_encode",
    "refusal": "_asgi.endpoints",
    "respond": "_asgi.respond",
    "shut_down": "_asgi.shutdown",
    "stop": "_asgi.follow",
    "websocket": "_asgi.websocket",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
