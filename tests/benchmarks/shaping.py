"""What it costs to shape a text, a piece of four characters at a time, and whether that grows."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from tests.benchmarks.growth import WINDOW, windows
from tests.benchmarks.tables import Table, judge
from tokenstream import stages
from tokenstream.stages._guards.texts import Match, compile_pattern

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
_RUN = "abcdefghij0123456789_-"
"""A text without a break, when repeated."""
_EMAIL = r"[\w.+-]+@[\w-]+\.[\w.]+"
_RUN_STAGES: dict[str, Callable[[], Any]] = {
    "Redact, an email address of 64": lambda: stages.Redact(_EMAIL, max_length=64),
    "Redact, an email address of 1,000": lambda: stages.Redact(_EMAIL, max_length=1_000),
    "Until, an email address of 1,000": lambda: stages.Until(re.compile(_EMAIL), max_length=1_000),
    "a guard, an email address": lambda: Match(compile_pattern(_EMAIL)),
}
_RUN_BAR = 250.0
"""Most µs for a character of a text without a break, where a match may have 1,000 characters at most."""
_PER_SECOND = 2_000
"""Pieces a second, by the clock that the stages are told."""


def _feeding(make_stage: Callable[[], Any], text: str) -> Callable[[str, ExitStack], Step]:
    text *= _PIECE

    def make(_: str, __: ExitStack) -> Step:
        stage = make_stage()
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
    for name, make_stage in _STAGES.items():
        best = windows(_feeding(make_stage, _TEXT), "", plan)
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
    return [Table(title, head, rows, notes), _runs(plan)]


def _runs(plan: Plan) -> Table:
    """Return the table of what a character costs in a text without a break, after so many pieces."""
    rows, notes = [], []
    for name, make_stage in _RUN_STAGES.items():
        best = windows(_feeding(make_stage, _RUN), "", plan)
        micros = [best[size] / WINDOW / _PIECE * 1e6 for size in plan.sizes]
        rows.append([name, *(f"{each:.2f}" for each in micros)])
        reached = max(micros) <= _RUN_BAR
        notes.append(judge(f"{name}: {max(micros):.2f} µs", f"at most {_RUN_BAR:g}", reached=reached))
    head = ["µs per character after …", *(f"{size:,}" for size in plan.sizes)]
    return Table("shaping: a text without a break, in which a match may begin anywhere", head, rows, notes)
