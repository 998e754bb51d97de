"""The command `python -m tokenstream doctor`, which finds out if answers really stream on their path.

The *path* is the way from the server to this machine, through proxies and platforms (*hops*).
"""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from typing import TYPE_CHECKING

from tokenstream._basics.visible import SecretMask, one_line
from tokenstream._connection.head import ResponseHead
from tokenstream._pipeline.decoder import Decoder
from tokenstream.cli._advice import MISUSE, CommandFailed
from tokenstream.cli._doctor.findings import Diagnosis, judge
from tokenstream.cli._doctor.pacing import moments_of, pace_of
from tokenstream.cli._doctor.probe import ProbedAnswer, browser_codings, probe
from tokenstream.cli._input import RequestParts, add_command, add_request, build_request, parse_number
from tokenstream.errors import StreamStalled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from tokenstream._basics.loose import JsonObject

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
_SHOWN_HEADERS = (
    "server",
    "via",
    "content-type",
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "cache-control",
    "x-cache",
    "cf-cache-status",
    "age",
)
"""Relevant headers of the response, in the order in which they are printed."""
_ENDING_WORDS = {"end": "the end", "broken": "the connection broke", "stopped": "stopped"}
_LABEL = 12
_FIRST_LINES, _LAST_LINES = 6, 3
"""Numbers of lines that are printed of the start and of the end of a timeline."""
_BAR_LENGTH = 40


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "find out whether a path really streams, and what keeps it from that", _ABOUT, _MORE
    parser = add_command(commands, "doctor", about)
    parser.add_argument("url", metavar="URL", help="an http or https URL")
    parser.add_argument("--format", metavar="NAME", help="the stream's format; by default it is detected")
    parser.add_argument("--once", action="store_true", help="send one request, which accepts no compression")
    parser.add_argument("--json", action="store_true", help="print a JSON object, for programs")
    parser.add_argument(
        "--timeout",
        type=partial(parse_number, expected="a number of seconds above 0"),
        default=_TIMEOUT,
        metavar="SECONDS",
        help="how long to wait for the next byte (%(default)g)",
    )
    add_request(parser, "the request")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    """Print the diagnosis of the path to a server; return 0 only if its answers arrive piece by piece."""
    if not _URL.match(options.url):
        # The message does not quote the argument, which may contain a key.
        raise CommandFailed("doctor takes an address that begins with http:// or https://", status=MISUSE)
    # An unknown format raises here, before any request is sent.
    Decoder(options.format)
    request = build_request(options)
    if sys.stderr is not None and sys.stderr.isatty():
        print("watching the answer to its end; Ctrl-C judges what has come", file=sys.stderr)
    probes = list(_send_probes(options, request))
    # A head is made only for its `place`, the address without the parts that may be secret.
    address = ResponseHead(status=0, url=options.url).place
    diagnosis = judge(probes)
    mask = SecretMask(request.secrets)
    if options.json:
        print(_as_json(address, probes, diagnosis, mask))
    else:
        for line in lines_of(address, probes, diagnosis):
            print(mask.mask_text(line))
    return 0 if diagnosis.verdict == "streams" else 1


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
            answer = answer._replace(confirmed=True) if _seems_held_back(again) else again
        yield answer
        if answer.ended == "stopped" or judge([answer]).verdict == "does not stream":
            return


def _seems_held_back(answer: ProbedAnswer) -> bool:
    """Return True if an answer came to its end, and its times are those of events that were held back."""
    return answer.ended != "stopped" and any(
        finding.name == "held_back" for finding in judge([answer]).findings
    )


# -- the report, as lines for people and as JSON for programs ------------------------


def lines_of(address: str, probes: Sequence[ProbedAnswer], diagnosis: Diagnosis) -> Iterator[str]:
    """Yield the lines of a report, with an address without secrets, on verdict, evidence, hops and advice."""
    verb = "" if diagnosis.verdict != "cannot be told" else "it "
    yield f"{one_line(address)}: {verb}{diagnosis.verdict}"
    yield f"  {one_line(diagnosis.reason)}"
    for answer in probes:
        yield ""
        yield from _list_evidence(answer)
    yield ""
    for name, sign in diagnosis.hops:
        yield _write_row("hop", f"{name}, by {sign}")
    if not diagnosis.hops and any(answer.head is not None for answer in probes):
        yield _write_row("hop", "the response names no known one")
    for finding in diagnosis.findings:
        # The first grave finding is the reason for the verdict, which has been printed above.
        what = "" if finding.what == diagnosis.reason else f": {finding.what}"
        yield _write_row("fault" if finding.grave else "note", f"{finding.name}{what}")
        for do in finding.do:
            yield _write_row("  change" if finding.grave else "  do", do)
    if diagnosis.verdict == "streams":
        yield _write_row("client", "if your program gets the answer late, its HTTP client holds it back")


def _list_evidence(answer: ProbedAnswer) -> Iterator[str]:
    """Yield the lines about an answer: its status, relevant headers, and timeline."""
    yield _write_row("asked", f"with Accept-Encoding: {answer.coding}")
    head = answer.head
    if head is None:
        yield _write_row("answered", "not at all")
        return
    yield _write_row("answered", f"{head.status} {head.reason}".rstrip() + f" in {answer.version}")
    for name in _SHOWN_HEADERS:
        if name in head.headers:
            yield _write_row("", f"{name}: {head.headers[name]}")
    yield f"{'seconds':>10} {'bytes':>8} {'events':>7}"
    yield f"{answer.head_at or 0.0:10.3f} {'':>8} {'':>7}  the head"
    yield from _list_timeline(answer)
    ending = "given up" if isinstance(answer.error, StreamStalled) else _ENDING_WORDS[answer.ended]
    yield f"{answer.ended_at:10.3f} {'':>8} {'':>7}  {ending}"


def _list_timeline(answer: ProbedAnswer) -> Iterator[str]:
    """Yield a line for each moment at which chunks arrived, with a bar; one line replaces a long middle."""
    moments = moments_of(answer.arrivals)
    most_events = max([_BAR_LENGTH, *(moment.events for moment in moments)])
    omitted = moments[_FIRST_LINES:-_LAST_LINES]
    for number, moment in enumerate(moments):
        if _FIRST_LINES <= number < len(moments) - _LAST_LINES:
            if number == _FIRST_LINES:
                summary = f"{len(omitted)} more, {sum(one.size for one in omitted):,} bytes"
                yield f"{'…':>10} {'':>8} {'':>7}  {summary}"
            continue
        bar = "#" * max(1, round(_BAR_LENGTH * moment.events / most_events)) if moment.events else "."
        yield f"{moment.at:10.3f} {moment.size:8,} {moment.events:7,}  {bar}"


def _write_row(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{one_line(text)}"


def _as_json(address: str, probes: Sequence[ProbedAnswer], diagnosis: Diagnosis, mask: SecretMask) -> str:
    report: JsonObject = {
        "url": address,
        "verdict": diagnosis.verdict,
        "reason": diagnosis.reason,
        "findings": [
            {"name": finding.name, "grave": finding.grave, "what": finding.what, "do": finding.do}
            for finding in diagnosis.findings
        ],
        "hops": [{"name": name, "sign": sign} for name, sign in diagnosis.hops],
        "answers": [_write_answer(answer) for answer in probes],
    }
    return json.dumps(mask.mask_json(report), separators=(",", ":"))


def _write_answer(answer: ProbedAnswer) -> JsonObject:
    return {
        "accept_encoding": answer.coding,
        "status": None if answer.head is None else answer.head.status,
        "http_version": answer.version or None,
        "headers": {name: value for name, value in answer.headers.items() if name in _SHOWN_HEADERS},
        "head_at": answer.head_at,
        "ended_at": answer.ended_at,
        "ended": answer.ended,
        "pace": pace_of(answer.arrivals).verdict,
        "arrivals": [[round(arrival.at, 6), arrival.size, arrival.events] for arrival in answer.arrivals],
    }
