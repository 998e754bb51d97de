"""The steps of a script, with checks of their arguments, and their translation into events."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

from tokenstream._basics.json import is_one_value
from tokenstream.errors import ErrorKind, MisuseError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDone,
    PartStart,
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


class AddText(NamedTuple):
    """A step of a script that adds text, reasoning or a refusal, in pieces."""

    kind: Literal["text", "reasoning", "refusal"]
    pieces: tuple[str, ...]
    signature: str | None = None
    choice: int = 0


class AddToolCall(NamedTuple):
    """A step of a script that adds a tool call, with its arguments in fragments."""

    name: str
    fragments: tuple[str, ...]
    id: str | None
    choice: int = 0


class AddCitation(NamedTuple):
    citation: Citation
    choice: int = 0


class AddMedia(NamedTuple):
    """A step of a script that adds an image, audio or another file."""

    data: bytes
    mime_type: str
    choice: int = 0


class ReportUsage(NamedTuple):
    usage: Usage


class FinishChoice(NamedTuple):
    reason: FinishReason
    choice: int = 0


class StaySilent(NamedTuple):
    """A step of a script that sends nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SendPing:
    """A step of a script that sends a heartbeat."""


class SendRaw(NamedTuple):
    """A step of a script that sends a payload unchanged, in the format's framing."""

    payload: Any
    event: str = ""


class SendError(NamedTuple):
    kind: ErrorKind
    message: str | None = None
    code: str | None = None


_EventStep: TypeAlias = AddText | AddToolCall | AddCitation | AddMedia | ReportUsage | FinishChoice
"""Kinds of steps that are sent as events."""
ScriptStep: TypeAlias = _EventStep | StaySilent | SendPing | SendRaw | SendError

_TOKEN_PATTERN = re.compile(r"\s*\S{1,6}|\s+")
"""Matches a piece of text about the size of a model's tokens."""
_FRAGMENTS = re.compile(r".{1,8}", re.DOTALL)
_TEXT_EVENTS: dict[
    str, tuple[type[TextPart | ReasoningPart | RefusalPart], type[TextDelta | ReasoningDelta | RefusalDelta]]
] = {
    "text": (TextPart, TextDelta),
    "reasoning": (ReasoningPart, ReasoningDelta),
    "refusal": (RefusalPart, RefusalDelta),
}
"""Maps each kind of text to the classes of its part and of its deltas."""
_WORDS = {"finish reason": get_args(FinishReason), "kind of error": get_args(ErrorKind)}
_DELTAS = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)


def cut_pieces(text: str) -> tuple[str, ...]:
    """Cut a text into pieces that are about as long as a model's tokens."""
    return tuple(_TOKEN_PATTERN.findall(text))


@dataclass(slots=True)
class _ScriptedChoice:
    """The state of a choice while its events are made."""

    parts: int = 0
    kind: str = ""
    """Kind of the open part; "" if none is open."""
    calls: bool = False

    def begin(self, kind: str) -> int:
        self.kind = kind
        self.parts += 1
        return self.parts - 1


class _EventMaker:
    """Turns the steps of one script into events."""

    def __init__(self, script_ids: frozenset[str]) -> None:
        self._states: defaultdict[int, _ScriptedChoice] = defaultdict(_ScriptedChoice)
        """The state of each choice, which begins with the choice's first step."""
        self._call_count = 0
        self._script_ids = script_ids

    def make_events(self, step: _EventStep) -> Iterator[Event]:
        match step:
            case AddText():
                yield from self._make_text_events(step)
            case AddToolCall():
                yield from self._make_call_events(step)
            case AddCitation(citation, choice):
                index = yield from self._begin_part(choice, "citation")
                if citation.cites is None:
                    # The citation belongs to the part before its own.
                    citation = citation.model_copy(update={"cites": max(0, index - 1)})
                yield CitationAdded(citation, choice=choice, part=index)
            case AddMedia(data, mime_type, choice):
                index = yield from self._begin_part(choice, "media")
                yield PartStart(MediaPart(mime_type=mime_type), choice=choice, part=index)
                yield MediaDelta(data, choice=choice, part=index)
            case ReportUsage(usage):
                yield UsageUpdate(usage)
            case FinishChoice(reason, choice):
                yield from self._close_part(choice)
                calls = self._states[choice].calls
                # After calls, providers report "tool_calls" where the script says "stop".
                yield Finish("tool_calls" if calls and reason == "stop" else reason, choice=choice)

    def _begin_part(self, choice: int, kind: str) -> Generator[Event, None, int]:
        """Close the open part of a choice and begin another; return the new part's index."""
        yield from self._close_part(choice)
        return self._states[choice].begin(kind)

    def _close_part(self, choice: int) -> Iterator[Event]:
        """Yield the event that ends the open text or media part of a choice; nothing if none is open."""
        state = self._states[choice]
        # A citation is a single event, and a call has an end of its own.
        if state.kind in {*_TEXT_EVENTS, "media"}:
            yield PartDone(choice=choice, part=state.parts - 1)
        state.kind = ""

    def _make_text_events(self, step: AddText) -> Iterator[Event]:
        """Yield the events for text, reasoning or a refusal, which continue an open part of their kind."""
        if not step.pieces and step.signature is None:
            return
        part_type, delta_type = _TEXT_EVENTS[step.kind]
        state = self._states[step.choice]
        # The last part, if it is open and of this kind.
        index = state.parts - 1
        if state.kind != step.kind:
            index = yield from self._begin_part(step.choice, step.kind)
            yield PartStart(part_type(), choice=step.choice, part=index)
        for piece in step.pieces:
            yield delta_type(piece, choice=step.choice, part=index)
        if step.signature is not None:
            yield ReasoningDelta("", step.signature, choice=step.choice, part=index)

    def _make_call_events(self, step: AddToolCall) -> Iterator[Event]:
        """Yield the events for a tool call.

        A call whose arguments are not a whole JSON value gets no event for its end: it is truncated.
        """
        index = yield from self._begin_part(step.choice, "tool_call")
        self._states[step.choice].calls = True
        self._call_count += 1
        made_up = f"call_{self._call_count}"
        while made_up in self._script_ids:
            made_up += "_"
        id = step.id or made_up
        yield ToolCallStart(id, step.name, choice=step.choice, part=index)
        for fragment in step.fragments:
            yield ToolCallDelta(id, fragment, choice=step.choice, part=index)
        text = "".join(step.fragments)
        if is_one_value(text or "{}"):
            call = ToolCall(id=id, name=step.name, arguments_text=text, complete=True)
            yield ToolCallDone(call, choice=step.choice, part=index)


@dataclass(slots=True)
class Timeline:
    """The events of an answer, and its heartbeats, raw payloads and errors, each with its time in seconds."""

    moments: list[tuple[float, Event | SendPing | SendRaw | SendError]]
    end: float = 0.0
    """Time at which the answer ends, in seconds."""


def make_timeline(steps: tuple[ScriptStep, ...], start: MessageStart, rate: float | None) -> Timeline:
    """Return the timeline of a script: each event, raw payload and error with its time."""
    # Ids that are made up for other calls must differ from those in the script.
    script_ids = frozenset(step.id for step in steps if isinstance(step, AddToolCall) and step.id is not None)
    maker, timeline = _EventMaker(script_ids), Timeline([])
    has_started = False
    for step in steps:
        if isinstance(step, StaySilent):
            timeline.end += step.seconds
            continue
        if isinstance(step, SendPing | SendRaw | SendError):
            timeline.moments.append((timeline.end, step))
            continue
        if not has_started:
            # The answer begins with its first event, and not with a raw payload.
            has_started = True
            timeline.moments.append((timeline.end, start))
        for event in maker.make_events(step):
            timeline.moments.append((timeline.end, event))
            if rate is not None and isinstance(event, _DELTAS):
                timeline.end += 1 / rate
    return timeline


def check_texts(name: str, values: Iterable[object]) -> None:
    """Raise `MisuseError` if a value is not text."""
    for item in values:
        if not isinstance(item, str):
            raise MisuseError(f"{name} takes text, and not a value of type {type(item).__name__}")


def check_text_or_none(name: str, *values: object) -> None:
    """Raise `MisuseError` if a value is neither text nor None."""
    check_texts(name, (item for item in values if item is not None))


def check_name(name: str, value: object) -> None:
    """Raise `MisuseError` unless a value is text that is not empty."""
    if not isinstance(value, str) or not value:
        raise MisuseError(f"{name}={value!r} is invalid: pass text that is not empty")


def check_bytes(name: str, value: object) -> None:
    """Raise `MisuseError` unless a value is bytes-like."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise MisuseError(f"{name} takes the bytes of a file, and not a value of type {type(value).__name__}")


def check_number(name: str, value: object, *, zero: bool) -> None:
    """Raise `MisuseError` unless a value is a finite number above 0, or 0 if that is allowed."""
    # True and False are ints, too, but no numbers.
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_allowed_zero = zero and value == 0
        if 0 < value < math.inf or is_allowed_zero:
            return
    range_in_words = "0 or more" if zero else "above 0"
    raise MisuseError(f"{name}={value!r} is invalid: pass a number, {range_in_words}")


def check_choice(value: object) -> None:
    """Raise `MisuseError` unless a value is the index of a choice."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MisuseError(f"choice {value!r} is invalid: choices are counted from 0")


def check_event(value: object) -> None:
    """Raise `MisuseError` unless a value is text on one line, as an event's name is."""
    if not isinstance(value, str) or "\n" in value or "\r" in value:
        raise MisuseError(f"event={value!r} is invalid: pass text on one line")


def json_of(name: str, value: object, *, strict: bool = True) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=not strict)
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(f"{name} cannot be written as JSON: {error}") from error


def fragments_of(arguments: object) -> tuple[str, ...]:
    """Return the arguments of a tool call as fragments of JSON text; no fragments mean an empty object."""
    if isinstance(arguments, tuple | list):
        fragments = tuple(cast("Iterable[str]", arguments))
        check_texts("a fragment of arguments", fragments)
        return fragments or ("{}",)
    if isinstance(arguments, Mapping):
        arguments = json_of("arguments", dict(cast("Mapping[str, Any]", arguments)))
    if isinstance(arguments, str):
        # About as long as those that models send.
        return tuple(_FRAGMENTS.findall(arguments))
    kind = type(arguments).__name__
    raise MisuseError(f"arguments are a mapping, its JSON as text, or fragments of that, and not a {kind}")


def usage_of(**counts: Any) -> Usage:  # noqa: ANN401 - checked here
    for name, count in counts.items():
        is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
        if count is not None and not is_count:
            raise MisuseError(f"{name}={count!r} is invalid: pass a number of tokens, 0 or more")
    return Usage(**counts)


def check_word(what: str, value: object) -> None:
    """Raise `MisuseError` unless a value is one of the words of a kind, which `what` names."""
    words = _WORDS[what]
    if value not in words:
        raise MisuseError(f"{value!r} is not a {what}: pass one of {', '.join(words)}")
