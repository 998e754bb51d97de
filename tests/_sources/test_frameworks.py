"""The objects of frameworks: which payload each of them is, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests._sources.kept import payloads_of
from tests.stream.bodies import AsyncSource
from tokenstream import AsyncStream, Stream

pytestmark = pytest.mark.anyio


class Chunk(BaseModel):
    """What LangChain's chunk has; `tool_calls` is derived from its pieces."""

    type: str = "AIMessageChunk"
    content: Any = ""
    id: str | None = None
    response_metadata: dict[str, Any] = Field(default_factory=dict)
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    tool_calls: list[Any] = Field(default_factory=list)
    tool_call_chunks: list[Any] = Field(default_factory=list)
    usage_metadata: dict[str, Any] | None = None
    chunk_position: str | None = None

    @property
    def content_blocks(self) -> list[Any]:
        return [{"type": "reasoning", "reasoning": block["thinking"]} for block in self.content]


class Block(BaseModel):
    """One of LlamaIndex's blocks."""

    block_type: str
    text: str = ""
    content: str | None = None


class Said(BaseModel):
    """LlamaIndex's message."""

    role: str = "assistant"
    blocks: list[Block] = Field(default_factory=list)
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)


class Response(BaseModel):
    """LlamaIndex's response of a chat model."""

    message: Said
    raw: Any = None
    delta: str | None = None
    logprobs: Any = None
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)


class Completion(BaseModel):
    """LlamaIndex's response of a completion model."""

    text: str
    raw: Any = None
    delta: str | None = None
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)


@dataclass
class RunEvent:
    """An event of the OpenAI Agents SDK."""

    data: Any
    type: str = "raw_response_event"


@dataclass
class OtherRunEvent:
    """What a run of it does between two answers; the agent's tools are no JSON."""

    new_agent: object
    type: str = "agent_updated_stream_event"


def test_a_chunk_of_langchain_has_what_is_new_in_it() -> None:
    """What LangChain derives from pieces of calls, guessing at what is missing, is left out."""
    piece = {"index": 0, "args": '{"a', "name": None, "id": None}
    (made,) = payloads_of(Chunk(content="a", tool_calls=[{"args": {}}], tool_call_chunks=[piece], id="i"))

    assert {
        "type": "AIMessageChunk",
        "id": "i",
        "content": "a",
        "response_metadata": {},
        "tool_call_chunks": [piece],
    } == made


def test_what_langchain_adds_is_json() -> None:
    """An answer of a structured model holds the object that it stands for."""
    said = {"parsed": Block(block_type="a"), "client": object()}
    stream = Stream(iter([Chunk(additional_kwargs=said, response_metadata={"finish_reason": "stop"})]))
    message = stream.final()

    assert {"block_type": "a", "text": ""} == message.provider_data["parsed"]
    assert message == type(message).model_validate_json(message.model_dump_json())


def test_blocks_are_in_langchains_own_words() -> None:
    (made,) = payloads_of(Chunk(content=[{"type": "thinking", "thinking": "Hm"}]))

    assert [{"type": "reasoning", "reasoning": "Hm"}] == made["content"]


def test_a_response_of_llamaindex_has_the_providers_chunk_as_json() -> None:
    """What JSON has no word for is left out; text that is repeated, too."""
    blocks = [Block(block_type="text", text="Hello"), Block(block_type="thinking", content="Hm")]
    (made,) = payloads_of(
        Response(
            message=Said(blocks=blocks),
            delta="lo",
            raw=Completion(text="x"),
            additional_kwargs={"sdk": object(), "data": b"hi", "n": 1},
        )
    )

    assert ("lo", "x", "Hm") == (made["delta"], made["raw"]["text"], made["message"]["blocks"][0]["content"])
    assert [1, "aGk="] == [made["additional_kwargs"][name] for name in ("n", "data")]
    assert 1 == len(made["message"]["blocks"])


@pytest.mark.parametrize(
    "responses",
    [
        [Completion(text="Hel", delta="Hel"), Completion(text="Hello", delta="lo")],
        [Completion(text="Hel"), Completion(text="Hello")],
        [
            Response(message=Said(blocks=[Block(block_type="text", text=text)]), delta=delta)
            for text, delta in (("Hel", "Hel"), ("Hello", "lo"))
        ],
        [Response(message=Said(blocks=[Block(block_type="text", text=text)])) for text in ("Hel", "Hello")],
    ],
)
async def test_what_llamaindex_repeats_is_given_once(responses: list[Any]) -> None:
    assert "Hello" == Stream(iter(responses)).final().text
    assert "Hello" == (await AsyncStream(AsyncSource(responses)).final()).text


def test_an_event_of_a_run_is_the_models_or_none() -> None:
    """What else the run does is none of the answer's."""
    events: list[Any] = [
        OtherRunEvent(object()),
        RunEvent({"type": "response.created", "response": {"id": "r"}}),
        RunEvent(
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"}
        ),
        RunEvent({"type": "response.completed", "response": {"id": "r", "status": "completed"}}),
    ]
    stream = Stream(iter(events))

    assert ("Hi", "complete", 1) == (
        stream.final().text,
        stream.message.ending,
        len(events) - len(payloads_of(*events)),
    )


def test_objects_of_others_are_what_they_were() -> None:
    """A type of the same name, or none that is text, makes nobody a framework."""

    class Odd(BaseModel):
        type: dict[str, int] = Field(default_factory=dict[str, int])
        content: str = ""
        response_metadata: str = ""

    odd = SimpleNamespace(type={}, model_dump=lambda **_: {"type": {}})

    other = SimpleNamespace(type="ai", to_dict=lambda: {"type": "ai"})

    assert [{"type": {}}, {"type": {"a": 1}}, {"type": "ai"}] == payloads_of(odd, Odd(type={"a": 1}), other)
