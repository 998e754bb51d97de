"""The page of `inspect --html`: one HTML file that shows an answer, to read or to send with a report.

Everything that the server sent reaches the page through `markup`, which escapes it.
"""

from __future__ import annotations

import html
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tokenstream._connection.head import strip_secrets
from tokenstream.cli._advice import FAILED, MISUSE, CommandFailed, reason_of
from tokenstream.cli._html.page import OPENING, build_page, build_run_page
from tokenstream.cli._html.reading import read
from tokenstream.cli._html.tables import read_run
from tokenstream.cli._input import has_request_options, list_secrets, origin_of
from tokenstream.cli._lines import STATUS_OF
from tokenstream.testing._recordings.secrets import find_secret, search_recording, without_secret_headers

if TYPE_CHECKING:
    import argparse

    from tokenstream.testing._recordings.recording import Recording

__all__ = ["write_page"]

_EXTENSIONS = (".html", ".htm")
_MIN_SECRET = 8
"""Length of the shortest word of a header that counts as a secret; shorter ones occur by chance."""


def write_page(options: argparse.Namespace) -> int:
    """Write the page of an answer; return the exit status for the answer's ending."""
    path = _order_names(options)
    _refuse_other_file(path)
    reading = read(options)
    command = _describe_command(options, path)
    if reading.is_of_agent:
        run = read_run(reading)
        page, ending, count = build_run_page(run, command), run.ending, run.event_count
    else:
        page, ending, count = build_page(reading, command), reading.report.ending, reading.event_count
    _refuse_secrets(reading.recording, page, list_secrets(options))
    _write(path, page)
    print(f"{path}: {count:,} event{'' if count == 1 else 's'}, {ending}")
    return STATUS_OF[ending]


def _order_names(options: argparse.Namespace) -> Path:
    """Return the path of the page, and set `options.source` to the source of the answer.

    The command line has two names. The one with the extension of a page is the page's, in either order:
    otherwise the page could be written over the file with the answer.
    """
    page: str = options.html
    source: str = options.source
    if not _is_page(page) and origin_of(source) == "file" and _is_page(source):
        options.html, options.source = page, source = source, page
    if not _is_page(page):
        msg = f"{page!r} is not a name for a page: end it with .html, as in --html answer.html"
        raise CommandFailed(msg, status=MISUSE)
    return Path(page)


def _is_page(name: str) -> bool:
    return name.lower().endswith(_EXTENSIONS)


def _refuse_other_file(path: Path) -> None:
    """Raise if the path leads to a file that this command has not written."""
    try:
        with path.open("rb") as file:
            is_own = file.read(len(OPENING)) == OPENING.encode()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise CommandFailed(f"{path} cannot be written: {reason}") from None
    if not is_own:
        raise CommandFailed(f"{path} is there already, and is no page of this command: give another name")


def _describe_command(options: argparse.Namespace, path: Path) -> str:
    """Return the command line that made the page, without anything private.

    Folders and the options of the request are left out, and so are the user and the query of an address.
    """
    source: str = options.source
    if origin_of(source) == "request":
        source = strip_secrets(source) or "URL"
    elif source != "-":
        source = Path(source).name
    words = ["python", "-m", "tokenstream", "inspect", source, "--html", path.name]
    if options.format:
        words += ["--format", options.format]
    left_out = " (and the options of the request)" if has_request_options(options) else ""
    return shlex.join(words) + left_out


def _refuse_secrets(recording: Recording, page: str, secrets: list[str]) -> None:
    """Raise if the answer or the page contains something that looks like a secret.

    No page is written then, as `testing.record` writes no recording that contains a secret. To black out the
    secret instead would not be safe: a secret that is spread over many events cannot be found reliably, and a
    page with some words blacked out would seem to be safe.
    """
    recording = recording.replaced(headers=without_secret_headers(recording.headers))
    found = search_recording(recording)
    text = html.unescape(page)
    if found is None:
        in_page = find_secret(text.encode())
        found = None if in_page is None else (in_page, "in what the page would show")
    if found is not None:
        secret, place = found
        raise _refusal_of(secret.kind, place)
    words = {word for value in secrets for word in value.split() if len(word) >= _MIN_SECRET}
    if any(word in text for word in words):
        raise _refusal_of("a header of the request", "in the answer")


def _refusal_of(kind: str, place: str) -> CommandFailed:
    return CommandFailed(
        f"something that looks like {kind} is {place}; no page was written, since pages are shared: "
        "remove it from a copy of the answer, and make the page of that; if it is real, change it",
        status=FAILED,
    )


def _write(path: Path, page: str) -> None:
    """Write the page, whole or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_text(page, encoding="utf-8", newline="\n")
        new.replace(path)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {reason_of(error)}") from None
    finally:
        new.unlink(missing_ok=True)
