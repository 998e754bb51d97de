"""Chunks as OpenAI Chat and its dialects send them, and what reading them gives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamTruncated
from tokenstream.events import TextDelta, ToolCallDone, Unknown
from tokenstream.formats.openai_chat import OpenAIChat
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats.base import Frame
    from tokenstream.message import Message, ToolCall

Payload: TypeAlias = dict[str, Any]

HEAD: Payload = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m-1"}
DONE = b"[DONE]"


def chunk(delta: Any = None, finish: Any = None, *, choice: Any = 0, **fields: Any) -> Payload:
    """One chunk of one choice; `fields` stand beside its delta."""
    said = {} if delta is None else {"delta": delta}
    return {**HEAD, "choices": [{"index": choice, **said, **fields, "finish_reason": finish}]}


def text(piece: str, **fields: Any) -> Payload:
    return chunk({"content": piece}, **fields)


def call(arguments: Any = None, *, name: Any = None, body: str = "function", **item: Any) -> Payload:
    """One chunk with one item of `tool_calls`, with just the fields that are named."""
    return chunk({"tool_calls": [item_of(arguments, name=name, body=body, **item)]})


def item_of(arguments: Any = None, *, name: Any = None, body: str = "function", **item: Any) -> Payload:
    inner: Payload = {}
    if name is not None:
        inner["name"] = name
    if arguments is not None:
        inner["input" if body == "custom" else "arguments"] = arguments
    return {**item, body: inner}


FINISH = chunk({}, "stop")
ROLE = chunk({"role": "assistant", "content": ""})


@dataclass
class Read:
    """What came of some frames."""

    format: OpenAIChat
    accumulator: Accumulator
    events: list[Event] = field(default_factory=list)

    @property
    def message(self) -> Message:
        return self.accumulator.message

    @property
    def messages(self) -> list[Message]:
        return self.accumulator.messages

    @property
    def error(self) -> StreamError | None:
        return self.format.error

    @property
    def rules(self) -> set[str]:
        return set(self.format.departures) - {"role_missing"}

    @property
    def done(self) -> list[ToolCall]:
        """The calls that were handed out."""
        return [event.call for event in self.events if isinstance(event, ToolCallDone)]

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Names and arguments of the calls that were handed out."""
        return [(done.name, done.arguments_text) for done in self.done]

    @property
    def kinds(self) -> list[str]:
        """The kinds of the message's parts."""
        return [part.kind for part in self.message.parts]

    @property
    def texts(self) -> list[str]:
        """The pieces of text, one by one."""
        return [event.text for event in self.events if isinstance(event, TextDelta)]

    @property
    def carried(self) -> dict[str, Any]:
        """The fields that were carried, save the answer's time."""
        return {
            event.name: event.data
            for event in self.events
            if isinstance(event, Unknown) and event.name != "created"
        }


def frame_of(payload: Payload | Frame) -> Frame:
    if isinstance(payload, bytes | ServerSentEvent):
        return payload
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a character has no bytes; it is sent as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()


def read(*payloads: Payload | Frame, shortcuts: bool = True, **options: Any) -> Read:
    """Read payloads up to the end of the input."""
    made = OpenAIChat(**options)
    made.shortcuts = shortcuts
    result = Read(made, Accumulator())
    for payload in payloads:
        _take(result, made.feed(frame_of(payload)))
    _take(result, made.end())
    if made.error is None:
        result.accumulator.conclude("complete")
    else:
        result.accumulator.conclude("truncated" if isinstance(made.error, StreamTruncated) else "failed")
    return result


def answer(*payloads: Payload | Frame, **options: Any) -> Read:
    """Read an answer that begins and ends as the documents say."""
    return read(ROLE, *payloads, FINISH, DONE, **options)


def _take(result: Read, events: list[Event]) -> None:
    for event in events:
        result.events.append(event)
        result.accumulator.take(event)
