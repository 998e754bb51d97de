"""The saving of a recording to a file, whole or not at all, and without secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.body_types import TYPES
from tokenstream.testing._recordings.file_format import EXTENSION, encode_recording
from tokenstream.testing._recordings.headers import without_secret_headers
from tokenstream.testing._recordings.secrets import refuse_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from tokenstream.testing._recordings.recording import Recording


def save(recording: Recording, path: Path, *, overwrite: bool) -> None:
    """Write a recording to a file, creating missing folders.

    Headers whose purpose is to carry a secret, such as cookies, are left out. If the file has
    the extension of a body, such as `.sse`, only the body is written.

    Raises:
        FileExistsError: The file exists, and `overwrite` is False.
        RecordingRefused: The recording contains something that looks like a secret.
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
    """Raise for a file name that `Recording.load` would not accept.

    Raises:
        MisuseError: The extension is unknown.
    """
    if path.suffix.lower() not in {EXTENSION, *TYPES}:
        raise MisuseError(
            f"{path.name} is not a name for a recording: end it with {EXTENSION}, or for the body alone with "
            f"{', '.join(TYPES)}"
        )


def refuse_existing(path: Path) -> None:
    """Raise if a file exists at a path.

    Raises:
        FileExistsError: The file exists.
    """
    if path.exists():
        raise FileExistsError(f"there is a file {path} already: pass overwrite=True to replace it")
