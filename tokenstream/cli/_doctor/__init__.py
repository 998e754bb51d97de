"""The command `python -m tokenstream doctor`, which finds out if answers really stream on their path.

The *path* is the way from the server to this machine, through proxies and platforms (*hops*).
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tokenstream._basics.secret_mask import SecretMask
from tokenstream._connection.head import ResponseHead
from tokenstream._decoder import Decoder
from tokenstream.cli._advice import MISUSE, CommandFailed
from tokenstream.cli._asking import add_request, build_request
from tokenstream.cli._doctor.findings import judge
from tokenstream.cli._doctor.probe import ProbedAnswer, browser_codings, probe
from tokenstream.cli._doctor.report import as_json, lines_of
from tokenstream.cli._program import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.cli._asking import RequestParts

_URL = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_ABOUT = """\
Ask for an answer and watch when its bytes come: does this path really stream?
Says what holds the answer back, compresses it or cuts it, which proxy or platform
that may be, and which of its settings to change.

Two requests are sent, one after the other: as this library asks, and as a browser
asks, which accepts a compressed answer. An answer that seems to be held back is
asked for again before the path is blamed. With a provider each of them costs an
answer; --once sends the first alone. Ask for an answer that takes some seconds.
"""
_MORE = """\
exit status:
  0    it streams
  1    it does not, or too little came to tell; or the body cannot be read
  2    the command line is invalid

examples:
  %(prog)s https://api.example.com/v1/chat/completions \\
      --header-env Authorization=EXAMPLE_API_KEY -d @request.json
"""
_TIMEOUT = 120.0
"""Default for the longest silence to wait for, in seconds; few hops on the path allow as much."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command to the parsers of the program."""
    parser = commands.add_parser(
        "doctor",
        help="find out whether a path really streams, and what keeps it from that",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="an http or https URL")
    parser.add_argument("--format", metavar="NAME", help="the stream's format; by default it is detected")
    parser.add_argument("--once", action="store_true", help="send one request, which accepts no compression")
    parser.add_argument("--json", action="store_true", help="print a JSON object, for programs")
    parser.add_argument(
        "--timeout",
        type=_parse_seconds,
        default=_TIMEOUT,
        metavar="SECONDS",
        help="how long to wait for the next byte (%(default)g)",
    )
    add_request(parser, "the request")
    parser.set_defaults(run=_run)


def _parse_seconds(argument: str) -> float:
    return parse_number(argument, "a number of seconds above 0")


def _run(options: argparse.Namespace) -> int:
    """Print the diagnosis of the path to a server; return 0 only if its answers arrive piece by piece."""
    if not _URL.match(options.url):
        # The message does not quote the argument, which may contain a key.
        raise CommandFailed("doctor takes an address that begins with http:// or https://", status=MISUSE)
    # An unknown format raises here, before any request is sent.
    Decoder(options.format)
    request = build_request(options)
    _announce()
    probes = list(_send_probes(options, request))
    # A head is made only for its `place`, the address without the parts that may be secret.
    address = ResponseHead(status=0, url=options.url).place
    diagnosis = judge(probes)
    mask = SecretMask(request.secrets)
    if options.json:
        print(as_json(address, probes, diagnosis, mask))
    else:
        for line in lines_of(address, probes, diagnosis):
            print(mask.mask_text(line))
    return 0 if diagnosis.verdict == "streams" else 1


def _announce() -> None:
    """Print a note that the probe takes a while, if standard error is a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        print("watching the answer to its end; Ctrl-C judges what has come", file=sys.stderr)


def _send_probes(options: argparse.Namespace, request: RequestParts) -> Iterator[ProbedAnswer]:
    """Yield the answer to the request, then the answer to the same request with compression allowed.

    The second request is left out if the first answer was stopped or does not stream, with
    --once, and if the command line itself has an Accept-Encoding.
    """
    own_codings = [
        value.decode("latin-1") for name, value in request.headers if name.lower() == b"accept-encoding"
    ]
    headers = [(name, value) for name, value in request.headers if name.lower() != b"accept-encoding"]
    request = request._replace(headers=headers)
    # If the command line has several such headers, the last one counts.
    codings_to_send = own_codings[-1:] or ["identity", *([] if options.once else [browser_codings()])]
    for coding in codings_to_send:
        send = partial(probe, options.url, request, coding, format=options.format, timeout=options.timeout)
        answer = send()
        if _seems_held_back(answer) and not options.once:
            # One answer may have been quick: the path is blamed only for what happens twice.
            again = send()
            answer = replace(answer, confirmed=True) if _seems_held_back(again) else again
        yield answer
        if answer.ended == "stopped" or judge([answer]).verdict == "does not stream":
            return


def _seems_held_back(answer: ProbedAnswer) -> bool:
    """Return True if an answer came to its end, and its times are those of events that were held back."""
    return answer.ended != "stopped" and any(
        finding.name == "held_back" for finding in judge([answer]).findings
    )
