"""A reader's cursor in the log of an answer: in its words, or in its tool calls.

A view cannot take back the content that it has delivered. When a retry restarts the answer, the
reader goes through the log of the new answer from its start. What the reader has is not delivered
twice; at the first difference, the cursor raises the error that broke off the previous attempt.
"""

from __future__ import annotations

from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic

from tokenstream._answer.log import DELTAS, ENDED, NO_LOG, AnswerLog, Delta, PartWords
from tokenstream._basics.call_keys import is_same_call, note_same
from tokenstream.errors import StreamError, StreamInterrupted
from tokenstream.events import ToolCallDone
from tokenstream.message import ToolCall
from tokenstream.stages._protocols import ITEM_END, ItemT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._basics.loose import AnyEvent


class DeliveredItems:
    """The items that a reader has of an answer; a restarted answer is compared with them.

    The restarted answer has to repeat them: text as one text, in whatever pieces, and other items one by one.

    Args:
        accumulator: Holds the restarted answer.
        items: The items that the reader has.
        are_same: Compares two items; None if items are pieces of text.
    """

    def __init__(
        self,
        accumulator: Accumulator,
        items: Iterable[Any] = (),
        are_same: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        self._accumulator = accumulator
        self._are_same = are_same
        self.items: list[Any] = [*items]
        """All items that the reader has, in the order of their delivery."""
        self._at = 0
        """Number of items that the restarted answer has repeated, or that were delivered since then."""
        self._repeated = 0
        """Number of characters of the piece at `_at` that the restarted answer has repeated."""

    @property
    def lacks_items(self) -> bool:
        """True while the restarted answer has not repeated all items."""
        return self._at < len(self.items)

    def add(self, item: object) -> None:
        """Record an item that is delivered now, when no item is missing."""
        self.items.append(item)
        self._at = len(self.items)

    def begin_again(self) -> None:
        """Compare from the first item on, because the answer was restarted."""
        self._at = self._repeated = 0

    def skip(self, item: Any) -> Any:  # noqa: ANN401 - an item of any kind
        """Return what the reader lacks of the next item: all, nothing (None) or, of a text, its rest.

        An item that differs from what the reader has raises StreamError.
        """
        start = 0
        while self.lacks_items:
            before = self.items[self._at]
            if self._are_same is None and isinstance(before, str) and isinstance(item, str):
                # An index, because a text that repeats many short pieces is copied only once.
                size = min(len(item) - start, len(before) - self._repeated)
                if not before.startswith(item[start : start + size], self._repeated):
                    raise _make_difference_error(self._accumulator)
                start, self._repeated = start + size, self._repeated + size
                if self._repeated == len(before):
                    self._at, self._repeated = self._at + 1, 0
                if start == len(item):
                    return None
            elif before is item or (self._are_same is not None and self._are_same(before, item)):
                self._at += 1
                return None
            else:
                raise _make_difference_error(self._accumulator)
        return item[start:] if start else item

    def check_end(self) -> None:
        """Check that an answer that has ended, unless it was stopped, has repeated all items."""
        # In an answer that was stopped, the rest might still have come.
        if self.lacks_items and self._accumulator.ending != "stopped":
            raise _make_difference_error(self._accumulator)


class LogCursor(Generic[ItemT]):
    """A reader's cursor in what a choice tells its readers."""

    __slots__ = ("_at", "_has", "_log", "accumulator", "choice")

    def __init__(self, accumulator: Accumulator, choice: int) -> None:
        self.accumulator = accumulator
        self.choice = choice
        self._log = NO_LOG
        self._at = 0
        """Index in the log of the first run, or call, that may be new."""
        self._has: dict[type, DeliveredItems] = {}
        """The items that the reader has of a restarted answer, by kind; empty once all of it was repeated."""

    def ready(self) -> ItemT | None:
        """Return the next item that the reader lacks, or None; StreamError if a restart has changed it."""
        raise NotImplementedError

    def end(self) -> ItemT | None:
        """Return the next item that the end of the stream added; None if no item is left."""
        item = self.ready()
        if item is None:
            for has in self._has.values():
                has.check_end()
        return item

    # -- within ------------------------------------------------------------

    def _find_log(self) -> AnswerLog:
        """Return the log to read, which is another one after a restart, and once the choice has begun."""
        if self._log.is_void:
            self._has = self._list_delivered()
            self._log = self.accumulator.log_of(self.choice)
            self._begin()
        return self._log

    def _begin(self) -> None:
        """Go to the start of another log."""
        self._at = 0

    def _list_delivered(self) -> dict[type, DeliveredItems]:
        """Return what the reader has of the answer, by kind, without kinds of which it has nothing."""
        raise NotImplementedError

    def _skip(self, kind: type, new: Any) -> Any:  # noqa: ANN401 - words or a call
        """Return what the reader lacks of words, or of a call, that are next in the log; None for nothing."""
        has = self._has.get(kind)
        if has is None:
            return new
        rest = has.skip(new)
        if not has.lacks_items:
            del self._has[kind]
        return rest


class LogWordCursor(LogCursor[ItemT]):
    """A reader's cursor in the words of a choice.

    Args:
        kinds: The classes of the deltas that bring the words.
    """

    __slots__ = ("_kinds", "_part", "_read", "_to", "_turns", "_words")

    _remarks = True
    """True to read also the text that the model wrote beside its answer."""

    def __init__(self, accumulator: Accumulator, choice: int, *kinds: type[Delta]) -> None:
        super().__init__(accumulator, choice)
        self._kinds = kinds
        self._read: dict[int, int] = {}
        """For each part, the number of characters that were read before its last run."""
        # The run that was read last, to which most deltas add.
        self._part = 0
        self._words: PartWords | None = None
        """The words of its part; None if it is not of these kinds."""
        self._to = 0
        """Number of their characters that were read."""
        self._turns = -1
        """The log's number of turns when that run was read; -1 while a restarted answer is compared."""

    def _read_new(self, event: AnyEvent) -> list[tuple[int, str]]:
        """Return the words that the reader lacks, each run with its part, and count them as delivered."""
        log = self._find_log()
        self._note_read()
        # Read before the runs: another thread may begin one.
        turns, self._turns = log.turns, -1
        count, found = log.read(self._at, self._read, self._kinds, last=event, remarks=self._remarks)
        self._at = max(count - 1, 0)
        self._part = log.part_of(self._at)
        words = log.words.get(self._part)
        is_read = words is not None and words.kind in self._kinds and (self._remarks or not words.is_remark)
        self._words = words if is_read else None
        self._to = self._read.get(self._part, 0)
        if self._has:
            new: list[tuple[int, str]] = []
            for part, text in found:
                if part != ENDED:
                    new.append((part, self._skip(log.words[part].kind, text) or ""))
                elif not self._has:
                    # Of what the reader has already, no item ends once more.
                    new.append((part, text))
            found = new
        if not self._has and not log.is_void:
            # Nothing is compared any more, so that further words can be taken from their events. The log of a
            # choice that has not begun is void.
            self._turns = turns
        return [each for each in found if each[1] or each[0] == ENDED]

    def _note_read(self) -> None:
        if self._words is not None:
            self._read[self._part] = self._to

    def _begin(self) -> None:
        super()._begin()
        self._read, self._words = {}, None

    def _list_delivered(self) -> dict[type, DeliveredItems]:
        self._note_read()
        delivered: dict[type, DeliveredItems] = {}
        for kind in self._kinds:
            _, runs = self._log.read(0, {}, (kind,), most=self._read, remarks=self._remarks)
            # After another restart, a reader may have more than the new answer has repeated.
            known = self._has[kind].items if kind in self._has else ()
            longest = max(("".join([text for _, text in runs]), *known), key=len)
            if longest:
                delivered[kind] = DeliveredItems(self.accumulator, [longest])
        return delivered


class LogTextCursor(LogWordCursor[str]):
    """A reader's cursor in the text, the reasoning or the refusal of a choice."""

    __slots__ = ("_tells_ends", "waiting")

    def __init__(self, accumulator: Accumulator, choice: int, *kinds: type[Delta]) -> None:
        super().__init__(accumulator, choice, *kinds)
        self._tells_ends = False
        """True if the reader needs to know where items end."""
        self.waiting: deque[Any] = deque()
        """The items that `ready` returns next; none unless the reader needs the ends of items."""

    def tell_ends(self) -> deque[Any]:
        """From now on, return `ITEM_END`, too, where items of the text end; the result is `waiting`."""
        self._tells_ends = True
        return self.waiting

    def after(self, event: AnyEvent) -> str | None:
        """Return the words that an event adds; None if the event adds no words of these kinds."""
        words = self._words
        # If only this event is new, its words need not be read from the log.
        if words is not None and event.__class__ is words.kind and self._log.turns == self._turns:
            text: str = event.text
            to = self._to + len(text)
            if words.length == to and event.choice == self.choice:
                self._to = to
                return text or None
        if event.__class__ in self._kinds and event.choice == self.choice:
            return self._next(event)
        return self.ready() if self._tells_ends else None

    def ready(self) -> str | None:
        """Return the text that has arrived since the last call, in one piece; None if none has arrived."""
        words = self._words
        # Most calls find that nothing has been added to the last run; a void log has had another turn.
        if self._log.turns == self._turns and (words is None or words.length == self._to):
            return None
        return self._next()

    def _next(self, event: AnyEvent = None) -> str | None:
        waiting = self.waiting
        if not waiting:
            found = self._read_new(event)
            if not self._tells_ends:
                return "".join([text for _, text in found]) or None
            for is_end, runs in groupby(found, key=lambda each: each[0] == ENDED):
                waiting.append(ITEM_END if is_end else "".join([text for _, text in runs]))
        item: str | None = waiting.popleft() if waiting else None
        # While another one waits, `ready` and `after` come here.
        self._turns = -1 if waiting else self._turns
        return item


class LogDeltaCursor(LogWordCursor[Delta]):
    """A reader's cursor in the text, reasoning and refusals of a choice.

    A reader that begins late gets each run of deltas to one part in one piece.
    """

    def __init__(self, accumulator: Accumulator, choice: int) -> None:
        super().__init__(accumulator, choice, *DELTAS.values())
        self._waiting: deque[Delta] = deque()

    def after(self, event: AnyEvent) -> Delta | None:
        """Return the delta itself, with its payload, unless the reader lacks more or less than that."""
        if event.__class__ not in self._kinds or event.choice != self.choice:
            return None
        words, text = self._words, event.text
        if words is not None and self._log.turns == self._turns:
            to = self._to + len(text)
            if words.length == to:
                self._to = to
                return event if text else None
        new = self._next(event)
        return event if new is not None and (new.part, new.text) == (event.part, text) else new

    def ready(self) -> Delta | None:
        words = self._words
        is_behind = words is None or words.length != self._to or self._log.turns != self._turns
        return self._next() if is_behind or self._waiting else None

    def _next(self, event: AnyEvent = None) -> Delta | None:
        if not self._waiting:
            choice = self.choice or self.accumulator.main
            runs, words = self._read_new(event), self._log.words
            self._waiting.extend(
                words[part].kind(text, choice=choice, part=part) for part, text in runs if text
            )
        return self._waiting.popleft() if self._waiting else None


class LogCallCursor(LogCursor[ToolCall]):
    """A reader's cursor in the tool calls of a choice.

    Args:
        wait: True to hold back all calls until the answer is complete.
    """

    def __init__(self, accumulator: Accumulator, choice: int, *, wait: bool = False) -> None:
        super().__init__(accumulator, choice)
        self.has_store = False
        """True if a store decides which calls are run."""
        self._calls: list[ToolCall] = []
        self._until_complete = wait
        """True to deliver no call before the answer is complete."""

    def ready(self) -> ToolCall | None:
        """Return the next tool call that has ended; None if no further call has.

        It is a StreamError if a restarted answer has a different call in place of a delivered one.
        """
        if self._until_complete and self.accumulator.ending_of(self.choice) != "complete":
            return None
        log = self._find_log()
        while self._at < len(log.calls):
            calls = self._check(log.calls[self._at])
            if calls is None:
                return None
            new: ToolCall | None = self._skip(ToolCall, calls[0]) if calls else None
            self._at += 1
            if new is not None:
                self._calls.append(new)
                return new
        return None

    def after(self, event: object) -> ToolCall | None:
        return self.ready() if event.__class__ is ToolCallDone else None

    def _begin(self) -> None:
        self._at = 0 if self.has_store else self._log.restored

    def use_store(self) -> None:
        """Deliver the calls of a checkpoint again, because a store decides which are run."""
        self.has_store = True

    def make_waiting(self) -> LogCallCursor:
        """Return a cursor that delivers the tool calls only once the answer is complete."""
        return LogCallCursor(self.accumulator, self.choice, wait=True)

    def _check(self, call: ToolCall) -> list[ToolCall] | None:
        """Return an ended call in a list, or [] if the reader gets none; None if this and later ones wait."""
        return [call] if call.complete else []

    def _list_delivered(self) -> dict[type, DeliveredItems]:
        return {ToolCall: DeliveredItems(self.accumulator, self._calls, _is_same_call)} if self._calls else {}


def _make_difference_error(accumulator: Accumulator) -> StreamError:
    """Return the error for an answer that came out differently: the one that broke off the first, or new."""
    restarted = None if accumulator.given_up is None else accumulator.given_up.event
    error = None if restarted is None else restarted.error
    if error is None:
        error = StreamInterrupted(
            "the answer began again, but differs from the part that was already given; ask anew"
        )
        if restarted is not None:
            error.partial = restarted.discarded
    # The first answer's error already has the traceback of the place where it was raised first.
    return error.with_traceback(None)


def _is_same_call(before: ToolCall, call: ToolCall) -> bool:
    """Return True if a call is the one that was delivered before, whose id it then keeps."""
    is_same = is_same_call(before, call)
    if is_same:
        note_same(before, call)
    return is_same
