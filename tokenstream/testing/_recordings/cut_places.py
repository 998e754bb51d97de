"""Places at which a recording is cut: each byte, or a sample if there are too many bytes to try."""

from __future__ import annotations

import os
import random
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias, cast

from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.frames import frames_of
from tokenstream.testing._recordings.recording import Recording
from tokenstream.testing._scripts.script import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

Playable: TypeAlias = "Recording | Script | str | os.PathLike[str]"
"""Any object that can be replayed: a recording, its path, or a script (in the format of OpenAI Chat)."""

_MOST_BYTES = 4_000_000
"""Largest size of all cut recordings together; at least `_FEWEST` places are chosen all the same."""
_FEWEST = 16


def as_recording(playable: Playable) -> Recording:
    """Return the recording for an object that can be replayed.

    Raises:
        RecordingInvalid: The file is not a recording, or it is damaged.
        FileNotFoundError: There is no such file.
        MisuseError: The object cannot be replayed.
    """
    if isinstance(playable, Recording):
        return playable
    if isinstance(playable, Script):
        return playable.recording()
    # Bytes are refused: open() would take them for a path, but the caller meant a body.
    if not isinstance(cast("object", playable), str | os.PathLike):
        raise MisuseError(
            f"a {type(playable).__name__} cannot be replayed: pass a Recording, the path of one, or a script"
        )
    return Recording.load(playable)


def choose_cut_places(recording: Recording, most: int) -> list[int]:
    """Return the places at which to cut a body: each byte, or the same sample each time.

    A sample consists of boundaries of frames and of places between them. For a large body it
    has fewer places, so that it does not take long to try all of them. The messages of a
    WebSocket are never cut inside.

    Args:
        recording: The recording to cut.
        most: Largest number of places.

    Returns:
        For each cut, the number of bytes before it, from 0 to one less than the body's size.
    """
    size = len(recording.body)
    most = min(most, max(_FEWEST, _MOST_BYTES // max(1, size)))
    boundaries = [0, *list(accumulate(map(len, frames_of(recording))))[:-1]] if size else []
    if recording.messages:
        return _thin_out(boundaries, most)
    if size <= most:
        return list(range(size))
    at_boundaries = _thin_out(boundaries, most // 2)
    between = most - len(at_boundaries)
    source = random.Random(size)  # noqa: S311 - no secret
    strides = [source.randrange(size * n // between, size * (n + 1) // between) for n in range(between)]
    return sorted({*at_boundaries, *strides})


def _thin_out(places: Sequence[int], most: int) -> list[int]:
    """Return the places, or `most` of them, evenly spread, if there are more."""
    if len(places) <= most:
        return list(places)
    return [places[len(places) * n // most] for n in range(most)]
