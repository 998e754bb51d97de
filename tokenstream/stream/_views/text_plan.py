"""A text and the stages that shape it: their order, and a reader's cursor behind them."""

from __future__ import annotations

import math
from collections import deque
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, NoReturn, TypeAlias

from tokenstream.errors import MisuseError
from tokenstream.stages._protocols import ITEM_END, Cursor, ItemT, Stage, StageSource
from tokenstream.stream._reading.items import NOTABLE_SECONDS
from tokenstream.stream._views.view import repairs_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream._pipeline.delivery_log import Reading
    from tokenstream.partial_json._repairs import Repair
    from tokenstream.stages import Chain
    from tokenstream.stream._protocols import Clock, TextCursor

_CHANGES, _PIECES, _PACE, _LAST = 1, 2, 3, 4
"""Ranks of the methods that shape a view, which must be called in the order of their ranks."""
_ORDER: dict[str, tuple[int, str]] = {
    "redact": (_CHANGES, "changes the text"),
    "until": (_CHANGES, "ends the text"),
    "words": (_PIECES, "determines where pieces end"),
    "graphemes": (_PIECES, "determines where pieces end"),
    "lines": (_PIECES, "determines where pieces end"),
    "sentences": (_PIECES, "determines where pieces end"),
    "throttle": (_PACE, "determines when pieces come"),
    "smooth": (_PACE, "determines when pieces come"),
    "accumulate": (_LAST, "gives the whole text each time"),
    "markdown_blocks": (_LAST, "gives blocks"),
    "patches": (_LAST, "gives patches"),
}
"""For each shaping method: its rank, and its promise, which a later method of lower rank would break."""

MakeStage: TypeAlias = "Callable[[], Stage[Any, Any]]"
"""Makes a stage of a view, for each reading anew."""

_MAX_GATHERED = 4_096
"""Maximum number of pieces to join for a busy reader, so that fast input does not starve it."""


class PlanStep(NamedTuple):
    """A stage of a view: the method that adds the stage, and a function that makes it."""

    method: str
    make: MakeStage


def stage_maker(name: str, /, *args: object, home: str = "", **named: object) -> MakeStage:
    """Return a function that makes a stage, whose module, `home` in `tokenstream.stages`, it imports."""

    def make() -> Stage[Any, Any]:
        stage: Stage[Any, Any] = getattr(import_module(f"tokenstream.stages{home}"), name)(*args, **named)
        return stage

    return make


class ShapingPlan(NamedTuple):
    """The plan of a view: its text, and the stages that shape the text.

    `text` makes a cursor in the text; `steps` are the stages; `timer` is True if a thread may read the
    source, so that a stage can return text when time has passed; `reading` is the part of the answer that
    the text is.
    """

    text: Callable[[], TextCursor[Any]]
    steps: tuple[PlanStep, ...] = ()
    timer: bool = False
    reading: Reading = "everything"

    def then(self, method: str, make: MakeStage, *, timer: bool = False) -> ShapingPlan:
        """Return the plan with one more stage; with `timer`, a thread may read the source.

        It is a mistake if the stage would break the promise of an earlier stage.
        """
        self.check_order(method)
        if self.text is refuse_closed:
            # The plan of a closed view has this function in place of its text; it raises the error.
            refuse_closed()
        # The stage is made here, so that a wrong argument is reported by the call that passed it.
        step = PlanStep(method, StageSource(make))
        return self._replace(steps=(*self.steps, step), timer=self.timer or timer)

    def check_order(self, method: str) -> None:
        """Check that a method may come after the earlier ones."""
        rank, _ = _ORDER[method]
        for step in reversed(self.steps):
            earlier_rank, promise = _ORDER[step.method]
            if earlier_rank > rank:
                raise MisuseError(
                    f".{step.method}() {promise}, which .{method}() after it would undo: "
                    f"put .{method}() first"
                )
            # Several stages may change the text, but only one may set its pieces, and only one its pace.
            must_be_single = rank != _CHANGES
            if must_be_single and earlier_rank == rank:
                raise MisuseError(f".{step.method}() {promise}, and so does .{method}(): keep one of them")

    @property
    def has_pace(self) -> bool:
        """True if a stage determines when pieces are delivered."""
        # `_ORDER` has the rank of each method, which shows what its stage does.
        return any(_ORDER[step.method][0] == _PACE for step in self.steps)

    @property
    def has_whole_pieces(self) -> bool:
        """True if pieces are words, lines or sentences, which `smooth` would otherwise divide."""
        # `_ORDER` has the rank of each method, which shows what its stage does.
        return any(_ORDER[step.method][0] == _PIECES and step.method != "graphemes" for step in self.steps)

    def cursor(self, clock: Clock, *, paced: bool) -> Cursor[Any]:
        """Return a cursor at the start of the text, with stages of its own; it may be read on time."""
        if not self.steps:
            return self.text()
        return ShapedCursor(self.text(), tuple(step.make for step in self.steps), clock, paced=paced)


def refuse_closed() -> NoReturn:
    raise MisuseError("this view was closed: ask the stream for a new one")


class ShapedCursor(Generic[ItemT]):
    """A reader's cursor in a text, or in a series of drafts, that is shaped by stages.

    The stages are created only by the first read, since many views are never read: they only serve to make
    another view, by a method such as `words`.

    Args:
        text: The cursor in the unshaped text.
        stage_makers: Functions that create the stages, in order; called again for the text after an error,
            such as the next of several strings.
        clock: Returns the time in seconds.
        paced: True if `tick` is called on time, even at the end of the text.
    """

    def __init__(
        self, text: TextCursor[Any], stage_makers: tuple[MakeStage, ...], clock: Clock, *, paced: bool
    ) -> None:
        self._text = text
        self._stage_makers = stage_makers
        self._clock = clock
        self._is_paced = paced
        self._waiting = text.tell_ends()
        """The items that the cursor in the text returns next."""
        self._owes_end = False
        """True if an item has ended, but a stage that paces its text still holds some of it."""
        self._queue: deque[ItemT] = deque()
        self._gathered: list[Any] = []
        """Pieces that arrived while the reader was busy."""
        self._delivered_at = math.inf
        """Time of the last delivery; infinity before it, so that no silence is measured."""
        self._failure: Exception | None = None
        """The error to raise once `_queue` is empty."""
        self._have_stages_ended = False
        self.has_text_ended = False
        """True once a stage has ended the text, even if the answer goes on."""
        self.is_settled = False
        """True if nothing is held back any more, because the answer is over; False again after more text."""

    if TYPE_CHECKING:
        _chain: Chain[Any, Any]
        is_timed: bool
        """True if a stage may return items because time has passed."""
    else:

        def __getattr__(self, name: str) -> object:
            """Create the stages: this is called for `_chain` and `is_timed` until they have a value."""
            if name not in {"_chain", "is_timed"}:
                raise AttributeError(name)
            self._chain = self._new_chain()
            self.is_timed = any(hasattr(stage, "tick") for stage in self._chain.stages)
            return getattr(self, name)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made in the JSON to which the text belongs."""
        return repairs_of(self._text)

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` must be called, so that a stage returns items; None if no stage needs that."""
        return self._chain.deadline if self.is_timed else None

    # -- delivery ------------------------------------------------------------

    def ready(self) -> ItemT | None:
        """Return the next item that has arrived; None if no further item has arrived."""
        if self._queue or self._failure is not None:
            return self._pop_item()
        if self._have_stages_ended:
            return None
        return self.tick() if self.has_text_ended else self._read_next(self._text.ready)

    def after(self, event: object) -> ItemT | None:
        """Return the item that an event adds.

        If the event adds no item, return one that a stage delivers because of the time, or None.
        """
        return self._read_next(self._text.after, event)

    def tick(self) -> ItemT | None:
        """Return an item that a stage delivers because of the time; None if no item is due."""
        now = self._clock()
        due = self._chain.deadline
        if due is not None and due <= now:
            self._queue.extend(self._chain.tick(now))
            if self._owes_end:
                self._end_item()
        return self._pop_item()

    def settle(self) -> ItemT | None:
        """Return an item that was held back, now that only the rest of the connection is left to be read."""
        item = self._read_next(self._text.ready)
        if item is None and not (self.is_settled or self._have_stages_ended):
            self.is_settled = True
            self._end_item(final=True)
            item = self._pop_item()
        return item

    def end(self) -> ItemT | None:
        """Return the next item that is left at the end of the stream, or None.

        If the result is None, but there is a `deadline`, `tick` returns further items at that time.
        """
        if self._have_stages_ended:
            return self._pop_item()
        item = self.tick() if self.has_text_ended else self._read_next(self._text.end)
        if item is None and not self.is_settled:
            self.is_settled = True
            self._end_item(final=True)
            item = self._pop_item()
        if item is None and self.deadline is None:
            self._end_stages()
            item = self._pop_item()
        return item

    def break_off(self) -> ItemT | None:
        """Return an item that was not delivered when the stream failed, or None."""
        # More may have arrived while another reader went on.
        item = None if self.has_text_ended or self._have_stages_ended else self._read_next(self._text.ready)
        if item is None:
            self._end_stages()
            item = self._pop_item()
        return item

    # -- a busy reader ---------------------------------------------------------

    @property
    def is_behind(self) -> bool:
        """True if the reader was busy since the last delivery, so that the pieces since then are joined."""
        if not self.is_timed or self._queue or self._have_stages_ended:
            return False
        return self._clock() - self._delivered_at > NOTABLE_SECONDS

    def gather(self, event: object) -> bool:
        """Gather the piece that an event adds, to be joined with others; return True if more may follow."""
        piece = self._read_piece(self._text.after, event)
        if piece is not None:
            self._gathered.append(piece)
        while self._waiting and (piece := self._read_piece(self._text.ready)) is not None:
            self._gathered.append(piece)
        return self._failure is None and len(self._gathered) < _MAX_GATHERED

    # -- within ------------------------------------------------------------

    def _new_chain(self) -> Chain[Any, Any]:
        from tokenstream.stages._chain import Chain

        return Chain(*(make() for make in self._stage_makers))

    def _read_next(self, read: Callable[..., Any], *event: AnyEvent) -> ItemT | None:
        """Feed the next piece, which `read` returns, to the stages; return the next item or None."""
        piece = self._read_piece(read, *event)
        if self._gathered:
            # The reader was busy: all pieces since then become one.
            if piece is not None:
                self._gathered.append(piece)
            self._feed_gathered()
        elif piece is not None:
            self._feed(piece)
        elif self.is_timed and not self._have_stages_ended and self._chain.deadline is not None:
            # Nothing has arrived, but a stage may hold an item that is due.
            return self.tick()
        while self._waiting and not (self._queue or self._failure or self.has_text_ended):
            piece = self._read_piece(self._text.ready)
            if piece is not None:
                self._feed(piece)
        return self._pop_item()

    def _read_piece(self, read: Callable[..., Any], *event: AnyEvent) -> AnyEvent:
        """Return the text's next piece or None; store an error, to raise it after the items before it."""
        try:
            return read(*event)
        except (StopIteration, StopAsyncIteration):
            # The text ends before the answer does, as if a stage had stopped it: `end` then ends the stages.
            self.has_text_ended = True
            return None
        except Exception as error:  # noqa: BLE001 - raised after the items before it
            # Pieces that were gathered while the reader was busy come before the error.
            self._feed_gathered()
            self._queue.extend(self._chain.end(now=self._clock()))
            self._failure = error
            # The text after an error, such as the next of several strings, needs new stages.
            self._chain = self._new_chain()
            return None

    def _feed_gathered(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            for is_end, pieces in groupby(gathered, key=lambda piece: piece is ITEM_END):
                items = [*pieces]
                # The last draft contains the drafts before it.
                self._feed("".join(items) if isinstance(items[0], str) and not is_end else items[-1])

    def _feed(self, piece: object) -> None:
        """Feed a piece, or `ITEM_END`, to the stages, and queue their items; a stage may stop the text."""
        if piece is ITEM_END:
            self._end_item()
            return
        if self._owes_end:
            # The end of the item before comes first.
            self._end_item(paced=False)
        self.is_settled = False
        self._queue.extend(self._chain.feed(piece, now=self._clock() if self.is_timed else 0.0))
        self._check_stop()

    def _check_stop(self) -> None:
        """If a stage has stopped the text, end the stages, except for one that paces the text."""
        if self._chain.stop is not None and not self.has_text_ended:
            self.has_text_ended = True
            if not self._is_paced:
                self._end_stages()

    def _end_item(self, *, final: bool = False, paced: bool = True) -> None:
        """Queue what the stages hold back of an item that ends, except for what is still `paced`."""
        is_paced = paced and self._is_paced
        self._queue.extend(self._chain.end_item(now=self._clock(), final=final, paced=is_paced))
        # A pace is kept only in front of further stages that must learn of the end.
        is_held = is_paced and self._chain.deadline is not None
        self._owes_end = is_held and not hasattr(self._chain.stages[-1], "tick")
        self._check_stop()

    def _end_stages(self) -> None:
        if not self._have_stages_ended:
            self._feed_gathered()
            self._have_stages_ended = True
            self._queue.extend(self._chain.end(now=self._clock()))

    def _pop_item(self) -> ItemT | None:
        """Return the next item to deliver or None; after the last item, raise the stored error."""
        if self._queue:
            if self.is_timed:
                self._delivered_at = self._clock()
            return self._queue.popleft()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return None
