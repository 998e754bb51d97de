"""The log of an answer: the words and the tool calls of each choice, in the order of arrival."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, TypeAlias

from tokenstream._basics.text_log import TextLog
from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Collection

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.message import Part, ToolCall

Delta: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta
"""A piece of text, of reasoning or of a refusal."""
DELTAS: dict[str, type[Delta]] = {"text": TextDelta, "reasoning": ReasoningDelta, "refusal": RefusalDelta}
"""The deltas that bring the words of a part, by the kind of the part."""
ENDED = -1
"""Takes the place of the index of a part where items of the text end, whatever their kind."""
_ENDED_KINDS: dict[int, type[Delta]] = dict(enumerate(DELTAS.values(), ENDED - len(DELTAS)))
_MARKS: dict[type[Delta] | None, int] = {kind: mark for mark, kind in _ENDED_KINDS.items()}
"""The kinds of words whose items end where another negative number takes the place of the index."""
_BITS = 40
"""Number of bits for the end of a run."""
_OPEN = (1 << _BITS) - 1
"""Stands for the end of the last run, which still grows."""


class PartWords(TextLog):
    """The words of one part: text, reasoning or a refusal.

    Args:
        kind: The class of the deltas that bring the words.
    """

    __slots__ = ("is_remark", "kind")

    def __init__(self, kind: type[Delta]) -> None:
        super().__init__()
        self.kind = kind
        self.is_remark = False
        """True for text that the model wrote beside its answer."""

    def note_phase(self, part: Part) -> None:
        """Note whether the part, as it is at its start or at its end, is a remark."""
        self.is_remark = part.kind == "text" and part.phase == "commentary"


class AnswerLog:
    """The words of a choice and its tool calls that ended, in the order of arrival, for its readers.

    The words are kept by part. A *run* is a section of them that arrived without words of another part in
    between; it is one number here, because parts may take turns with every delta. Such a number may also
    mark that items end here: a reader that gives whole words or sentences waits for no more of them. Each
    reader has a `LogCursor`. A restarted answer has another log.
    """

    __slots__ = ("_runs", "calls", "is_void", "restored", "turns", "words")

    def __init__(self) -> None:
        self.words: dict[int, PartWords] = {}
        """The words of each part, by its index."""
        self.calls: list[ToolCall] = []
        """The calls that have ended; one that is not complete has ended badly, and is never run as it is."""
        self.restored = 0
        """Number of the first calls that are from a checkpoint: only a store knows if they were run."""
        self._runs = array("q")
        """For each run, the index of its part, and the number of that part's characters at which it ends.

        A negative index marks an end of items between two runs.
        """
        self.turns = 0
        """Number of times that a run has begun, that items have ended, or that readers look at `is_void`."""
        self.is_void = False
        """True if the answer was restarted, so that readers have to turn to another log."""

    def begin_run(self, part: int, words: PartWords) -> None:
        """Let what is appended to `words` from here on belong to a run of that part."""
        runs = self._runs
        if runs:
            if runs[-1] >> _BITS == part:
                return
            self._end_run()
        self.words[part] = words
        runs.append(part << _BITS | _OPEN)
        self.turns += 1

    def end_items(self, kind: type[Delta] | None = None) -> None:
        """End the items of this kind (None: of all): later words, even in the same part, are another item."""
        if not self._runs:
            return
        mark = _MARKS.get(kind, ENDED)
        if self._runs[-1] >> _BITS in (mark, ENDED):
            return
        self._end_run()
        self._runs.append(mark << _BITS)
        self.turns += 1

    def _end_run(self) -> None:
        """Store where the last run ends, if it is one."""
        last = self._runs[-1] >> _BITS
        if last >= 0:
            self._runs[-1] = last << _BITS | self.words[last].length

    def read(
        self,
        begin: int,
        read: dict[int, int],
        kinds: Collection[type],
        *,
        most: dict[int, int] | None = None,
        last: AnyEvent = None,
        remarks: bool = True,
    ) -> tuple[int, list[tuple[int, str]]]:
        """Return the number of runs, and the words that a reader lacks: for each run its part and the text.

        Where items of these kinds end, `ENDED` takes the place of the part, with an empty text. `read`, which
        is updated, and `most` are numbers of characters by part. Without `remarks`, these are left out.
        """
        count = len(self._runs)
        found: list[tuple[int, str]] = []
        rests: dict[int, tuple[int, str]] = {}
        for index in range(begin, count):
            part = self._runs[index] >> _BITS
            if part < 0:
                if part == ENDED or _ENDED_KINDS[part] in kinds:
                    found.append((ENDED, ""))
                continue
            words = self.words[part]
            if words.kind not in kinds or (words.is_remark and not remarks):
                continue
            # Read before the run's end: another thread may end this run, and begin another one of the part.
            length, end = words.length, self._runs[index] & _OPEN
            end = length if end == _OPEN else end
            end, start = end if most is None else min(end, most.get(part, 0)), read.get(part, 0)
            if start >= end:
                continue
            first, rest = rests.get(part, (start, ""))
            if last is not None and part == last.part and start + len(last.text) == end == length:
                first, rest = start, last.text
            elif first + len(rest) < end:
                # Joined once for all runs of the part, so that the time is linear.
                first, rest = rests[part] = start, words.since(start)
            found.append((part, rest[start - first : end - first]))
            read[part] = end
        return count, found

    def part_of(self, index: int) -> int:
        """Return the part of a run; a negative number at an end of items, and before any words."""
        return self._runs[index] >> _BITS if self._runs else ENDED

    def join(self, *kinds: type[Delta], remarks: bool = True) -> str:
        """Return all words of some kinds; without `remarks`, these are left out."""
        if len(self.words) == 1 and remarks:
            (words,) = self.words.values()
            return words.join() if words.kind in kinds else ""
        return "".join([text for _, text in self.read(0, {}, kinds, remarks=remarks)[1]])

    @property
    def size(self) -> int:
        """Number of characters, plus one for each call."""
        return sum(words.length for words in self.words.values()) + len(self.calls)

    def mark(self, *, void: bool) -> None:
        """Set `is_void`, and let readers look at it."""
        self.is_void = void
        self.turns += 1


NO_LOG = AnswerLog()
"""Takes the place of a log before a choice has begun; readers look for another one each time."""
NO_LOG.mark(void=True)
