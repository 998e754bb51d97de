"""What an editor infers of one stream that several consumers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

from tokenstream import AsyncStream, Message, Stream
from tokenstream.events import Event
from tokenstream.message import ToolCall
from tokenstream.stream import AsyncTextView, TextView
from tokenstream.stream._fan_out.broadcast import Broadcast, BroadcastReader
from tokenstream.stream._fan_out.broadcast_async import AsyncBroadcast, AsyncBroadcastReader


def shared(stream: Stream) -> None:
    """A reader has what a stream has."""
    hub = stream.broadcast(policy="drop_oldest", size=64)
    assert_type(hub, Broadcast)
    assert_type(stream.tee(2), tuple[BroadcastReader, ...])
    assert_type(hub.listen(lambda: None), Callable[[], None])
    with hub.reader(name="log") as reader:
        assert_type(reader, BroadcastReader)
        assert_type(reader.text, TextView)
        assert_type(next(reader), Event)
        for event in reader:
            assert_type(event, Event)
        for call in reader.tool_calls:
            assert_type(call, ToolCall)
        assert_type(reader.result(int), int)
        assert_type(reader.final(), Message)
        assert_type(reader.dropped, int)
    stream.broadcast(policy="drop")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def shared_asynchronous(stream: AsyncStream) -> None:
    assert_type(stream.broadcast(), AsyncBroadcast)
    (reader,) = stream.tee(1)
    async with reader:
        assert_type(reader, AsyncBroadcastReader)
        assert_type(reader.text, AsyncTextView)
        async for event in reader:
            assert_type(event, Event)
        assert_type(await reader.result(int), int)
        assert_type(await reader.final(), Message)
