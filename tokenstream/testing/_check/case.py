"""A recording and its readings by the format under test: whole, cut, damaged and changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.testing._check.odd import odd_frames
from tokenstream.testing._check.readings import feed_frames, read, split_frames
from tokenstream.testing._faults.base import Fault
from tokenstream.testing._faults.events import reorder
from tokenstream.testing._faults.text import garble
from tokenstream.testing._faults.transport import cut, reset
from tokenstream.testing._recordings.places import choose_cut_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenstream.formats._base import Format
    from tokenstream.message import Message
    from tokenstream.testing._check.odd import Odd
    from tokenstream.testing._check.readings import FormatReading, Framed
    from tokenstream.testing._recordings.recording import Recording

_RESETS = 8
"""One in this number of cuts is tried a second time, as a reset of the connection instead of an end."""
_GARBLED_PLACES = 24
_SHUFFLES = 4
_MAX_SHOWN = 300


class Violation(NamedTuple):
    """A violation of a rule by a format: what the format did, and how to reproduce that."""

    description: str
    """Description of what the format did."""
    how_to_reproduce: str
    """Instruction for reproducing the violation."""


class Rule(NamedTuple):
    """A rule that every format must keep: its name, its sentence, and the function that finds violations."""

    name: str
    sentence: str
    find_violations: Callable[[Case], Iterator[Violation]]
    """Yields the violations of the rule that it finds in a case."""


@dataclass
class Case:
    """A recording and the format under test, with the readings that rules compare.

    Args:
        make: Returns a new format.
        format_in_code: The format as written in a program, for messages.
        expected: The expected message, or some of its fields; None if the caller expects none in particular.
        cuts: Largest number of cuts.
        changes: Largest number of payload fields to change.
    """

    recording: Recording
    make: Callable[[], Format]
    format_in_code: str
    expected: Message | Mapping[str, Any] | None = None
    cuts: int = 256
    changes: int = 400

    @cached_property
    def whole_reading(self) -> FormatReading:
        """The outcome of reading the unchanged recording with the format under test."""
        return read(self.recording, self.make())

    @cached_property
    def cut_readings(self) -> list[tuple[Fault, FormatReading]]:
        """The outcomes of reading the recording with each cut, and with some resets of the connection.

        Each is paired with the fault that was applied to the recording.
        """
        places = choose_cut_places(self.recording, self.cuts)
        return self._read_with([cut(at=at) for at in places] + [reset(at=at) for at in places[::_RESETS]])

    @cached_property
    def damaged_readings(self) -> list[tuple[Fault, FormatReading]]:
        """The outcomes of reading the recording with changed bytes, or with its events in another order.

        Each is paired with the fault that was applied to the recording.
        """
        if self.recording.messages:
            # Each message is one payload, and `odd_readings` has odd payloads.
            return []
        faults = [garble(at=at, data=b'"') for at in choose_cut_places(self.recording, _GARBLED_PLACES)]
        if len(self.frames) > 1:
            faults += [reorder(seed=seed) for seed in range(_SHUFFLES)]
        return self._read_with(faults)

    @cached_property
    def odd_readings(self) -> list[tuple[Odd, FormatReading]]:
        """The outcomes of feeding the recording's frames with one frame replaced by an odd one.

        Each is paired with the odd frame that was fed.
        """
        return [
            (odd, self.read_replaced(odd.number, odd.frame)) for odd in odd_frames(self.frames, self.changes)
        ]

    @cached_property
    def frames(self) -> list[Framed]:
        """The recording's frames."""
        return split_frames(self.recording)

    def read_replaced(self, index: int, *frames: Framed) -> FormatReading:
        """Feed a new format the recording's frames, with the frame at `index` replaced by `frames`."""
        return feed_frames(self.make(), [*self.frames[:index], *frames, *self.frames[index + 1 :]])

    def violation(self, description: str, **replay: object) -> Violation:
        """Return a violation that was found in a replay of the recording, with code to reproduce it.

        Args:
            description: Description of what the format did.
            **replay: Arguments of the replay.
        """
        arguments = [f"{name}={_write_value(value)}" for name, value in replay.items()]
        if arguments:
            description = f"{', '.join(arguments)}: {description}"
        call = f"recording.stream({', '.join([f'format={self.format_in_code}', *arguments])})"
        return Violation(description, f"{call}.final()")

    def violation_at(self, index: int, frame: Framed, description: str) -> Violation:
        """Return a violation that was found while the format was fed frames.

        Args:
            index: Number of the recording's frames that were fed before.
            frame: The frame that was fed next.
            description: Description of what the format did.
        """
        frame_text = repr(frame)
        frame_text = frame_text if len(frame_text) <= _MAX_SHOWN else f"{frame_text[:_MAX_SHOWN]}…"
        before = f"the first {index} frames of the recording, then " if index else ""
        return Violation(
            f"frame {index + 1}: {description}", f"{self.format_in_code}.feed: {before}{frame_text}"
        )

    def _read_with(self, faults: list[Fault]) -> list[tuple[Fault, FormatReading]]:
        """Read the recording once with each fault, each time by a new format; return faults and outcomes."""
        return [(fault, read(self.recording, self.make(), fault=fault)) for fault in faults]


def _write_value(value: object) -> str:
    """Return a value as it is written in a program; a fault as a call such as `faults.cut(at=17)`."""
    return f"faults.{value!r}" if isinstance(value, Fault) else repr(value)
