"""The vocabulary of a format: the kinds of content that it can express, and its words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

from tokenstream.events import (
    CitationAdded,
    Event,
    InputTranscript,
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    StepDelta,
    StepDone,
    StepStart,
    StepUpdate,
    StepWaiting,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)
from tokenstream.message import MediaPart, ReasoningPart, TextPart, ToolCall, Usage
from tokenstream.relay._encoders.losses import PHRASES, Loss, Losses
from tokenstream.relay._encoders.values import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokenstream._basics.loose import AnyEvent, JsonObject
    from tokenstream._basics.waits import HeaderFields
    from tokenstream.errors import ErrorKind
    from tokenstream.message import Citation, Ending, FinishReason

FinishWords: TypeAlias = "Mapping[FinishReason, str]"
"""A provider's words for finish reasons."""
ErrorWords: TypeAlias = "Mapping[ErrorKind, str]"
"""A provider's words for kinds of errors."""
PartKey: TypeAlias = "tuple[int, int]"
"""The choice and the index of a part."""
_KINDS: dict[type, Loss] = {
    TextDelta: "text",
    ReasoningDelta: "reasoning",
    RefusalDelta: "refusal",
    ToolCallStart: "tool_call",
    ToolCallDelta: "tool_call",
    ToolCallDone: "tool_call",
    CitationAdded: "citation",
    MediaDelta: "media",
}
"""Maps classes of events to the kind of part that these events belong to."""
_LATER = frozenset({ToolCallDelta, ToolCallDone, PartDelta, PartDone})
"""Classes of events that are never a part's first event."""
CALLS: frozenset[Loss] = frozenset({"tool_call", "custom_tool_call"})
"""Kinds of parts that are calls of the application's tools."""
BASICS: frozenset[Loss] = frozenset({"text", "reasoning", "tool_call"})
"""Kinds of parts that most formats can express."""
SERVER_TOOLS: frozenset[Loss] = frozenset({"server_tool_call", "server_tool_result"})
PROOFS: frozenset[Loss] = frozenset({"encrypted_reasoning", "signature"})
"""Fields of reasoning that only its provider can read."""
CITATIONS: frozenset[Loss] = frozenset({"citation", "citation_span"})
"""Citations, and the place in the answer that each is for."""
_EVENTS_OF_RUNS: dict[type, Loss] = {
    ToolResult: "tool_result",
    **dict.fromkeys((StepStart, StepDone, StepDelta, StepUpdate, StepWaiting), "step"),
}
"""Maps classes of events that belong to no part to the names of their losses."""
_DETAILED = frozenset({PartStart, PartDone, CitationAdded, MediaDelta})
"""Classes of events with fields that not every format has a place for, although it has one for the part."""
_RELATED_REASONS: dict[FinishReason, FinishReason] = {
    "content_filter": "refusal",
    "refusal": "content_filter",
}
"""Maps reasons to the reason that comes closest, for formats that know only one of them."""
CUT_REASONS: frozenset[FinishReason] = frozenset({"length", "content_filter", "cancelled"})
"""The finish reasons by which the part that was being written was cut off."""
MODEL = "scripted-1"
CREATED = "2026-01-01T00:00:00Z"
"""The time of creation; constant, so that the output does not depend on a clock."""


class Vocabulary:
    """Base class of `Encoder` that describes a format: the content that it can express, and its words.

    It also holds the answer's id, model and token counts.
    """

    name: ClassVar[str]
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    further_headers: ClassVar[HeaderFields] = {}
    heartbeat: ClassVar[bytes] = b""
    """The heartbeat of a format that is not SSE; empty if it has none. In SSE formats, it is a comment."""
    has_ids: ClassVar[bool] = False
    """True if events can have ids in a format that is not SSE. In SSE formats, they always can."""
    messages: ClassVar[bool] = False
    """True if the format is sent over a WebSocket; each chunk is then one message."""
    expresses: ClassVar[frozenset[Loss]]
    """Names, as for losses, of what the format can express: kinds of parts, and the fields of parts that
    `_details_of` finds.
    """
    counts: ClassVar[frozenset[str]] = frozenset({"input_tokens", "output_tokens", "total_tokens"})
    words: ClassVar[FinishWords]
    """The provider's words for the finish reasons that the format can express."""
    stand_in: ClassVar[str] = ""
    """The word for `content_filter` and `refusal` in a format that knows neither, if losses are allowed: they
    must not look like success. Empty in other formats.
    """
    choices: ClassVar[bool] = False
    sends_whole_calls: ClassVar[bool] = False
    """True if a tool call is sent when it is complete, and otherwise not at all."""
    names_calls: ClassVar[bool] = True
    default_id: ClassVar[str] = ""
    """The id of the answer, if no event contains an id."""

    def __init__(self, *, lossy: bool = False) -> None:
        self._lossy = lossy
        self.reset()

    def reset(self) -> None:
        """Set all attributes to their values before the first event."""
        self.losses = Losses(self.name, allowed=self._lossy)
        self.id: str | None = None
        self.model: str | None = None
        self.usage = Usage()
        """The token counts so far, of all requests for the answer."""
        self._usage_before: Usage | None = None
        """The token counts of the requests before the last one; None if there was only one."""
        self._last_usage = Usage()
        self._says_refusals = "refusal" not in self.expresses and self._lossy
        """True if refusals are sent as text, since the format has no place for them."""
        self.ending: Ending | None = None
        """The ending of the answer; set only while the tail or the error of a relayed answer is encoded."""
        self._kinds: dict[PartKey, Loss] = {}
        self._call_ids: dict[PartKey, str] = {}
        self._ended_calls: set[PartKey] = set()

    @property
    def answer_id(self) -> str:
        """The answer's id; constant after the first access."""
        self.id = self.id or self.default_id
        return self.id

    @property
    def answer_model(self) -> str:
        """The model's name; constant after the first access."""
        self.model = self.model or MODEL
        return self.model

    def has_calls(self) -> bool:
        """Return True if the answer has called tools of the application, even if the calls were left out."""
        return not CALLS.isdisjoint(self._kinds.values())

    def name_counts(self, names: Mapping[str, str]) -> dict[str, int]:
        counts = {theirs: getattr(self.usage, ours) for ours, theirs in names.items()}
        return {name: count for name, count in counts.items() if count is not None}

    def choose_reason(self, reason: FinishReason) -> FinishReason:
        """Return the finish reason to send for the finish reason of an event.

        1. The reason itself, if the format has a word for it.
        2. "stop", if the reason is "tool_calls" and the answer has calls: the client sees the calls anyway.

        The other rules apply only if losses are allowed:

        3. The reason itself, if the format has a stand-in for the missing word.
        4. "refusal" in place of "content_filter", or the reverse, if the format has a word for it.
        5. "stop".
        """
        if reason in self.words:
            return reason
        if reason == "tool_calls" and self.has_calls():
            return "stop"
        self.omit_reason(reason)
        related = _RELATED_REASONS.get(reason)
        if related is not None and self.stand_in:
            return reason
        return related if related is not None and related in self.words else "stop"

    def omit_reason(self, reason: FinishReason) -> None:
        """Note the loss of a finish reason; "tool_calls" is lost only without a call."""
        suffix = " without a tool call" if reason == "tool_calls" else ""
        self.omit(f"the finish reason {reason!r}{suffix}", "finish_reason", [f"{reason}{suffix}"])

    def count_tokens(self, counts: JsonObject) -> None:
        """Replace token counts of the last request by those of a later report."""
        self._last_usage = self._last_usage.model_copy(update=counts)
        before = self._usage_before
        self.usage = self._last_usage if before is None else before + self._last_usage

    def begin_request(self) -> None:
        """Count the tokens of another request, with which the answer goes on, in addition to those so far."""
        self._usage_before, self._last_usage = self.usage, Usage()

    def word_for(self, reason: FinishReason) -> str:
        return self.words.get(self.choose_reason(reason), self.stand_in)

    def omit(
        self, what: str, kind: Loss, details: Iterable[str] | None = None, *, part: int | None = None
    ) -> tuple[()]:
        """Return no payloads for content that has no place in the format; see `Losses.add`."""
        self.losses.add(what, kind, details, part=part)
        return ()

    def omit_kind(self, kind: Loss, part: int | None = None) -> tuple[()]:
        """Return no payloads for a kind of content for which the format has no place at all."""
        return self.omit(PHRASES[kind], kind, part=part)

    def lose(self, event: AnyEvent) -> tuple[()]:
        """Return no payloads for an event of a class for which the format has no place.

        An event whose class is newer than this encoder is always left out.
        """
        if event.__class__ in (ToolProgress, InputTranscript):
            # Nothing is lost of the answer: one was for the time until the result, one is the user's.
            return ()
        kind = _EVENTS_OF_RUNS.get(event.__class__)
        if kind is None:
            self.losses.unknown_events.add(event.__class__.__name__)
            return ()
        return self.omit_kind(kind)

    def leaves_out(self, event: Event) -> bool:
        """Return True if an event is left out; NotExpressible if that is not allowed.

        It is also NotExpressible if the event's part was of another kind before.
        """
        # Most formats have no place for a second choice.
        if event.choice and not self.choices:
            self.omit(f"a second choice (choice {event.choice})", "choice", ())
            return True
        if event.part is None:
            # The event belongs to the answer, not to one of its parts.
            return False
        key = (event.choice, event.part)
        kind = self._kinds.get(key)
        if kind is not None:
            if self._is_stray(event, key, kind):
                return True
        else:
            kind = None if event.__class__ in _LATER else self._kind_of(event)
            if kind is None:
                # The start of the part has not arrived, so this later event of it cannot be sent.
                return True
            self._kinds[key] = kind
            if isinstance(event, ToolCallStart):
                self._call_ids[key] = event.id
        if kind in self.expresses:
            if event.__class__ in _DETAILED:
                self._omit_details(event)
            return False
        if kind not in self.losses:
            self.omit_kind(kind, event.part)
        return True

    def _kind_of(self, event: Event) -> Loss | None:
        kind = _find_part_kind(event)
        return "text" if kind == "refusal" and self._says_refusals else kind

    def _omit_details(self, event: AnyEvent) -> None:
        if self.sends_whole_calls and isinstance(event, PartDone) and isinstance(event.content, ToolCall):
            # The call has ended without a `ToolCallDone`, because its arguments are no JSON.
            self.omit_kind("invalid_tool_call", event.part)
        if isinstance(event, CitationAdded) and self.is_own_citation(event.citation):
            return
        for kind in _details_of(event):
            if kind not in self.expresses and kind not in self.losses:
                self.omit_kind(kind, event.part)

    def _is_stray(self, event: Event, key: PartKey, kind: Loss) -> bool:
        """Return True if an event of a tool call does not fit the call's earlier events.

        A call has one start, one end and one id: a second start, an event after the end, and an event with
        another id do not fit. The method also records the call's end. Events of other parts always fit.
        """
        # A call may be of a custom tool, which only the start of the call shows.
        own_kind = _find_part_kind(event)
        is_of_kind = own_kind is None or own_kind == kind or {own_kind, kind} <= CALLS
        if own_kind is not None and not is_of_kind and self._kind_of(event) != kind:
            self.omit(
                f"part {event.part} of the answer, which was {PHRASES[kind]} before and now is "
                f"{PHRASES[own_kind]}",
                own_kind,
            )
            return True
        if kind not in CALLS:
            return False
        has_ended = key in self._ended_calls
        if isinstance(event, ToolCallDone | PartDone):
            self._ended_calls.add(key)
        id = self._call_ids[key]
        if isinstance(event, ToolCallDone | ToolCallDelta):
            id = event.call.id if isinstance(event, ToolCallDone) else event.id
        is_of_other_call = id != self._call_ids[key]
        return has_ended or is_of_other_call or isinstance(event, ToolCallStart)

    def is_own_citation(self, citation: Citation) -> bool:
        """Return True if the provider itself has sent a citation, which is then sent unchanged."""
        return False

    def drop_signature(self, event: ReasoningDelta) -> str:
        if event.signature is not None:
            self.omit_kind("signature")
        return event.text

    def parse_arguments(self, event: ToolCallDone) -> JsonObject | None:
        """Return a call's arguments as an object; None if they are not one: the call must be left out."""
        arguments = parse_object(event.call.arguments_text)
        if arguments is None:
            self.omit_kind("invalid_tool_call", event.part)
        return arguments


def _find_part_kind(event: Event) -> Loss | None:
    """Return the kind of the part that an event belongs to; None if the event does not show it."""
    if isinstance(event, PartStart):
        return event.content.kind
    if isinstance(event, ToolCallStart) and event.type == "custom":
        return "custom_tool_call"
    return _KINDS.get(event.__class__)


def _details_of(event: AnyEvent) -> list[Loss]:
    """Return the names of the fields that an event adds to its part, and that not every format has."""
    fields: dict[Loss, object] = {}
    if isinstance(event, MediaDelta):
        fields["transcript"] = event.transcript
    elif isinstance(event, CitationAdded):
        fields["citation_text"] = event.citation.text
        fields["citation_span"] = (event.citation.start, event.citation.end) != (None, None)
    else:
        content = event.content
        if isinstance(content, TextPart):
            fields["phase"] = content.phase
        elif isinstance(content, ReasoningPart):
            fields["encrypted_reasoning"] = content.redacted
            fields["signature"] = content.signature
        elif isinstance(content, MediaPart):
            fields["media_url"] = content.url is not None and not content.data
            fields["transcript"] = content.transcript
    return [kind for kind, value in fields.items() if value]
