"""Recordings out of files of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.testing._body_types import SNIFFED, TYPES, content_type_of
from tokenstream.testing._errors import RecordingInvalid
from tokenstream.testing._file_format import EXTENSION, is_recording, parse
from tokenstream.testing._recording import Arrival, Recording

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load"]

_CASSETTES = (".yaml", ".yml")


def load(path: Path) -> Recording:
    """Return the recording that a file holds.

    It is a recording in this library's own format, by its first line; or else, by its
    name, a bare body, which is one chunk at time 0, or a cassette of VCR with one answer.

    Args:
        path: The file.

    Raises:
        RecordingInvalid: It is none of these, or damaged.
        FileNotFoundError: There is none.
    """
    data, extension = path.read_bytes(), path.suffix.lower()
    if extension == EXTENSION or is_recording(data):
        return parse(data, path)
    if extension in _CASSETTES or (extension == ".json" and _may_be_cassette(data)):
        from tokenstream.testing._cassette import the_streamed_one

        found = the_streamed_one(data, path)
        if found is not None:
            return found
    if extension not in TYPES:
        raise RecordingInvalid(
            f"its name does not tell what it is: a recording ends in {EXTENSION}, a bare body in "
            f"{', '.join(TYPES)}, a cassette of VCR in {', '.join(_CASSETTES)}",
            path=path,
        )
    content_type = content_type_of(extension, data[:SNIFFED], over=len(data) <= SNIFFED)
    return Recording(
        (Arrival(0.0, data),) if data else (), name=path.stem, headers={"content-type": content_type}
    )


def _may_be_cassette(data: bytes) -> bool:
    """Tell whether it is worth decoding a body of JSON in order to look for a cassette."""
    return b'"interactions"' in data
