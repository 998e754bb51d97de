"""Events out again: what it costs to encode a piece of an answer."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

from tests.benchmarks.tables import Table
from tests.benchmarks.turns import light_heap
from tests.support.encoders import load, names
from tokenstream.events import MessageStart, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart

if TYPE_CHECKING:
    from tests.benchmarks.timing import Plan
    from tests.support.encoders import Encoder
    from tokenstream.events import Event

__all__ = ["encoding"]

FORMATS = (
    "openai-chat",
    "ui-message",
    "anthropic",
    "ag-ui",
    "openai-responses",
    "gemini",
    "bedrock-converse",
    "tokenstream",
)
_WORDS = [" the", " of", " naïve", ' "so"', ",\n", " tokens", " come", " one", " by", " one"]


def _pieces(count: int) -> dict[str, list[Event]]:
    """Return pieces of each kind, behind what begins their part."""
    words = [_WORDS[number % len(_WORDS)] for number in range(count)]
    return {
        "text": [TextDelta(word) for word in words],
        "text, anew each": [TextDelta(word) for word in words],
        "reasoning": [ReasoningDelta(word) for word in words],
        "arguments": [ToolCallStart("call_1", "f"), *[ToolCallDelta("call_1", word) for word in words]],
        # They take turns where a format has choices, and parts.
        "three in turns": [TextDelta(word, choice=number % 3) for number, word in enumerate(words)],
    }


def _anew(format: str) -> type[Encoder]:
    """Return an encoder that makes a payload of each piece."""
    return type("Anew", (load(format),), {"steady": False})


def _time(maker: type[Encoder], events: list[Event]) -> float:
    """Return what each event takes, in microseconds."""
    feed = maker(drop="all").feed
    feed(MessageStart(id="answer-1", model="model-1"))
    begun = process_time()
    for event in events:
        feed(event)
    return (process_time() - begun) / len(events) * 1e6


def encoding(plan: Plan) -> list[Table]:
    """Return what each kind of piece costs in each format."""
    with light_heap():
        return [_table(plan)]


def _table(plan: Plan) -> Table:
    kinds = _pieces(plan.events)
    formats = [format for format in FORMATS if format in names()]
    asked = [
        (format, kind)
        for format in formats
        for kind in kinds
        if kind != "three in turns" or load(format).choices
    ]
    best = dict.fromkeys(asked, float("inf"))
    for _ in range(plan.rounds):
        for format, kind in asked:
            maker = _anew(format) if kind.endswith("anew each") else load(format)
            best[format, kind] = min(best[format, kind], _time(maker, kinds[kind]))
    rows = [
        [format, *(f"{best[format, kind]:.2f}" if (format, kind) in best else "" for kind in kinds)]
        for format in formats
    ]
    return Table("encoding: µs for an event", ["format", *kinds], rows)
