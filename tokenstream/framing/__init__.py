"""Framings: they cut the bytes that a transport delivers into frames, such as events, lines or messages.

Each framing is a stage: `feed(chunk)` returns the frames that the chunk completes,
and `end()` ends the input. The frames are the same wherever the transport cut the
chunks. A framing knows nothing of events or providers, and only that of JSON-RPC
decodes JSON.
"""

from __future__ import annotations

from tokenstream.framing._aws_eventstream import AWSEventStreamParser, EventStreamMessage
from tokenstream.framing._ndjson import NDJSONParser
from tokenstream.framing._sse import SSEParser
from tokenstream.framing._sse_event import ServerSentEvent

__all__ = ["AWSEventStreamParser", "EventStreamMessage", "NDJSONParser", "SSEParser", "ServerSentEvent"]
