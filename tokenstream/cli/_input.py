"""Where an answer is read from: a file, a server, standard input."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenstream.cli._failure import MISUSE, CommandFailed, reason_of
from tokenstream.connect import connect

if TYPE_CHECKING:
    import argparse
    from io import BufferedReader

    from tokenstream.cli._advice import Origin
    from tokenstream.stream import Stream

__all__ = ["open_stream", "origin_of"]

_URL = re.compile(r"https?://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST = re.compile(
    r"(?:\[[0-9a-f:]+\]|[a-z0-9.-]+):\d+(?:/|$)|localhost/|(?:[a-z0-9-]++\.)++[a-z]{2,}+/", re.IGNORECASE
)
"""What reads like the address of a server, but for its scheme."""
_MOST_AT_ONCE = 65_536


class _Pieces:
    """Gives the bytes of a file as they arrive."""

    def __init__(self, file: BufferedReader, opened: ExitStack) -> None:
        self._file = file
        self._opened = opened

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        # `read` would wait until its buffer is full.
        piece = self._file.read1(_MOST_AT_ONCE)
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def open_stream(options: argparse.Namespace) -> Stream:
    """Return the stream that the command line asks for; no request has been sent.

    Raises:
        CommandFailed: The file cannot be opened, or the options contradict each other.
    """
    source: str = options.source
    if not source:
        raise CommandFailed("nothing is named: give a file, an http or https URL, or -", status=MISUSE)
    if _URL.match(source):
        return _ask(source, options)
    if options.method is not None or options.header or options.data is not None:
        msg = f"a method, headers and data belong to a request, and {source!r} is no http or https URL"
        raise CommandFailed(msg, status=MISUSE)
    from tokenstream.stream import Stream

    pieces = _standard_input() if source == "-" else _file(source)
    with ExitStack() as opened:
        opened.callback(pieces.close)
        stream = Stream(pieces, format=options.format, pings=bool(options.pings))
        opened.pop_all()
        return stream


def origin_of(source: str) -> Origin:
    """Return which kind of thing the command line names."""
    return "request" if _URL.match(source) else "pipe" if source == "-" else "file"


def _ask(url: str, options: argparse.Namespace) -> Stream:
    headers: list[tuple[str, str]] = list(options.header)
    body: dict[str, Any] = {}
    if options.data is not None:
        body["content"] = content = _data(options.data)
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", "application/json"))
            _expect_json(content)
    method = options.method or ("GET" if options.data is None else "POST")
    # As curl does: what stands in a value goes out as it was given.
    sent = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers]
    return connect(url, method=method, headers=sent, format=options.format, pings=bool(options.pings), **body)


def _data(given: str) -> bytes:
    if given == "@-":
        return b"".join(_standard_input())
    if given.startswith("@"):
        with ExitStack() as opened:
            return _open(given[1:], opened).read()
    return given.encode("utf-8", "surrogateescape")


def _expect_json(content: bytes) -> None:
    try:
        json.loads(content)
    except ValueError as error:
        msg = f"the data is no JSON ({error}); where it is meant so, name its kind with -H 'Content-Type: …'"
        raise CommandFailed(msg, status=MISUSE) from None


def _standard_input() -> _Pieces:
    if sys.stdin is None:
        raise CommandFailed("there is no standard input")
    with ExitStack() as opened:
        # A reader of our own, so that closing it leaves the process its input.
        file = opened.enter_context(os.fdopen(sys.stdin.fileno(), "rb", closefd=False))
        return _Pieces(file, opened.pop_all())


def _file(name: str) -> _Pieces:
    with ExitStack() as opened:
        file = _open(name, opened, hint=_hint(name))
        return _Pieces(file, opened.pop_all())


def _hint(name: str) -> str:
    if _OTHER_SCHEME.match(name):
        return "; of URLs only those of http and https can be asked"
    return f"; for a server, write http://{name} or https://{name}" if _HOST.match(name) else ""


def _open(name: str, opened: ExitStack, *, hint: str = "") -> BufferedReader:
    try:
        return opened.enter_context(Path(name).open("rb"))
    except OSError as error:
        msg = f"{name} cannot be read: {reason_of(error)}{hint}"
        raise CommandFailed(msg) from None
    except ValueError as error:
        msg = f"{name!r} is no name of a file: {error}"
        raise CommandFailed(msg) from None
