"""Files of recordings: loaded from any supported kind; saved whole or not at all, and without secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.file_format import (
    EXTENSION,
    RecordingInvalid,
    encode_recording,
    is_recording,
    parse,
)
from tokenstream.testing._recordings.frames import SNIFFED, TYPES, content_type_of
from tokenstream.testing._recordings.recording import Arrival, Recording
from tokenstream.testing._recordings.secrets import refuse_secrets, without_secret_headers

if TYPE_CHECKING:
    from pathlib import Path


def save(recording: Recording, path: Path, *, overwrite: bool) -> None:
    """Write a recording to a file, creating missing folders.

    Headers whose purpose is to carry a secret, such as cookies, are left out. If the file has
    the extension of a body, such as `.sse`, only the body is written.
    """
    refuse_extension(path)
    if not overwrite:
        refuse_existing(path)
    recording = recording.replaced(headers=without_secret_headers(recording.headers))
    refuse_secrets(recording)
    data = encode_recording(recording) if path.suffix.lower() == EXTENSION else recording.body
    path.parent.mkdir(parents=True, exist_ok=True)
    # The temporary file is in the same folder, since a rename is atomic only within one file system.
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def refuse_extension(path: Path) -> None:
    """Raise for a file name that `Recording.load` would not accept."""
    if path.suffix.lower() not in {EXTENSION, *TYPES}:
        raise MisuseError(
            f"{path.name} is not a name for a recording: end it with {EXTENSION}, or for the body alone with "
            f"{', '.join(TYPES)}"
        )


def refuse_existing(path: Path) -> None:
    """Raise if a file exists at a path."""
    if path.exists():
        raise FileExistsError(f"there is a file {path} already: pass overwrite=True to replace it")


CASSETTE_EXTENSIONS = (".yaml", ".yml")


def load(path: Path) -> Recording:
    """Load a recording from a file.

    The kind of file is decided in this order:

    1. This library's own format, if the extension is .rec or the first line says so.
    2. A VCR cassette, if the extension is .yaml or .yml, or if it is .json and the document has
       "interactions". The cassette must have one answer, or among several one streamed answer.
    3. A body alone, if the extension is that of a body; it becomes one chunk at time 0.
    """
    data, extension = path.read_bytes(), path.suffix.lower()
    if extension == EXTENSION or is_recording(data):
        return parse(data, path)
    if extension in CASSETTE_EXTENSIONS or (extension == ".json" and b'"interactions"' in data):
        from tokenstream.testing._recordings.cassette import pick_streamed

        # None means that a JSON file is not a cassette, although it has that key; it may still be a body.
        recording = pick_streamed(data, path)
        if recording is not None:
            return recording
    if extension not in TYPES:
        raise RecordingInvalid(
            f"its extension is unknown: a recording ends in {EXTENSION}, a bare body in "
            f"{', '.join(TYPES)}, a cassette of VCR in {', '.join(CASSETTE_EXTENSIONS)}",
            path=path,
        )
    content_type = content_type_of(extension, data[:SNIFFED], is_whole=len(data) <= SNIFFED)
    return Recording(
        (Arrival(0.0, data),) if data else (), name=path.stem, headers={"content-type": content_type}
    )
