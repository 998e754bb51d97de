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

_MAX_TOTAL_BYTES = 4_000_000
"""Largest size of all cut recordings together; at least `_MIN_PLACES` places are chosen in any case."""
_MIN_PLACES = 16


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


def choose_cut_places(recording: Recording, max_places: int) -> list[int]:
    """Return the places at which to cut a body: each byte, or the same sample each time.

    A sample consists of boundaries of frames and of places between them. For a large body it
    has fewer places, so that it does not take long to try all of them. The messages of a
    WebSocket are never cut inside.

    Returns:
        For each cut, the number of bytes before it, from 0 to one less than the body's size.
    """
    size = len(recording.body)
    max_places = min(max_places, max(_MIN_PLACES, _MAX_TOTAL_BYTES // max(1, size)))
    # Without the end of the last frame, where a cut would remove nothing.
    boundaries = [0, *list(accumulate(map(len, frames_of(recording))))[:-1]] if size else []
    if recording.messages:
        return _thin_out(boundaries, max_places)
    if size <= max_places:
        return list(range(size))
    at_boundaries = _thin_out(boundaries, max_places // 2)
    count_between = max_places - len(at_boundaries)
    generator = random.Random(size)  # noqa: S311 - no secret
    # A random place in each of as many sections of equal size.
    between_places = [
        generator.randrange(size * n // count_between, size * (n + 1) // count_between)
        for n in range(count_between)
    ]
    return sorted({*at_boundaries, *between_places})


def _thin_out(places: Sequence[int], max_places: int) -> list[int]:
    """Return the places unchanged, or `max_places` of them, evenly spread, if there are more than that."""
    if len(places) <= max_places:
        return list(places)
    return [places[len(places) * n // max_places] for n in range(max_places)]
