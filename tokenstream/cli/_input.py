"""The source of an answer that a command reads: a file, a server, or standard input."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tokenstream._connect import connect
from tokenstream.cli._advice import MISUSE, CommandFailed, reason_of
from tokenstream.cli._asking import build_request, has_request_options, open_file, open_standard_input
from tokenstream.limits import Deadlines
from tokenstream.testing._recordings.file_format import EXTENSION, RecordingInvalid, is_recording
from tokenstream.testing._recordings.files import CASSETTE_EXTENSIONS
from tokenstream.testing._recordings.recording import Recording

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from io import BufferedReader

    from tokenstream.cli._advice import Origin
    from tokenstream.stream import Stream
    from tokenstream.testing._recordings.clock import VirtualClock

_URL = re.compile(r"https?://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST = re.compile(
    r"(?:\[[0-9a-f:]+\]|[a-z0-9.-]+):\d+(?:/|$)|localhost/|(?:(?>[a-z0-9-]++\.))++[a-z]{2,}+/", re.IGNORECASE
)
"""Matches the address of a server without its scheme."""
_READ_SIZE = 65_536
_FIRST_LINE = 64
"""Number of bytes that tell a recording from other files."""
_MAX_STALL = 1_000.0
"""Seconds after which a stall on a WebSocket ends the reading; the library's other deadlines are shorter."""
_NO_DEADLINES = Deadlines(first_event=None, idle_bytes=None, idle_content=None)


class FilePieces:
    """Iterates over the bytes of a file as they arrive.

    The first pieces are kept, until `forget` is called, so that they can be read again.

    Args:
        stack: Closes the file.
    """

    def __init__(self, file: BufferedReader, stack: ExitStack) -> None:
        self._file = file
        self._stack = stack
        self._kept: list[bytes] | None = []
        """The pieces that were read so far; None once they were forgotten."""

    def __iter__(self) -> FilePieces:
        return self

    def __next__(self) -> bytes:
        # `read` would block until its buffer is full.
        piece = self._file.read1(_READ_SIZE)
        if not piece:
            raise StopIteration
        if self._kept is not None:
            self._kept.append(piece)
        return piece

    def forget(self) -> None:
        """Keep no more pieces, because they are not read again."""
        self._kept = None

    def read_again(self) -> Iterator[bytes]:
        """Yield the pieces that were kept, then the rest."""
        kept, self._kept = self._kept or [], None
        yield from kept
        yield from self

    def close_now(self) -> None:
        """Close the file."""
        self._kept = None
        self._stack.close()

    def close(self) -> None:
        """Close the file, unless its first pieces are kept to be read again."""
        if self._kept is None:
            self._stack.close()


def open_file_pieces(options: argparse.Namespace) -> FilePieces | None:
    """Return an iterator over the file or the standard input that the command line names; None for a URL."""
    source: str = options.source
    if not source:
        raise CommandFailed("no source is given: give a file, an http or https URL, or -", status=MISUSE)
    if _URL.match(source):
        return None
    if has_request_options(options):
        msg = f"a method, headers and data belong to a request, and {source!r} is no http or https URL"
        raise CommandFailed(msg, status=MISUSE)
    return _read_standard_input() if source == "-" else _read_file(source)


def open_stream(options: argparse.Namespace) -> Stream:
    """Return a stream of the source that the command line names; no request is sent yet."""
    pieces = open_file_pieces(options)
    if pieces is None:
        return open_url(options)
    # Only `inspect` reads a file again.
    pieces.forget()
    return stream_of_pieces(pieces, options)


def stream_of_pieces(pieces: FilePieces, options: argparse.Namespace) -> Stream:
    """Return a stream of a file, which it closes."""
    from tokenstream.stream import Stream

    with ExitStack() as stack:
        stack.callback(pieces.close_now)
        stream = Stream(pieces, format=options.format, pings=bool(options.pings))
        # The stream closes the pieces from now on; the stack closes them only if `Stream` has raised.
        stack.pop_all()
        return stream


def load_recording(options: argparse.Namespace) -> Recording | None:
    """Return the recording that the command line names; None if the source is not a recording.

    A recording is a file whose first line identifies it, a file with the extension of recordings, or a
    cassette of VCR. Named pipes are not read.
    """
    name: str = options.source
    path = Path(name)
    # `open_stream` then reports a file that is missing, and options of a request beside a file.
    if origin_of(name) != "file" or "\0" in name or not path.is_file() or has_request_options(options):
        return None
    if path.suffix.lower() not in {EXTENSION, *CASSETTE_EXTENSIONS}:
        with ExitStack() as stack:
            if not is_recording(open_file(name, stack).read(_FIRST_LINE)):
                return None
    try:
        return Recording.load(path)
    except RecordingInvalid as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        msg = f"{name} cannot be read: {reason_of(error)}"
        raise CommandFailed(msg) from None


def play(recording: Recording, options: argparse.Namespace, clock: VirtualClock, *, pings: bool) -> Stream:
    """Return a stream that reads a recording at the recorded times, without waiting for them."""
    deadlines: Deadlines | None = _NO_DEADLINES
    if recording.breaks == "stall":
        # A recording that stalls for ever needs a deadline that ends it: the library's defaults (None). On a
        # WebSocket, they do not apply between two answers, so the whole reading gets a deadline.
        last = max((at for at, _ in recording.arrivals), default=0.0)
        deadlines = Deadlines(total=last + _MAX_STALL) if recording.messages else None
    format = options.format or recording.format
    return recording.stream(pace="recorded", clock=clock, format=format, deadlines=deadlines, pings=pings)


def play_pieces(recording: Recording, clock: VirtualClock) -> Iterator[bytes]:
    """Yield the chunks of a recording, moving the clock to the time of each."""
    for at, data in recording.arrivals:
        clock.until(at)
        yield data


def origin_of(source: str) -> Origin:
    """Return the kind of source that the command line names."""
    return "request" if _URL.match(source) else "pipe" if source == "-" else "file"


def open_url(options: argparse.Namespace) -> Stream:
    """Return a stream of the answer to a request; the request is sent at the first read."""
    request = build_request(options)
    return connect(
        options.source,
        method=request.method,
        headers=request.headers,
        format=options.format,
        pings=bool(options.pings),
        **request.body,
    )


def _read_standard_input() -> FilePieces:
    """Return an iterator over the bytes of standard input as they arrive; its `close` closes the file."""
    with ExitStack() as stack:
        file = open_standard_input(stack)
        # `pop_all` hands the closing over; without it, the `with` block would close the file.
        return FilePieces(file, stack.pop_all())


def _read_file(name: str) -> FilePieces:
    """Return an iterator over the bytes of a file; its `close` closes the file."""
    with ExitStack() as stack:
        file = open_file(name, stack, hint=_write_hint(name))
        # `pop_all` hands the closing over; without it, the `with` block would close the file.
        return FilePieces(file, stack.pop_all())


def _write_hint(name: str) -> str:
    """Return advice for a file name that looks like the address of a server; "" for any other name."""
    if _OTHER_SCHEME.match(name):
        return "; of URLs only those of http and https can be asked"
    return f"; for a server, write http://{name} or https://{name}" if _HOST.match(name) else ""
