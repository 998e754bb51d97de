"""Bedrock's Converse API for any model: ConverseStream, and Nova's native stream, which is alike."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list, text_of
from tokenstream.formats._base import Format
from tokenstream.formats._detect.unknown import HARNESS, refusal
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.errors import named_exception
from tokenstream.formats._kit.values import json_text, reasons_of, split_names
from tokenstream.formats._reader import find_cut, note_missing_start, note_second_start
from tokenstream.formats._wire.bedrock_converse.parts import ConverseBlocks
from tokenstream.framing._frames import INITIAL_RESPONSE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._kit.values import ReadersOf
    from tokenstream.message import FinishReason

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    reasons_of(
        stop="end_turn",
        tool_calls="tool_use",
        length="max_tokens model_context_window_exceeded",
        stop_sequence="stop_sequence",
        content_filter="guardrail_intervened content_filtered",
        error="malformed_model_output malformed_tool_use",
    )
)
USAGE = Counts(
    input_tokens="inputTokens",
    output_tokens="outputTokens",
    total_tokens="totalTokens",
    cached_tokens="cacheReadInputTokens|cacheReadInputTokenCount",
    cache_write_tokens="cacheWriteInputTokens|cacheWriteInputTokenCount",
    cache_write_1h_tokens="cacheDetails[1h]",
    element="inputTokens",
)
"""The token counts; those of the input do not include what was read from a cache or written to it."""

StartAndDeltas: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]]]
"""A block as a stream would send it: the fields of its start event, and its deltas in order."""


def is_whole(payload: JsonObject) -> bool:
    """Return whether a payload is an answer that was not streamed."""
    return is_list(dict_of(dict_of(payload, "output"), "message").get("content")) and "stopReason" in payload


def start_and_deltas(block: JsonObject) -> StartAndDeltas:
    """Return the start and the deltas that a block of a whole answer would have in a stream."""
    for name, convert in _CONVERTERS.items():
        value = block.get(name)
        if value is not None:
            return convert(value)
    # A block of another kind has no deltas, so all of it is its start.
    return block, []


def _convert_call(value: object) -> StartAndDeltas:
    if not is_dict(value) or value.get("input") is None:
        return {"toolUse": value}, []
    # Converse documents arguments as JSON values, a stream sends them as text.
    return {"toolUse": {**value, "input": json_text(value["input"])}}, []


def _convert_reasoning(value: object) -> StartAndDeltas:
    """Convert reasoning: return an empty start, and a delta with its text, signature or redacted content."""
    if not is_dict(value):
        # Malformed: it is reported as the start of a block.
        return {"reasoningContent": value}, []
    other_fields = {name: inner for name, inner in value.items() if name != "reasoningText"}
    return {}, [{"reasoningContent": {**dict_of(value, "reasoningText"), **other_fields}}]


def _convert_cited_text(value: object) -> StartAndDeltas:
    """Convert a cited text: return an empty start, and deltas with the citations and then with the text."""
    if not is_dict(value):
        # Malformed: it is reported as the start of a block.
        return {"citationsContent": value}, []
    citations = [{"citation": citation} for citation in dicts_of(value.get("citations"))]
    return {}, [*citations, *dicts_of(value.get("content"))]


_CONVERTERS: dict[str, Callable[[object], StartAndDeltas]] = {
    "text": lambda value: ({}, [{"text": value}]),
    "toolUse": _convert_call,
    "reasoningContent": _convert_reasoning,
    "citationsContent": _convert_cited_text,
}
"""Converters for blocks that a stream sends in another form; any other block is used as its start."""


_STREAM_EVENTS = split_names("messageStart contentBlockStart contentBlockDelta contentBlockStop messageStop")
_HOOK_EVENT = "hookEvent"
_HARNESS_FIELDS = frozenset({"serverName"})
_HARNESS_REASONS = split_names(
    "tool_result interrupted partial_turn max_iterations_exceeded max_output_tokens_exceeded timeout_exceeded"
)
"""Stop reasons that only messages of AgentCore's InvokeHarness have (botocore 1.43, `HarnessStopReason`)."""

_EVENT_FIELDS = split_names("role contentBlockIndex start delta stopReason usage")
"""The fields of events that are read."""


class BedrockConverse(Format[ConverseBlocks]):
    """The `bedrock-converse` format: the events of a stream, or a whole answer in one payload.

    In a binary event stream, each event has a name. From boto3 and gateways, an event is an object with the
    name as its only key.

    The answer is complete at `messageStop`, but token counts may follow, so the stream
    goes on to the end of the input.

    Example:
        >>> from tokenstream.framing import EventStreamMessage
        >>> converse = BedrockConverse()
        >>> [event.text for event in converse.feed(EventStreamMessage(
        ...     b'{"contentBlockIndex": 0, "delta": {"text": "Hel"}}', event="contentBlockDelta"))[1:]]
        ['Hel']
        >>> [event.text for event in converse.feed(
        ...     {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "lo"}}})]
        ['lo']
    """

    __slots__ = ("_has_head", "_stopped")

    _parts_class = ConverseBlocks
    name = "bedrock-converse"
    counted = USAGE
    # Of `ConverseResponse`, `MessageStopEvent` and `ConverseStreamMetadataEvent` in botocore.
    documented = split_names("additionalModelResponseFields metrics performanceConfig serviceTier trace")
    is_one_answer = True
    framing = "aws-eventstream"
    event_names = _STREAM_EVENTS
    # Gateways that convert the stream to server-sent events add this sentinel.
    sentinel = b"[DONE]"
    ends_twice = True
    closes_parts = True
    finish_reasons = FINISH_REASONS
    fast = Fast(
        texts=[("delta", "text"), ("delta", "reasoningContent", "text"), ("delta", "toolUse", "input")],
        # The checksum of an AWS message must be verified before its payload is used.
        units=frozenset(),
    )

    def _set_up(self) -> None:
        self._has_head = False
        """True once the start of the message has arrived."""
        self._stopped = False
        """True once the event `messageStop` has arrived."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:
        """Return whether a stream's first payload is of this format; None for the initial message of AWS."""
        if event == INITIAL_RESPONSE:
            # Other streams begin with this message, too.
            return None
        if event in _STREAM_EVENTS:
            return "role" in payload or "contentBlockIndex" in payload or "stopReason" in payload
        if event == "metadata":
            return "inputTokens" in dict_of(payload, "usage")
        # Without an event name, the name is a key of the payload, or of an object under "event".
        inner = payload.get("event")
        if len(payload) == 1 and is_dict(inner):
            payload = inner
        name = next((name for name in payload if name in _STREAM_EVENTS), "")
        body = payload.get(name)
        if is_dict(body):
            return cls.recognises(body, name)
        if is_whole(payload) or (not event and named_exception(payload) is not None):
            return True
        return "inputTokens" in dict_of(dict_of(payload, "metadata"), "usage")

    @property
    def finished(self) -> bool:
        return self._stopped or super().finished

    def judge_end(self) -> None:
        if self.error is None and not self.ended and self.finished:
            self.conclude()

    def read(self, payload: JsonObject, event: str) -> None:
        reader = self._READERS.get(event)
        if reader is not None:
            reader(self, payload)
            return
        if event == _HOOK_EVENT or _HOOK_EVENT in payload:
            self._stopped, self.error = False, refusal(HARNESS)
            return
        # Without an event name, the names are keys of the payload.
        names = [name for name in payload if name in self._READERS and is_dict(payload[name])]
        for name in names:
            self._READERS[name](self, payload[name])
        if names:
            self.parts.report_unknown_fields(payload, names)
        else:
            self._read_other(payload, event)

    def follow(self, delta: Event) -> DeltaCallback | None:
        payload = dict_of(delta.raw, "contentBlockDelta") or delta.raw
        reasoning = dict_of(dict_of(payload, "delta"), "reasoningContent")
        return always_decode if "redactedContent" in reasoning else None

    def _read_other(self, payload: JsonObject, event: str) -> None:
        """Read a payload that is not a known event: a wrapped event, an error, or a whole answer."""
        if event == INITIAL_RESPONSE:
            # The initial message of AWS has no content.
            return
        name = next(iter(payload), "")
        inner = payload.get(name)
        if not event and len(payload) == 1 and is_dict(inner):
            if name == "event":
                # Agents on AgentCore pass each of the model's events on as a value under this name.
                self.read(inner, "")
                return
            # An object with one key may be an exception, whose name is the key.
            self.error = named_exception(payload)
            if self.error is not None:
                return
        if is_whole(payload):
            self._read_whole(payload)
        else:
            self.parts.unknown(event or name or "event", payload)

    def _read_whole(self, payload: JsonObject) -> None:
        if self._has_head or self.parts.newest >= 0:
            self.note("content_twice")
            return
        message = payload["output"]["message"]
        self._read_message_start({name: value for name, value in message.items() if name != "content"})
        for index, (start, deltas) in enumerate(map(start_and_deltas, dicts_of(message.get("content")))):
            self.parts.start(index, start)
            for delta in deltas:
                self.parts.add_delta(index, delta, payload)
            self.parts.stop(index)
        # The remaining fields are those of a stream's last two events, `messageStop` and `metadata`.
        stop_fields = ("stopReason", "additionalModelResponseFields")
        # `ResponseMetadata` is about the HTTP response; boto3 adds it.
        not_metadata = (*stop_fields, "output", "ResponseMetadata")
        self._read_message_stop({name: payload[name] for name in stop_fields if name in payload})
        self._read_metadata({name: value for name, value in payload.items() if name not in not_metadata})
        self.conclude()

    # -- events --------------------------------------------------------------

    def _read_message_start(self, payload: JsonObject) -> None:
        """Report the message's role; if the start is repeated, close the open blocks."""
        if text_of(payload, "role") == "user":
            # The results of tools, in a message of their own: the stream has several messages.
            self.error = refusal(HARNESS)
            return
        if self._has_head:
            note_second_start(self)
            self.parts.cut()
        self._has_head = True
        self.parts.head(role=text_of(payload, "role"))
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS)

    def _read_block_start(self, payload: JsonObject) -> None:
        self._note_missing_start()
        start = dict_of(payload, "start")
        if not dict_of(start, "toolUse").keys().isdisjoint(_HARNESS_FIELDS):
            self.error = refusal(HARNESS)
            return
        self.parts.start(self.parts.find_index(payload.get("contentBlockIndex"), new=True), start)
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS)

    def _read_block_delta(self, payload: JsonObject) -> None:
        delta = dict_of(payload, "delta")
        self._note_missing_start()
        index = self.parts.find_index(payload.get("contentBlockIndex"), arguments="toolUse" in delta)
        self.parts.add_delta(index, delta, payload)
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS)

    def _read_block_stop(self, payload: JsonObject) -> None:
        self._note_missing_start()
        self.parts.stop(self.parts.find_index(payload.get("contentBlockIndex"), ends=True))
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS)

    def _read_message_stop(self, payload: JsonObject) -> None:
        """Record the finish reason; without one, open calls may not be whole, and are not handed out."""
        self._note_missing_start()
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS)
        reason = text_of(payload, "stopReason")
        self._stopped = True
        if reason is None:
            self.note("finish_missing")
            self.error = find_cut(self)
        elif reason in _HARNESS_REASONS:
            self._stopped, self.error = False, refusal(HARNESS)
        else:
            self.parts.finish(0, self.finish_reasons.get(reason, "unknown"), reason)

    def _read_metadata(self, payload: JsonObject) -> None:
        """Report the token counts, the model that a prompt router chose, and all fields except `usage`."""
        self.parts.usage_in(payload, USAGE.read)
        model = text_of(dict_of(dict_of(payload, "trace"), "promptRouter"), "invokedModelId")
        if model is not None:
            self.parts.head(model=model)
        self.parts.report_unknown_fields(payload, _EVENT_FIELDS)

    # -- internals -----------------------------------------------------------

    def _note_missing_start(self) -> None:
        if not self._has_head:
            note_missing_start(self)

    _READERS: ClassVar[ReadersOf[BedrockConverse]] = {
        "messageStart": _read_message_start,
        "contentBlockStart": _read_block_start,
        "contentBlockDelta": _read_block_delta,
        "contentBlockStop": _read_block_stop,
        "messageStop": _read_message_stop,
        "metadata": _read_metadata,
    }
