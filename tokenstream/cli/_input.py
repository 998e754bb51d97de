"""The source of an answer that a command reads: a file, standard input, or the server that is asked."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._request.connect import connect
from tokenstream.cli._advice import MISUSE, CommandFailed, InputOrigin, reason_of
from tokenstream.limits import Deadlines
from tokenstream.testing._recordings.file_format import EXTENSION, RecordingInvalid, is_recording
from tokenstream.testing._recordings.files import CASSETTE_EXTENSIONS
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._recordings.secrets import find_secret, without_secret_headers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from tokenstream._basics.loose import JsonObject
    from tokenstream.stream import Stream
    from tokenstream.testing._recordings.clock import VirtualClock

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Matches a header's name, which is a token as defined in RFC 9110 §5.6.2."""
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
    with ExitStack() as stack:
        is_piped = source == "-"
        file = open_standard_input(stack) if is_piped else open_file(source, stack, hint=_write_hint(source))
        # `pop_all` hands the closing over; without it, the `with` block would close the file.
        return FilePieces(file, stack.pop_all())


def stream_of_pieces(pieces: FilePieces, options: argparse.Namespace) -> Stream:
    """Return a stream of a file, which it closes."""
    from tokenstream.stream import Stream

    with ExitStack() as stack:
        stack.callback(pieces.close_now)
        stream = Stream(pieces, format=options.format)
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
    # `open_file_pieces` then reports a file that is missing, and options of a request beside a file.
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
        raise CommandFailed(f"{name} cannot be read: {reason_of(error)}") from None


def play(recording: Recording, options: argparse.Namespace, clock: VirtualClock) -> Stream:
    """Return a stream that reads a recording at the recorded times, without waiting for them."""
    deadlines: Deadlines | None = _NO_DEADLINES
    if recording.breaks == "stall":
        # A recording that stalls for ever needs a deadline that ends it: the library's defaults (None). On a
        # WebSocket, they do not apply between two answers, so the whole reading gets a deadline.
        last = max((at for at, _ in recording.arrivals), default=0.0)
        deadlines = Deadlines(total=last + _MAX_STALL) if recording.messages else None
    format = options.format or recording.format
    return recording.stream(pace="recorded", clock=clock, format=format, deadlines=deadlines)


def play_pieces(recording: Recording, clock: VirtualClock) -> Iterator[bytes]:
    for at, data in recording.arrivals:
        clock.until(at)
        yield data


def origin_of(source: str) -> InputOrigin:
    return "request" if _URL.match(source) else "pipe" if source == "-" else "file"


def open_url(options: argparse.Namespace) -> Stream:
    """Return a stream of the answer to a request; the request is sent at the first read."""
    request = build_request(options)
    return connect(
        options.source, method=request.method, headers=request.headers, format=options.format, **request.body
    )


def _write_hint(name: str) -> str:
    """Return advice for a file name that looks like the address of a server; "" for any other name."""
    if _OTHER_SCHEME.match(name):
        return "; of URLs only those of http and https can be asked"
    return f"; for a server, write http://{name} or https://{name}" if _HOST.match(name) else ""


# -- the request --------------------------------------------------------------------


class RequestParts(NamedTuple):
    """The request that a command sends, without its address: method, headers and body."""

    method: str
    headers: list[tuple[bytes, bytes]]
    body: JsonObject
    """The arguments with which httpx sends the body."""
    secrets: list[str]
    """Values of headers that must not be printed."""


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: tuple[str, str, str]
) -> argparse.ArgumentParser:
    """Add the parser of a command to those of the program; `about` is its help, description and epilog."""
    short, description, epilog = about
    kind = argparse.RawDescriptionHelpFormatter
    return commands.add_parser(name, help=short, description=description, epilog=epilog, formatter_class=kind)


def add_request(parser: argparse.ArgumentParser, about: str) -> None:
    """Add the options of a request to a command's parser."""
    request = parser.add_argument_group(about)
    request.add_argument("--method", metavar="NAME", help="by default GET, and POST with data")
    request.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        type=_parse_header,
        metavar="'NAME: VALUE'",
        help="a header; may be given again",
    )
    request.add_argument(
        "--header-env",
        action="append",
        default=[],
        type=_parse_env_header,
        metavar="NAME=VARIABLE",
        help="a header whose value is in the environment; for Authorization, Bearer is put before a key",
    )
    request.add_argument(
        "-d", "--data", metavar="JSON|@FILE", help="the body, or the file that has it; @- for standard input"
    )


def has_request_options(options: argparse.Namespace) -> bool:
    return bool(
        options.method is not None or options.header or options.header_env or options.data is not None
    )


def build_request(options: argparse.Namespace) -> RequestParts:
    """Return the request that the command line describes."""
    from_command_line: list[tuple[str, str]] = options.header
    headers = [*from_command_line, *[_read_env_header(header) for header in options.header_env]]
    body: JsonObject = {}
    if options.data is not None:
        body["content"] = content = _read_data(options.data)
        if not any(name.lower() == "content-type" for name, _ in headers):
            # Without a type of its own, a body is JSON.
            headers.append(("Content-Type", "application/json"))
            try:
                json.loads(content)
            except (ValueError, RecursionError) as error:  # a body that is nested too deeply
                raise CommandFailed(
                    f"the data is not JSON ({error}); "
                    "if that is intended, name its type with -H 'Content-Type: …'",
                    status=MISUSE,
                ) from None
    method = options.method or ("GET" if options.data is None else "POST")
    # Bytes that are not UTF-8 are sent unchanged, as curl does.
    encoded = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers]
    return RequestParts(method, encoded, body, list_secrets(options))


def list_secrets(options: argparse.Namespace) -> list[str]:
    """Return the values of headers on the command line that must not be printed."""
    from_environment = [_read_env_header(header)[1] for header in options.header_env]
    return from_environment + [value for name, value in options.header if _is_secret(name, value)]


def open_file(name: str, stack: ExitStack, *, hint: str = "") -> BufferedReader:
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise CommandFailed(f"{name} cannot be read: {reason_of(error)}{hint}") from None
    except ValueError as error:
        raise CommandFailed(f"{name!r} is not the name of a file: {error}") from None


def open_standard_input(stack: ExitStack) -> BufferedReader:
    """Return standard input as another file object, so that closing that object leaves `sys.stdin` open."""
    if sys.stdin is None:
        raise CommandFailed("there is no standard input")
    return stack.enter_context(os.fdopen(sys.stdin.fileno(), "rb", closefd=False))


def _parse_header(argument: str) -> tuple[str, str]:
    name, colon, value = argument.partition(":")
    if not colon or not name.strip():
        # The argument may be an API key: it is quoted only if it is a single word of letters.
        quoted_argument = repr(argument) if argument.isalpha() else "this"
        raise argparse.ArgumentTypeError(f"{quoted_argument} is not a header: write 'Name: value'")
    return _check_header(name), value.strip()


def _parse_env_header(argument: str) -> tuple[str, str]:
    """Return the names of a header and of its environment variable, from an argument `NAME=VARIABLE`."""
    name, equals, variable = argument.partition("=")
    if not equals or not name.strip() or not variable.strip():
        # The argument may be the secret itself, so the message does not quote it.
        raise argparse.ArgumentTypeError("this is not a header with its variable: write NAME=VARIABLE")
    return _check_header(name), variable.strip()


def _check_header(name: str) -> str:
    """Return a header's name without the spaces around it; raise if it has invalid characters."""
    if not _NAME.fullmatch(name.strip()):
        msg = f"{name.strip()!r} is not a header's name: use ASCII letters, digits and hyphens"
        raise argparse.ArgumentTypeError(msg)
    return name.strip()


def _read_env_header(header: tuple[str, str]) -> tuple[str, str]:
    """Return a header's name and value, the value read from an environment variable."""
    name, variable = header
    value = os.environ.get(variable, "").strip()
    if not value:
        # The message does not quote the variable's name, which may be a key by mistake.
        msg = f"the environment has no value for the header {name}: name a variable that is set"
        raise CommandFailed(msg, status=MISUSE)
    has_scheme = any(character.isspace() for character in value)
    if name.lower() == "authorization" and not has_scheme:
        value = f"Bearer {value}"
    return name, value


def _is_secret(name: str, value: str) -> bool:
    """Return True if a header's name, or its value, looks as if the value must stay secret."""
    line = f"{name}: {value}".encode("utf-8", "surrogateescape")
    # The first test is for the name, the second one for the value.
    return not without_secret_headers({name: value}) or find_secret(line) is not None


def _read_data(argument: str) -> bytes:
    """Return the body for an argument of --data: the argument itself, or the content of the file it names."""
    with ExitStack() as stack:
        if argument == "@-":
            return open_standard_input(stack).read()
        if argument.startswith("@"):
            return open_file(argument[1:], stack).read()
    return argument.encode("utf-8", "surrogateescape")


def parse_number(argument: str, expected: str, *, zero: bool = False) -> float:
    try:
        number = float(argument)
    except ValueError:
        # NaN is refused below, as it is neither more nor less than any number.
        number = math.nan
    is_allowed_zero = zero and number == 0
    if not (0 < number < math.inf or is_allowed_zero):
        raise argparse.ArgumentTypeError(f"{argument!r} is not {expected}")
    return number
