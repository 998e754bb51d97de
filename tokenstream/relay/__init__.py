"""A stream out again: what a reader was given, in the bytes of any provider, to browsers and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._lazy import lazily

if TYPE_CHECKING:
    from tokenstream.relay._encode import encode, payloads
    from tokenstream.relay._protocols import headers
    from tokenstream.relay._respond import respond
    from tokenstream.relay._response import Response
    from tokenstream.relay._shutdown import shut_down
    from tokenstream.relay._websocket import websocket
    from tokenstream.relay.journal import RedisJournal

__all__ = ["RedisJournal", "Response", "encode", "headers", "payloads", "respond", "shut_down", "websocket"]

__getattr__, __dir__ = lazily(
    globals(),
    {
        "Response": "_kind",
        "RedisJournal": "journal",
        "encode": "_encode",
        "headers": "_protocols",
        "payloads": "_encode",
        "respond": "_respond",
        "shut_down": "_shutdown",
        "websocket": "_websocket",
    },
)
