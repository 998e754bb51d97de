"""Where a recording is cut, when not every place can be tried."""

from __future__ import annotations

import os
import random
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias, cast

from tokenstream.errors import MisuseError
from tokenstream.testing._frames import frames_of
from tokenstream.testing._recording import Recording
from tokenstream.testing._script import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Playable", "cut_places", "recording_of"]

Playable: TypeAlias = "Recording | Script | str | os.PathLike[str]"
"""What can be replayed: a recording, the path of one, or a script in the format of OpenAI Chat."""

_MOST_BYTES = 4_000_000
"""Bytes that all cuts of a recording may be, as far as the fewest places allow."""
_FEWEST = 16


def recording_of(playable: Playable) -> Recording:
    """Return the recording that something is.

    Raises:
        RecordingInvalid: The file is no recording, or damaged.
        FileNotFoundError: There is none.
        MisuseError: It is nothing that can be replayed.
    """
    if isinstance(playable, Recording):
        return playable
    if isinstance(playable, Script):
        return playable.recording()
    # Not bytes: they are the path of nothing that is meant here.
    if not isinstance(cast("object", playable), str | os.PathLike):
        raise MisuseError(
            f"a {type(playable).__name__} cannot be replayed: pass a Recording, the path of one, or a script"
        )
    return Recording.load(playable)


def cut_places(recording: Recording, most: int) -> list[int]:
    """Return where to cut a body: every place of a small one, the same sample each time of others.

    A sample has places at the borders of frames and places between them; of a large body it is
    smaller, so that trying them all stays quick. Messages of a WebSocket are never cut within.

    Args:
        recording: Whose body it is.
        most: How many places at most.

    Returns:
        The bytes that are left at each cut, from 0 to one less than there are.
    """
    size = len(recording.body)
    most = min(most, max(_FEWEST, _MOST_BYTES // max(1, size)))
    borders = [0, *list(accumulate(map(len, frames_of(recording))))[:-1]] if size else []
    if recording.messages:
        return _thinned(borders, most)
    if size <= most:
        return list(range(size))
    at_borders = _thinned(borders, most // 2)
    between = most - len(at_borders)
    source = random.Random(size)  # noqa: S311 - no secret
    strides = [source.randrange(size * n // between, size * (n + 1) // between) for n in range(between)]
    return sorted({*at_borders, *strides})


def _thinned(places: Sequence[int], most: int) -> list[int]:
    """Return at most so many of the places, evenly spread."""
    if len(places) <= most:
        return list(places)
    return [places[len(places) * n // most] for n in range(most)]
