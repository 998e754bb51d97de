"""The command `python -m tokenstream routes`: asks several providers one question, and says who answers."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tokenstream.cli._doctor.report import SecretMask
from tokenstream.cli._numbers import parse_number
from tokenstream.cli._routes.candidates import find_candidates
from tokenstream.cli._routes.trial import as_json, lines_of, try_route

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenstream.cli._routes.candidates import RouteCandidate
    from tokenstream.cli._routes.trial import RouteTrial

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
    """Send a tiny question to each route, and print which routes answer, and so would serve a program.

    Returns:
        The exit status: 0 if at least one route answers.

    Raises:
        CommandFailed: A route or its file is invalid.
        MisuseError: A format is unknown.
    """
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
    """Yield the trial of each route; if standard error is a terminal, print there which route is tried.

    Args:
        timeout: Seconds to wait for the first content of each answer.
    """
    shows = sys.stderr is not None and sys.stderr.isatty()
    for number, candidate in enumerate(candidates, 1):
        if shows:
            print(f"asking route {number} of {len(candidates)}", file=sys.stderr)
        yield try_route(candidate, timeout)
