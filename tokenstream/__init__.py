"""Read the streamed answers of language models: every provider, nothing lost.

Example:
    with connect(url, json=payload, headers=headers) as stream:
        for piece in stream.text:
            print(piece, end="", flush=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import lazily

# `connect` is also the name of its module: bound here once and for all.
from tokenstream.connect import aconnect, connect

if TYPE_CHECKING:
    from tokenstream.decoder import Decoder
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Checkpoint, Message, ToolCall, Usage
    from tokenstream.partial_json import Partial
    from tokenstream.recovery import Retry, aresilient, resilient
    from tokenstream.router import Router
    from tokenstream.schemas import Tools, response_format
    from tokenstream.steps import Steps
    from tokenstream.stream import AsyncStream, Stream, merge, tap

__all__ = [
    "AsyncStream",
    "Checkpoint",
    "Deadlines",
    "Decoder",
    "Limits",
    "Message",
    "Partial",
    "Retry",
    "Router",
    "Steps",
    "Stream",
    "ToolCall",
    "Tools",
    "Usage",
    "aconnect",
    "aresilient",
    "connect",
    "merge",
    "resilient",
    "response_format",
    "tap",
]

# Loaded when first asked for: a program that imports this package at its start
# pays for pydantic and the rest when it reads its first stream.
_HOMES = {
    "AsyncStream": "stream",
    "Checkpoint": "message",
    "Deadlines": "limits",
    "Decoder": "decoder",
    "Limits": "limits",
    "Message": "message",
    "Partial": "partial_json",
    "Retry": "recovery",
    "Router": "router",
    "Steps": "steps",
    "Stream": "stream",
    "ToolCall": "message",
    "Tools": "schemas",
    "Usage": "message",
    "aresilient": "recovery",
    "merge": "stream",
    "resilient": "recovery",
    "response_format": "schemas",
    "tap": "stream",
}

__getattr__, __dir__ = lazily(globals(), _HOMES)
