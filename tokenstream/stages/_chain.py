"""Several stages, one after another, as one stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.stages._protocols import InT_contra, OutT

if TYPE_CHECKING:
    from tokenstream.stages._protocols import Stage, TimedStage

FirstT = TypeVar("FirstT")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")


class Chain(ErrorKeeper, Generic[InT_contra, OutT]):
    r"""A stage made of stages: the output of each is the input of the next.

    When a stage fails, the stages after it still receive the items from before the
    error and are then ended, so that none of the items that they hold back are lost.
    The stage's error becomes the `error` of the chain; errors that only follow from
    this early end do not count.

    A chain among the stages is replaced by its own stages, and should not be used
    separately any more. A chain without stages returns its input unchanged.

    Args:
        stages: The stages, the first one first.

    Example:
        >>> from tokenstream.formats import text
        >>> from tokenstream.framing import SSEParser
        >>> chain = Chain(SSEParser(), text())
        >>> [type(event).__name__ for event in chain.feed(b"data: Hel\n\ndata: lo\n\nda")]
        ['MessageStart', 'PartStart', 'TextDelta', 'TextDelta']
        >>> chain.end(), type(chain.error).__name__
        ([], 'StreamTruncated')
    """

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, first: Stage[InT_contra, OutT], /) -> None: ...
    @overload
    def __init__(self, first: Stage[InT_contra, T1], second: Stage[T1, OutT], /) -> None: ...
    @overload
    def __init__(
        self, first: Stage[InT_contra, T1], second: Stage[T1, T2], third: Stage[T2, OutT], /
    ) -> None: ...
    @overload
    def __init__(
        self,
        first: Stage[InT_contra, T1],
        second: Stage[T1, T2],
        third: Stage[T2, T3],
        fourth: Stage[T3, OutT],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: Chain[FirstT, Any],
        first: Stage[FirstT, T1],
        second: Stage[T1, T2],
        third: Stage[T2, T3],
        fourth: Stage[T3, Any],
        fifth: Stage[Any, Any],
        /,
        *others: Stage[Any, Any],
    ) -> None: ...
    def __init__(self, *stages: Stage[Any, Any]) -> None:
        # A chain among the stages is replaced by its own stages.
        self.stages: tuple[Stage[Any, Any], ...] = tuple(
            part for stage in stages for part in (stage.stages if type(stage) is Chain else (stage,))
        )
        """The stages in order; their attributes stay readable."""
        self.error: Exception | None = None
        """The error of the stage that failed first; it follows the items that were returned last."""
        self._ended_count = 0
        """The number of stages that have ended or failed, counted from the first."""
        # The stages that act at a time (in `tick`), with their indexes.
        self._timed = [
            (index, cast("TimedStage[Any, Any]", stage))
            for index, stage in enumerate(self.stages)
            if hasattr(stage, "tick")
        ]

    def feed(self, item: InT_contra, *, now: float = 0.0) -> list[OutT]:
        """Return the last stage's output for an input item of the chain; an empty list after an error.

        Args:
            item: The input of the first stage.
            now: A clock reading, in seconds; each stage gets it.
        """
        if self.error is not None:
            return []
        # -1 stands for the input, as the stage before the first one.
        out = self._pass_on(-1, [item], now)
        if not self._ended_count:
            return out
        # A stage has failed: the later stages are ended, and return what they hold back.
        return out + self.end(now=now)

    def end(self, *, now: float = 0.0) -> list[OutT]:
        """End each stage in order and return the last stage's output for all items that were held back.

        Args:
            now: A clock reading, in seconds; each stage gets it.
        """
        out: list[OutT] = []
        while self._ended_count < len(self.stages):
            index = self._ended_count
            self._ended_count += 1
            out += self._pass_on(index, self.stages[index].end(now=now), now)
        return out

    def end_item(self, *, now: float = 0.0, final: bool = False, paced: bool = False) -> list[OutT]:
        """Return the last stage's output for what is held back of an item that ends; others may follow.

        An example is the last word of a text before a tool call: it is whole, although more text may come. A
        match may go on in the next item: as long as a stage holds text back for one, no stage after it ends.

        Args:
            now: A clock reading, in seconds; each stage gets it.
            final: True if no other item is expected.
            paced: True if the caller calls `tick` on time: a stage that spreads text over a time then keeps
                its pace, and the stages after it end with the next call of this method after that.
        """
        out: list[OutT] = []
        for index, stage in enumerate(self.stages):
            # After the last item, no match can go on.
            holds_match = None if final else getattr(stage, "holds_match", None)
            if holds_match or (paced and getattr(stage, "holds_pace", False)):
                break
            if holds_match is None:
                out += self._pass_on(index, stage.end(now=now), now)
        return out

    def tick(self, now: float) -> list[OutT]:
        """Return the last stage's output for the items that are due; none are due before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        out: list[OutT] = []
        for index, stage in self._timed:
            if self._ended_count:
                # A stage has failed, so the time of the others no longer matters: they end below.
                break
            due = stage.deadline
            if due is not None and due <= now:
                out += self._pass_on(index, stage.tick(now), now)
        return out + self.end(now=now) if self._ended_count else out

    @property
    def deadline(self) -> float | None:
        """The earliest deadline of the chain's stages; None while no stage has a deadline."""
        if self._ended_count:
            # After the end or an error, nothing is due any more.
            return None
        # A loop, because `min` of a generator takes three times as long, and a view asks at every event.
        earliest = None
        for _, stage in self._timed:
            due = stage.deadline
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    @property
    def stop(self) -> str | None:
        """The reason to close the source, from the first stage that has one; None while no stage has one."""
        for stage in self.stages:
            if stage.stop is not None:
                return stage.stop
        return None

    def _pass_on(self, index: int, items: list[Any], now: float) -> list[Any]:
        """Pass a stage's output (at -1, the chain's input) through all later stages; return the last output.

        If a stage fails, the later stages still receive what it returned before that, and one of them may
        fail, too. Such a failure is at an earlier place of the input, so the error of the last stage that
        has failed becomes the chain's `error`.
        """
        stages = self.stages
        failed = index if index >= 0 and stages[index].error is not None else None
        for later, stage in enumerate(stages[index + 1 :], index + 1):
            inputs, items = items, []
            for item in inputs:
                items += stage.feed(item, now=now)
                if stage.error is not None:
                    # Replaces the failure of an earlier stage, which is at a later place of the input.
                    failed = later
                    break
        if failed is not None:
            self._ended_count = failed + 1
            if self.error is None:
                self.error = stages[failed].error
        return items
