"""Chunks of a chat completion that differ from the last one in their text alone, read at a glance."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.errors import ProtocolError
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDelta
from tokenstream.formats._parts import OpenCall
from tokenstream.formats._read import is_dict
from tokenstream.formats._shortcuts import Shortcut
from tokenstream.formats._template import PADDING, Templates
from tokenstream.formats.openai_chat._again import LastPlain
from tokenstream.formats.openai_chat._calls import continues
from tokenstream.formats.openai_chat._plain import CALLS, PlainChat
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats._parts import TextKind
    from tokenstream.formats.base import Frame, Unit
    from tokenstream.limits import Limits

__all__ = ["OpenAIChat"]

# What may differ in payloads that say the same: the answer's time is that of its first chunk.
_CHANGING = frozenset({"created", *PADDING})


class OpenAIChat(PlainChat):
    """The `openai-chat` format: also Azure, DeepSeek, Mistral, OpenRouter, vLLM and their kin.

    Args:
        limits: Bounds on parts, choices, tool calls, and JSON payloads.
        pings: Whether signs of life become `Ping` events.

    Example:
        >>> format = OpenAIChat()
        >>> for event in format.feed(b'{"choices":[{"index":0,"delta":{"content":"Hel"}}]}'):
        ...     print(type(event).__name__)
        MessageStart
        PartStart
        TextDelta
        >>> format.feed(b'{"choices":[{"index":0,"delta":{"content":"lo"}}]}')
        [TextDelta(choice=0, part=0, text='lo')]
    """

    __slots__ = (
        "_choice",
        "_delta",
        "_in_call",
        "_kind",
        "_last",
        "_match",
        "_part",
        "_path",
        "_shortcut",
        "_templates",
    )

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        # What follows is there only while a match is sure to mean what reading would find.
        self._templates = Templates()
        self._match: Callable[[bytes], str | None] | None = None
        self._last: LastPlain | None = None
        self._in_call = False
        """Whether a match adds to the arguments of a call, and not to text."""
        self._delta: Callable[..., Event] = TextDelta
        """Makes the event of a match."""
        self._kind: TextKind = "text"
        self._path: tuple[str | int, ...] = ()
        self._choice = 0
        self._part = 0
        self._shortcut = Shortcut(self)

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events that `frame` holds."""
        match = self._match
        if match is not None and isinstance(frame, bytes):
            text = match(frame)
            if text is not None:
                self.frames += 1
                return [self._delta(text, choice=self._choice, part=self._part, raw=frame)]
        last = self._last
        data = None if last is None else self._decoded(frame)
        if last is None or data is None:
            return self._feed_any(frame, frame)
        text = last.text_of(data)
        if text is None:
            return self._feed_any(data, frame)
        self.frames += 1
        if not text.isascii():
            # Half a character may have to wait for its other half.
            self._plain = ""
            self.parts.raw = data
            self.parts.write(self._choice, self._kind, text)
            events = self.parts.take()
            self._learn(frame, events)
            return events
        if isinstance(frame, bytes):
            self._offer(frame, data)
        return [self._delta(text, choice=self._choice, part=self._part, raw=data)]

    def _feed_any(self, frame: Frame, sent: Frame) -> list[Event]:
        """Return the events of any frame, and learn from it what may come again.

        Args:
            frame: The frame, decoded where that was done already.
            sent: The frame as it came.
        """
        self._plain = self._bare = ""
        events = super().feed(frame)
        if not self.shortcuts:
            return events
        if self.error is None and self._plain:
            self._learn(sent, events)
        elif self.error is None and self._bare:
            self._learn_bare(sent, events)
        else:
            self._forget()
        return events

    def shortcut(
        self, unit: Unit, most: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads a chunk that differs from the last ones in its text alone."""
        template = self._templates.template
        if template is None or self._match is None or self._in_call or unit != "event":
            return None
        made = TextDelta if self._kind == "text" else ReasoningDelta
        return self._shortcut.of(template, made, most, part=self._part, choice=self._choice)

    def finish_input(self) -> None:
        """Close what is open at the end of the input.

        Raises:
            LimitExceeded: What was held back outgrows a bound.
        """
        self._match = self._last = None
        super().finish_input()

    # -- what a payload teaches --------------------------------------------

    def _learn(self, frame: Frame, events: list[Event]) -> None:
        """Remember a payload that said nothing but one piece of text, and what its bytes look like."""
        if self._plain == CALLS:
            self._learn_arguments(frame, events)
            return
        event = events[-1] if events else None
        if not isinstance(event, TextDelta | ReasoningDelta):
            # Half a character alone gives no event, but what follows must not overtake it.
            if self._is_held(self._choice):
                self._forget()
            return
        if self._plain:
            self._in_call = False
            self._delta = type(event)
            self._kind = "text" if self._delta is TextDelta else "reasoning"
            self._path = ("choices", 0, "delta", self._plain)
            self._choice, self._part = event.choice, event.part
        payload = event.raw
        [choice] = payload["choices"]
        if self._is_held(event.choice) or choice["delta"][self._path[-1]] != event.text:
            self._forget()
            return
        if isinstance(frame, bytes):
            self._offer(frame, payload)
        else:
            self._match = None
            self._templates.drop(self.frames)
        if self._plain and self._match is None:
            changing = PADDING if self._created is None else _CHANGING
            self._last = LastPlain(payload, self._plain, tuple(key for key in payload if key in changing))

    def _learn_bare(self, frame: Frame, events: list[Event]) -> None:
        """Remember what the bytes of a payload without choices look like that said nothing but its text."""
        event = events[0] if len(events) == 1 else None
        if isinstance(event, TextDelta) and isinstance(frame, bytes) and event.raw[self._bare] == event.text:
            self._in_call, self._delta, self._kind = False, TextDelta, "text"
            self._path = (self._bare,)
            self._choice, self._part = event.choice, event.part
            self._last = None
            self._offer(frame, event.raw)
        else:
            self._forget()

    def _learn_arguments(self, frame: Frame, events: list[Event]) -> None:
        """Remember what the bytes of a payload look like that said nothing but a fragment of arguments."""
        event = events[0] if len(events) == 1 else None
        if isinstance(event, ToolCallDelta) and isinstance(frame, bytes):
            call = self.parts.choices[event.choice].opened.get(event.part)
            if isinstance(call, OpenCall) and not call.held and continues(event.raw, event.fragment):
                self._in_call, self._delta = True, partial(_add_arguments, call)
                self._choice, self._part = event.choice, event.part
                self._path = ("choices", 0, "delta", CALLS, 0, "function", "arguments")
                self._last = None
                self._offer(frame, event.raw)
                return
        self._forget()

    def _forget(self) -> None:
        """Read the next payload in the plain way, whatever it looks like."""
        self._match = self._last = None
        self._templates.drop(self.frames)

    def _is_held(self, choice: int) -> bool:
        """Tell whether the part that a choice's text goes to waits for the other half of a character."""
        state = self.parts.choices.get(choice)
        return state is not None and state.flow is not None and bool(state.flow.held)

    def _offer(self, frame: bytes, payload: dict[str, Any]) -> None:
        """Learn what the bytes of a plain payload look like; where they tell, values need not be compared."""
        self._templates.offer(frame, payload, self._path, self.frames)
        self._match = self._templates.match
        if self._match is not None:
            self._last = None

    def _decoded(self, frame: Frame) -> dict[str, Any] | None:
        """Return the object that a frame without a name is; None for any other frame."""
        if isinstance(frame, dict):
            return frame
        if isinstance(frame, ServerSentEvent):
            if frame.event != "message":
                return None
            frame = frame.payload
        if not isinstance(frame, bytes):
            return None
        try:
            data = self.decode(frame)
        except ProtocolError:
            return None
        return data if is_dict(data) else None


def _add_arguments(call: OpenCall, fragment: str, *, choice: int, part: int, raw: bytes) -> Event:
    """Add a fragment of whole characters to a call."""
    call.arguments.append(fragment)
    return ToolCallDelta(call.id, fragment, choice=choice, part=part, raw=raw)
