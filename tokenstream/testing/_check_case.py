"""A recording that a format reads, and what is found wrong with that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.testing._check_odd import odd_frames
from tokenstream.testing._check_readings import fed, frames_in, read
from tokenstream.testing._cut_places import cut_places
from tokenstream.testing._faults_base import Fault
from tokenstream.testing._faults_events import garble, reorder
from tokenstream.testing._faults_transport import cut, reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenstream.formats.base import Format
    from tokenstream.message import Message
    from tokenstream.testing._check_odd import Odd
    from tokenstream.testing._check_readings import Framed, Reading
    from tokenstream.testing._recording import Recording

__all__ = ["Broken", "Case", "Rule"]

_RESETS = 8
"""Of so many places where a body is cut, at one its connection is reset, too."""
_GARBLED = 24
_SHUFFLED = 4
_MOST_SHOWN = 300


class Broken(NamedTuple):
    """A place where a rule is broken."""

    what: str
    """What came, in words."""
    again: str
    """How to see it again."""


class Rule(NamedTuple):
    """What every format keeps to."""

    name: str
    sentence: str
    look: Callable[[Case], Iterator[Broken]]
    """Finds where it is broken."""


@dataclass
class Case:
    """A recording that a format reads.

    Args:
        recording: The recording.
        make: Returns a new format.
        written: How the format is written in a program.
        expected: What the message must be, or some of its fields; None where nothing is said.
        cuts: At how many places at most it is cut.
        changes: How many fields of its payloads are changed at most.
    """

    recording: Recording
    make: Callable[[], Format]
    written: str
    expected: Message | Mapping[str, Any] | None = None
    cuts: int = 256
    changes: int = 400

    @cached_property
    def whole(self) -> Reading:
        """What comes of the recording as it is."""
        return read(self.recording, self.make())

    @cached_property
    def at_cuts(self) -> list[tuple[Fault, Reading]]:
        """What comes of it when it is cut."""
        places = cut_places(self.recording, self.cuts)
        return self._with([cut(at=at) for at in places] + [reset(at=at) for at in places[::_RESETS]])

    @cached_property
    def damaged(self) -> list[tuple[Fault, Reading]]:
        """What comes of it when bytes are changed, or events come in another order."""
        if self.recording.messages:
            return []
        faults = [garble(at=at, data=b'"') for at in cut_places(self.recording, _GARBLED)]
        if len(self.frames) > 1:
            faults += [reorder(seed=seed) for seed in range(_SHUFFLED)]
        return self._with(faults)

    @cached_property
    def at_odds(self) -> list[tuple[Odd, Reading]]:
        """What comes of its frames when one of them is odd."""
        return [(odd, self.exchanged(odd.number, odd.frame)) for odd in odd_frames(self.frames, self.changes)]

    @cached_property
    def frames(self) -> list[Framed]:
        """Its frames."""
        return frames_in(self.recording)

    def exchanged(self, index: int, *frames: Framed) -> Reading:
        """Return what comes of its frames with others in the place of one."""
        return fed(self.make(), [*self.frames[:index], *frames, *self.frames[index + 1 :]])

    def broken(self, what: str, **replay: object) -> Broken:
        """Return what to say of a broken rule.

        Args:
            what: What came.
            **replay: How the recording was replayed.
        """
        arguments = [f"{name}={_written(value)}" for name, value in replay.items()]
        told = f"{', '.join(arguments)}: {what}" if arguments else what
        return Broken(told, f"recording.stream({', '.join([f'format={self.written}', *arguments])}).final()")

    def broken_at(self, index: int, frame: Framed, what: str) -> Broken:
        """Return what to say of a rule that is broken by frames.

        Args:
            index: How many frames of the recording were fed before.
            frame: What was fed then.
            what: What came.
        """
        shown = repr(frame)
        shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
        before = f"the first {index} frames of the recording, then " if index else ""
        return Broken(f"frame {index + 1}: {what}", f"{self.written}.feed: {before}{shown}")

    def _with(self, faults: list[Fault]) -> list[tuple[Fault, Reading]]:
        return [(fault, read(self.recording, self.make(), fault=fault)) for fault in faults]


def _written(value: object) -> str:
    return f"faults.{value!r}" if isinstance(value, Fault) else repr(value)
