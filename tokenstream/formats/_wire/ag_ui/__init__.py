"""AG-UI, the protocol between agents and user interfaces."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, get_args

from tokenstream._basics.untrusted import (
    count_of,
    dict_of,
    dicts_of,
    fields_except,
    float_of,
    is_dict,
    text_of,
    text_or_empty,
)
from tokenstream._values.parts import COUNTS, counts_of, make_usage
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.openai import finish_reason
from tokenstream.formats._kit.values import camel_case, split_names
from tokenstream.formats._reader import begins_another, note_missing_start
from tokenstream.formats._wire.ag_ui.parts import COMMON_FIELDS, PART_READERS, RunParts
from tokenstream.message import FinishReason, Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.values import ReadersOf, ReasonsOfWords

FINISH_REASONS: ReasonsOfWords = {
    **{reason: reason for reason in get_args(FinishReason)},
    "success": "stop",
    "interrupt": "pause",
}
"""Maps a run's outcome to a finish reason; a run without an outcome succeeded.

A relay of this library sends reasons for which AG-UI has no outcome in the metadata, under their own names.
"""
USAGE = Counts(
    input_tokens="inputTokens|input_tokens",
    output_tokens="outputTokens|output_tokens",
    total_tokens="totalTokens|total_tokens",
    reasoning_tokens="reasoningTokens|reasoning_tokens",
    cached_tokens="cachedInputTokens|cached_input_tokens",
    cache_write_tokens="cacheWriteInputTokens|cache_write_input_tokens",
    beside="usage.inputTokens|input_tokens|outputTokens|output_tokens|totalTokens|total_tokens|reasoningTokens"
    "|reasoning_tokens|cachedInputTokens|cached_input_tokens|cacheWriteInputTokens|cache_write_input_tokens",
)
"""AG-UI's names of token counts, of which an entry uses one."""
OUTCOMES = frozenset({"success", "interrupt", "cancelled"})

_CHUNK_EVENTS = frozenset({"TEXT_MESSAGE_CHUNK", "REASONING_MESSAGE_CHUNK", "TOOL_CALL_CHUNK"})
# These events do not belong to the message, so they do not complete a part that chunks are writing;
# an error cuts the part off.
_OUTSIDE_MESSAGE = split_names(
    "ACTIVITY_DELTA ACTIVITY_SNAPSHOT RAW REASONING_ENCRYPTED_VALUE RUN_ERROR SUBAGENT_ERROR "
    "SUBAGENT_FINISHED SUBAGENT_STARTED"
)
# State and activity events are for the application or its interface, so no part is made of them.
# Of activities, only the progress of a tool is read.
_REPORTED_AS_UNKNOWN = split_names(
    "ACTIVITY_DELTA ACTIVITY_SNAPSHOT CUSTOM MESSAGES_SNAPSHOT RAW REASONING_END REASONING_START "
    "STATE_DELTA STATE_SNAPSHOT STEP_FINISHED STEP_STARTED SUBAGENT_ERROR SUBAGENT_FINISHED "
    "SUBAGENT_STARTED THINKING_END THINKING_START"
)
_PYTHON_NAMES = split_names("thread_id run_id message_id tool_call_id tool_call_name entity_id")
"""The names of fields in Python, of which an event has one at least that was written with them."""
_ENVELOPE = frozenset({"id", "chunk"})
"""The fields of an event of TanStack AI with its position."""
_RUN_EVENTS = frozenset({"RUN_STARTED", "RUN_FINISHED", "RUN_ERROR"})
_RUN_IDS = split_names("threadId runId thread_id run_id")
_EVENT_TYPES = _RUN_EVENTS | _REPORTED_AS_UNKNOWN | PART_READERS.keys()
_OWN_TYPES = _RUN_EVENTS | PART_READERS.keys()
"""Types of the events that only this format has; those in `_REPORTED_AS_UNKNOWN` may be of any vocabulary."""


class AGUI(Format[RunParts]):
    """The `ag-ui` format: the events of one run of an agent.

    Example:
        >>> run = AGUI()
        >>> for event in run.feed(b'{"type":"RUN_STARTED","threadId":"t","runId":"r"}'):
        ...     print(type(event).__name__)
        MessageStart
        >>> for event in run.feed(b'{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"Hel"}'):
        ...     print(type(event).__name__)
        PartStart
        TextDelta
    """

    __slots__ = ("_started",)

    _parts_class = RunParts
    name = "ag-ui"
    counted = USAGE
    # Of the events about a run in ag-ui-protocol.
    documented = _EVENT_TYPES | split_names("input outcome parentRunId protocolVersion result threadId")
    sentinel = b"[DONE]"
    finish_reasons = MappingProxyType(FINISH_REASONS)
    fast = Fast(
        texts=[("delta",), ("chunk", "delta")],
        changing=[("timestamp",), ("id",), ("chunk", "timestamp")],
        # Agents attach the model's event, from which they made the AG-UI event, as `rawEvent`.
        asides=COMMON_FIELDS - {"type"},
        padding=frozenset(),
    )

    def _set_up(self) -> None:
        self._started = False
        """True once the run has begun; a second start is a departure from the documentation."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:  # noqa: ARG003 - names mean nothing here
        """Return whether a stream's first payload is an event of a run; None for one without content."""
        payload = unwrap(payload)
        kind = text_of(payload, "type")
        # Any vocabulary may have the words of a run, but not these fields.
        is_bare = kind in ("RUN_STARTED", "RUN_FINISHED") and payload.keys().isdisjoint(_RUN_IDS)
        return None if is_bare or kind in _REPORTED_AS_UNKNOWN else kind in _OWN_TYPES

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        payload = unwrap(payload)
        kind = text_of(payload, "type") or event
        return text_or_empty(payload, "runId") if kind == "RUN_STARTED" else None

    def read_sentinel(self) -> None:
        """Ignore the sentinel, which chat back ends append to every stream: a run ends with an event."""

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        return text_of(unwrap(payload), "type") in _EVENT_TYPES

    def read(self, payload: JsonObject, event: str) -> None:
        payload = unwrap(payload)
        kind = text_of(payload, "type") or event
        if kind not in _CHUNK_EVENTS and kind not in _OUTSIDE_MESSAGE:
            # A part that chunks write has no end event: any other event of the message ends it.
            self.parts.end_chunked_part()
        if kind not in _EVENT_TYPES:
            self.parts.unknown(kind or "event", payload)
            return
        if "type" not in payload:
            self.note("type_missing")
        if not self.parts.started:
            self._report_head(payload, kind)
        reader, part_reader = self._READERS.get(kind), PART_READERS.get(kind)
        if reader is not None:
            reader(self, payload)
        elif part_reader is not None:
            part_reader(self.parts, payload)
        elif kind == "SUBAGENT_STARTED":
            self.parts.read_subagent(payload)
        else:
            self.parts.unknown(kind, payload)

    # -- the run -----------------------------------------------------------

    def _report_head(self, payload: JsonObject, kind: str) -> None:
        """Report the start of the answer, with the run's id, which only events of the run itself have."""
        if kind not in ("RUN_STARTED", "RUN_ERROR"):
            note_missing_start(self)
        id, model = text_of(payload, "runId"), model_in_metadata(payload)
        self.parts.head(id=id if kind in _RUN_EVENTS else None, model=model)

    def _read_run_started(self, payload: JsonObject) -> None:
        """Report the run's id; a second start of the run is a departure from the documentation."""
        id = text_of(payload, "runId")
        if self._started:
            # A run that a run has begun is a part of it.
            is_inner = self.parts.id is not None and text_of(payload, "parentRunId") == self.parts.id
            if begins_another(self, None if is_inner else id, payload):
                return
        self._started = True
        self.parts.head(id=id, model=model_in_metadata(payload))
        self._report_unknown_fields(payload, "runId")

    def _read_run_finished(self, payload: JsonObject) -> None:
        """End the answer, with the run's token counts and its outcome as the finish reason."""
        self.parts.head(id=text_of(payload, "runId"), model=model_in_metadata(payload))
        self._read_usage(payload)
        self._report_unknown_fields(payload, "runId", "usage")
        self.parts.finish(0, self.finish_reasons.get(finish_word_of(payload), "unknown"), "RUN_FINISHED")
        self.conclude()

    def _read_run_error(self, payload: JsonObject) -> None:
        """Store the error that ended the run, and a finish reason that a relay of this library has sent."""
        self._read_usage(payload)
        word = own_finish_word(payload)
        if word is not None:
            self.parts.finish(0, self.finish_reasons[word], "RUN_ERROR")
        self._report_unknown_fields(payload, "message", "code", "usage")
        # The message, which the payload's own one replaces, makes even an empty payload count as an error.
        self.error = provider_error(
            {"error": {"message": "", **(fields_except(payload, *COMMON_FIELDS) or {})}}
        )

    def _read_usage(self, payload: JsonObject) -> None:
        """Report the token counts, and the model if all counts are of one model."""
        usage = usage_of(payload)
        if usage is not None:
            models = {text_of(report, "model") for report in dicts_of(payload.get("usage"))}
            if len(models) == 1:
                self.parts.head(model=models.pop())
            self.parts.usage(usage)

    def _report_unknown_fields(self, payload: JsonObject, *known: str) -> None:
        self.parts.report_unknown_fields(payload, (*known, *COMMON_FIELDS))

    _READERS: ClassVar[ReadersOf[AGUI]] = {
        "RUN_STARTED": _read_run_started,
        "RUN_FINISHED": _read_run_finished,
        "RUN_ERROR": _read_run_error,
    }


def unwrap(payload: JsonObject) -> JsonObject:
    """Return the event in an envelope of TanStack AI, with the names that AG-UI has for its fields.

    Quirk (TanStack AI 0.58, 2026-11): a server that keeps its answers sends JSON lines and WebSocket messages
    with the position of each event, `{"id": …, "chunk": …}` (stream-to-response.js).
    """
    chunk = payload.get("chunk")
    if payload.keys() == _ENVELOPE and is_dict(chunk) and "type" in chunk:
        payload = chunk
    if _PYTHON_NAMES.isdisjoint(payload):
        return payload
    # Servers in Python may write the names of the SDK's own fields.
    return {camel_case(name): value for name, value in payload.items()}


def finish_word_of(payload: JsonObject) -> str:
    """Return the word for which a run has ended: its outcome, or the finish reason in its metadata."""
    outcome = text_of(dict_of(payload, "outcome"), "type") or "success"
    sent = own_finish_word(payload) or _tanstack_finish_word(payload)
    if outcome == "success" and sent is not None:
        return sent
    return outcome if outcome in OUTCOMES else "unknown"


def own_finish_word(payload: JsonObject) -> str | None:
    """Return the word for a finish reason that a relay of this library has sent in metadata; None without."""
    sent = text_of(dict_of(dict_of(payload, "metadata"), "tokenstream"), "finishReason")
    return sent if sent in FINISH_REASONS else None


def model_in_metadata(payload: JsonObject) -> str | None:
    """Return the model that TanStack AI names in the metadata of a run's start or end; None without one."""
    return text_of(_tanstack_metadata(payload), "model")


def _tanstack_finish_word(payload: JsonObject) -> str | None:
    """Return the finish reason in TanStack AI's metadata, or "unknown" for an unknown word; None without."""
    word = text_of(_tanstack_metadata(payload), "finishReason")
    return None if word is None else finish_reason(word)


def _tanstack_metadata(payload: JsonObject) -> JsonObject:
    """Return what TanStack AI has put into the metadata of an event; empty if it has not sent it."""
    # Quirk (TanStack AI 0.58, 2026-10): AG-UI's `RUN_FINISHED` has no place for the finish reason and the
    # model, so both are in the metadata (strip-to-spec-middleware.ts).
    return dict_of(dict_of(payload, "metadata"), "tanstack")


def usage_of(payload: JsonObject) -> Usage | None:
    """Return the token counts of a run, summed over its models; None if no model reported any."""
    entries = dicts_of(payload.get("usage"))
    sent = dict_of(dict_of(dict_of(payload, "metadata"), "tokenstream"), "usage")
    if not entries and not sent:
        return None
    counts = counts_of(sum(map(USAGE.read, entries), start=Usage()))
    counts |= {name: count_of(sent, name) for name in COUNTS if name not in USAGE.fields}
    return make_usage({"usage": entries}, **counts | {"cost": float_of(sent, "cost")})
