"""Answers that steps follow, and what an interface makes of the events of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokenstream import AsyncStream, Stream, testing
from tokenstream._answer.accumulator import Accumulator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.events import Event
    from tokenstream.message import Message

FORMAT: Final = "openai-chat"


def talk(*words: str) -> list[bytes]:
    script = testing.script().text(*words).usage(input_tokens=3, output_tokens=len(words))
    return script.finish().chunks(FORMAT)


def asking(*cities: str, id: str = "call") -> list[bytes]:
    """Return the chunks of an answer that calls a tool once for each city."""
    script = testing.script().text("Let me ", "look.")
    for number, city in enumerate(cities):
        script = script.tool_call("weather", {"city": city}, id=f"{id}_{number}")
    return script.usage(input_tokens=5, output_tokens=7).finish("tool_calls").chunks(FORMAT)


def stream_of(chunks: Iterable[bytes]) -> Stream:
    return Stream(chunks, format=FORMAT)


def async_stream_of(chunks: list[bytes]) -> AsyncStream:
    return AsyncStream(chunks, format=FORMAT)


def messages_of(events: Iterable[Event]) -> dict[str, Message]:
    """Return what an interface makes of the events of a run, by step."""
    found: dict[str, Accumulator] = {}
    for event in events:
        assert event.step is not None
        found.setdefault(event.step, Accumulator()).take(event)
    return {step: accumulator.message for step, accumulator in found.items()}
