"""The part of a page that shows the run of an agent: its tree, its turns, its plans and its questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tokenstream.cli._agent_run import find_ending, list_plans_and_questions
from tokenstream.cli._html.reading import Collected
from tokenstream.cli._html.tables import cut, facts_list, pairs_table
from tokenstream.cli._html.timeline import Markup, element, join, preformatted
from tokenstream.cli._input import play_pieces
from tokenstream.cli._lines import list_counts, list_error_rows, write_pairs
from tokenstream.cli._visible import to_compact_json
from tokenstream.errors import StreamError
from tokenstream.events import StepWaiting
from tokenstream.steps import Steps
from tokenstream.testing._recordings.clock import VirtualClock

if TYPE_CHECKING:
    from collections import Counter

    from tokenstream.cli._advice import Origin
    from tokenstream.cli._html.reading import PageReading, SeenEvent
    from tokenstream.message import Ending
    from tokenstream.steps import Turn
    from tokenstream.testing._recordings.recording import Recording

_MAX_TREE = 200_000
"""Largest number of characters of the tree that a page shows."""
_MAX_RESULT = 20_000
"""Largest number of characters of a turn's result."""
_MAX_ROWS = 100
"""Largest number of turns, and of plans and questions, that a page shows."""


@dataclass(slots=True)
class RunReading:
    """The outcome of reading the lines of an agent to their end, with everything that a page shows of it."""

    run: Steps
    recording: Recording
    error: StreamError | None
    origin: Origin
    events: list[SeenEvent]
    """The events that are shown: the first and the last ones."""
    event_count: int
    counts: Counter[str]
    """Number of events of each kind, by name."""
    waits: dict[str, StepWaiting]
    """The requests of the agent, by their ids."""
    plain_lines: int
    """Number of lines that hold no object."""
    ended_at: float
    """Seconds until the end of the reading."""
    has_times: bool
    """True if the times of the lines are known."""

    @property
    def ending(self) -> Ending:
        """The ending of the run."""
        return find_ending(self.run, self.error)


def read_run(reading: PageReading) -> RunReading:
    """Follow the lines of an agent to their end, at their own times; return the reading.

    Args:
        reading: The reading that showed that the lines are an agent's.
    """
    recording, clock = reading.recording, VirtualClock()
    run = Steps("run", clock=clock)
    events, collected = run.events(), Collected()
    waits: dict[str, StepWaiting] = {}

    def collect() -> None:
        for event in events.ready():
            collected.add(event, clock(), 0)
            if isinstance(event, StepWaiting):
                waits[event.id] = event

    # A function, because a plain None would not tell that the pieces are lines.
    pieces: Any = play_pieces(recording, clock)
    lines: Any = cast("Any", run).follow(pieces, exit_code=lambda: recording.exit_code)
    error: StreamError | None = None
    with run:
        try:
            for _ in lines:
                collect()
        except StreamError as failure:
            error = failure
    collect()
    return RunReading(
        run=run,
        recording=recording,
        error=error,
        origin=reading.report.origin,
        events=[*collected.first, *collected.last],
        event_count=collected.count,
        counts=collected.counts,
        waits=waits,
        plain_lines=lines.plain_lines,
        ended_at=clock(),
        has_times=reading.has_times,
    )


def list_run_facts(reading: RunReading) -> Markup:
    """Return the list of facts about a run, such as its agent, its session and its tokens."""
    run = reading.run
    usage = write_pairs(list_counts(run.total_usage)).strip()
    facts = {
        "agent": run.agent,
        "session": run.session,
        "model": run.model,
        "turns": f"{len(run.turns):,}",
        "events": f"{reading.event_count:,}",
        "body": f"{sum(len(data) for _, data in reading.recording.arrivals):,} bytes",
        "other lines": f"{reading.plain_lines:,}" if reading.plain_lines else None,
        "duration": f"{reading.ended_at:.3f} s" if reading.has_times else "not known",
        "cost": None if run.cost is None else f"{run.cost:.6g} USD",
        "context": None if run.context_used is None else f"{run.context_used:,} tokens",
        "exit code": None if reading.recording.exit_code is None else str(reading.recording.exit_code),
        "tokens": usage or None,
    }
    return facts_list(facts.items())


def show_run_error(reading: RunReading) -> Markup | None:
    """Return a section about the error that ended a run; None without one."""
    if reading.error is None:
        return None
    rows = [
        (label or "details", cut(text, _MAX_RESULT))
        for label, text in list_error_rows(reading.error, reading.origin)
    ]
    heading = element("h2", f"The run is {reading.ending}")
    return element("section", heading, pairs_table(rows), class_="note error")


def show_tree(reading: RunReading) -> Markup:
    """Return the tree of a run."""
    return preformatted(cut(str(reading.run), _MAX_TREE))


def show_turns(reading: RunReading) -> Markup:
    """Return the turns of a run, each with its state, tokens, cost, and its result or its error."""
    turns = reading.run.turns
    shown = [_show_turn(number, turn) for number, turn in enumerate(turns[:_MAX_ROWS], 1)]
    if len(turns) > _MAX_ROWS:
        shown.append(element("p", f"{len(turns) - _MAX_ROWS:,} more turns are left out.", class_="none"))
    return join(*shown) if shown else element("p", "No turn began.", class_="none")


def _show_turn(number: int, turn: Turn) -> Markup:
    """Return a turn as elements."""
    result = turn.result if isinstance(turn.result, str | None) else to_compact_json(turn.result)
    cost = None if turn.cost is None else f"{turn.cost:.6g} USD"
    rows = {"tokens": write_pairs(list_counts(turn.usage)).strip(), "cost": cost, "error": turn.error}
    return join(
        element("h3", f"Turn {number}: {turn.state}"),
        pairs_table([(label, cut(text, _MAX_RESULT)) for label, text in rows.items() if text]),
        preformatted(cut(result, _MAX_RESULT)) if result else None,
    )


def show_questions(reading: RunReading) -> Markup:
    """Return the plans of a run, and the requests of the agent that had to be answered."""
    rows = list_plans_and_questions(reading.run, reading.waits)
    if not rows:
        return element("p", "None.", class_="none")
    return pairs_table([(label, cut(text, _MAX_RESULT)) for label, text in rows[:_MAX_ROWS]])
