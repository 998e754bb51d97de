"""Timed pieces, and the output of a stage whose deadlines are kept by timely ticks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[float, str]]:
    """Draw pieces with the clock at their arrival, in bursts and with silences between."""
    gaps = st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 3))
    pieces = draw(st.lists(st.tuples(gaps, st.text(max_size=12)), max_size=30))
    now, found = 0.0, []
    for gap, text in pieces:
        now += gap
        found.append((now, text))
    return found


def played(stage: Any, pieces: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Feed pieces at their times and tick at each deadline; return the output with its times.

    Args:
        pieces: Pieces, each with the clock at its arrival; the end comes with the last one.
    """
    shown: list[tuple[float, str]] = []
    now = 0.0
    for at, text in pieces:
        while (due := stage.deadline) is not None and due < at:
            now = max(now, due)
            shown += [(now, piece) for piece in stage.tick(now)]
        now = at
        shown += [(now, piece) for piece in stage.feed(text, now=now)]
    return shown + [(now, piece) for piece in stage.end(now=now)]
