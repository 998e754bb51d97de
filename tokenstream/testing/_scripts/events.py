"""The steps of a script, and their translation into events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._basics.json import decode
from tokenstream.errors import ProtocolError
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    MessageStart,
    PartDone,
    PartStart,
    Ping,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import (
    Citation,
    FinishReason,
    MediaPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event


@dataclass(frozen=True, slots=True)
class Say:
    """A step that adds text, reasoning or a refusal, in pieces."""

    kind: Literal["text", "reasoning", "refusal"]
    pieces: tuple[str, ...]
    signature: str | None = None
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Use:
    """A step that adds a tool call, with its arguments in fragments."""

    name: str
    fragments: tuple[str, ...]
    id: str | None
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Cite:
    """A step that adds a citation."""

    citation: Citation
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Attach:
    """A step that adds an image, audio or another file."""

    data: bytes
    mime_type: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """A step that reports token counts."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Ended:
    """A step that ends a choice, with its finish reason."""

    reason: FinishReason
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """A step that sends nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alive:
    """A step that sends a heartbeat."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A step that sends a payload unchanged, in the format's framing."""

    payload: Any
    event: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that sends an error of the provider."""

    kind: ErrorKind
    message: str | None = None
    code: str | None = None


Step: TypeAlias = Say | Use | Cite | Attach | Count | Ended | Pause | Alive | Raw | Failure

_TOKENS = re.compile(r"\s*\S{1,6}|\s+")
"""Matches a piece of text about the size of a model's tokens."""
_FRAGMENTS = re.compile(r".{1,8}", re.DOTALL)
_PARTS: dict[
    str, tuple[type[TextPart | ReasoningPart | RefusalPart], type[TextDelta | ReasoningDelta | RefusalDelta]]
] = {
    "text": (TextPart, TextDelta),
    "reasoning": (ReasoningPart, ReasoningDelta),
    "refusal": (RefusalPart, RefusalDelta),
}


_TOKEN_EVENTS = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)


def cut_pieces(text: str) -> tuple[str, ...]:
    """Cut a text into pieces that are about as long as a model's tokens."""
    return tuple(_TOKENS.findall(text))


def cut_fragments(text: str) -> tuple[str, ...]:
    """Cut the text of arguments into fragments about as long as those that models send."""
    return tuple(_FRAGMENTS.findall(text))


@dataclass(slots=True)
class _ChoiceState:
    """The state of a choice while its events are made."""

    parts: int = 0
    """Number of parts so far."""
    kind: str = ""
    """Kind of the open part; "" if none is open."""
    calls: bool = False
    """True if the choice has a tool call."""


class _EventMaker:
    """Turns the steps of one script into events.

    Args:
        taken: Ids of calls that the script itself sets; generated ids differ from these.
    """

    def __init__(self, taken: frozenset[str]) -> None:
        self._states: dict[int, _ChoiceState] = {}
        self._calls = 0
        self._taken = taken

    def make_events(self, step: Say | Use | Cite | Attach | Count | Ended | Alive) -> Iterator[Event]:
        """Yield the events for a step."""
        match step:
            case Say():
                yield from self._say(step)
            case Use():
                yield from self._use(step)
            case Cite(citation, choice):
                place = yield from self._begin(choice, "citation")
                cited = (
                    citation
                    if citation.cites is not None
                    else citation.model_copy(update={"cites": max(0, place - 1)})
                )
                yield CitationAdded(cited, choice=choice, part=place)
            case Attach(data, mime_type, choice):
                place = yield from self._begin(choice, "media")
                yield PartStart(MediaPart(mime_type=mime_type), choice=choice, part=place)
                yield MediaDelta(data, choice=choice, part=place)
            case Count(usage):
                yield UsageUpdate(usage)
            case Ended(reason, choice):
                yield from self._close(choice)
                calls = self._state_of(choice).calls
                # After calls, providers report "tool_calls" where the script says "stop".
                yield Finish("tool_calls" if calls and reason == "stop" else reason, choice=choice)
            case _:
                yield Ping()

    def _state_of(self, choice: int) -> _ChoiceState:
        return self._states.setdefault(choice, _ChoiceState())

    def _begin(self, choice: int, kind: str) -> Generator[Event, None, int]:
        """Close the open part of a choice and begin another; return the new part's index."""
        yield from self._close(choice)
        place = self._state_of(choice)
        place.kind = kind
        place.parts += 1
        return place.parts - 1

    def _close(self, choice: int) -> Iterator[Event]:
        """Close the open part of a choice, if there is one."""
        place = self._state_of(choice)
        if place.kind in {*_PARTS, "media"}:
            yield PartDone(choice=choice, part=place.parts - 1)
        place.kind = ""

    def _say(self, step: Say) -> Iterator[Event]:
        """Yield the events for text, reasoning or a refusal; it continues an open part of the same kind."""
        if not step.pieces and step.signature is None:
            return
        part, delta = _PARTS[step.kind]
        place = self._state_of(step.choice)
        index = place.parts - 1
        if place.kind != step.kind:
            index = yield from self._begin(step.choice, step.kind)
            yield PartStart(part(), choice=step.choice, part=index)
        for piece in step.pieces:
            yield delta(piece, choice=step.choice, part=index)
        if step.signature is not None:
            yield ReasoningDelta("", step.signature, choice=step.choice, part=index)

    def _use(self, step: Use) -> Iterator[Event]:
        """Yield the events for a tool call; without an end if its arguments are not whole JSON."""
        index = yield from self._begin(step.choice, "tool_call")
        self._state_of(step.choice).calls = True
        self._calls += 1
        id = step.id or self._make_id()
        yield ToolCallStart(id, step.name, choice=step.choice, part=index)
        for fragment in step.fragments:
            yield ToolCallDelta(id, fragment, choice=step.choice, part=index)
        text = "".join(step.fragments)
        if _is_whole(text):
            call = ToolCall(id=id, name=step.name, arguments_text=text, complete=True)
            yield ToolCallDone(call, choice=step.choice, part=index)

    def _make_id(self) -> str:
        id = f"call_{self._calls}"
        while id in self._taken:
            id += "_"
        return id


def _is_whole(arguments: str) -> bool:
    """Return True if the text of arguments is a whole JSON value, or empty."""
    try:
        decode(arguments or "{}")
    except ProtocolError:
        return False
    return True


@dataclass(slots=True)
class Timeline:
    """The events of an answer, and its raw payloads and errors, each with its time in seconds."""

    moments: list[tuple[float, Event | Raw | Failure]]
    end: float = 0.0
    """Time at which the answer ends, in seconds."""


def make_timeline(steps: tuple[Step, ...], start: MessageStart, rate: float | None) -> Timeline:
    """Return the timeline of a script.

    Args:
        steps: The steps of a script.
        start: The event that begins the answer.
        rate: Number of deltas per second; None for no time between deltas.
    """
    taken = frozenset(step.id for step in steps if isinstance(step, Use) and step.id is not None)
    maker, timeline = _EventMaker(taken), Timeline([])
    begun = False
    for step in steps:
        if isinstance(step, Pause):
            timeline.end += step.seconds
            continue
        if isinstance(step, Raw | Failure):
            timeline.moments.append((timeline.end, step))
            continue
        if not begun:
            begun = True
            timeline.moments.append((timeline.end, start))
        for event in maker.make_events(step):
            timeline.moments.append((timeline.end, event))
            if rate is not None and isinstance(event, _TOKEN_EVENTS):
                timeline.end += 1 / rate
    return timeline
