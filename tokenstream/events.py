"""What happened: one small slotted class per kind of event.

Treat events as read-only; they are not frozen because freezing would cost more
than everything else about them. Every event has `.choice`, `.raw` and `.part`:
the index in the message of the part that it belongs to, or None where it
belongs to the answer as a whole. These three are keyword-only. Those of a run
have a `.step` besides: the id of the step that they belong to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._event_base import AnswerEvent, CallEvent, PartEvent, SummingEvent, SummingPartEvent

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.message import Citation, FinishReason, Message, Part, ToolCall, Usage

__all__ = [
    "CitationAdded",
    "Event",
    "Finish",
    "MediaDelta",
    "MessageStart",
    "PartDelta",
    "PartDone",
    "PartStart",
    "Ping",
    "ReasoningDelta",
    "RefusalDelta",
    "Restarted",
    "Resumed",
    "StepDone",
    "StepStart",
    "Stopped",
    "TextDelta",
    "ToolCallDelta",
    "ToolCallDone",
    "ToolCallStart",
    "Unknown",
    "UsageUpdate",
]


@dataclass(slots=True)
class MessageStart(AnswerEvent):
    """The answer has begun; what a later chunk adds to its head comes as another one.

    Example:
        >>> MessageStart(id="msg_1", model="claude").role
        'assistant'
    """

    id: str | None = None
    """The provider's id of the answer."""
    model: str | None = None
    """The model that answers, as the server names it."""
    role: str = "assistant"
    """Who speaks."""
    another: bool = field(default=False, repr=False)
    """Whether it is another answer on the same connection, after one that had ended."""


@dataclass(slots=True, init=False)
class TextDelta(PartEvent):
    """More text of the answer.

    Example:
        >>> TextDelta("Hel").text
        'Hel'
    """

    text: str
    """The piece, never empty."""

    def __init__(self, text: str, *, choice: int = 0, part: int = 0, raw: Any = None) -> None:  # noqa: ANN401 - any payload
        self.text = text
        self.choice = choice
        self.part = part
        self._raw = raw


@dataclass(slots=True, init=False)
class ReasoningDelta(PartEvent):
    """More of the model's reasoning, or the signature that lets it be sent back.

    Example:
        >>> ReasoningDelta("Let me see").text
        'Let me see'
    """

    text: str
    """The piece; empty when the event carries a signature."""
    signature: str | None = None
    """The provider's signature of the part, or a piece of it."""

    def __init__(
        self,
        text: str,
        signature: str | None = None,
        *,
        choice: int = 0,
        part: int = 0,
        raw: Any = None,  # noqa: ANN401 - any payload
    ) -> None:
        self.text = text
        self.signature = signature
        self.choice = choice
        self.part = part
        self._raw = raw


@dataclass(slots=True)
class RefusalDelta(PartEvent):
    """More of the words in which the model declines.

    Example:
        >>> RefusalDelta("I can't").text
        "I can't"
    """

    text: str
    """The piece, never empty."""


@dataclass(slots=True)
class ToolCallStart(CallEvent):
    """The model has begun to call a tool.

    Example:
        >>> ToolCallStart("call_1", "get_weather").name
        'get_weather'
    """

    id: str
    """The call's id; made up here where the server sends none."""
    name: str
    """The tool's name."""
    type: str = "function"
    """What is called: "function", "custom" (free text as input), "function_call" (the legacy form)."""
    provider_data: dict[str, Any] | None = None
    """Fields of the call that only this provider has."""


@dataclass(slots=True, init=False)
class ToolCallDelta(CallEvent):
    """More of a tool call's arguments.

    Example:
        >>> delta = ToolCallDelta("call_1", '{"city": "Os')
        >>> delta.fragment, delta.partial_arguments
        ('{"city": "Os', {'city': 'Os'})
    """

    id: str
    """The call's id."""
    fragment: str
    """Raw text of the arguments, meaningful only once joined."""

    def __init__(self, id: str, fragment: str, *, choice: int = 0, part: int = 0, raw: Any = None) -> None:  # noqa: ANN401 - the field's word; any payload
        self.id = id
        self.fragment = fragment
        self.choice = choice
        self.part = part
        self._raw = raw

    @property
    def partial_arguments(self) -> Any:  # noqa: ANN401 - any JSON value
        """The call's arguments as far as they have come, for looking: the value goes on growing.

        Strings show as they grow, numbers and literals once their end is seen; of
        a custom tool's input it is the text. None while nothing can be shown.
        Broken arguments stay as they were before the fault. It costs something only
        where it is asked for, and then what has come since it was asked last.

        An event that no stream or decoder has given, such as one that was
        unpickled, knows its own fragment alone.
        """
        return self._arguments().value

    @property
    def lenient_arguments(self) -> Any:  # noqa: ANN401 - any JSON value
        """The same as `partial_arguments`, read as what is almost JSON.

        Some servers do not check what a model writes: raw line breaks, stray
        backslashes, commas too many.

        Example:
            >>> ToolCallDelta("call_1", "{'city': 'Os").lenient_arguments
            {'city': 'Os'}
        """
        return self._arguments().lenient_value

    def _arguments(self) -> Any:  # noqa: ANN401 - an `Arguments`, whose type is not imported
        arguments = getattr(self, "_link", None)
        if arguments is None:
            from tokenstream._growing import Arguments

            arguments = self._link = Arguments()
            arguments.append(self.fragment)
        return arguments


@dataclass(slots=True)
class ToolCallDone(PartEvent):
    """A tool call is whole and may be run; each is handed out once.

    Example:
        >>> from tokenstream.message import ToolCall
        >>> ToolCallDone(ToolCall(id="call_1", name="now", complete=True)).call.name
        'now'
    """

    call: ToolCall
    """The call, complete."""


@dataclass(slots=True)
class PartStart(PartEvent):
    """A part of the message has begun (a tool call's begins with `ToolCallStart`).

    Example:
        >>> from tokenstream.message import TextPart
        >>> PartStart(TextPart()).content.kind
        'text'
    """

    content: Part
    """The part with what is known of it already."""


@dataclass(slots=True)
class PartDelta(PartEvent):
    """More of a part that has no delta of its own, such as a server tool's arguments.

    Example:
        >>> PartDelta('{"query"').fragment
        '{"query"'
    """

    fragment: str
    """Raw text, meaningful only once joined."""


@dataclass(slots=True)
class PartDone(SummingPartEvent):
    """A part of the message has ended.

    A tool call ends with `ToolCallDone`, or, where its arguments are no JSON, with
    this: the call is `content` then, its `complete` False, and it is not to be run.

    Example:
        >>> from tokenstream.message import TextPart
        >>> PartDone(TextPart(text="Hello", complete=True)).content.text
        'Hello'
    """

    content: Part | None = None
    """The part; filled in when the event is handed out."""


@dataclass(slots=True)
class CitationAdded(PartEvent):
    """A source was named for what the answer says.

    Example:
        >>> from tokenstream.message import Citation
        >>> CitationAdded(Citation(url="https://example.org")).citation.url
        'https://example.org'
    """

    citation: Citation
    """The source; it is a part of the message of its own."""


@dataclass(slots=True)
class MediaDelta(PartEvent):
    r"""More of an image, of audio, or of what the audio says.

    Example:
        >>> MediaDelta(bytes(2)).data
        b'\x00\x00'
    """

    data: bytes = b""
    """The piece, decoded."""
    transcript: str = ""
    """More of what the audio says, in words."""


@dataclass(slots=True)
class UsageUpdate(AnswerEvent):
    """Token counts were reported; a later report replaces the fields that it has.

    Example:
        >>> from tokenstream.message import Usage
        >>> UsageUpdate(Usage(output_tokens=3)).usage.output_tokens
        3
    """

    usage: Usage
    """The counts of this report alone."""


@dataclass(slots=True)
class Finish(AnswerEvent):
    """The provider said why generation of one choice ended.

    Example:
        >>> Finish("length", "max_tokens").reason
        'length'
    """

    reason: FinishReason
    """The reason in words that do not depend on the provider."""
    raw_reason: str | None = None
    """The provider's own word."""
    message: str | None = None
    """The provider's sentence about it, where it sends one."""


@dataclass(slots=True)
class Ping(AnswerEvent):
    """A sign of life without content; given only where `pings=True`.

    Example:
        >>> Ping().part is None
        True
    """


@dataclass(slots=True)
class Restarted(SummingEvent):
    """The answer begins again from zero, because the one before broke off: forget that.

    Example:
        >>> from tokenstream.message import Message, TextPart
        >>> Restarted(Message(parts=(TextPart(text="Hel"),))).discarded.text
        'Hel'
    """

    discarded: Message
    """What the answer had come to that is given up."""
    error: StreamError | None = field(default=None, repr=False, compare=False)
    """What broke it off; None where nobody knows."""


@dataclass(slots=True)
class Resumed(AnswerEvent):
    """The answer goes on where it broke off, over another connection.

    Example:
        >>> Resumed(dropped=2).mode
        'resume'
    """

    mode: Literal["resume", "continue"] = "resume"
    """How: the server replays from the position that was told to it, or a model was asked to go on."""
    dropped: int = 0
    """How much came a second time and was dropped: frames of a replay, characters of a continuation."""
    confidence: float = 1.0
    """How sure it is, from 0 to 1, that nothing is missing or doubled at the seam; a position is certain."""


@dataclass(slots=True)
class Stopped(AnswerEvent):
    """A guard has stopped the answer: this is its last event, and nothing more is read.

    Example:
        >>> Stopped("off topic").reason
        'off topic'
    """

    reason: str
    """Why, in the words of the guard."""


@dataclass(slots=True)
class StepStart(AnswerEvent):
    """A step of a run has begun; what belongs to it has its id as `.step`.

    Example:
        >>> StepStart("1", "search", agent="researcher").parent is None
        True
    """

    id: str
    """The step's id, one of its own in the run."""
    name: str
    """What the step does, such as the name of the tool that it runs."""
    parent: str | None = None
    """The id of the step that it is a part of; None for those of the run itself."""
    agent: str | None = None
    """Who does it."""
    cause: ToolCall | None = None
    """The tool call that started it, with the id under which the run's events have it."""


@dataclass(slots=True)
class StepDone(AnswerEvent):
    """A step of a run has ended.

    Example:
        >>> StepDone("1", "failed", "TimeoutError").state
        'failed'
    """

    id: str
    """The step's id."""
    state: Literal["done", "failed", "stopped"] = "done"
    """How it ended: "stopped" where it was cancelled, or left open when the run ended."""
    error: str | None = None
    """What went wrong, in words; None where nothing did."""


@dataclass(slots=True)
class Unknown(AnswerEvent):
    """Something that this library has no word for, carried as it came.

    Example:
        >>> Unknown("service_tier", "default", kind="field").name
        'service_tier'
    """

    name: str
    """The event's type, or the field's name."""
    data: Any
    """The payload, or the field's value."""
    kind: Literal["event", "field", "items"] = "event"
    """A whole payload; a field, kept in `message.provider_data` (the last value counts); or list items,
    which are added to those already there."""
    shared: bool = False
    """Whether a field belongs to the answer as a whole and not to one choice."""


Event: TypeAlias = (
    MessageStart
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallDone
    | PartStart
    | PartDelta
    | PartDone
    | CitationAdded
    | MediaDelta
    | UsageUpdate
    | Finish
    | Ping
    | Restarted
    | Resumed
    | Stopped
    | StepStart
    | StepDone
    | Unknown
)
"""Every kind of event, for `match` and `assert_never`; a minor release may add some."""
