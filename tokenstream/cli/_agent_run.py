"""The run of an agent as `inspect` prints it: its events, then its steps as a tree, and its turns."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from tokenstream._basics.visible import one_line
from tokenstream.cli._lines import (
    STATUS_OF,
    attributes_of,
    list_counts,
    list_error_rows,
    metrics_of,
    print_row,
    print_rows,
    quote_text,
    to_compact_json,
    write_pairs,
)
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.events import Event, StepWaiting
from tokenstream.relay._sending import Sending
from tokenstream.steps import RunEvents, Step, Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._basics.loose import JsonObject
    from tokenstream.cli._advice import InputOrigin
    from tokenstream.cli._lines import StreamReport, TextLines
    from tokenstream.message import Ending
    from tokenstream.stream._protocols import Clock


_OF_HEAD = ("status", "content_type", "request_id")


class JSONLines:
    """Prints the lines that `relay.encode(…, "ndjson")` writes, in ASCII, and the result as the last object.

    Args:
        raw: True to include the provider's own ids, payloads, error messages and fields.
    """

    def __init__(self, *, raw: bool) -> None:
        self._sending = Sending("ndjson", raw=raw, as_payloads=True)

    def print_event(self, seconds: float, event: Event) -> None:
        """Print an event as a JSON object."""
        for line in self._sending.encode_event(event):
            print_object(line)

    def print_error(self, seconds: float, error: StreamError) -> None:
        """Print nothing, because the last two lines include the error."""

    def print_result(self, error: StreamError | None, ending: Ending | None, result: JsonObject) -> None:
        """Print the end of the answer, and its result; without an ending, the events imply one."""
        sending = self._sending
        for line in sending.encode_end(ending) if error is None else sending.encode_error(error, ending):
            print_object(line)
        print_object({"type": "result", **result, "error": None if error is None else write_error(error)})

    def print_summary(self, seconds: float, report: StreamReport) -> None:
        """Print the end, and as the last line the messages, the error, the metrics and the head."""
        stream, head = report.stream, report.stream.response
        first, *others = report.messages
        result = {
            "t": round(seconds, 6),
            "format": stream.format,
            "ending": report.ending,
            "message": first,
            "other_choices": others,
            "metrics": metrics_of(report),
            "departures": {name: asdict(noted) for name, noted in stream.departures.items()},
            "response": head and {name: getattr(head, name) for name in _OF_HEAD},
        }
        self.print_result(report.error, stream.message.ending, result)


def write_error(error: StreamError) -> JsonObject:
    return {"class": type(error).__name__, "message": error.message, **attributes_of(error)}


def print_object(line: JsonObject) -> None:
    print(to_compact_json(line, ascii_only=True), flush=True)


_LONGEST_KIND = 14
"""Length up to which the kind of news of a step is printed whole, in characters."""
_ENDING_OF: dict[str, Ending] = {"running": "streaming", "failed": "failed", "stopped": "stopped"}
"""Maps the state of a turn to the ending of the run."""


def follow_agent(
    pieces: Iterator[bytes],
    printer: TextLines | JSONLines,
    clock: Clock,
    origin: InputOrigin,
    exit_code: int | None = None,
) -> int:
    """Print the run of an agent while its lines are read; return the exit status of the command."""
    started_at = clock()
    run = Steps("run")
    events = run.events()
    # A function, because a plain None would not tell that the pieces are lines.
    lines: Any = cast("Any", run).follow(pieces, exit_code=lambda: exit_code)
    error: StreamError | None = None
    waits: dict[str, StepWaiting] = {}
    with run:
        try:
            for _ in lines:
                waits |= _print_ready(events, printer, clock() - started_at)
        except StreamError as failure:
            error = failure
        except KeyboardInterrupt:
            lines.close()
    seconds = clock() - started_at
    waits |= _print_ready(events, printer, seconds)
    ending = find_ending(run, error)
    if error is not None:
        printer.print_error(seconds, error)
    if isinstance(printer, JSONLines):
        result = {
            "t": round(seconds, 6),
            "ending": ending,
            **_write_run(run),
            "waits": [asdict(event) for event in waits.values()],
            "other_lines": lines.plain_lines,
        }
        printer.print_result(error, None, result)
        return STATUS_OF[ending]
    _print_run(run, waits)
    if lines.plain_lines:
        print_row("other lines", str(lines.plain_lines))
    print_row("ending", ending)
    if error is not None:
        print_rows(list_error_rows(error, origin))
    return STATUS_OF[ending]


def find_ending(run: Steps, error: StreamError | None) -> Ending:
    """Return the ending of a run: that of its error, or of the first turn that is not done."""
    if error is not None:
        return "truncated" if isinstance(error, StreamTruncated) else "failed"
    for turn in run.turns:
        if turn.state != "done":
            return _ENDING_OF[turn.state]
    return "complete"


def _print_ready(events: RunEvents, printer: TextLines | JSONLines, seconds: float) -> dict[str, StepWaiting]:
    """Print the events that have arrived; return the requests among them by their ids."""
    waits: dict[str, StepWaiting] = {}
    for event in events.ready():
        printer.print_event(seconds, event)
        if isinstance(event, StepWaiting):
            waits[event.id] = event
    return waits


# -- for people ---------------------------------------------------------------


def _print_run(run: Steps, waits: dict[str, StepWaiting]) -> None:
    """Print the tree of a run, its turns, its plans, and the requests that had to be answered."""
    print(f"\n{run}\n")
    print_row("agent", _write_known(name=run.agent, session=run.session, model=run.model))
    if run.context_used is not None:
        print_row(
            "context", write_pairs({"used": str(run.context_used), "size": str(run.context_size or "?")})
        )
    for number, turn in enumerate(run.turns, 1):
        figures = write_pairs(list_counts(turn.usage)) + _write_known(cost=turn.cost)
        print_row(f"turn {number}", f"{turn.state}{figures}")
        if turn.error is not None:
            print_row("", one_line(turn.error))
        if turn.result is not None:
            print_row(
                "", quote_text(turn.result) if isinstance(turn.result, str) else to_compact_json(turn.result)
            )
    print_rows(list_plans_and_questions(run, waits))


def list_plans_and_questions(run: Steps, waits: dict[str, StepWaiting]) -> list[tuple[str, str]]:
    """Return rows of a label and a text: the last plans of the steps of a run, then the agent's requests."""
    rows = [
        (one_line(kind[:_LONGEST_KIND]), f"{one_line(step.name)}: {to_compact_json(data)}")
        for step in _iterate(run)
        # The tree has the tools' calls.
        if step.cause is None
        for kind, data in step.updates.items()
    ]
    for event in waits.values():
        answered = "answered" if event.answered else "no answer was seen"
        rows.append(("question", f"{answered}: {to_compact_json(event.request)}"))
    return rows


def _write_known(**values: str | float | None) -> str:
    return write_pairs({name: _write_fact(value) for name, value in values.items() if value is not None})


def _write_fact(value: str | float) -> str:
    return quote_text(value) if isinstance(value, str) else f"{value:.6g}"


# -- for programs -------------------------------------------------------------


def _write_run(run: Steps) -> JsonObject:
    return {
        "agent": run.agent,
        "session": run.session,
        "model": run.model,
        "cost": run.cost,
        "turns": [
            {
                "state": turn.state,
                "error": turn.error,
                "result": turn.result,
                "usage": turn.usage,
                "cost": turn.cost,
                "session": turn.session,
                "step": turn.step.id,
            }
            for turn in run.turns
        ],
        "steps": [_write_step(step) for step in _iterate(run)],
    }


def _write_step(step: Step) -> JsonObject:
    """Return a step as JSON; its parent has the id that it gives."""
    return {
        "id": step.id,
        "parent": None if step.parent is None else step.parent.id,
        "name": step.name,
        "agent": step.agent,
        "state": step.state,
        "error": step.error,
        "seconds": round(step.seconds, 6),
        "text": step.text,
        "cause": step.cause,
        "result": step.result,
        "output": step.output,
        "updates": step.updates,
    }


def _iterate(run: Steps) -> Iterator[Step]:
    # Not recursive: runs may nest deeper than Python's recursion limit.
    waiting = [*reversed(run.steps)]
    while waiting:
        step = waiting.pop()
        yield step
        waiting.extend(reversed(step.steps))
