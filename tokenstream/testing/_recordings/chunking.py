"""Chunkings: rules for the chunk boundaries of a recording when it is replayed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.frames import frames_of
from tokenstream.testing._recordings.places import with_boundaries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.testing._recordings.recording import Recording


@show_members
@dataclass(frozen=True, slots=True)
class Seed:
    r"""Chunks of random sizes, the same each time.

    Args:
        number: Any integer; each number gives other boundaries.

    Example:
        >>> from tokenstream.testing import Recording, Seed
        >>> recording = Recording.of([b"data: Hello\n\n"])
        >>> b"".join(recording.chunks(Seed(7))) == recording.body
        True
    """

    number: int

    def __post_init__(self) -> None:
        # Seed(None), for example, would give other boundaries each time.
        if not isinstance(cast("object", self.number), int):
            raise MisuseError(f"Seed({self.number!r}) is invalid: pass a whole number")


Chunking: TypeAlias = Literal["recorded", "events", "bytes", "whole"] | int | Seed
"""Positions of the chunk boundaries: as recorded, after each frame, after each byte, nowhere, at regular
distances (a number of bytes), or at random (a `Seed`)."""

_MAX_RANDOM = 64
"""Size of the largest random chunk, in bytes."""


def apply_chunking(recording: Recording, chunking: Chunking) -> Recording:
    """Return a recording with other chunk boundaries.

    Each new chunk has the time of its last byte. The messages of a WebSocket keep their
    boundaries.

    Raises:
        MisuseError: `chunking` is invalid.
    """
    if chunking == "recorded":
        return recording
    boundaries = _find_boundaries(recording, chunking)
    # The boundaries are computed for messages as well, so that an invalid `chunking` raises.
    return recording if recording.messages else with_boundaries(recording, boundaries)


def _find_boundaries(recording: Recording, chunking: Chunking) -> Iterable[int]:
    """Return the offset at which each chunk ends; raise `MisuseError` if `chunking` is invalid."""
    size = len(recording.body)
    if isinstance(chunking, int) and not isinstance(chunking, bool) and chunking > 0:
        return [*range(chunking, size, chunking), *([size] if size else [])]
    if isinstance(chunking, Seed):
        return _random_boundaries(size, random.Random(chunking.number))  # noqa: S311 - no secret
    if chunking == "bytes":
        return range(1, size + 1)
    if chunking == "whole":
        return [size] if size else []
    if chunking == "events":
        return accumulate(map(len, frames_of(recording)))
    raise _invalid_chunking(chunking)


def _random_boundaries(size: int, generator: random.Random) -> list[int]:
    """Return offsets at which chunks of random sizes end, the last of them at the end of a body."""
    boundaries: list[int] = []
    end = 0
    while end < size:
        end = min(size, end + generator.randint(1, _MAX_RANDOM))
        boundaries.append(end)
    return boundaries


def _invalid_chunking(chunking: object) -> MisuseError:
    return MisuseError(
        f'chunking={chunking!r} is invalid: pass "recorded", "events", "bytes", "whole", a number of bytes '
        "from 1, or testing.Seed(number)"
    )
