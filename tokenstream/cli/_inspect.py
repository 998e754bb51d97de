"""The command `python -m tokenstream inspect`, which prints the events of a stream, and its message."""

from __future__ import annotations

import textwrap
import time
from contextlib import closing
from typing import TYPE_CHECKING

from tokenstream.cli._advice import FORMATS, is_of_agent
from tokenstream.cli._agent_run import JSONLines, follow_agent
from tokenstream.cli._input import (
    FilePieces,
    add_command,
    add_request,
    load_recording,
    open_file_pieces,
    open_url,
    origin_of,
    play,
    play_pieces,
    stream_of_pieces,
)
from tokenstream.cli._lines import STATUS_OF, StreamReport, TextLines
from tokenstream.errors import StreamError
from tokenstream.testing._recordings.clock import VirtualClock

if TYPE_CHECKING:
    import argparse

    from tokenstream.stream import Stream
    from tokenstream.stream._protocols import Clock

_ABOUT = """\
Print the events of a streamed answer, one a line, each with the seconds since the
start; then the message, its metrics, what the server did that its documents do not
say, and the error, if there is one.

Of the lines of an agent, such as Claude Code, print the events of the run; then
its steps as a tree, and its turns.
"""
# A name is never split between two lines, so that it can be copied.
_NAMES = textwrap.fill(
    ", ".join(FORMATS), initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
)
_MORE = f"""\
formats:
{_NAMES}

exit status:
  0    the answer is complete
  1    the input cannot be read, or the output cannot be written
  2    the command line is invalid
  3    the answer was truncated: the input ended, stalled or broke too early
  4    the reading was stopped, by Ctrl-C; what had come is shown
  5    the answer failed: no connection, a refusal, an error, or not a stream
  130  Ctrl-C while nothing was read
  141  the reader of the output went away

examples:
  %(prog)s answer.sse
  claude -p "…" --output-format stream-json --verbose | %(prog)s -
  %(prog)s https://api.example.com/v1/chat/completions \\
      -H "Authorization: Bearer $KEY" -d @request.json
  curl -N https://api.example.com/stream | %(prog)s --json -
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "print the events of a stream, and the message", _ABOUT, _MORE
    parser = add_command(commands, "inspect", about)
    parser.add_argument(
        "source", metavar="FILE|URL|-", help="a file, an http or https URL, or - for standard input"
    )
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="the name of the stream's format, one of those below; by default it is detected",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a line, for programs")
    parser.add_argument("--raw", action="store_true", help="show each event's payload too")
    add_request(parser, "the request, where a URL is given")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    recording = load_recording(options)
    clock: Clock = time.monotonic
    pieces: FilePieces | None = None
    if recording is not None:
        # The printed times are the recorded ones, without waiting for them.
        clock = played = VirtualClock()
        stream = play(recording, options, played)
    else:
        pieces = open_file_pieces(options)
        stream = open_url(options) if pieces is None else stream_of_pieces(pieces, options)
    printer = JSONLines(raw=options.raw) if options.json else TextLines(raw=options.raw)
    started_at = clock()
    error = _print_events(stream, printer, clock, started_at, pieces)
    origin = origin_of(options.source)
    if error is not None and is_of_agent(error) and origin != "request":
        # The same bytes are read again, as the lines of an agent.
        if pieces is not None:
            with closing(pieces):
                return follow_agent(pieces.read_again(), printer, clock, origin)
        if recording is not None:
            with VirtualClock() as clock:
                lines = play_pieces(recording, clock)
                return follow_agent(lines, printer, clock, origin, recording.exit_code)
    if error is not None and is_of_agent(error):
        printer.print_error(clock() - started_at, error)
    report = StreamReport(stream, error, origin)
    printer.print_summary(clock() - started_at, report)
    return STATUS_OF[report.ending]


def _print_events(
    stream: Stream, printer: TextLines | JSONLines, clock: Clock, started_at: float, pieces: FilePieces | None
) -> StreamError | None:
    """Print the events of a stream as they arrive, and close it; return its error, None after Ctrl-C."""
    failure: StreamError | None = None
    try:
        with stream:
            for event in stream:
                if pieces is not None:
                    pieces.forget()
                printer.print_event(clock() - started_at, event)
    except StreamError as error:
        failure = error
        if not is_of_agent(error):
            printer.print_error(clock() - started_at, error)
    except KeyboardInterrupt:
        stream.stop("interrupted")
    finally:
        # The file is closed with the stream, unless it is read again.
        if pieces is not None and (failure is None or not is_of_agent(failure)):
            pieces.forget()
        # Ctrl-C may have interrupted the closing at the end of the block.
        stream.close()
        if pieces is not None:
            pieces.close()
    return failure
