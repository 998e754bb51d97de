"""A connection whose answers are read one by one: all but the waiting."""

# It is a part of the two drivers, in a module of its own, and uses what they keep to themselves.
# ruff: noqa: SLF001

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from tokenstream.errors import MisuseError
from tokenstream.stream._core import warn
from tokenstream.stream._sorter import Sorter

if TYPE_CHECKING:
    from tokenstream.stream._async import AsyncStream
    from tokenstream.stream._sorter import Lane
    from tokenstream.stream._sync import Stream

__all__ = ["Shared"]

_LOWEST_OTHER_STATUS = 300


class Shared:
    """A connection whose answers are read one by one: everything but the waiting.

    Args:
        stream: The stream that has opened the connection, and closes it.
    """

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - a stream of either colour
        self.stream = stream
        self.sorter: Sorter | None = None
        """None until the source is open."""
        self.kept: list[Any] = []
        """What was read before it was known how many answers there are."""
        self.begun: deque[Lane] = deque()
        """Answers that have begun, and that nobody was given yet."""
        self.live: WeakSet[Stream | AsyncStream] = WeakSet()
        """The streams of the answers."""
        self.failure: Exception | None = None
        """Why the connection broke."""
        self.told = False
        """Whether an answer, or the loop over them, has raised that."""
        self.over = False
        """Whether nothing more comes."""
        self.given = False
        """Whether the stream itself was given, because it has one answer."""

    @property
    def several(self) -> bool | None:
        """Whether the connection carries several answers; None while that is not known."""
        if self.sorter is None or (self.over and self.sorter.several is None):
            return False if self.over else None
        return self.sorter.several

    def open(self) -> None:
        """Look at the source, which is open now."""
        stream = self.stream
        machine, head = stream._machine, stream.response
        self.sorter = Sorter(machine._wanted, limits=machine._limits, messages=stream._source.messages)
        if head is not None and (head.status >= _LOWEST_OTHER_STATUS or stream._source.coding):
            # An error's body, or one that is to be undone first, is read by the stream itself.
            self.sorter.several = False
        self._take_over()

    def take(self, chunk: Any, kept: Any) -> None:  # noqa: ANN401 - what the source gives
        """Sort what was read.

        Args:
            chunk: A piece of a body, or a payload.
            kept: The same as the stream itself would take it.

        Raises:
            MisuseError: It is neither.
        """
        machine = self.stream._machine
        sorter: Any = self.sorter
        if not sorter.several:
            self.kept.append(kept)
        if not isinstance(chunk, bytes):
            machine.push(chunk, machine.now)
            chunk, machine.chunk = machine.chunk, None
        trouble = sorter.trouble
        self.begun.extend(sorter.feed(chunk))
        if sorter.trouble is not trouble:
            # Nobody may see it before the next answer, which may not come because of it.
            code = sorter.trouble.code or sorter.trouble.type or "without a code"
            warn("the server told of an error between two answers: %s", code)
        self._take_over()
        if sorter.error is not None:
            self.end(sorter.error)

    def _take_over(self) -> None:
        stream, sorter = self.stream, self.sorter
        if sorter is not None and sorter.several and stream._pull is not _refuse:
            self.kept.clear()
            stream._pull = _refuse
            if stream.format is None:
                stream._machine._wanted = sorter.name
                stream._machine.connect(None)

    def end(self, failure: Exception | None = None) -> None:
        """Nothing more comes: end the answers that are open, and the stream.

        Args:
            failure: Why the connection broke; None where it ended, or the stream was stopped.
        """
        stream, sorter = self.stream, self.sorter
        self.over = True
        unfinished = False
        if sorter is not None:
            if not sorter.began:
                failure = failure or sorter.trouble
            unfinished = sorter.unfinished
            sorter.end()
        self.failure = failure if stream._stopping is None else None
        if stream._stopping is not None:
            for response in self.live:
                response._ask_to_stop(stream._stopping)
        elif self.several:
            self._conclude("truncated" if unfinished else "complete")

    def _conclude(self, ending: str) -> None:
        stream = self.stream
        if self.failure is None:
            stream._cut(ending, "the connection ended")
            return
        stream._broke(self.failure)
        stream._settle()

    def next_lane(self) -> Lane | None:
        """Return the next answer that has begun; None where more must be read.

        Raises:
            StreamError: The connection broke, and no answer has told of it.
        """
        if self.begun:
            return self.begun.popleft()
        if self.failure is not None and not self.told:
            self.told = True
            raise self.stream._error or self.failure
        return None

    def check(self, lane: Lane) -> None:
        """Raise what broke the connection inside an answer."""
        if self.failure is not None and not lane.whole:
            self.told = True
            raise self.failure

    def options(self, lane: Lane) -> dict[str, Any]:
        """Return what the stream of an answer is told, as the stream itself was."""
        stream = self.stream
        return {
            "format": lane.format,
            "limits": stream._machine._limits,
            "pings": stream._machine._pings,
            "deadlines": stream._silence._deadlines,
            "clock": stream._clock,
        }

    def gives_whole(self) -> bool:
        """Tell whether the stream itself is the answer, and is to be given now; it is so once."""
        if self.given or self.several or self.stream._stopping is not None:
            return False
        self.given = True
        return True

    def enter(self) -> None:
        """Refuse a new loop where nothing is left."""
        if not self.begun:
            self.stream._enter_loop()


def _refuse() -> NoReturn:
    raise MisuseError(
        "the answers of this connection are read one by one: read what `stream.responses` gives, "
        "or the stream itself from the start"
    )
