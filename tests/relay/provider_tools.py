"""The events of an answer in which the provider has run a tool, and those that a relay makes of any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.support.encoders import read_as
from tokenstream import Stream, relay
from tokenstream.events import Event, Finish, PartDelta, PartDone, PartStart, TextDelta, ToolResult
from tokenstream.message import ServerToolCall, ServerToolResult
from tokenstream.relay import ProtocolName

CALL = ServerToolCall(id="srv_1", name="look_up", arguments_text='{"n": 1}', complete=True)


def ran(result: ServerToolResult, call: ServerToolCall = CALL) -> list[Event]:
    """Return the events of a stream with a call and its result, in the forms that formats send."""
    blank = call.model_copy(update={"arguments_text": "", "complete": False})
    done = result.model_copy(update={"complete": True})
    return [
        PartStart(blank, part=0),
        PartDelta(call.arguments_text, part=0),
        PartDone(call, part=0),
        PartStart(result, part=1),
        PartDone(done, part=1),
        told_result(result),
        TextDelta("Done.", part=2),
        Finish("stop"),
    ]


def read_through(
    events: Iterable[Event], protocol: ProtocolName, *, size: int = 1_000_000, **options: Any
) -> Stream:
    """Return a stream of what a relay sends for events, in chunks of a size."""
    # What is spoken over a WebSocket comes in messages.
    body = b"".join(relay.encode(events, protocol, **options))
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return Stream(chunks, format=read_as(protocol))


def results_in(events: Iterable[Event]) -> list[ToolResult]:
    return [event for event in events if isinstance(event, ToolResult)]


def told_result(result: ServerToolResult) -> ToolResult:
    told = ToolResult(result.id, result.content, result.error, provider_executed=True)
    told.is_repeat = True
    return told
