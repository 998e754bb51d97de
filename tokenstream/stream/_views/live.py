"""The view `live`: the answer so far, ready to be shown, at a steady rate and also in a silence."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._values.parts import WORDED
from tokenstream.events import MessageStart, PartStart
from tokenstream.limits import check_seconds
from tokenstream.stages._markdown.blocks import MarkdownBlocks
from tokenstream.stages._protocols import StageSource
from tokenstream.stages._text import SoundStage
from tokenstream.stream._views.text_plan import PlanStep, ShapingPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.message import Message, Part
    from tokenstream.partial_json import Partial
    from tokenstream.stream._protocols import Driver, TextCursor

_STARTS = frozenset({MessageStart, PartStart})
"""Events that bring nothing to be shown."""
_QUIET_SECONDS = 1.0
"""Time without an item after which one tells of the silence."""


class LiveAnswer(NamedTuple):
    """The answer so far, ready to be shown."""

    message: Message
    """The message, in which a text that still grows has no half-written Markdown."""
    draft: Partial[Any] | None = None
    """The newest draft of the type that `live` has; None before the first one."""
    silence: float = 0.0
    """Seconds since the last event, if the item only tells of the silence; otherwise 0."""


class _Pulse(SoundStage):
    """A stage that returns an item at most `hz` times a second, and one a second in a silence.

    Args:
        look: Returns the item, and takes the seconds of silence.
        now: The time from which a silence counts.
    """

    __slots__ = ("_has_news", "_heard_at", "_look", "_next", "_quiet_at", "_seconds")

    def __init__(self, hz: float, look: Callable[[float], LiveAnswer], now: float) -> None:
        self._seconds = 1 / check_seconds("hz", hz, unit="items a second")
        self._look = look
        self._has_news = False
        self._heard_at = now
        self._next = -math.inf
        """The clock reading before which no news are told."""
        self._quiet_at: float | None = now + _QUIET_SECONDS
        """The clock reading at which a silence is told; None at the end of the answer."""

    @property
    def deadline(self) -> float | None:
        return self._next if self._has_news else self._quiet_at

    def feed(self, item: object, /, *, now: float = 0.0) -> list[LiveAnswer]:
        self._has_news, self._heard_at, self._quiet_at = True, now, now + _QUIET_SECONDS
        return self.tick(now)

    def tick(self, now: float) -> list[LiveAnswer]:
        due = self.deadline
        if due is None or now < due:
            return []
        silence = 0.0 if self._has_news else now - self._heard_at
        self._has_news, self._next, self._quiet_at = False, now + self._seconds, now + _QUIET_SECONDS
        return [self._look(silence)]

    def end(self, *, now: float = 0.0) -> list[LiveAnswer]:
        items = self.tick(max(now, self._next)) if self._has_news else []
        self._quiet_at = None
        return items


class _LiveCursor:
    """A reader's place in an answer of which each item has all so far; it only says that there are news."""

    def __init__(self, driver: Driver, choice: int, drafts: TextCursor[Partial[Any]] | None) -> None:
        self._accumulator = driver.accumulator
        self._choice = choice
        self._drafts = drafts
        self._draft: Partial[Any] | None = None
        self._previews: dict[int, _Preview] = {}
        """The previews of texts, by the index of their part."""
        self._seen: Message | None = None
        """The message of the last item."""
        self._has_ended = False

    def tell_ends(self) -> deque[Any]:
        return deque()

    def ready(self) -> object:
        # After an event, the message is another object.
        message = self._message
        return self if message is not self._seen and message.parts else None

    def after(self, event: object) -> object:
        # The first text need not wait for its turn after an item without any.
        return None if event.__class__ in _STARTS else event

    def end(self) -> object:
        """Return something the first time; then raise the error of an invalid draft."""
        if not self._has_ended:
            self._has_ended = True
            return self
        while self._drafts is not None and (draft := self._drafts.end()) is not None:
            self._draft = draft
        return None

    def look(self, silence: float) -> LiveAnswer:
        message = self._seen = self._message
        while self._drafts is not None and (draft := self._drafts.ready()) is not None:
            self._draft = draft
        if message.ending == "streaming":
            shown = tuple(self._show(index, part) for index, part in enumerate(message.parts))
            message = message.model_copy(update={"parts": shown})
        return LiveAnswer(message, self._draft, silence)

    @property
    def _message(self) -> Message:
        return self._accumulator.message_of(self._choice or self._accumulator.main)

    def _show(self, index: int, part: Part) -> Part:
        """Return a part with the preview of its text, if that still grows."""
        if part.complete or not isinstance(part, WORDED):
            return part
        preview = self._previews.get(index)
        if preview is None or not part.text.startswith(preview.text):
            # A restarted answer may have another text.
            preview = self._previews[index] = _Preview()
        return part.model_copy(update={"text": preview.grow(part.text)})


class _Preview:
    """A Markdown text that grows, of which half-written syntax is completed or held back."""

    __slots__ = ("_blocks", "_shown", "text")

    def __init__(self) -> None:
        self._blocks = MarkdownBlocks()
        self._shown = 0, ""
        """The start of the last block, and its text to be shown."""
        self.text = ""

    def grow(self, text: str) -> str:
        """Take the whole text so far, and return it as it can be shown."""
        for block in self._blocks.feed(text[len(self.text) :]):
            self._shown = block.start, block.text
        self.text = text
        start, shown = self._shown
        return text[:start] + shown


def make_live_plan(
    driver: Driver, choice: int, hz: float, drafts: TextCursor[Partial[Any]] | None
) -> ShapingPlan:
    """Return the plan of a view of the answer so far; `drafts` is a cursor in the drafts of its type."""
    cursor: Any = _LiveCursor(driver, choice, drafts)
    make: Callable[[], Any] = partial(_Pulse, hz, cursor.look, driver.clock())
    return ShapingPlan(lambda: cursor, (PlanStep("live", StageSource(make)),), timer=True)
