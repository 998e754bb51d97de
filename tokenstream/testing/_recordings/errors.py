"""Errors about files of recordings, and about recordings that must not be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError, TokenStreamError

if TYPE_CHECKING:
    import os


class RecordingInvalid(TokenStreamError, ValueError):
    """A file is not a recording, or it is damaged.

    Args:
        message: The problem, and advice on solving it.
        path: The file.
        line: Number of the invalid line, from 1; None if the problem is in no particular line.

    Example:
        >>> error = RecordingInvalid("it is empty", path="order.rec", line=1)
        >>> str(error), error.line
        ('order.rec, line 1: it is empty', 1)
    """

    def __init__(self, message: str, *, path: str | os.PathLike[str], line: int | None = None) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {message}")
        self.path = path
        self.line = line


class RecordingRefused(MisuseError, ValueError):
    """A recording contains something that looks like a secret; nothing was written.

    The message names the kind of secret and its place, never the secret itself.
    """
