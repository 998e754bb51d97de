"""A typed object, answers that write it in several formats, and a reader for each kind of loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from tests.stream.bodies import AsyncSource, Source, source_in
from tests.support import wire
from tests.support.either import Each, got, inside, run_in, stream_in
from tests.support.texts import pieces_of
from tokenstream import AsyncStream, Stream
from tokenstream.errors import OutputIncomplete, OutputInvalid, TokenStreamError

COLOURS = ("sync", "asyncio", "trio")


class Step(BaseModel):
    text: str
    minutes: int


class Recipe(BaseModel):
    title: str
    steps: list[Step]


TEXT = '{"title": "Pan\\ncakes", "steps": [{"text": "Mix", "minutes": 5}, {"text": "Fry", "minutes": 10}]}'
RECIPE = Recipe.model_validate_json(TEXT)
STEPS = RECIPE.steps
WRONG = TEXT.replace('"minutes": 5', '"minutes": "x"')
"""The first step breaks the schema."""
BROKEN = TEXT.replace('"minutes": 5', '"minutes": x')
FAULT = BROKEN.index(": x") + 2
"""Where it is no JSON any more."""


def chat(text: str, finish: str | None = "stop", *, size: int = 7, choice: int = 0) -> list[bytes]:
    body = [wire.chat({"content": piece}, index=choice) for piece in pieces_of(text, size)]
    return [*body, *(ended(finish, choice=choice) if finish else ())]


def chat_call(
    index: int, arguments: str, *, name: str = "recipe", size: int = 7, id: str | None = None
) -> list[bytes]:
    begin = wire.chat_call(index, "", id=id or f"call_{index}", name=name)
    return [
        wire.chat(begin),
        *(wire.chat(wire.chat_call(index, piece)) for piece in pieces_of(arguments, size)),
    ]


def ended(finish: str = "tool_calls", *, choice: int = 0) -> list[bytes]:
    return [wire.chat({}, finish, index=choice), wire.DONE]


def claude_call(arguments: str, *, name: str = "recipe", size: int = 7) -> list[bytes]:
    return [
        wire.claude_start(),
        wire.claude_open(0, type="text", text=""),
        wire.claude_delta(0, "text_delta", text="Here it is."),
        wire.claude("content_block_stop", index=0),
        wire.claude_open(1, type="tool_use", id="toolu_1", name=name, input={}),
        *(
            wire.claude_delta(1, "input_json_delta", partial_json=piece)
            for piece in ["", *pieces_of(arguments, size)]
        ),
        wire.claude("content_block_stop", index=1),
        wire.claude("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
        wire.claude("message_stop"),
    ]


def gemini(text: str, finish: str = "STOP", *, size: int = 7) -> list[bytes]:
    parts = [{"text": piece} for piece in pieces_of(text, size)]
    return [_candidate(part) for part in parts] + [_candidate({"text": ""}, finish)]


def gemini_call(arguments: str) -> list[bytes]:
    return [_candidate({"functionCall": {"name": "recipe", "args": json.loads(arguments)}}, "STOP")]


def _candidate(part: dict[str, Any], finish: str | None = None) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return wire.sse({"candidates": [candidate], "modelVersion": "gemini-3"})


def responses(text: str, *, done: str | None = None, call: bool = False) -> list[bytes]:
    """Return an answer of openai-responses, whose `done` events repeat what there was.

    Args:
        text: The JSON in its deltas.
        done: The JSON in its `done` events; the same by default.
        call: Whether it is the arguments of a call.
    """
    done = text if done is None else done
    kind = "function_call_arguments" if call else "output_text"
    if call:
        item: dict[str, Any] = {"type": "function_call", "id": "i", "call_id": "c", "name": "recipe"}
        begun, over = item | {"arguments": ""}, item | {"arguments": done, "status": "completed"}
    else:
        item = {"type": "message", "id": "i", "role": "assistant"}
        content = [{"type": "output_text", "text": done, "annotations": []}]
        begun, over = item | {"content": []}, item | {"content": content, "status": "completed"}
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    whole = {"arguments": done} if call else {"text": done}
    response = {"id": "r", "object": "response", "model": "gpt-5.1", "output": [over], "status": "completed"}
    payloads: list[dict[str, Any]] = [
        {"type": "response.created", "response": response | {"output": [], "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        *({"type": f"response.{kind}.delta", **place, "delta": piece} for piece in pieces_of(text, 7)),
        {"type": f"response.{kind}.done", **place, **whole},
        {"type": "response.output_item.done", "output_index": 0, "item": over},
        {"type": "response.completed", "response": response},
    ]
    return [wire.sse(payload, event=str(payload["type"])) for payload in payloads]


def title_in(error: Any) -> Any:
    assert isinstance(error, OutputInvalid | OutputIncomplete)
    assert error.best is not None
    return error.best.title


@dataclass
class Seen:
    items: list[Any] = field(default_factory=list)
    error: TokenStreamError | LookupError | None = None
    ending: str = ""
    closed: bool = False

    def note(self, stream: Stream | AsyncStream, source: Source | AsyncSource) -> None:
        self.ending = stream.message.ending
        # A task that reads ahead may be at the end before the loop is.
        self.closed = self.ending != "streaming" and source.closed == 1

    def told(self) -> dict[str, Any]:
        error = self.error
        names = ("text", "offset", "errors", "best", "partial", "limit")
        return {
            "items": self.items,
            "error": (type(error), str(error), [getattr(error, name, None) for name in names]),
            "cause": type(getattr(error, "__cause__", None)),
            "ending": self.ending,
            "closed": self.closed,
        }


def read(colour: str, body: list[bytes], view: Callable[[Any], Any], cause: Exception | None = None) -> Seen:
    """Read a view of a body to its end, or await what it is, in a loop of one kind."""
    seen = Seen()

    async def main() -> None:
        source = source_in(colour)(body, cause)
        async with inside(stream_in(colour)(source)) as stream:
            try:
                found = view(stream)
                if hasattr(found, "__next__") or hasattr(found, "__anext__"):
                    async for item in Each(found):
                        seen.items.append(item)
                else:
                    seen.items.append(await got(found))
            except (TokenStreamError, LookupError) as error:
                seen.error = error
            seen.note(stream, source)

    run_in(colour, main)
    return seen
