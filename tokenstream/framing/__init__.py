"""Framings: they cut the bytes that a transport delivers into frames, such as events, lines or messages.

Each framing is a stage: `feed(chunk)` returns the frames that the chunk completes,
and `end()` ends the input. The frames are the same wherever the transport cut the
chunks. A framing knows nothing of events or providers, and only that of JSON-RPC
decodes JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream.framing._aws_eventstream import AWSEventStreamParser as AWSEventStreamParser
    from tokenstream.framing._frames import EventStreamMessage as EventStreamMessage
    from tokenstream.framing._frames import ServerSentEvent as ServerSentEvent
    from tokenstream.framing._ndjson import NDJSONParser as NDJSONParser
    from tokenstream.framing._sse import SSEParser as SSEParser

__getattr__, __dir__ = make_lazy_loader(
    globals(),
    {
        "AWSEventStreamParser": "_aws_eventstream",
        "EventStreamMessage": "_frames",
        "NDJSONParser": "_ndjson",
        "SSEParser": "_sse",
        "ServerSentEvent": "_frames",
    },
)
