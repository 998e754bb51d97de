"""Read the streamed answers of language models: every provider, nothing lost.

Example:
    ask = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    try:
        with connect(f"{base}/chat/completions", json=ask, headers=headers) as stream:
            for piece in stream.text:
                print(piece, end="", flush=True)
    except StreamError as error:
        print(error, error.partial.text)

Other views: stream.deltas (with reasoning), stream.partials(Order), stream.result(Order),
stream.validated_calls(function), stream.final(). In async code: aconnect, async with, async for.
An SDK's stream, or a response: Stream(source). llms-path.txt beside this file has the ten main
pages, for coding agents; `python -m tokenstream docs` prints its path.
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
    from tokenstream._pipeline.decoder import Decoder as Decoder
    from tokenstream._request.connect import aconnect as aconnect
    from tokenstream._request.connect import connect as connect
    from tokenstream.errors import AnswerRejected as AnswerRejected
    from tokenstream.errors import CallsDiffer as CallsDiffer
    from tokenstream.errors import CallStoreUnavailable as CallStoreUnavailable
    from tokenstream.errors import CallUncertain as CallUncertain
    from tokenstream.errors import ConnectError as ConnectError
    from tokenstream.errors import GuardFailed as GuardFailed
    from tokenstream.errors import InvalidJSON as InvalidJSON
    from tokenstream.errors import LimitExceeded as LimitExceeded
    from tokenstream.errors import MisuseError as MisuseError
    from tokenstream.errors import NotAStream as NotAStream
    from tokenstream.errors import NotExpressible as NotExpressible
    from tokenstream.errors import OutputIncomplete as OutputIncomplete
    from tokenstream.errors import OutputInvalid as OutputInvalid
    from tokenstream.errors import PositionLost as PositionLost
    from tokenstream.errors import ProtocolError as ProtocolError
    from tokenstream.errors import ProviderError as ProviderError
    from tokenstream.errors import StatusError as StatusError
    from tokenstream.errors import StreamError as StreamError
    from tokenstream.errors import StreamInterrupted as StreamInterrupted
    from tokenstream.errors import StreamStalled as StreamStalled
    from tokenstream.errors import StreamTruncated as StreamTruncated
    from tokenstream.errors import TokenStreamError as TokenStreamError
    from tokenstream.events import CitationAdded as CitationAdded
    from tokenstream.events import Event as Event
    from tokenstream.events import Finish as Finish
    from tokenstream.events import InputTranscript as InputTranscript
    from tokenstream.events import MediaDelta as MediaDelta
    from tokenstream.events import MessageStart as MessageStart
    from tokenstream.events import PartDelta as PartDelta
    from tokenstream.events import PartDone as PartDone
    from tokenstream.events import PartStart as PartStart
    from tokenstream.events import ProviderData as ProviderData
    from tokenstream.events import ReasoningDelta as ReasoningDelta
    from tokenstream.events import RefusalDelta as RefusalDelta
    from tokenstream.events import Restarted as Restarted
    from tokenstream.events import Resumed as Resumed
    from tokenstream.events import StepDelta as StepDelta
    from tokenstream.events import StepDone as StepDone
    from tokenstream.events import StepStart as StepStart
    from tokenstream.events import StepUpdate as StepUpdate
    from tokenstream.events import StepWaiting as StepWaiting
    from tokenstream.events import Stopped as Stopped
    from tokenstream.events import TextDelta as TextDelta
    from tokenstream.events import ToolCallDelta as ToolCallDelta
    from tokenstream.events import ToolCallDone as ToolCallDone
    from tokenstream.events import ToolCallStart as ToolCallStart
    from tokenstream.events import ToolProgress as ToolProgress
    from tokenstream.events import ToolResult as ToolResult
    from tokenstream.events import Unknown as Unknown
    from tokenstream.events import UsageUpdate as UsageUpdate
    from tokenstream.limits import Deadlines as Deadlines
    from tokenstream.limits import Limits as Limits
    from tokenstream.message import Checkpoint as Checkpoint
    from tokenstream.message import Message as Message
    from tokenstream.message import ToolCall as ToolCall
    from tokenstream.message import Usage as Usage
    from tokenstream.partial_json import Partial as Partial
    from tokenstream.recovery import Purse as Purse
    from tokenstream.recovery import Retry as Retry
    from tokenstream.recovery import Route as Route
    from tokenstream.recovery import Routes as Routes
    from tokenstream.recovery import Seam as Seam
    from tokenstream.recovery import aresilient as aresilient
    from tokenstream.recovery import resilient as resilient
    from tokenstream.router import Router as Router
    from tokenstream.schemas import Tools as Tools
    from tokenstream.schemas import response_format as response_format
    from tokenstream.session import AsyncSession as AsyncSession
    from tokenstream.session import Session as Session
    from tokenstream.stages import Tags as Tags
    from tokenstream.steps import AsyncPeer as AsyncPeer
    from tokenstream.steps import Peer as Peer
    from tokenstream.steps import Steps as Steps
    from tokenstream.steps import aattach as aattach
    from tokenstream.steps import attach as attach
    from tokenstream.stream import AsyncStream as AsyncStream
    from tokenstream.stream import Job as Job
    from tokenstream.stream import Stream as Stream
    from tokenstream.stream import merge as merge
    from tokenstream.stream import tap as tap

# Loaded when first used: a program that imports this package at its start
# loads pydantic and the rest only when it reads its first stream.
_NAMES = {
    "_basics.version": ("__version__",),
    "_request.connect": ("aconnect", "connect"),
    "_pipeline.decoder": ("Decoder",),
    "errors": (
        "AnswerRejected",
        "CallStoreUnavailable",
        "CallUncertain",
        "CallsDiffer",
        "ConnectError",
        "GuardFailed",
        "InvalidJSON",
        "LimitExceeded",
        "MisuseError",
        "NotAStream",
        "NotExpressible",
        "OutputIncomplete",
        "OutputInvalid",
        "PositionLost",
        "ProtocolError",
        "ProviderError",
        "StatusError",
        "StreamError",
        "StreamInterrupted",
        "StreamStalled",
        "StreamTruncated",
        "TokenStreamError",
    ),
    "events": (
        "CitationAdded",
        "Event",
        "Finish",
        "InputTranscript",
        "MediaDelta",
        "MessageStart",
        "PartDelta",
        "PartDone",
        "PartStart",
        "ProviderData",
        "ReasoningDelta",
        "RefusalDelta",
        "Restarted",
        "Resumed",
        "StepDelta",
        "StepDone",
        "StepStart",
        "StepUpdate",
        "StepWaiting",
        "Stopped",
        "TextDelta",
        "ToolCallDelta",
        "ToolCallDone",
        "ToolCallStart",
        "ToolProgress",
        "ToolResult",
        "Unknown",
        "UsageUpdate",
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
    "stream": ("AsyncStream", "Job", "Stream", "merge", "tap"),
    "call_store": (),
    "departures": (),
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
        {name: home for home, names in _NAMES.items() for name in names}
        | {room: room for room in _NAMES if not room.startswith("_")},
    )
