"""From bytes to frames: what a transport delivers, cut where its framing says.

Every framing is a stage: `feed(chunk)` returns the frames that the chunk
completes, `end()` says that the input is over. Where the chunks were cut is never
visible in the frames. A framing knows nothing of JSON, events or providers.
"""

from __future__ import annotations

from tokenstream.framing.aws_eventstream import AWSEventStreamParser, EventStreamMessage
from tokenstream.framing.json_array import JSONArrayParser
from tokenstream.framing.ndjson import NDJSONParser
from tokenstream.framing.sse import ServerSentEvent, SSEParser

__all__ = [
    "AWSEventStreamParser",
    "EventStreamMessage",
    "JSONArrayParser",
    "NDJSONParser",
    "SSEParser",
    "ServerSentEvent",
]
