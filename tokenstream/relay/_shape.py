"""Transformation of an answer's text before it is sent, by a function that the application passes.

The function, a *shape*, takes a text view and returns a transformed view, such as `text.words()`. The
stages of the transformed view are created anew for each text part of the answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream._values.event_base import is_amended
from tokenstream.errors import MisuseError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    Restarted,
    Stopped,
    TextDelta,
)
from tokenstream.message import Message
from tokenstream.stages import Chain
from tokenstream.stream import Stream, TextView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.relay._encoders.vocabulary import PartKey
    from tokenstream.stream._views.text_plan import ShapingPlan

    Shape: TypeAlias = Callable[[TextView], Any]
    _ChoiceAndStep: TypeAlias = tuple[int, str | None]

_NOT_PIECEWISE = frozenset({"accumulate", "markdown_blocks", "patches"})
"""Methods of a text view that do not produce text piece by piece."""


class _ShapedText(NamedTuple):
    """A text part that is being transformed, with the stages for this part."""

    chain: Chain[str, str]
    choice_and_part: PartKey
    choice_and_step: _ChoiceAndStep
    sent: list[str]
    waiting_events: list[Event]
    """Citations, and the choice's `Finish`, that follow text which a stage may still hold back."""

    def take_waiting(self) -> list[Event]:
        events = self.waiting_events[:]
        self.waiting_events.clear()
        return events


class Shaping(ErrorKeeper):
    """Transforms the text parts among an answer's events; a stage (an object with `feed` and `end`).

    The end and the citations of a text part, and a finish reason after it, wait until its transformed text
    was returned; all other events are returned at once.
    """

    def __init__(self, shape: Shape) -> None:
        # The function transforms a view that has no text: the view records the stages that it would apply.
        with Stream([], format="pieces") as empty:
            shaped = shape(empty.text)
        plan: ShapingPlan | None = getattr(shaped, "_plan", None) if isinstance(shaped, TextView) else None
        if plan is None or any(step.method in _NOT_PIECEWISE for step in plan.steps):
            raise MisuseError(
                "shape= takes a function that returns the text view it is given, transformed so that it "
                "gives text in pieces, such as lambda text: text.redact(pattern).words()"
            )
        self._stages = tuple(step.make for step in plan.steps)
        self._texts: dict[PartKey, _ShapedText] = {}
        self._last_text: dict[_ChoiceAndStep, _ShapedText] = {}
        """The text part that got text last, by choice and step."""
        self.error: Exception | None = None

    def feed(self, event: Event, *, now: float = 0.0) -> list[Event]:
        """Return the events that replace an event."""
        if self.error is not None:
            return []
        match event:
            case TextDelta():
                return self._add_text(event, event.text, now)
            case PartStart() if event.content.kind == "text":
                content: Any = event.content
                if not content.text:
                    self._get_text(event)
                    return [event]
                # The start of a part may contain text that no delta repeats.
                bare = PartStart(
                    content.model_copy(update={"text": ""}), choice=event.choice, part=event.part
                )
                return [_set_step(bare, event.step), *self._add_text(event, content.text, now)]
            case PartDone():
                return self._end_part(event, now)
            case CitationAdded() | Finish() if _choice_and_step(event) in self._last_text:
                # Text before the event may still be held back: the event follows it.
                self._last_text[_choice_and_step(event)].waiting_events.append(event)
                return []
            case Stopped() | MessageStart(another=True):
                # No more text of this answer will arrive.
                return [*self._end_texts(self._texts_of_step(event), now), event]
            case Restarted():
                # The text that was held back belongs to the abandoned answer.
                for text in self._texts_of_step(event):
                    self._forget(text)
                # The message in the event has the text before its transformation, and the reader of the
                # answer has received the transformed text already.
                stripped = Restarted(Message.model_construct(), event.error, choice=event.choice)
                # Encoders leave the content of such an event out.
                stripped.is_repeat = True
                return [_set_step(stripped, event.step)]
            case _:
                return [event]

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the events that were held back; no more events will arrive."""
        return self._end_texts(list(self._texts.values()), now)

    def shape(self, event: Event | None) -> Iterator[Event]:
        """Yield the events that replace one, or for None those held back; raise the error of a stage."""
        now = time.monotonic()
        yield from self.end(now=now) if event is None else self.feed(event, now=now)
        self.check()

    # -- within ------------------------------------------------------------------

    def _get_text(self, event: TextDelta | PartStart | PartDone) -> _ShapedText:
        """Return the open text part of an event; create it with new stages for the part's first event."""
        choice_and_part = (event.choice, event.part)
        text = self._texts.get(choice_and_part)
        if text is None:
            chain: Chain[str, str] = Chain(*[make() for make in self._stages])
            text = self._texts[choice_and_part] = _ShapedText(
                chain, choice_and_part, _choice_and_step(event), [], []
            )
        self._last_text[text.choice_and_step] = text
        return text

    def _texts_of_step(self, event: Event) -> list[_ShapedText]:
        """Return the open text parts of an event's step; outside a run, of the whole answer."""
        return [text for text in self._texts.values() if text.choice_and_step[1] == event.step]

    def _forget(self, text: _ShapedText) -> None:
        del self._texts[text.choice_and_part]
        if self._last_text.get(text.choice_and_step) is text:
            del self._last_text[text.choice_and_step]

    def _add_text(self, event: TextDelta | PartStart | PartDone, added: str, now: float) -> list[Event]:
        text = self._get_text(event)
        return self._make_events(text, text.chain.feed(added, now=now))

    def _make_events(self, text: _ShapedText, pieces: list[str]) -> list[Event]:
        """Return pieces of transformed text as events, then the events that had to wait for this text."""
        if text.chain.error is not None:
            self.error = text.chain.error
        (choice, part), (_, step) = text.choice_and_part, text.choice_and_step
        new = [*filter(None, pieces)]
        text.sent.extend(new)
        events = [_set_step(TextDelta(piece, choice=choice, part=part), step) for piece in new]
        # Without a piece, the events keep waiting, since the text before them is still held back.
        return events + text.take_waiting() if new else events

    def _end_part(self, event: PartDone, now: float) -> list[Event]:
        """Return the text that the stages of a text part have held back, and the end of any part."""
        text = self._texts.get((event.choice, event.part))
        content: Any = event.content
        events: list[Event] = []
        if text is None:
            # No event of the part has arrived before: a text part's end contains the whole text.
            if content is None or content.kind != "text":
                return [event]
            events = self._add_text(event, content.text, now)
            text = self._get_text(event)
        events += self._end_texts([text], now)
        if content is not None:
            content = content.model_copy(update={"text": "".join(text.sent)})
        done = PartDone(content, choice=event.choice, part=event.part)
        # The deltas have contained the whole text already.
        done.is_amended = is_amended(event)
        done.is_repeat = not done.is_amended
        return [*events, _set_step(done, event.step)]

    def _end_texts(self, texts: list[_ShapedText], now: float) -> list[Event]:
        """End text parts; return, for each, the text that its stages held back and the events that waited."""
        events: list[Event] = []
        for text in texts:
            self._forget(text)
            events += self._make_events(text, text.chain.end(now=now))
            events += text.take_waiting()
        return events


def _choice_and_step(event: Event) -> _ChoiceAndStep:
    return event.choice, event.step


def _set_step(event: Event, step: str | None) -> Event:
    """Assign an event, which is changed, to a step, unless that is None; return the event."""
    if step is not None:
        event.step = step
    return event
