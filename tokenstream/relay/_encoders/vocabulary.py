"""The vocabulary of a format: the kinds of content that it can express, and its words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import NotExpressible, ProtocolError
from tokenstream.events import (
    CitationAdded,
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import Usage
from tokenstream.turns._drop import names_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.events import Event
    from tokenstream.message import Ending, FinishReason
    from tokenstream.turns import Drop, Kind

_KINDS: dict[type, Kind] = {
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
_CALLS: frozenset[Kind] = frozenset({"tool_call", "custom_tool_call"})
PHRASES: dict[Kind, str] = {
    "text": "text",
    "reasoning": "reasoning",
    "refusal": "a refusal",
    "tool_call": "a tool call",
    "custom_tool_call": "a call of a custom tool",
    "server_tool_call": "a call of a tool that the provider runs",
    "server_tool_result": "the result of a tool that the provider runs",
    "citation": "a citation",
    "media": "media",
    "opaque": "a part that only its own provider knows",
}
"""Names of kinds of parts in error messages."""

_RELATED_REASONS: dict[FinishReason, FinishReason] = {
    "content_filter": "refusal",
    "refusal": "content_filter",
}
"""Maps reasons to the reason that comes closest, for formats that know only one of them."""
_LOSSES: frozenset[FinishReason] = frozenset({"content_filter", "refusal", "length", "error"})
"""Reasons that an answer has an end which its reader should not take for success."""
CUT_REASONS: frozenset[FinishReason] = frozenset({"length", "content_filter", "cancelled"})
"""The finish reasons by which the part that was being written was cut off."""
MODEL = "scripted-1"
"""The name of the model, if no event contains a name."""
CREATED = "2026-01-01T00:00:00Z"
"""The time of creation; constant, so that the output does not depend on a clock."""


class Vocabulary:
    """Base class of `Encoder` that describes a format: the content that it can express, and its words.

    It also holds the answer's id, model and token counts.

    Args:
        drop: Names of the kinds of content to leave out if the format cannot express them, or "all".
    """

    name: ClassVar[str]
    """The format's name."""
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    further_headers: ClassVar[Mapping[str, str]] = {}
    """Headers that a response needs besides those that all protocols have."""
    heartbeat: ClassVar[bytes] = b""
    """The heartbeat of a format that is not SSE; empty if it has none. In SSE formats, it is a comment."""
    has_ids: ClassVar[bool] = False
    """True if events can have ids in a format that is not SSE. In SSE formats, they always can."""
    messages: ClassVar[bool] = False
    """True if the format is sent over a WebSocket; each chunk is then one message."""
    expresses: ClassVar[frozenset[Kind]]
    """Kinds of parts that the format can express."""
    counts: ClassVar[frozenset[str]] = frozenset({"input_tokens", "output_tokens", "total_tokens"})
    """Fields of a `Usage` that the format can express."""
    words: ClassVar[Mapping[FinishReason, str]]
    """The provider's words for the finish reasons that the format can express."""
    stand_ins: ClassVar[Mapping[FinishReason, str]] = {}
    """Words for reasons that the format does not know, if `drop` is "all": none may look like success."""
    choices: ClassVar[bool] = False
    """True if an answer may have several choices."""
    names_calls: ClassVar[bool] = True
    """True if the ids of tool calls are sent."""
    default_id: ClassVar[str] = ""
    """The id of the answer, if no event contains an id."""

    def __init__(self, *, drop: Drop = ()) -> None:
        self.drop = names_of(drop)
        self.id: str | None = None
        """The answer's id; None until it is known."""
        self.model: str | None = None
        self.usage = Usage()
        """The token counts so far, of all requests for the answer."""
        self._usage_before: Usage | None = None
        """The token counts of the requests before the last one; None if there was only one."""
        self._last_usage = Usage()
        """The token counts of the last request."""
        self.lost_reasons: set[FinishReason] = set()
        """Finish reasons for which a word for an ordinary end was sent."""
        self.lost_events: set[str] = set()
        """Names of the classes of events that were left out because the format cannot express them."""
        self.ending: Ending | None = None
        """The ending of the answer; set only while the tail or the error of a relayed answer is encoded."""
        self._kinds: dict[tuple[int, int], Kind] = {}
        """The kind of each part so far, by choice and index."""
        self._call_ids: dict[tuple[int, int], str] = {}
        """The id of each tool call, by choice and index."""
        self._ended_calls: set[tuple[int, int]] = set()
        """Choice and index of the tool calls that have ended."""

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
        return not _CALLS.isdisjoint(self._kinds.values())

    def name_counts(self, names: Mapping[str, str]) -> dict[str, int]:
        """Return the known token counts under the provider's names.

        Args:
            names: Maps each field of `Usage` to the provider's name for this count.
        """
        counts = {theirs: getattr(self.usage, ours) for ours, theirs in names.items()}
        return {name: count for name, count in counts.items() if count is not None}

    def choose_reason(self, reason: FinishReason) -> FinishReason:
        """Return the finish reason to send for the finish reason of an event.

        1. The reason itself, if the format has a word for it.
        2. "stop", if the reason is "tool_calls" and the answer has calls: the client sees the calls anyway.

        The other rules apply only if `drop` is "all":

        3. The reason itself, if the format has a stand-in for the missing word.
        4. "refusal" in place of "content_filter", or the reverse, if the format has a word for it.
        5. "stop". If the reader should not take the end for success, the reason is added to `lost_reasons`.

        Raises:
            NotExpressible: None of these rules applies.
        """
        if reason in self.words:
            return reason
        if reason == "tool_calls" and self.has_calls():
            return "stop"
        if "all" not in self.drop:
            raise self.not_expressible(f"the finish reason {reason!r}")
        if reason in self.stand_ins:
            return reason
        related = _RELATED_REASONS.get(reason)
        if related is not None and related in self.words:
            return related
        if reason in _LOSSES:
            self.lost_reasons.add(reason)
        return "stop"

    def count_tokens(self, counts: dict[str, Any]) -> None:
        """Replace token counts of the last request by those of a later report."""
        self._last_usage = self._last_usage.model_copy(update=counts)
        before = self._usage_before
        self.usage = self._last_usage if before is None else before + self._last_usage

    def begin_request(self) -> None:
        """Count the tokens of another request, with which the answer goes on, in addition to those so far."""
        self._usage_before, self._last_usage = self.usage, Usage()

    def word_for(self, reason: FinishReason) -> str:
        """Return the provider's word for the finish reason that `choose_reason` chooses.

        Raises:
            NotExpressible: The format has no word for the reason, and no other reason may replace it.
        """
        sent = self.choose_reason(reason)
        return self.words[sent] if sent in self.words else self.stand_ins[sent]

    def not_expressible(self, what: str, kind: Kind | None = None) -> NotExpressible:
        """Return the error for content that the format cannot express.

        Args:
            what: A description of the content.
            kind: The name of the content for `drop=`; None if it has no name.
        """
        return NotExpressible(
            f"the format {self.name!r} has no place for {what}: leave it out, or take another format",
            kinds={} if kind is None else {kind: 1},
        )

    def omit(self, what: str, kind: Kind) -> tuple[()]:
        """Return no payloads for content that the format cannot express, if `drop` allows leaving it out.

        Args:
            what: A description of the content.
            kind: The name of the content for `drop=`.

        Raises:
            NotExpressible: `drop` does not allow leaving the content out.
        """
        if self.drop & {kind, "all"}:
            return ()
        raise self.not_expressible(what, kind)

    def lose(self, event: AnyEvent) -> tuple[()]:
        """Return no payloads for an event that the format cannot express; add its class to `lost_events`."""
        self.lost_events.add(event.__class__.__name__)
        return ()

    def require_drop_of_call(self, reason: FinishReason) -> None:
        """Require that `drop` allows losing a complete tool call.

        Because of the finish reason, the reader will think that the call is incomplete, and will not run it.

        Args:
            reason: The finish reason to send.

        Raises:
            NotExpressible: `drop` does not allow losing the call.
        """
        self.omit(f"a tool call that is whole before the finish reason {reason!r}", "tool_call")

    def leaves_out(self, event: Event) -> bool:
        """Return True if an event is to be left out.

        Raises:
            NotExpressible: The format cannot express the event, and `drop` does not allow leaving it out; or
                the event's part was of another kind before.
        """
        # Most formats have no place for a second choice.
        if event.choice and not self.choices:
            if "all" in self.drop:
                return True
            raise self.not_expressible(f"a second choice (choice {event.choice})")
        if event.part is None:
            # The event belongs to the answer, not to one of its parts.
            return False
        key = (event.choice, event.part)
        kind = self._kinds.get(key)
        if kind is not None:
            if self._is_stray(event, key, kind):
                return True
        else:
            kind = None if event.__class__ in _LATER else _kind_of(event)
            if kind is None:
                # The start of the part has not arrived, so this later event of it cannot be sent.
                return True
            self._kinds[key] = kind
            if isinstance(event, ToolCallStart):
                self._call_ids[key] = event.id
        if kind in self.expresses:
            return False
        self.omit(f"{PHRASES.get(kind, kind)} (part {event.part} of the answer)", kind)
        return True

    def _is_stray(self, event: Event, key: tuple[int, int], kind: Kind) -> bool:
        """Return True if an event of a tool call does not fit the call's earlier events.

        A call has one start, one end and one id: a second start, an event after the end, and an event with
        another id do not fit. The method also records the call's end. Events of other parts always fit.

        Args:
            event: An event of a part that has begun.
            key: The choice and the index of the part.
            kind: The kind of the part.

        Raises:
            NotExpressible: The part was of another kind before.
        """
        # A call may be of a custom tool, which only the start of the call shows.
        own_kind = _kind_of(event)
        if own_kind is not None and own_kind != kind and not {own_kind, kind} <= _CALLS:
            raise self.not_expressible(
                f"part {event.part} of the answer, which was {PHRASES.get(kind, kind)} before and now is "
                f"{PHRASES.get(own_kind, own_kind)}"
            )
        if kind not in _CALLS:
            return False
        has_ended = key in self._ended_calls
        if isinstance(event, ToolCallDone | PartDone):
            self._ended_calls.add(key)
        is_of_other_call = _call_id_of(event) not in (None, self._call_ids[key])
        return has_ended or is_of_other_call or isinstance(event, ToolCallStart)

    def drop_signature(self, event: ReasoningDelta) -> str:
        """Return the text of a piece of reasoning, without its signature.

        Raises:
            NotExpressible: The piece has a signature, and `drop` does not allow leaving it out.
        """
        if event.signature is not None:
            self.omit("a signature of reasoning", "signature")
        return event.text

    def parse_arguments(self, event: ToolCallDone) -> dict[str, Any] | None:
        """Return a call's arguments as an object; None if they are not an object: the call must be left out.

        Raises:
            NotExpressible: The arguments are not an object, and `drop` does not allow leaving the call out.
        """
        try:
            arguments = decode(event.call.arguments_text or "{}")
        except ProtocolError:
            arguments = None
        if is_dict(arguments):
            return arguments
        self.omit(
            f"arguments of a tool call that are no JSON object (part {event.part} of the answer)",
            "invalid_tool_call",
        )
        return None


def _kind_of(event: Event) -> Kind | None:
    """Return the kind of the part that an event belongs to; None if the event does not show it."""
    if isinstance(event, PartStart):
        return event.content.kind
    if isinstance(event, ToolCallStart) and event.type == "custom":
        return "custom_tool_call"
    return _KINDS.get(event.__class__)


def _call_id_of(event: Event) -> str | None:
    """Return the id of the call that an event belongs to; None if the event has none."""
    if isinstance(event, ToolCallDone):
        return event.call.id
    return event.id if isinstance(event, ToolCallDelta) else None
