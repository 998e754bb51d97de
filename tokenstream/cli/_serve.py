"""The command `python -m tokenstream serve`, which serves the recordings of a folder over HTTP."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import re
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from tokenstream._basics.visible import one_line
from tokenstream.cli._advice import CommandFailed, reason_of
from tokenstream.cli._input import add_command, parse_number
from tokenstream.testing._recordings import file_format
from tokenstream.testing._recordings.file_format import RecordingInvalid
from tokenstream.testing._recordings.frames import (
    AWS,
    JSON,
    NDJSON,
    SNIFFED,
    SSE,
    TYPES,
    FramingName,
    content_type_of,
    detect_framing,
)
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._serve.replies import Reply, Request, paced, refusal
from tokenstream.testing._serve.server import ReplayServer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


_EXPECTATION_SUFFIX = ".expected.json"
"""Ending of files that describe a recording in the same folder, and are not recordings themselves."""
_EXTENSIONS = (*TYPES, file_format.EXTENSION)
"""The extensions of files that are served: those of bodies, and that of whole recordings."""
_FRAMINGS: dict[str, FramingName] = {SSE: "sse", NDJSON: "ndjson", JSON: "json", AWS: "aws-eventstream"}


class RecordingFile(NamedTuple):
    """The file of a recording, with the path at which the recording is served."""

    path: str
    """The shortest path of a URL that leads to the file, percent-encoded."""
    name: str
    """The file's name, relative to the folder."""
    file: Path

    @property
    def is_whole(self) -> bool:
        """True for a recording with its head and times; False for a body alone."""
        return self.file.suffix.lower() == file_format.EXTENSION

    @property
    def content_type(self) -> str:
        """Content type of the body: as recorded, or else from the file's extension or content."""
        if self.is_whole:
            return type_of_recording(Recording.load(self.file))
        with self.file.open("rb") as file:
            start = file.read(SNIFFED)
        return content_type_of(self.file.suffix, start, is_whole=len(start) < SNIFFED)


def type_of_recording(recording: Recording) -> str:
    """Return the content type of a whole recording's body: as recorded, or else from its content."""
    # The extension ".bin" tells nothing, so that the type is found by the content.
    return recording.content_type or content_type_of(".bin", recording.body, is_whole=True)


class Folder:
    """The recordings of a folder and its sub-folders, which are read again at each call.

    No part of a request ever becomes a path of the file system: the names in a request are
    only compared with the names of existing files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def recordings(self) -> list[RecordingFile]:
        """Return all recordings, in the order of their paths."""
        return list(self._walk(self._root, ()))

    def find(self, route: str) -> RecordingFile | None:
        """Return the recording for a URL's percent-encoded path; None if there is none.

        The beginning of the path must name a file, with or without the file's extension. The
        rest of the path is ignored, since libraries of clients add text such as
        `/v1/chat/completions`.
        """
        names = [unquote(name, errors="surrogateescape") for name in route.split("/") if name]
        return self._find_within(self._root, (), names)

    def _find_within(self, folder: Path, parents: tuple[str, ...], names: list[str]) -> RecordingFile | None:
        """Return the recording in a folder, or below it, to which a path's first names lead; or None."""
        if not names:
            return None
        name, *rest = names
        files, folders = self._list_folder(folder)
        if name not in files and name in folders:
            recording = self._find_within(folders[name], (*parents, name), rest)
            if recording is not None:
                return recording
        # The name leads to a file of this folder; any further names are text that a client has added.
        for candidate in (name, *(name + extension for extension in _EXTENSIONS)):
            if candidate in files:
                return _make_recording(parents, candidate, files)
        return None

    def _walk(self, folder: Path, parents: tuple[str, ...]) -> Iterator[RecordingFile]:
        """Yield the recordings of a folder, then those of its sub-folders."""
        files, folders = self._list_folder(folder)
        for name in files:
            yield _make_recording(parents, name, files)
        for name, path in folders.items():
            yield from self._walk(path, (*parents, name))

    def _list_folder(self, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
        files: dict[str, Path] = {}
        folders: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            # Hidden files, and files with the message that a test expects, are not recordings.
            if path.name.startswith(".") or path.name.endswith(_EXPECTATION_SUFFIX):
                continue
            if path.is_dir():
                # A link to a folder could lead out of the root, or in an endless circle.
                if not path.is_symlink():
                    folders[path.name] = path
            elif path.suffix.lower() in _EXTENSIONS and path.is_file():
                # A link to a file may lead out of the root, too.
                file = path.resolve()
                if file.is_relative_to(self._root):
                    files[path.name] = path
        return files, folders


def _make_recording(parents: tuple[str, ...], name: str, files: dict[str, Path]) -> RecordingFile:
    """Return a file as a recording, with its path: without extension, unless that is another file's."""
    stem = Path(name).stem
    # Without an extension, `Folder.find` tries the name itself, then each extension in order.
    found_by_stem = next((stem + extension for extension in _EXTENSIONS if stem + extension in files), None)
    stem_suffices = found_by_stem == name and stem not in files
    path = "/".join(["", *parents, stem if stem_suffices else name])
    return RecordingFile(quote(os.fsencode(path)), "/".join([*parents, name]), files[name])


_ABOUT = """\
Answer any request with a recording of a folder, so that an SDK, curl or a browser
can be pointed at it. The first part of the path that names a recording counts, with
its extension or without, and whatever follows is ignored:

  /text, /text.sse, /text/v1/chat/completions     text.sse
  /openai/text/v1/chat/completions                openai/text.sse
  /                                               a list of what there is
"""
_MORE = """\
examples:
  %(prog)s recordings --rate 30
  curl -N http://127.0.0.1:8000/text
  OpenAI(base_url="http://127.0.0.1:8000/text/v1")
  Anthropic(base_url="http://127.0.0.1:8000/text")
"""
_MAX_LISTED = 40
_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
_ALLOWED = ", ".join(_METHODS)
_ALLOW_ANY_ORIGIN = {"access-control-allow-origin": "*", "access-control-expose-headers": "*"}
"""Headers that allow web pages of any origin to read an answer."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "answer requests with recordings", _ABOUT, _MORE
    parser = add_command(commands, "serve", about)
    rate = partial(parse_number, expected="a number above 0")
    pause = partial(parse_number, expected="a number of seconds from 0", zero=True)
    parser.add_argument("folder", metavar="DIR", help="the folder with the recordings")
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (%(default)s: this machine alone)"
    )
    parser.add_argument(
        "--port", type=_parse_port, default=8000, help="the port (%(default)s); 0 for any that is free"
    )
    parser.add_argument(
        "--rate", type=rate, metavar="N", help="events per second, unevenly; by default no pauses"
    )
    parser.add_argument(
        "--first", type=pause, default=0.0, metavar="SECONDS", help="the pause before the first event"
    )
    parser.set_defaults(run=_run)


def _parse_port(argument: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", argument) or int(argument) > 65_535:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a port: pass a number from 0 to 65535")
    return int(argument)


def _run(options: argparse.Namespace) -> int:
    """Serve the folder until a signal arrives; return the exit status."""
    root = Path(options.folder)
    if not root.is_dir():
        raise CommandFailed(f"{options.folder} is not a folder")
    answer = FolderAnswers(root, rate=options.rate, first=options.first)
    # `keep=0`: no request stays in memory.
    server = ReplayServer(answer, host=options.host, port=options.port, keep=0)
    try:
        with _sigterm_as_ctrl_c():
            _serve(server, options)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    finally:
        server.stop()
    return 0


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Generator[None, None, None]:
    """Make SIGTERM raise `KeyboardInterrupt` inside a block, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        # Python allows only the main thread to set a signal handler.
        yield
        return
    previous_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous_handler)


def _serve(server: ReplayServer, options: argparse.Namespace) -> None:
    """Print a list of the recordings, and serve them until a signal arrives."""
    try:
        recordings = Folder(Path(options.folder)).recordings()
        server.start()
    except OSError as error:
        where = f"{options.host} port {options.port}"
        way_out = "; choose another --port" if error.errno == errno.EADDRINUSE else ""
        msg = f"{options.folder} cannot be served at {where}: {reason_of(error)}{way_out}"
        raise CommandFailed(msg) from None
    folder_name = one_line(options.folder)
    count = f"{len(recordings)} recording{'' if len(recordings) == 1 else 's'}"
    lines = [f"{server.url} serves {count} of {folder_name}; Ctrl-C ends it"]
    lines += [f"  {recording.path}  {one_line(recording.name)}" for recording in recordings[:_MAX_LISTED]]
    if len(recordings) > _MAX_LISTED:
        lines.append(f"  and {len(recordings) - _MAX_LISTED} more: {server.url}/ lists them all")
    print("\n".join(lines), flush=True)
    # The server answers in threads of its own, until KeyboardInterrupt is raised here.
    while True:
        time.sleep(3600)


class FolderAnswers:
    """Answers requests with a folder's recordings, read anew each time, and prints a line about each.

    Args:
        rate: Number of events per second; None for no pauses.
        first: Seconds before the first event.
    """

    def __init__(self, folder: Path, *, rate: float | None = None, first: float = 0.0) -> None:
        self._folder = Folder(folder)
        self._rate = rate
        self._first = first

    def __call__(self, request: Request) -> Reply:
        try:
            reply, description = self._choose_reply(request)
        except RecordingInvalid as error:
            reply, description = refusal(500, str(error)), "500"
        except OSError as error:
            reply, description = refusal(500, f"the recording cannot be read: {reason_of(error)}"), "500"
        # The request must be answered even if standard output is closed.
        with contextlib.suppress(OSError):
            print(one_line(f"{request.method} {request.path}: {description}"), flush=True)
        return replace(reply, headers={**_ALLOW_ANY_ORIGIN, **reply.headers})

    def _choose_reply(self, request: Request) -> tuple[Reply, str]:
        if request.method == "OPTIONS":
            return _answer_preflight(request), "allowed"
        if request.method not in _METHODS:
            refused = refusal(405, f"recordings answer {_ALLOWED}, not {request.method}")
            return replace(refused, headers={"allow": _ALLOWED}), "405"
        if not request.route.strip("/"):
            return self._list_recordings(), "the list"
        recording = self._folder.find(request.route)
        if recording is None:
            return refusal(404, f"no recording is at {request.route}; / lists them all"), "404"
        return self._replay(recording), recording.name

    def _list_recordings(self) -> Reply:
        listed: list[dict[str, object]] = []
        for each in self._folder.recordings():
            # A file may be removed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                facts = {"content_type": _readable_type(each), "bytes": each.file.stat().st_size}
                listed.append({"path": each.path, "file": each.name, **facts})
        body = json.dumps({"recordings": listed}, indent=2) + "\n"
        return Reply(chunks=[(0.0, body.encode())], content_type="application/json")

    def _replay(self, file: RecordingFile) -> Reply:
        """Return the reply that plays a file, which has a whole recording or only a body.

        The reply for a whole recording has the recorded status, and breaks off if the recording does; for
        a recording of a WebSocket, which cannot be played here, it is a 501.
        """
        if not file.is_whole:
            content_type = file.content_type
            return self._play(file.file.read_bytes(), content_type, _FRAMINGS.get(content_type))
        recording = Recording.load(file.file)
        if recording.messages:
            return refusal(501, f"{file.name} is a recording of a WebSocket: testing.serve plays it")
        # A recorded content type may be written in many ways, so the framing is detected from the body.
        content_type = type_of_recording(recording)
        reply = self._play(recording.body, content_type, detect_framing(recording.body, content_type))
        return replace(reply, status=recording.status, cut=recording.breaks)

    def _play(self, body: bytes, content_type: str, framing: FramingName | None) -> Reply:
        """Return the reply that sends a body frame by frame, at the rate that the command line asks for."""
        chunks = paced(body, rate=self._rate, first=self._first, framing=framing)
        return Reply(chunks=chunks, content_type=content_type)


def _readable_type(recording: RecordingFile) -> str | None:
    """Return the content type of a recording for the list; None if the file cannot be read."""
    try:
        return recording.content_type
    except (RecordingInvalid, OSError):
        return None


def _answer_preflight(request: Request) -> Reply:
    # `*` does not include Authorization, so the headers that the browser asks for are listed by name.
    requested = request.headers.get("Access-Control-Request-Headers", "")
    headers = {
        "access-control-allow-methods": _ALLOWED,
        "access-control-allow-headers": ", ".join(re.findall(r"[\w-]+", requested, re.ASCII)) or "*",
        "access-control-max-age": "600",
        "allow": _ALLOWED,
    }
    return Reply(chunks=[], status=204, headers=headers)
