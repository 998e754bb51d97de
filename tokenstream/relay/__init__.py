"""Relays, which send a stream on to browsers and other clients, in the protocol of any provider.

Importing this package is the import of a server: it loads all that a first answer needs, so that no request
waits for an import.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, get_args

from tokenstream._basics.lazy import make_lazy_loader
from tokenstream._providers.apis import ProtocolName, all_apis
from tokenstream.formats import _registry as registry
from tokenstream.message import Checkpoint, Message
from tokenstream.relay import _encoders as encoders
from tokenstream.relay._asgi.asking import is_cross_site
from tokenstream.relay._asgi.assets import assets
from tokenstream.relay._asgi.delivery import Timing
from tokenstream.relay._asgi.endpoints import endpoints, refusal
from tokenstream.relay._asgi.follow import follow, stop
from tokenstream.relay._asgi.respond import respond
from tokenstream.relay._asgi.shutdown import shut_down
from tokenstream.relay._asgi.websocket import websocket
from tokenstream.relay._encode import encode, payloads
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

# Most answers arrive in a format in which a relay can send them, too.
for _api in all_apis():
    if _api.name in get_args(ProtocolName):
        encoders.load(_api.name)
        if _api.reader is not None:
            registry.load(_api.name)
registry.load_late()
for _model in (Message, Checkpoint):
    _model.model_rebuild()
# A first request by `connect`, and one that is repeated.
for _name in ("_request.again", "_request.connect", "formats._resume.event_log"):
    import_module(f"tokenstream.{_name}")
# The first request of httpx loads them; the last has a private name, and takes longest.
for _name in ("encodings.idna", "httpx_sse", "anyio._backends._asyncio"):
    with suppress(ImportError):
        import_module(_name)
if "starlette.responses" in sys.modules:
    import_module("tokenstream.relay._asgi.response_type")

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), {})
