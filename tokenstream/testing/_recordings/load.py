"""The loading of recordings from files of any supported kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.testing._recordings.body_types import SNIFFED, TYPES, content_type_of
from tokenstream.testing._recordings.errors import RecordingInvalid
from tokenstream.testing._recordings.file_format import EXTENSION, is_recording, parse
from tokenstream.testing._recordings.recording import Arrival, Recording

if TYPE_CHECKING:
    from pathlib import Path

CASSETTE_EXTENSIONS = (".yaml", ".yml")


def load(path: Path) -> Recording:
    """Load a recording from a file.

    The kind of file is decided in this order:

    1. This library's own format, if the extension is .rec or the first line says so.
    2. A VCR cassette, if the extension is .yaml or .yml, or if it is .json and the document has
       "interactions". The cassette must have one answer, or among several one streamed answer.
    3. A body alone, if the extension is that of a body; it becomes one chunk at time 0.

    Raises:
        RecordingInvalid: The file is of none of these kinds, or it is damaged.
        FileNotFoundError: There is no such file.
    """
    data, extension = path.read_bytes(), path.suffix.lower()
    if extension == EXTENSION or is_recording(data):
        return parse(data, path)
    if extension in CASSETTE_EXTENSIONS or (extension == ".json" and _may_be_cassette(data)):
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


def _may_be_cassette(data: bytes) -> bool:
    """Return True if a JSON document may be a cassette, so that it is worth decoding."""
    return b'"interactions"' in data
