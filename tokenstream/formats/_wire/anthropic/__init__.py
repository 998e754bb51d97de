"""Anthropic Messages, as sent by Anthropic, Vertex AI and servers that imitate them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, says_nothing, text_of
from tokenstream._values.parts import CONTEXT, counts_of, make_usage
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.values import marks_in, reasons_of, split_names, worst_of
from tokenstream.formats._reader import begins_another, end_at_mark, note_missing_start, type_of
from tokenstream.formats._wire.anthropic.parts import AnthropicBlocks

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.values import ReadersOf
    from tokenstream.message import Usage

FINISH_REASONS = reasons_of(
    stop="end_turn",
    stop_sequence="stop_sequence",
    length="max_tokens model_context_window_exceeded",
    tool_calls="tool_use",
    pause="pause_turn compaction",
    refusal="refusal",
)
COUNTED = Counts(
    input_tokens="input_tokens",
    output_tokens="output_tokens",
    reasoning_tokens="output_tokens_details.thinking_tokens",
    cached_tokens="cache_read_input_tokens",
    cache_write_tokens="cache_creation_input_tokens",
    cache_write_1h_tokens="cache_creation.ephemeral_1h_input_tokens",
    web_searches="server_tool_use.web_search_requests",
    beside="cache_creation.ephemeral_5m_input_tokens server_tool_use.web_fetch_requests"
    " iterations.input_tokens|output_tokens|cache_read_input_tokens|cache_creation_input_tokens",
)
"""The token counts of an answer, and of each of its `iterations`."""
_COUNTS = split_names("input_tokens output_tokens cached_tokens cache_write_tokens")
"""The counts that each of the `iterations` has."""
_BESIDE = frozenset({"compaction", "advisor_message"})
"""Types of `iterations` that did not write the answer."""

_STREAM_EVENTS: dict[str, str | None] = {
    "message_start": "message",
    "content_block_start": "content_block",
    "content_block_delta": "delta",
    "content_block_stop": "index",
    "message_delta": "delta",
    "message_stop": None,
}
"""Maps each type of event to the field that tells it from other vocabularies; to None if it has none."""
_ERROR_FIELDS = frozenset({"type", "error", "request_id"})
_ERROR_DETAILS = frozenset({"type", "message", "details"})
# Events that the SDK's stream helper adds to the server's events; they repeat the content.
_HELPER_EVENTS = split_names("text thinking input_json citation")
# Fields that are read, or have no meaning, by the object that has them. The SDK's stream helper adds the
# finished block or message to the events that end one.
_KNOWN_IN_STARTS_AND_ENDS = split_names("type message")
_KNOWN_IN_BLOCK_EVENTS = split_names("type index content_block")
_KNOWN_IN_DELTA_EVENTS = split_names("type index delta")
_KNOWN_IN_MESSAGE_DELTAS = split_names("type delta usage")
_END_FIELDS = split_names("type stop_reason stop_sequence stop_details")
_MESSAGE_FIELDS = _END_FIELDS | split_names("id role model content usage")
_KNOWN_IN_DELTAS = split_names(
    "type text thinking estimated_tokens signature partial_json citation content encrypted_content"
)


class Anthropic(Format[AnthropicBlocks]):
    """The `anthropic` format: the events of a stream, or a whole message in one payload.

    Example:
        >>> anthropic = Anthropic()
        >>> anthropic.feed({"type": "content_block_start", "index": 0,
        ...     "content_block": {"type": "text", "text": ""}})
        [PartStart(choice=0, part=0, content=TextPart(kind='text', text='', complete=False))]
        >>> [event.text for event in anthropic.feed({"type": "content_block_delta", "index": 0,
        ...     "delta": {"type": "text_delta", "text": "Hel"}})]
        ['Hel']
    """

    __slots__ = ("_has_head", "_iterations", "_start_was_whole")

    _parts_class = AnthropicBlocks
    name = "anthropic"
    counted = COUNTED
    # Of `Message` and `BetaMessage` in anthropic-sdk-python, and of the events about them.
    documented = split_names("container context_management diagnostics input_transformations")
    is_one_answer = True
    closes_parts = True
    event_names = frozenset(_STREAM_EVENTS)
    finish_reasons = FINISH_REASONS
    # A conflict (409) with another request is over soon, so a retry may help.
    retryable = MappingProxyType({"conflict": True, "conflict_error": True})
    # Some proxies end all streams with OpenAI's sentinel.
    sentinel = b"[DONE]"
    fast = Fast(texts=[("delta", "text"), ("delta", "thinking"), ("delta", "partial_json")])

    def _set_up(self) -> None:
        self._has_head = False
        """True once the start of the answer, or a whole answer, has been read."""
        self._start_was_whole = False
        """True if the start already contained the whole answer."""
        self._iterations: list[JsonObject] = []
        """The token counts of each request that the API has made for the answer; empty if it lists none."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:
        """Return whether a stream's first payload is of this format; None for a ping, which fits any."""
        kind = payload.get("type", event)
        if kind == "ping":
            return None
        if kind == "message":
            return isinstance(payload.get("content"), list) and "stop_reason" in payload
        if kind == "error":
            # Other APIs also send events of this type, but with other fields.
            details = dict_of(payload, "error")
            return "type" in details and details.keys() <= _ERROR_DETAILS and payload.keys() <= _ERROR_FIELDS
        if not isinstance(kind, str) or kind not in _STREAM_EVENTS:
            return False
        field = payload.get(_STREAM_EVENTS[kind] or "")
        # Our relay protocol and other servers have types of these names, too, but not these fields.
        return True if is_dict(field) or isinstance(field, int) else None

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        if (text_of(payload, "type") or event) != "message_start":
            return None
        return text_of(dict_of(payload, "message"), "id") or ""

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return whether a payload whose SSE event is named "error" is a regular event of this format."""
        return not payload.get("error") and text_of(payload, "type") in _STREAM_EVENTS

    def read(self, payload: JsonObject, event: str) -> None:
        kind = type_of(self, payload, event)
        if self.nameless:
            self.note("event_name_missing")
        reader = self._READERS.get(kind)
        if kind.startswith("content_block") and self._repeats_start():
            # The start already contained the whole answer.
            return
        if reader is not None:
            reader(self, payload)
        # An event of the SDK's stream helper has a snapshot, and only repeats content: it is ignored.
        elif kind not in _HELPER_EVENTS or "snapshot" not in payload:
            self.parts.unknown(kind or "event", payload)

    # -- events --------------------------------------------------------------

    def _read_ping(self, payload: JsonObject) -> None:
        """Read nothing: a heartbeat only shows that the server is alive."""

    def _read_message_start(self, payload: JsonObject) -> None:
        """Read the start of the answer; a server may send it twice, or put a whole answer into it."""
        message = dict_of(payload, "message")
        if self._has_head:
            if begins_another(self, text_of(message, "id"), payload):
                return
            self.parts.is_restarted = True
        self._report_unknown_fields(payload, _KNOWN_IN_STARTS_AND_ENDS)
        # Quirk (Anthropic, 2025-12): a call made by code is a whole answer in the start, without blocks;
        # recording: anthropic-ai-anthropic-programmatic-tool-calling-1-1-6f77857c.
        has_content = bool(message.get("content")) and not self.parts.has_content
        if has_content:
            self.note("start_with_content")
            # If the start already has the stop reason, the blocks that follow only repeat its content.
            self._start_was_whole = text_of(message, "stop_reason") is not None
        self._read_message(message, whole=has_content)

    def _read_whole_message(self, payload: JsonObject) -> None:
        if self.parts.has_content:
            self.note("content_twice")
            return
        self._read_message(payload, whole=True)
        end_at_mark(self)

    def _read_block_start(self, payload: JsonObject) -> None:
        index = self.parts.find_index(payload.get("index"), new=True)
        self.parts.start(index, dict_of(payload, "content_block"))
        self._report_unknown_fields(payload, _KNOWN_IN_BLOCK_EVENTS)

    def _read_block_delta(self, payload: JsonObject) -> None:
        delta = dict_of(payload, "delta")
        is_input = "partial_json" in delta
        index = self.parts.find_index(payload.get("index"), arguments=is_input)
        # A payload that fits no block was reported as unknown, with all its fields.
        if self.parts.add_delta(index, delta, payload):
            self._report_unknown_fields(payload, _KNOWN_IN_DELTA_EVENTS)
            self._report_unknown_fields(delta, _KNOWN_IN_DELTAS)

    def _read_block_stop(self, payload: JsonObject) -> None:
        self.parts.stop(self.parts.find_index(payload.get("index"), ends=True))
        self._report_unknown_fields(payload, _KNOWN_IN_BLOCK_EVENTS)

    def _read_message_delta(self, payload: JsonObject) -> None:
        self._expect_start()
        delta = dict_of(payload, "delta")
        self._report_unknown_fields(payload, _KNOWN_IN_MESSAGE_DELTAS)
        self._report_unknown_fields(delta, _END_FIELDS)
        self._read_usage(payload, reason=text_of(delta, "stop_reason"))
        self._read_finish(delta)

    def _read_message_stop(self, payload: JsonObject) -> None:
        self._expect_start()
        self._report_unknown_fields(payload, _KNOWN_IN_STARTS_AND_ENDS)
        end_at_mark(self)

    # -- internals -----------------------------------------------------------

    def _expect_start(self) -> None:
        if not self._has_head:
            note_missing_start(self)

    def _repeats_start(self) -> bool:
        """Return True if the events of blocks only repeat the whole answer that `message_start` contained."""
        self._expect_start()
        if self._start_was_whole:
            self.note("content_twice")
        return self._start_was_whole

    def _read_message(self, message: JsonObject, *, whole: bool) -> None:
        """Read a message: its head, its token counts and, if it is whole, its content and finish reason."""
        self._has_head = True
        self.parts.head(
            id=text_of(message, "id"), model=text_of(message, "model"), role=text_of(message, "role")
        )
        self._report_unknown_fields(message, _MESSAGE_FIELDS)
        if whole:
            self._read_content(message.get("content"))
        self._read_usage(message, reason=text_of(message, "stop_reason"))
        # A stop reason in a start without content is ignored: some gateways send one before any content.
        if whole:
            self._read_finish(message)

    def _read_content(self, content: object) -> None:
        # Some servers send text in place of a list of blocks.
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        for index, block in enumerate(dicts_of(content)):
            self.parts.add_whole_block(index, block)

    def _read_usage(self, payload: JsonObject, reason: str | None = None) -> None:
        report = dict_of(payload, "usage")
        if report:
            # A later report may leave them out.
            listed = self._iterations = dicts_of(report.get("iterations")) or self._iterations
            self.parts.usage(usage_of(report, listed), replaced_counts(reason, listed))

    def _read_finish(self, payload: JsonObject) -> None:
        """Report the stop sequence and details, and the finish reason with its explanation."""
        for name in ("stop_sequence", "stop_details"):
            value = payload.get(name)
            if not says_nothing(value):
                self.parts.field(name, value, 0)
        reason, details = text_of(payload, "stop_reason"), dict_of(payload, "stop_details")
        marks = marks_in(FINISH_REASONS, reason, other="unknown")
        marks += marks_in(FINISH_REASONS, text_of(details, "type"))
        if marks:
            self.parts.choice(0).finish_message = text_of(details, "explanation")
            self.parts.finish(0, *worst_of(marks, self.note))

    def _report_unknown_fields(self, payload: JsonObject, known: frozenset[str]) -> None:
        """Report the fields of a payload that are not in `known`; token counts are read wherever they are."""
        if payload.keys() <= known:
            # Nearly all payloads are like this one.
            return
        if "usage" not in known and is_dict(payload.get("usage")) and payload["usage"]:
            self.note("usage_misplaced")
            self._read_usage(payload)
            known |= {"usage"}
        self.parts.report_unknown_fields(payload, known)

    _READERS: ClassVar[ReadersOf[Anthropic]] = {
        "ping": _read_ping,
        "message_start": _read_message_start,
        "content_block_start": _read_block_start,
        "content_block_delta": _read_block_delta,
        "content_block_stop": _read_block_stop,
        "message_delta": _read_message_delta,
        "message_stop": _read_message_stop,
        "message": _read_whole_message,
    }


def usage_of(report: JsonObject, iterations: list[JsonObject]) -> Usage:
    """Return token counts as `Usage`, as they are billed; counts that the server did not send are None.

    If the API has made several requests for the answer, `iterations` has the counts of each. Of these, the
    totals may have the first alone, and never have a compaction, an advisor's answer, or what another model
    has declined, which is not billed.
    """
    usage = COUNTED.read(report)
    if not iterations:
        return usage
    answers = [each for each in iterations if each.get("type") not in _BESIDE]
    # The answer that the first model has declined is listed before that of its fallback.
    answers = [each for each in answers if each.get("model") == answers[-1].get("model")]
    counts, of_answers = counts_of(usage), counts_of(_add_up(answers))
    counts |= {name: max(count, counts.get(name, 0)) for name, count in of_answers.items()}
    advice = _add_up([each for each in iterations if each.get("type") == "advisor_message"])
    for name, count in counts_of(_add_up(_compactions_in(iterations)) + advice).items():
        counts[name] = counts.get(name, 0) + count
    counts |= {f"other_{name}": count for name, count in counts_of(advice).items() if name in _COUNTS}
    if iterations[-1].get("type") != "compaction" and answers:
        of_last = counts_of(COUNTED.read(answers[-1]))
        counts[CONTEXT] = sum(of_last.get(name, 0) for name in _COUNTS - {"output_tokens"})
    return make_usage(report, **counts)


def _add_up(reports: list[JsonObject]) -> Usage:
    return sum(map(COUNTED.read, reports), start=COUNTED.read({}))


def replaced_counts(reason: str | None, iterations: list[JsonObject]) -> frozenset[str]:
    """Return the names of the counts whose zero replaces an earlier count, because the API documents it.

    After a refusal, no output is counted. After a compaction, the counts of the start may fall to zero.
    """
    if reason == "compaction" or _compactions_in(iterations):
        return _COUNTS
    return _COUNTS & {"output_tokens"} if reason == "refusal" else frozenset()


def _compactions_in(iterations: list[JsonObject]) -> list[JsonObject]:
    """Return the token counts of the compactions, each of which was a request of its own."""
    return [each for each in iterations if each.get("type") == "compaction"]
