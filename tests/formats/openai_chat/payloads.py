"""Chunks as OpenAI Chat and its dialects send them, and what reading them gives."""

from __future__ import annotations

from typing import Any, TypeAlias

from tests.formats.told import DONE, Told, frame_of
from tests.support.formats import OpenAIChat
from tokenstream.events import Unknown
from tokenstream.formats import Frame

Payload: TypeAlias = dict[str, Any]

HEAD: Payload = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m-1"}


def chunk(delta: Any = None, finish: Any = None, *, choice: Any = 0, **fields: Any) -> Payload:
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


class Read(Told):
    @property
    def rules(self) -> set[str]:
        return set(self.format.departures.details) - {"role_missing"}

    @property
    def called(self) -> list[tuple[str, str]]:
        """Names and arguments of the calls that were handed out."""
        return [(done.name, done.arguments_text) for done in self.calls]

    @property
    def carried(self) -> dict[str, Any]:
        """The fields and payloads that were carried, save the answer's time."""
        told = dict(self.fields) | {
            event.name: event.data for event in self.events if isinstance(event, Unknown)
        }
        return {name: value for name, value in told.items() if name != "created"}


def read(*payloads: Payload | Frame, shortcuts: bool = True, **options: Any) -> Read:
    made = OpenAIChat(**options)
    made.shortcuts = shortcuts
    return Read(made).read(map(frame_of, payloads))


def answer(*payloads: Payload | Frame, **options: Any) -> Read:
    """Read an answer that begins and ends as the documents say."""
    return read(ROLE, *payloads, FINISH, DONE, **options)
