"""Sections of a page: tables about an answer, and the run of an agent with its turns and questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tokenstream._basics.visible import one_line
from tokenstream.cli._advice import describe_error
from tokenstream.cli._agent_run import find_ending, list_plans_and_questions
from tokenstream.cli._html.reading import CollectedEvents, kind_of
from tokenstream.cli._html.timeline import (
    Markup,
    describe_gap,
    element,
    escape,
    join,
    list_longest,
    preformatted,
)
from tokenstream.cli._input import play_pieces
from tokenstream.cli._lines import (
    describe_fields,
    list_counts,
    list_error_rows,
    metrics_of,
    to_compact_json,
    write_pairs,
)
from tokenstream.errors import StreamError
from tokenstream.events import StepWaiting
from tokenstream.steps import Steps
from tokenstream.testing._recordings.clock import VirtualClock

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from tokenstream.cli._advice import Origin
    from tokenstream.cli._html.reading import PageReading, SeenEvent
    from tokenstream.cli._html.timeline import Child, Gap
    from tokenstream.message import Ending
    from tokenstream.steps import Turn
    from tokenstream.testing._recordings.recording import Recording

_MAX_FIELDS = 400
"""Largest number of characters of an event's fields in its row."""
_MAX_FACT = 120
"""Largest number of characters that `facts_list` shows of a fact; the rest is cut off."""
_MAX_NARROW = 24
"""Length, in characters, up to which a fact takes one column of the page; a longer one takes all columns."""
_MAX_PAYLOAD = 2_000
"""Largest number of characters that a page shows of one payload."""
_MAX_PAYLOADS = 300_000
"""Largest number of characters that a page shows of all payloads together."""
_TIMELESS = ("chunks", "bytes", "events", "content_chunks", "deltas", "output_tokens", "tokens_basis")
"""Names of the metrics that are shown if the arrival times of the chunks are not known."""
_LEFT_OUT = ("started", "own_seconds", "away")
"""Names of the metrics that are not shown: they are about the program that reads, here this command."""

_MAX_TREE = 200_000
"""Largest number of characters of the tree that a page shows."""
_MAX_RESULT = 20_000
"""Largest number of characters of a turn's result."""
_MAX_ROWS = 100
"""Largest number of turns, and of plans and questions, that a page shows."""


def cut(text: str, length: int) -> str:
    """Return a text cut to `length` characters, followed by the number of characters cut off, if any."""
    return text if len(text) <= length else f"{text[:length]}… and {len(text) - length:,} more characters"


def pairs_table(rows: Iterable[tuple[str, Child]]) -> Markup:
    """Return a table of labels and values."""
    cells = [(element("td", label, class_="label"), element("td", value)) for label, value in rows]
    body = element("tbody", *[element("tr", *pair) for pair in cells])
    return element("table", body, class_="pairs")


def facts_list(facts: Iterable[tuple[str, str | None]]) -> Markup:
    """Return an HTML list of pairs of a label and a short text, without those whose text is None or empty."""
    shown: list[Markup] = []
    for label, fact in facts:
        if fact:
            width = "wide" if len(fact) > _MAX_NARROW else "narrow"
            pair = element("dt", label), element("dd", cut(fact, _MAX_FACT))
            shown.append(element("div", *pair, class_=width))
    return element("dl", *shown, class_="facts")


# -- events -------------------------------------------------------------------


def events_table(reading: PageReading | RunReading) -> Markup:
    """Return the table of the events, with a row for the events that are left out."""
    rows: list[Markup] = []
    payloads = _ShownPayloads()
    expected = 1
    for seen in reading.events:
        if seen.number != expected:
            left_out = f"{seen.number - expected:,} events left out, {expected:,} to {seen.number - 1:,}"
            rows.append(element("tr", element("td", left_out, colspan=5), class_="left-out"))
        expected = seen.number + 1
        rows.append(_event_row(seen, payloads, has_times=reading.has_times))
    error = reading.error
    if error is not None:
        time = f"{reading.ended_at:.3f}" if reading.has_times else ""
        cells = ["", time, type(error).__name__, "", cut(one_line(describe_error(error)), _MAX_FIELDS)]
        rows.append(_row(cells, "failure"))
    if not rows:
        return element("p", "No event was read.", class_="none")
    head = [
        element("th", name) for name in ("#", "seconds" if reading.has_times else "", "event", "part", "")
    ]
    table = element(
        "table", element("thead", element("tr", *head)), element("tbody", *rows), class_="events mono"
    )
    return join(element("p", _count_events(reading)), table)


def _count_events(reading: PageReading | RunReading) -> str:
    """Return the sentence above the table: the number of events of each kind, and of those left out."""
    kinds = ", ".join(f"{name} {count:,}" for name, count in reading.counts.most_common())
    left_out = reading.event_count - len(reading.events)
    shown = f" This page leaves out {left_out:,} of them, in the middle." if left_out else ""
    shown += " A click on a row opens the event’s payload." if reading.events else ""
    return f"{reading.event_count:,} event{'' if reading.event_count == 1 else 's'}: {kinds}.{shown}"


def _event_row(seen: SeenEvent, payloads: _ShownPayloads, *, has_times: bool) -> Markup:
    """Return the row of an event: its number, time, kind, part and fields, with its payload to open."""
    event = seen.event
    part = "" if event.part is None else str(event.part)
    if event.choice:
        part = f"{part} (choice {event.choice})".strip()
    fields = describe_fields(event)
    # A single field needs no name: the event's kind tells its meaning.
    text = (
        next(iter(fields.values()))
        if set(fields) in ({"text"}, {"fragment"})
        else " ".join([f"{name}={value}" for name, value in fields.items()])
    )
    time = f"{seen.at:.3f}" if has_times else ""
    shown = payloads.show_below(cut(text, _MAX_FIELDS), seen.number, event.raw)
    return _row([f"{seen.number:,}", time, type(event).__name__, part, shown], kind_of(event))


def _row(cells: list[str], kind: str) -> Markup:
    """Return a row of five cells as HTML; `kind` is the class of the row."""
    classes = ("number", "number", None, "part", None)
    tds = [element("td", cell, class_=name) for cell, name in zip(cells, classes, strict=True)]
    return element("tr", *tds, class_=kind)


class _ShownPayloads:
    """Shows the raw payloads of events on a page, up to a total size.

    If several events come from one payload, it is shown only at the first of them.
    """

    def __init__(self) -> None:
        self._last_shown: tuple[int, Any] = (0, None)
        """The payload shown last, after the number of its first event."""
        self._characters_left = _MAX_PAYLOADS
        """The number of characters of payloads that may still be shown."""

    def show_below(self, text: str, number: int, raw: object) -> Markup:
        """Return the text of an event as an element that opens to show the payload.

        If the payload was shown at an earlier event, or exceeds the bound, a note says so instead.
        """
        if raw is None:
            return escape(text)
        first_number, last_payload = self._last_shown
        if raw is last_payload:
            return join(text, " ", element("small", f"payload of event {first_number:,}"))
        self._last_shown = (number, raw)
        if self._characters_left <= 0:
            return join(text, " ", element("small", "payload left out"))
        payload = cut(to_compact_json(raw), _MAX_PAYLOAD)
        self._characters_left -= len(payload)
        return element("details", element("summary", text or "payload"), preformatted(payload))


# -- gaps, metrics, departures --------------------------------------------------


def metrics_tables(reading: PageReading, gaps: list[Gap]) -> Markup:
    """Return the part of the page with the stream's longest gaps and its metrics."""
    metrics = metrics_of(reading.report)
    if not reading.has_times:
        note = element("p", "The file has no times: gaps and all metrics in seconds are unknown.")
        return join(note, facts_list((name, _figure(metrics[name])) for name in _TIMELESS))
    percentiles = ("gap_p50", "gap_p95", "gap_max")
    gap_facts = [(name.removeprefix("gap_"), _figure(metrics[name], " s")) for name in percentiles]
    others = [name for name in metrics if name not in {*percentiles, *_LEFT_OUT}]
    longest = [element("li", describe_gap(gap)) for gap in list_longest(gaps)]
    return join(
        element("h3", "Between chunks with content"),
        facts_list([*gap_facts, ("stalls", str(metrics["stalls"]))]),
        element("h3", "The longest gaps") if longest else None,
        element("ol", *longest) if longest else None,
        element("h3", "Metrics"),
        facts_list((name, _figure(metrics[name])) for name in others if name != "stalls"),
    )


def _figure(value: object, unit: str = "") -> str:
    """Return a metric's value as text: a float with its unit, other values without one, a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}{unit}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def departures_table(reading: PageReading) -> Markup:
    """Return a table of the server's deviations from its documentation; a sentence if there are none."""
    departures = reading.report.stream.departures
    if not departures:
        return element("p", "None: the server kept to its documentation.", class_="none")
    head = element("tr", *[element("th", name) for name in ("name", "affects", "details", "", "rule")])
    rows = [
        element(
            "tr",
            element("td", element("code", name)),
            element("td", noted.affects),
            element("td", write_pairs(noted.details)),
            element("td", f"first in frame {noted.first_event:,}", class_="number"),
            element("td", noted.rule),
        )
        for name, noted in departures.items()
    ]
    return element("table", element("thead", head), element("tbody", *rows), class_="rules")


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
    """Follow the lines of an agent to their end, at their own times; return the reading."""
    recording, clock = reading.recording, VirtualClock()
    with clock:
        run = Steps("run")
    events, collected = run.events(), CollectedEvents()
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
