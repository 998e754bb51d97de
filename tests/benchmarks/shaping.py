"""What it costs to shape a text, a piece of four characters at a time, and whether that grows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from tests.benchmarks.growth import WINDOW, windows
from tests.benchmarks.tables import Table, judge
from tokenstream import stages

if TYPE_CHECKING:
    from tests.benchmarks.growth import Step
    from tests.benchmarks.timing import Plan

__all__ = ["shaping"]

_PIECE = 4
_TEXT = (
    "A river does not mind a stone. It parts, goes around, and is one river again; "
    "what took 3.5 km downhill takes none back. (Nobody asked it to.)\n"
)
_STAGES: dict[str, Callable[[], Any]] = {
    "Words": stages.Words,
    "Graphemes": stages.Graphemes,
    "Lines": stages.Lines,
    "Sentences": stages.Sentences,
    "Sentences, spoken": lambda: stages.Sentences(spoken=True),
    "Throttle, 30 Hz": lambda: stages.Throttle(30),
    "Smooth, 0.4 s": lambda: stages.Smooth(0.4),
    "Redact, a key": lambda: stages.Redact(r"sk-\w{20}"),
    "Redact, a word": lambda: stages.Redact("secret"),
    "Until, a word": lambda: stages.Until("THE END"),
    "SplitTags": lambda: stages.SplitTags("think"),
}
_BARS = {"Words": 1.0, "Throttle, 30 Hz": 1.0}
"""Most µs for a piece of ASCII."""
_PER_SECOND = 2_000
"""Pieces a second, by the clock that the stages are told."""


def _feeding(name: str) -> Callable[[str, ExitStack], Step]:
    def make(_: str, __: ExitStack) -> Step:
        stage = _STAGES[name]()
        text = _TEXT * _PIECE
        pieces = cycle([text[at : at + _PIECE] for at in range(0, len(text), _PIECE)])
        feed, now = stage.feed, 0.0

        def step() -> None:
            nonlocal now
            for piece in islice(pieces, WINDOW):
                now += 1 / _PER_SECOND
                feed(piece, now=now)

        return step

    return make


def shaping(plan: Plan) -> list[Table]:
    """Return the table of what a piece costs in each stage, after so many pieces."""
    rows, notes = [], []
    for name in _STAGES:
        best = windows(_feeding(name), "", plan)
        micros = [best[size] / WINDOW * 1e6 for size in plan.sizes]
        away = max(micros) / min(micros) - 1
        rows.append([name, *(f"{each:.2f}" for each in micros), f"{away:.1%}"])
        if name in _BARS:
            notes.append(
                judge(
                    f"{name}: {max(micros):.2f} µs",
                    f"at most {_BARS[name]:g}",
                    reached=max(micros) <= _BARS[name],
                )
            )
    head = ["µs per piece after …", *(f"{size:,}" for size in plan.sizes), "deviation"]
    title = f"shaping: pieces of {_PIECE} characters of ASCII, the fastest of {plan.windows} windows"
    return [Table(title, head, rows, notes)]
