"""The command `python -m tokenstream routes`: asks several providers one question, and says who answers."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.secret_mask import SecretMask
from tokenstream._basics.visible import one_line
from tokenstream._connect import connect
from tokenstream.cli._advice import ASK_FOR_A_STREAM, advise_on_error, describe_error
from tokenstream.cli._doctor.report import write_row
from tokenstream.cli._program import parse_number
from tokenstream.cli._routes.candidates import find_candidates
from tokenstream.errors import StreamError
from tokenstream.limits import Deadlines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenstream.cli._routes.candidates import RouteCandidate

_NO_KEY = "no request was sent, as the environment has no key"
_EMPTY = "the answer came to its end without content"

_ABOUT = """\
Ask each route a small question, one after the other: which of them would serve?

A route is the address of a provider's endpoint; the path tells its API. The key
is read from the variable that the provider's own SDK reads, such as
OPENAI_API_KEY, and is sent to that provider alone. Each answer is read up to its
first content. To find out whether one streams to its end, ask the doctor.
"""
_MORE = """\
exit status:
  0    at least one route would serve
  1    none would
  2    the command line is invalid

examples:
  %(prog)s gpt-5.5=https://api.openai.com/v1/chat/completions \\
      qwen3=http://localhost:8000/v1/chat/completions
  %(prog)s @routes.json
"""
_TIMEOUT = 30.0
"""Default for the seconds to wait for the first content of a route."""


class RouteTrial(NamedTuple):
    """The result of sending a route's question: the time of the first content, or the failure."""

    candidate: RouteCandidate
    seconds: float | None
    """Seconds from the request to the first content; None if none came."""
    status: int | None
    """The status of the response; None without a response."""
    reason: str
    """The reason phrase of the response; "" if it has none."""
    format: str | None
    """The name of the format in which the server answered, or was expected to; None if it is not known."""
    kind: str | None
    """The failure in one word, such as the kind of the error; None if the route would serve."""
    what: str | None
    """The failure in a sentence, or a note; None if there is nothing to say."""
    advice: str | None
    """The remedy; None if there is nothing to change."""

    @property
    def serves(self) -> bool:
        """True if content came, so that the route would serve."""
        return self.kind is None


def try_route(candidate: RouteCandidate, timeout: float) -> RouteTrial:
    """Send a route's question; return the result of the trial, which ends at the first content."""
    if candidate.missing is not None:
        # Without its key, the request would only be refused, so it is not sent.
        return RouteTrial(
            candidate,
            seconds=None,
            status=None,
            reason="",
            format=candidate.format,
            kind="no_key",
            what=_NO_KEY,
            advice=f"set {candidate.missing}",
        )
    kind: str | None = None
    what: str | None = None
    advice: str | None = None
    with connect(candidate.route, deadlines=Deadlines(first_event=timeout, total=timeout)) as stream:
        try:
            for _ in stream:
                if stream.metrics.ttft is not None:
                    break
        except StreamError as error:
            kind, what = error.kind, describe_error(error)
            advice = advise_on_error(error, "request")
        seconds, head = stream.metrics.ttft, stream.response
        format = stream.attempts[-1].format
        is_document = "not_streamed" in stream.departures
    # A trial without a `kind` has no failure: the route would serve.
    if kind is None and seconds is None:
        kind, what, advice = "empty", _EMPTY, "check the model"
    if kind is None and is_document:
        # Only a note: the route would serve, but does not stream.
        what, advice = "the answer came as one JSON document: nobody streamed it", ASK_FOR_A_STREAM
    status, reason = (None, "") if head is None else (head.status, head.reason)
    return RouteTrial(candidate, seconds, status, reason, format, kind, what, advice)


_COLUMNS = ("route", "host", "format")


def lines_of(trials: Sequence[RouteTrial]) -> Iterator[str]:
    """Yield the lines of a report: the verdict, a table, and what to change."""
    serving = sum(trial.serves for trial in trials)
    yield f"{serving} of {len(trials)} {'route' if len(trials) == 1 else 'routes'} would serve"
    yield ""
    rows = [_list_cells(trial) for trial in trials]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    yield _write_cells("seconds", _COLUMNS, widths, "answered")
    for trial, cells in zip(trials, rows, strict=True):
        seconds = "–" if trial.seconds is None else f"{trial.seconds:.3f}"
        yield _write_cells(seconds, cells, widths, _describe_answer(trial))
    findings = [(trial, what) for trial in trials if (what := trial.what) is not None]
    if findings:
        yield ""
    for trial, what in findings:
        grave, kind = not trial.serves, "" if trial.kind is None else f"{trial.kind}: "
        yield write_row("fault" if grave else "note", f"{trial.candidate.route.name}: {kind}{what}")
        if trial.advice is not None:
            yield write_row("  change" if grave else "  do", trial.advice)


def _list_cells(trial: RouteTrial) -> tuple[str, ...]:
    """Return the cells that name a route: its name, its server and its format."""
    return one_line(trial.candidate.route.name), one_line(trial.candidate.server), trial.format or "unknown"


def _write_cells(seconds: str, cells: Sequence[str], widths: Sequence[int], answer: str) -> str:
    """Return a line of the table."""
    padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{seconds:>10}  {'  '.join(padded)}  {answer}"


def _describe_answer(trial: RouteTrial) -> str:
    """Return the status of a response; if there was none, say so."""
    if trial.status is None:
        return "not at all" if trial.candidate.missing is None else "not asked"
    return one_line(f"{trial.status} {trial.reason}".rstrip())


def as_json(trials: Sequence[RouteTrial], mask: SecretMask) -> str:
    """Return the trials as a JSON object on one line, with secrets hidden."""
    report: dict[str, Any] = {"serving": sum(trial.serves for trial in trials)}
    report["routes"] = [
        {
            "name": trial.candidate.route.name,
            "host": trial.candidate.server,
            "format": trial.format,
            "serves": trial.serves,
            "status": trial.status,
            "first_content": trial.seconds,
            "kind": trial.kind,
            "what": trial.what,
            "do": trial.advice,
        }
        for trial in trials
    ]
    return json.dumps(mask.mask_json(report), separators=(",", ":"))


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command to the parsers of the program."""
    parser = commands.add_parser(
        "routes",
        help="find out which of several providers would serve",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "routes",
        nargs="+",
        metavar="ROUTE",
        help="URL, MODEL=URL, or @FILE with a JSON list of objects with a url and, if needed, a name, model, "
        "format, json, headers and header_env",
    )
    parser.add_argument("--model", metavar="NAME", help="the model of the routes that name none")
    parser.add_argument("--json", action="store_true", help="print a JSON object, for programs")
    parser.add_argument(
        "--timeout",
        type=_parse_seconds,
        default=_TIMEOUT,
        metavar="SECONDS",
        help="how long to wait for the first content of a route (%(default)g)",
    )
    parser.set_defaults(run=_run)


def _parse_seconds(argument: str) -> float:
    return parse_number(argument, "a number of seconds above 0")


def _run(options: argparse.Namespace) -> int:
    """Send a tiny question to each route, and print which routes answer, and so would serve a program."""
    candidates = find_candidates(options.routes, options.model)
    trials = list(_try_all(candidates, options.timeout))
    mask = SecretMask(secret for candidate in candidates for secret in candidate.secrets)
    if options.json:
        print(as_json(trials, mask))
    else:
        for line in lines_of(trials):
            print(mask.mask_text(line))
    return 0 if any(trial.serves for trial in trials) else 1


def _try_all(candidates: Sequence[RouteCandidate], timeout: float) -> Iterator[RouteTrial]:
    """Yield the trial of each route; if standard error is a terminal, print there which route is tried."""
    shows = sys.stderr is not None and sys.stderr.isatty()
    for number, candidate in enumerate(candidates, 1):
        if shows:
            print(f"asking route {number} of {len(candidates)}", file=sys.stderr)
        yield try_route(candidate, timeout)
