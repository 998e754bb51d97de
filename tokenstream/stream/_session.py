"""A connection whose answers are read one by one: all but the waiting."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from tokenstream.errors import MisuseError
from tokenstream.stream._items import END, LOST, Failed
from tokenstream.stream._said import broken_off, warn
from tokenstream.stream._sorter import Sorter

if TYPE_CHECKING:
    from tokenstream.message import Ending
    from tokenstream.sources import AsyncSource, SyncSource
    from tokenstream.stream._driver import Driver, Options
    from tokenstream.stream._sorter import Lane

__all__ = ["Session"]

_LOWEST_OTHER_STATUS = 300


class Session:
    """A connection whose answers are read one by one: everything but the waiting.

    Args:
        driver: Drives the stream that has opened the connection, and closes it.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.sorter: Sorter | None = None
        """None until the source is open."""
        self.kept: list[Any] = []
        """Items that were read before it was known how many answers there are."""
        self.begun: deque[Lane] = deque()
        """Answers that have begun, and that nobody was given yet."""
        self.live: WeakSet[Driver] = WeakSet()
        """The drivers of the answers."""
        self.failure: Exception | None = None
        """The error that broke the connection."""
        self.told = False
        """An answer, or the loop over them, has raised that."""
        self.over = False
        """Nothing more comes."""
        self.given = False
        """The stream itself was given, because it has one answer."""

    @property
    def several(self) -> bool | None:
        """Whether the connection carries several answers; None while that is not known."""
        if self.sorter is None or (self.over and self.sorter.several is None):
            return False if self.over else None
        return self.sorter.several

    def open(self, source: SyncSource | AsyncSource) -> None:
        """Look at the source, which is open now."""
        driver = self._driver
        machine, head = driver.machine, driver.head
        self.sorter = Sorter(machine.wanted, limits=machine.limits, messages=source.messages)
        if head is not None and (head.status >= _LOWEST_OTHER_STATUS or source.coding):
            # An error's body, or one that is to be undone first, is read by the stream itself.
            self.sorter.several = False
        self._take_over()

    def take(self, chunk: Any, kept: Any) -> None:  # noqa: ANN401 - what the source gives
        """Sort what was read.

        Args:
            chunk: A piece of a body, or a payload.
            kept: The same as the pump takes it back.

        Raises:
            MisuseError: It is neither.
        """
        machine = self._driver.machine
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
        driver, sorter = self._driver, self.sorter
        if sorter is not None and sorter.several and not driver.diverted:
            if driver.machine.guards is not None:
                raise MisuseError(
                    "a guard looks at one answer, and this connection has several: "
                    "call .guard() on each that `stream.responses` gives"
                )
            self.kept.clear()
            driver.diverted = True
            if driver.machine.format is None:
                driver.machine.wanted = sorter.name
                driver.machine.connect(None)

    def ends_with(self, item: Any, kept: Any) -> bool:  # noqa: ANN401 - what a pump brings
        """End all with an item that nothing follows, and tell whether it is one.

        Args:
            item: What the pump has brought.
            kept: The same as the pump takes it back; the stream itself ends with it, where it is read.
        """
        if item.__class__ is Failed:
            failure: Exception | None = item.error
        elif item is LOST:
            failure = broken_off()
        elif item is END:
            failure = None
        else:
            return False
        self.kept.append(kept)
        self.end(failure)
        return True

    def end(self, failure: Exception | None = None) -> None:
        """Nothing more comes: end the answers that are open, and the stream.

        Args:
            failure: Why the connection broke; None where it ended, or the stream was stopped.
        """
        sorter, stopped = self.sorter, self._driver.verdict.asked
        self.over = True
        unfinished = False
        if sorter is not None:
            if not sorter.began:
                failure = failure or sorter.trouble
            unfinished = sorter.unfinished
            sorter.end()
        self.failure = failure if stopped is None else None
        if stopped is not None:
            for response in self.live:
                response.verdict.ask(stopped)
        elif self.several:
            self._conclude("truncated" if unfinished else "complete")

    def _conclude(self, ending: Ending) -> None:
        driver = self._driver
        if self.failure is None:
            driver.cut(ending, "the connection ended")
            return
        try:
            driver.fail(self.failure)
        except MisuseError:
            driver.cut("stopped", "misuse")
        driver.settle()

    def next_lane(self) -> Lane | None:
        """Return the next answer that has begun; None where more must be read.

        Raises:
            StreamError: The connection broke, and no answer has told of it.
        """
        if self.begun:
            return self.begun.popleft()
        if self.failure is not None and not self.told:
            self.told = True
            raise self._driver.error or self.failure
        return None

    def check(self, lane: Lane) -> None:
        """Raise what broke the connection inside an answer."""
        if self.failure is not None and not lane.whole:
            self.told = True
            raise self.failure

    def options(self, lane: Lane) -> Options:
        """Return what the stream of an answer is told, as the stream itself was."""
        return self._driver.options._replace(format=lane.format)

    def gives_whole(self) -> bool:
        """Tell whether the stream itself is the answer, and is to be given now; it is so once."""
        if self.given or self.several or self._driver.verdict.asked is not None:
            return False
        self.given = True
        return True

    def enter(self) -> None:
        """Refuse a new loop where nothing is left."""
        if not self.begun:
            self._driver.enter_loop()
