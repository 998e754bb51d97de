"""What it costs to look for tags, calls and citations in a text that has none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.benchmarks.tables import Table, judge
from tests.benchmarks.turns import fastest
from tests.support.wire import DONE, chat
from tokenstream import Stream

if TYPE_CHECKING:
    from tests.benchmarks.timing import Plan

__all__ = ["in_text"]

_PIECE = 5
_TEXTS = {
    "words": "A river does not mind a stone. It parts, goes around, and is one river again.\n",
    "inline code": "Call `open(path)` before `read()`, and `close()` it at the end, with or without them.\n",
}
_LOOKED_FOR: dict[str, dict[str, Any]] = {
    "tool_tags": {"tool_tags": True},
    "reasoning_tags": {"reasoning_tags": True},
    "citation_markers": {"citation_markers": True},
    "all of them": {"tool_tags": True, "reasoning_tags": True, "citation_markers": True},
}
_BAR = 1.15
"""Most times the time of a stream that looks for nothing, for words."""


def _chunks(text: str, events: int) -> list[bytes]:
    text *= events * _PIECE // len(text) + 1
    pieces = [text[at : at + _PIECE] for at in range(0, events * _PIECE, _PIECE)]
    return [
        chat({"role": "assistant"}),
        *[chat({"content": piece}) for piece in pieces],
        chat({}, "stop"),
        DONE,
    ]


def _prepare(chunks: list[bytes], options: dict[str, Any]) -> Callable[[], None]:
    stream = Stream(iter(chunks), **options)

    def run() -> None:
        for _ in stream:
            pass

    return run


def in_text(plan: Plan) -> list[Table]:
    """Return the table of what a delta costs with each option, beside a stream that looks for nothing."""
    rows, notes = [], []
    for name, text in _TEXTS.items():
        chunks = _chunks(text, plan.events)
        options: list[dict[str, Any]] = [{}, *_LOOKED_FOR.values()]
        plain, *others = fastest(
            [partial(_prepare, chunks, each) for each in options], plan.rounds, plan.seconds
        )
        for option, seconds in zip(_LOOKED_FOR, others, strict=True):
            micros = [each / plan.events * 1e6 for each in (plain, seconds)]
            rows.append([f"{option}, {name}", *(f"{each:.2f}" for each in micros), f"{seconds / plain:.2f}"])
        if name == "words":
            times = others[0] / plain
            notes.append(judge(f"tool_tags {times:.2f} ×", f"at most {_BAR}", reached=times <= _BAR))
    head = ["µs per delta", "without", "with", "×"]
    return [Table("looking for something in a text that has none of it", head, rows, notes)]
