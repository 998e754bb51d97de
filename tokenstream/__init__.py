"""Read the streamed answers of language models: every provider, nothing lost.

Example:
    with connect(url, json=payload, headers=headers) as stream:
        for piece in stream.text:
            print(piece, end="", flush=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream import call_store as call_store
    from tokenstream import departures as departures
    from tokenstream import errors as errors
    from tokenstream import events as events
    from tokenstream import formats as formats
    from tokenstream import framing as framing
    from tokenstream import limits as limits
    from tokenstream import message as message
    from tokenstream import otel as otel
    from tokenstream import partial_json as partial_json
    from tokenstream import recovery as recovery
    from tokenstream import relay as relay
    from tokenstream import router as router
    from tokenstream import schemas as schemas
    from tokenstream import session as session
    from tokenstream import stages as stages
    from tokenstream import steps as steps
    from tokenstream import stream as stream
    from tokenstream import terminal as terminal
    from tokenstream import testing as testing
    from tokenstream import turns as turns
    from tokenstream._basics.version import __version__ as __version__
    from tokenstream._connect import aconnect, connect
    from tokenstream._decoder import Decoder
    from tokenstream.errors import (
        AnswerRejected,
        CallsDiffer,
        CallStoreUnavailable,
        CallUncertain,
        ConnectError,
        GuardFailed,
        InvalidJSON,
        LimitExceeded,
        MisuseError,
        NotAStream,
        NotExpressible,
        OutputIncomplete,
        OutputInvalid,
        PositionLost,
        ProtocolError,
        ProviderError,
        StatusError,
        StreamError,
        StreamInterrupted,
        StreamStalled,
        StreamTruncated,
        TokenStreamError,
    )
    from tokenstream.events import (
        CitationAdded,
        Event,
        Finish,
        InputTranscript,
        MediaDelta,
        MessageStart,
        PartDelta,
        PartDone,
        PartStart,
        ProviderData,
        ReasoningDelta,
        RefusalDelta,
        Restarted,
        Resumed,
        StepDelta,
        StepDone,
        StepStart,
        StepUpdate,
        StepWaiting,
        Stopped,
        TextDelta,
        ToolCallDelta,
        ToolCallDone,
        ToolCallStart,
        ToolProgress,
        ToolResult,
        Unknown,
        UsageUpdate,
    )
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Checkpoint, Message, ToolCall, Usage
    from tokenstream.partial_json import Partial
    from tokenstream.recovery import Purse, Retry, Route, Routes, Seam, aresilient, resilient
    from tokenstream.router import Router
    from tokenstream.schemas import Tools, response_format
    from tokenstream.session import AsyncSession, Session
    from tokenstream.stages import Tags
    from tokenstream.steps import AsyncPeer, Peer, Steps, aattach, attach
    from tokenstream.stream import AsyncStream, Stream, merge, tap

__all__ = [
    "AnswerRejected",
    "AsyncPeer",
    "AsyncSession",
    "AsyncStream",
    "CallStoreUnavailable",
    "CallUncertain",
    "CallsDiffer",
    "Checkpoint",
    "CitationAdded",
    "ConnectError",
    "Deadlines",
    "Decoder",
    "Event",
    "Finish",
    "GuardFailed",
    "InputTranscript",
    "InvalidJSON",
    "LimitExceeded",
    "Limits",
    "MediaDelta",
    "Message",
    "MessageStart",
    "MisuseError",
    "NotAStream",
    "NotExpressible",
    "OutputIncomplete",
    "OutputInvalid",
    "PartDelta",
    "PartDone",
    "PartStart",
    "Partial",
    "Peer",
    "PositionLost",
    "ProtocolError",
    "ProviderData",
    "ProviderError",
    "Purse",
    "ReasoningDelta",
    "RefusalDelta",
    "Restarted",
    "Resumed",
    "Retry",
    "Route",
    "Router",
    "Routes",
    "Seam",
    "Session",
    "StatusError",
    "StepDelta",
    "StepDone",
    "StepStart",
    "StepUpdate",
    "StepWaiting",
    "Steps",
    "Stopped",
    "Stream",
    "StreamError",
    "StreamInterrupted",
    "StreamStalled",
    "StreamTruncated",
    "Tags",
    "TextDelta",
    "TokenStreamError",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallDone",
    "ToolCallStart",
    "ToolProgress",
    "ToolResult",
    "Tools",
    "Unknown",
    "Usage",
    "UsageUpdate",
    "aattach",
    "aconnect",
    "aresilient",
    "attach",
    "connect",
    "merge",
    "resilient",
    "response_format",
    "tap",
]

# Loaded when first used: a program that imports this package at its start
# loads pydantic and the rest only when it reads its first stream.
_NAMES = {
    # The errors are all names that stand in no row.
    "_basics.version": ("__version__",),
    "_connect": ("aconnect", "connect"),
    "_decoder": ("Decoder",),
    "events": tuple(
        """CitationAdded Event Finish InputTranscript MediaDelta MessageStart PartDelta PartDone PartStart
        ProviderData ReasoningDelta RefusalDelta Restarted Resumed StepDelta StepDone StepStart
        StepUpdate StepWaiting Stopped TextDelta ToolCallDelta ToolCallDone ToolCallStart
        ToolProgress ToolResult Unknown UsageUpdate""".split()  # noqa: SIM905
    ),
    "limits": ("Deadlines", "Limits"),
    "message": ("Checkpoint", "Message", "ToolCall", "Usage"),
    "partial_json": ("Partial",),
    "recovery": ("Purse", "Retry", "Route", "Routes", "Seam", "aresilient", "resilient"),
    "router": ("Router",),
    "schemas": ("Tools", "response_format"),
    "session": ("AsyncSession", "Session"),
    "stages": ("Tags",),
    "steps": ("AsyncPeer", "Peer", "Steps", "aattach", "attach"),
    "stream": ("AsyncStream", "Stream", "merge", "tap"),
    "call_store": (),
    "departures": (),
    "errors": (),
    "formats": (),
    "framing": (),
    "otel": (),
    "relay": (),
    "terminal": (),
    "testing": (),
    "turns": (),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(
        globals(),
        dict.fromkeys(__all__, "errors")
        | {name: home for home, names in _NAMES.items() for name in names}
        | {room: room for room in _NAMES if not room.startswith("_")},
    )
