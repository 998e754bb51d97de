"""A folder of recordings, in which the recording for a URL's path is looked up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from tokenstream.testing._recordings import file_format
from tokenstream.testing._recordings.body_types import AWS, JSON, NDJSON, SNIFFED, SSE, TYPES, content_type_of
from tokenstream.testing._recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.testing._recordings.frames import Framing

_EXPECTATION_SUFFIX = ".expected.json"
"""Ending of files that describe a recording in the same folder, and are not recordings themselves."""
_EXTENSIONS = (*TYPES, file_format.EXTENSION)
"""The extensions of files that are served: those of bodies, and that of whole recordings."""
_FRAMINGS: dict[str, Framing] = {SSE: "sse", NDJSON: "ndjson", JSON: "json", AWS: "aws-eventstream"}


@dataclass(frozen=True, slots=True)
class RecordingFile:
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
        """Content type of the body: as recorded, or else from the file's extension or content.

        Raises:
            RecordingInvalid: The file should be a whole recording, and is damaged.
        """
        if self.is_whole:
            return type_of_recording(Recording.load(self.file))
        with self.file.open("rb") as file:
            start = file.read(SNIFFED)
        return content_type_of(self.file.suffix, start, is_whole=len(start) < SNIFFED)


def type_of_recording(recording: Recording) -> str:
    """Return the content type of a whole recording's body: as recorded, or else from its content."""
    # The extension ".bin" tells nothing, so that the type is found by the content.
    return recording.content_type or content_type_of(".bin", recording.body, is_whole=True)


def framing_of(content_type: str) -> Framing | None:
    """Return the framing of bodies of a content type; None if none is known."""
    return _FRAMINGS.get(content_type)


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
        """Return the recording for a URL's path; None if there is none.

        The beginning of the path must name a file, with or without the file's extension. The
        rest of the path is ignored, since libraries of clients add text such as
        `/v1/chat/completions`.

        Args:
            route: The path, percent-encoded, without the query.
        """
        names = [unquote(name, errors="surrogateescape") for name in route.split("/") if name]
        return self._find_within(self._root, (), names)

    def _find_within(self, folder: Path, parents: tuple[str, ...], names: list[str]) -> RecordingFile | None:
        """Return the recording, in a folder or its sub-folders, to which the first names of a path lead.

        The result is None if they lead to none.

        Args:
            parents: Names of the folders from the root to this folder.
            names: The rest of the URL's path.
        """
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
        """Return the recordings and the sub-folders of a folder, by name."""
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
    """Return a file as a recording, with the path at which requests find it.

    The path has no extension, unless it would lead to another file without it.

    Args:
        parents: The names of the folders around the file, the outermost first.
        files: The recordings in the same folder, by name.
    """
    stem = Path(name).stem
    # Without an extension, `Folder.find` tries the name itself, then each extension in order.
    found_by_stem = next((stem + extension for extension in _EXTENSIONS if stem + extension in files), None)
    stem_suffices = found_by_stem == name and stem not in files
    path = "/".join(["", *parents, stem if stem_suffices else name])
    return RecordingFile(quote(os.fsencode(path)), "/".join([*parents, name]), files[name])
