"""What users' editors infer; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, assert_never, assert_type

from tokenstream import (
    AsyncStream,
    Checkpoint,
    Decoder,
    Job,
    Limits,
    Message,
    Stream,
    Tags,
    ToolCall,
    Usage,
    aconnect,
    connect,
)
from tokenstream.errors import NotExpressible
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
from tokenstream.formats import Format, custom
from tokenstream.framing import ServerSentEvent, SSEParser
from tokenstream.message import FinishReason, Part
from tokenstream.turns._drop import Kind


def streams(body: Iterable[bytes]) -> None:
    stream = Stream(body)
    assert_type(Stream(body, tags=Tags(reasoning=("think",))), Stream)
    assert_type(Stream(body, tags=Tags(calls="auto")), Stream)
    assert_type(connect("url", tags=Tags(calls=["hermes"])), Stream)
    assert_type(connect("url", tags=Tags(citations="openai")), Stream)
    assert_type(Stream(body, tools=["now", dict]), Stream)
    assert_type(iter(stream), Iterator[Event])
    assert_type(next(stream), Event)
    for piece in stream.text:
        assert_type(piece, str)
    for piece in stream.choice(1).reasoning:
        assert_type(piece, str)
    for delta in stream.deltas:
        assert_type(delta, TextDelta | ReasoningDelta | RefusalDelta)
    for call in stream.tool_calls:
        assert_type(call, ToolCall)
    for call in stream.tool_calls.when_complete():
        assert_type(call, ToolCall)
    assert_type(stream.final(), Message)
    assert_type(stream.print(), Message)
    assert_type(stream.checkpoint(), Checkpoint)
    assert_type(Stream(body, job=Job("job", checkpoint=stream.checkpoint()), limits=Limits()), Stream)
    for response in stream.responses:
        assert_type(response, Stream)
    with Stream(body, format="text", limits=Limits()) as opened:
        assert_type(opened, Stream)


async def asynchronous_streams(body: AsyncIterator[bytes]) -> None:
    stream = AsyncStream(body)
    assert_type(aconnect("url"), AsyncStream)
    assert_type(aiter(stream), AsyncIterator[Event])
    assert_type(await anext(stream), Event)
    async for piece in stream.text:
        assert_type(piece, str)
    async for call in stream.tool_calls:
        assert_type(call, ToolCall)
    async for call in stream.tool_calls.when_complete():
        assert_type(call, ToolCall)
    assert_type(await stream.final(), Message)
    assert_type(stream.checkpoint(), Checkpoint)
    assert_type(AsyncStream(body, job=Job("job", checkpoint=stream.checkpoint())), AsyncStream)
    async for response in stream.responses:
        assert_type(response, AsyncStream)
        assert_type(await response.final(), Message)
    async with stream as opened:
        assert_type(opened, AsyncStream)


def formats(body: Iterable[bytes]) -> None:
    """A mapping is a format, and is passed where a name may stand."""
    mapping: Format = custom(
        text=["a.b", "c.*.d"],
        finish="e",
        finish_reasons={"busy": None, "full": "length"},
        usage={"output_tokens": "u"},
        where={"type": ["delta", "text"]},
        event="message",
        end=["done", "end"],
    )
    assert_type(Stream(body, format=mapping).final(), Message)
    assert_type(Stream(body, format=custom(text="a")).final(), Message)


def messages(message: Message) -> None:
    assert_type(message.tool_calls, tuple[ToolCall, ...])
    assert_type(Usage() + Usage(), Usage)
    assert_type(sum([Usage()], start=Usage()), Usage)
    assert_type(message.finish_reason, FinishReason | None)
    part: Part
    for part in message.parts:
        if part.kind == "tool_call":
            assert_type(part, ToolCall)


def turns(message: Message, error: NotExpressible) -> None:
    assert_type(message.to_openai_chat(), dict[str, Any])
    assert_type(message.to_openai_responses(drop="all"), list[dict[str, Any]])
    assert_type(message.to_gemini(drop=("citation", "incomplete")), dict[str, Any])
    assert_type(message.to_cohere(drop=error.kinds), dict[str, Any])
    assert_type(error.kinds, dict[Kind, int])


def decoders(chunk: bytes) -> None:
    assert_type(Decoder("text").feed(chunk), list[Event])
    assert_type(Decoder().feed({"choices": []}), list[Event])
    assert_type(Decoder().end(complete=True), list[Event])
    assert_type(SSEParser().feed(chunk), list[ServerSentEvent])


def every_event(event: Event) -> str:
    """A match over all kinds is complete."""
    match event:
        case TextDelta(text) | ReasoningDelta(text) | RefusalDelta(text):
            return text
        case ToolCallStart(id, name):
            return id + name
        case ToolCallDelta(id, fragment):
            return id + fragment
        case ToolCallDone(call):
            return call.name
        case PartStart(content):
            return content.kind
        case PartDelta(fragment):
            return fragment
        case PartDone(content):
            return "" if content is None else content.kind
        case CitationAdded(citation):
            return citation.url or ""
        case MediaDelta(data):
            return data.hex()
        case UsageUpdate(usage):
            return str(usage.output_tokens)
        case Finish(reason, raw_reason):
            return raw_reason or reason
        case MessageStart():
            return event.raw or ""
        case Restarted(discarded):
            return discarded.text
        case Resumed(mode, dropped):
            return mode * dropped
        case Stopped(reason):
            return reason
        case StepStart(id, name):
            return id + name
        case StepDelta(id, text):
            return id + text
        case StepUpdate(id, data):
            return id + str(data["type"])
        case StepWaiting(id):
            return id
        case StepDone(id):
            return event.step or id
        case InputTranscript(text, id):
            return (id or "") + text
        case ToolProgress(id, name):
            return id + name
        case ToolResult(id, _, error):
            return error or id
        case ProviderData(data, lists, shared):
            return "all" if shared else "".join([*data, *lists])
        case Unknown(name):
            return name
        case _:
            assert_never(event)
