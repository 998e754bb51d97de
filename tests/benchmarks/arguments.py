"""What a fragment of a tool's arguments costs beside a text delta of the same format."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.tables import Table
from tests.benchmarks.turns import fastest
from tests.support.answers_in_turns.answers import ANSWERS
from tokenstream import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.contenders import Run
    from tests.benchmarks.timing import Plan
    from tests.support.answers_in_turns.wires import Answer

PAIRS = {
    "openai-chat": ("openai-chat, choices", "openai-chat, calls"),
    "openai-responses": ("openai-responses, items", "openai-responses, calls"),
    "anthropic": ("anthropic", "anthropic, calls"),
    "bedrock-converse": ("bedrock-converse", "bedrock-converse, calls"),
}
"""Answers of a format that are text, and that are a call."""


def _pieces(count: int) -> list[str]:
    """Return a list in JSON, in pieces, but for its end: the same for text and for arguments."""
    return ["[0", *(f", {number}" for number in range(1, count))]


def read(answer: Answer, count: int) -> tuple[Decoder, list[bytes]]:
    """Return a decoder that has read what opens an answer, and the chunks that come then."""
    decoder = Decoder(answer.format)
    for payload in answer.head:
        decoder.feed(answer.wire(payload))
    return decoder, [answer.wire(answer.delta(0, piece)) for piece in _pieces(count)]


def _prepared(answer: Answer, count: int) -> Run:
    decoder, chunks = read(answer, count)
    feed = decoder.feed

    def run() -> None:
        for chunk in chunks:
            feed(chunk)

    return run


def arguments(plan: Plan) -> list[Table]:
    """Return one table with a row for each format."""
    rows, count = [], plan.events
    for format, names in PAIRS.items():
        prepared: list[Callable[[], Run]] = [partial(_prepared, ANSWERS[name], count) for name in names]
        text, fragment = (taken / count for taken in fastest(prepared, plan.rounds, plan.seconds / 4))
        ratio = fragment / text
        rows.append([format, f"{text * 1e6:.2f}", f"{fragment * 1e6:.2f}", f"{ratio:.2f}"])
    title = f"a fragment of a tool's arguments, one event per chunk, {count:,} events"
    return [Table(title, ["", "text µs", "fragment µs", "× text"], rows)]
