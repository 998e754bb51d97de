"""Anthropic's Managed Agents: turns the events of a session into events."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from typing_extensions import override

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, int_of, text_of
from tokenstream.errors import ProviderError
from tokenstream.events import PartDone
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.sessions import REMEMBERED, HostedSession
from tokenstream.formats._kit.values import counts_in, failure_text, json_text, reasons_of, split_names
from tokenstream.formats._reader import note_missing_start
from tokenstream.message import OpaquePart, ServerToolCall, ServerToolResult, TextPart, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import AnswerPlace
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.sessions import SessionParts

FINISH_REASONS = reasons_of(
    stop="end_turn",
    tool_calls="requires_action",
    length="budget_reached",
    refusal="refusal",
    error="retries_exhausted",
    unknown="terminated",
)
"""Maps the reasons for which a session gets idle, and its end, to finish reasons."""
RETRYABLE: Mapping[str, bool] = MappingProxyType(
    {
        "mcp_connection_failed_error": True,
        "model_request_failed_error": True,
        **dict.fromkeys(
            split_names(
                "compaction_limit_reached_error credential_host_unreachable_error repository_checkout_error "
                "repository_clone_error tool_use_limit_reached_error"
            ),
            False,
        ),
    }
)
"""Maps types of errors to True if a retry may help; the types whose words already show that are left out."""
COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cached_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
_COUNTED = Counts(beside=" ".join(COUNTS))


class _MessageBlock:
    """A block of text in a message, whose pieces have arrived before the message itself."""

    __slots__ = ("part", "text")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.text = TextLog()
        """The text of the pieces, to be compared with that of the whole message."""


class AgentMessages:
    """Turns the messages of one answer into parts.

    The server may send the text of a message twice: first in pieces, as a *preview*, and then as a whole
    message with the same id. The preview opens the parts; the message completes them, or corrects their text.
    """

    __slots__ = ("_parts", "_previews")

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._previews: dict[str, dict[int, _MessageBlock]] = {}
        """The blocks of each preview, by the id of the message and the index of the block."""

    def clear(self) -> None:
        """Forget the previews of the answer before, because another answer begins."""
        self._previews.clear()

    def add(self, id: str, delta: JsonObject) -> bool:
        """Add text to the preview of a message; return False if there is no text or an ended preview."""
        text = dict_of(delta, "content").get("text")
        if not isinstance(text, str):
            return False
        blocks = self._previews.setdefault(id, {})
        index = int_of(delta, "index") or 0
        if index not in blocks:
            blocks[index] = _MessageBlock(self._parts.open(0, TextPart(provider_data={"id": id})))
        block = blocks[index]
        if block.part.closed:
            self._parts.note("part_after_close")
            return False
        block.text.append(text)
        self._parts.add(block.part, text)
        return True

    def end_previews(self) -> None:
        """Close the parts of all previews: the request to the model has ended, so no message will come."""
        for blocks in self._previews.values():
            for block in blocks.values():
                self._parts.close(block.part)

    def read(self, id: str, content: object) -> None:
        """Read a whole message; if it had a preview, complete the preview's parts."""
        blocks = self._previews.pop(id, {})
        for index, data in enumerate(dicts_of(content)):
            text, block = data.get("text"), blocks.pop(index, None)
            if text_of(data, "type") not in ("text", None) or not isinstance(text, str):
                self._parts.whole(0, OpaquePart(type=text_of(data, "type") or "", data=data))
            elif block is not None:
                self._complete(block, id, text)
            elif text:
                part = self._parts.open(0, TextPart(provider_data={"id": id}))
                self._parts.add(part, text)
                self._parts.close(part)
        for block in blocks.values():
            # The message lacks this block of its preview, so the text of the block becomes empty.
            self._complete(block, id, "")

    def _complete(self, block: _MessageBlock, id: str, text: str) -> None:
        """Close the part of a previewed block, after adding or, if it differs, replacing its text."""
        before = block.text.join()
        if text.startswith(before) and not block.part.closed:
            if text != before:
                self._parts.add(block.part, text[len(before) :])
            self._parts.close(block.part)
        elif text != before:
            # No event can take the preview back, but the end of the part has the right text.
            self._parts.note("text_rewritten")
            whole = TextPart(text=text, complete=True, provider_data={"id": id})
            if block.part.closed:
                self._parts.emit(PartDone(whole, choice=0, part=block.part.index, raw=self._parts.raw))
            else:
                self._parts.close(block.part, whole)


_EventReader: TypeAlias = "Callable[[AnthropicAgents, dict[str, Any]], bool | None]"
"""Reads an event of one type; returns False if the event must be reported as unknown, too."""

_ENDS_OF_SESSION = frozenset({"session.status_terminated", "session.deleted"})
_PREFIXES = ("agent.", "user.", "system.", "session.", "span.", "workflow_run.")
"""The beginnings of the types of all events except previews; these events have ids."""
_TOOL_FIELDS = ("id", "type", "processed_at", "name", "input")
_EVENT_FIELDS = split_names(
    "category citations content context data delta enabled error evaluated_permission event event_id "
    "event_ids explanation file_id id index input is_error mcp_server_name mcp_tool_use_id media_type "
    "model_request_start_id model_usage name processed_at reason_code session_thread_id source stop_details "
    "stop_reason text title tool_use_id type url"
)
"""The fields of the events that are read, and of what is in them."""
_IDS_OF_CALLS = ("tool_use_id", "mcp_tool_use_id")


class AnthropicAgents(HostedSession):
    """The `anthropic-agents` format: the events of a session, whose answers end when the agent is idle.

    Args:
        answer: "" to end after one answer; None to read all answers of the session.

    Example:
        >>> session = AnthropicAgents()
        >>> message = {"id": "e2", "type": "agent.message", "content": [{"type": "text", "text": "Hello"}]}
        >>> events = session.feed({"id": "e1", "type": "session.status_running"}) + session.feed(message)
        >>> [type(event).__name__ for event in events]
        ['MessageStart', 'PartStart', 'TextDelta', 'PartDone']
    """

    __slots__ = ("_ended_ids", "_messages", "_placed_ids", "_places_answer", "_usage")

    name = "anthropic-agents"
    # Of `BetaManagedAgentsStreamSessionEvents` in anthropic.
    documented = split_names(
        "agent.custom_tool_use agent.thinking agent.thread_context_compacted agent.thread_message_received "
        "agent.thread_message_sent event_start session.error session.status_idle "
        "session.status_rescheduled session.thread_created session.thread_status_idle "
        "session.thread_status_rescheduled session.thread_status_running session.thread_status_terminated "
        "session.updated session.usage span.outcome_evaluation_end span.outcome_evaluation_ongoing "
        "span.outcome_evaluation_start system.message user.custom_tool_result user.define_outcome "
        "user.interrupt user.message user.tool_confirmation user.tool_result workflow_run.created "
        "workflow_run.error workflow_run.phase_ended workflow_run.phase_started workflow_run.status_ended "
        "workflow_run.status_idle workflow_run.status_running"
    )
    finish_reasons = FINISH_REASONS
    retryable = RETRYABLE

    def _set_up(self) -> None:
        super()._set_up()
        self._messages = AgentMessages(self.parts)
        self._usage = Usage()
        """The tokens of the answer's requests to the model so far."""
        self._places_answer = False
        """True while an answer is open, judging by the events that `place_of` was given."""
        self._placed_ids = RecentIds(REMEMBERED)
        """The ids of the events that `place_of` was given."""
        self._ended_ids = RecentIds(REMEMBERED)
        """The ids in `_placed_ids` when the last answer ended."""

    @classmethod
    @override
    def recognises(cls, payload: JsonObject, event: str) -> bool:
        kind = text_of(payload, "type") or event
        if kind == "event_start":
            return text_of(dict_of(payload, "event"), "id") is not None
        if kind == "event_delta":
            return "event_id" in payload and "delta" in payload
        # All events have an id and a time, except the two types of previews above. Other sessions and agents
        # have events of such types, too, but none of them has both.
        return kind.startswith(_PREFIXES) and isinstance(payload.get("id"), str) and "processed_at" in payload

    @override
    def place_of(self, payload: JsonObject) -> AnswerPlace:
        kind, id = text_of(payload, "type") or "", text_of(payload, "id")
        if id is not None and not self._placed_ids.add(id):
            return None, False
        if kind in _ENDS_OF_SESSION:
            self._places_answer = False
            return None, True
        if kind == "session.status_idle":
            # The end of the open answer; without an open answer, an event about the session.
            was_open, self._places_answer = self._places_answer, False
            if was_open:
                self._ended_ids = self._placed_ids.copy()
            return ("" if was_open else None), was_open
        if kind not in self._OF_ANSWER or _is_of_thread(payload, kind):
            return None, False
        self._places_answer = True
        return "", False

    @override
    def of_answer(self, answer: str) -> Self:
        format = super().of_answer(answer)
        # An event of an earlier answer that comes again, such as its end, must not count for this one.
        format.drop_earlier(self._ended_ids)
        return format

    @override
    def tolerates(self, payload: JsonObject, event: str) -> bool:
        return (text_of(payload, "type") or event).startswith(_PREFIXES) or self.recognises(payload, event)

    @override
    def read(self, payload: JsonObject, event: str) -> None:
        kind = text_of(payload, "type") or event
        if self.is_repeated(text_of(payload, "id")):
            return
        reader = self._OF_SESSION.get(kind)
        if reader is None and kind in self._OF_ANSWER and not _is_of_thread(payload, kind):
            self._begin(kind)
            reader = self._OF_ANSWER[kind]
        if reader is None or reader(self, payload) is False:
            self.parts.unknown(kind or "event", payload)
        else:
            self.parts.tell_inside(payload, _EVENT_FIELDS)

    # -- answers -----------------------------------------------------------

    def _begin(self, kind: str) -> None:
        if self.answer_is_open:
            return
        if kind != "session.status_running":
            note_missing_start(self)
        self._messages.clear()
        self._usage = Usage()
        self.begin_answer()

    def _read_start(self, payload: JsonObject) -> None:
        """Do nothing: the event only begins an answer, as `_begin` has done, or a request to the model."""

    def _read_idle(self, payload: JsonObject) -> bool:
        """End the open answer, because the agent is idle; return False if no answer is open."""
        if not self.answer_is_open:
            return False
        reason = dict_of(payload, "stop_reason")
        word = text_of(reason, "type")
        finish_reason = "unknown" if word is None else FINISH_REASONS.get(word, "unknown")
        waits_for = reason.get("event_ids")
        if waits_for:
            self.parts.field("stop_reason.event_ids", waits_for)
        details = dict_of(payload, "stop_details")
        self.parts.choice(0).finish_message = text_of(details, "explanation")
        if details:
            self.parts.field("stop_details", details)
        failure = None
        if finish_reason == "error":
            failure = self._last_error or ProviderError(
                "the agent's requests to the model have failed too often"
            )
        self._messages.end_previews()
        self.end_answer(finish_reason, word, failure=failure, awaits_results=word == "requires_action")
        return True

    def _read_end(self, payload: JsonObject) -> None:
        """End the session and, if an answer is open, that answer."""
        # The last error since the open answer began; if no answer is open, the error of the last answer.
        failure = self._last_error if self.answer_is_open else self._failure
        if self.answer_is_open:
            self.end_answer("unknown" if failure is None else "error", "terminated", failure=failure)
        self.error = failure
        # If this format reads only one answer, `end_answer` may have concluded it.
        if not self.ended and failure is None:
            self.conclude()

    def _read_request_end(self, payload: JsonObject) -> None:
        usage = usage_of(payload)
        if usage is not None:
            self._usage = self._usage + usage
            self.parts.usage(self._usage)
            self.parts.note_unread_counts(_COUNTED, usage, dict_of(payload, "model_usage"))
        self._messages.end_previews()

    # -- content -----------------------------------------------------------

    def _read_delta(self, payload: JsonObject) -> bool:
        """Add a piece of text to the preview of a message; return False if the event has no text to add."""
        id = text_of(payload, "event_id")
        if id is None:
            return False
        if self.has_read(id):
            # The message itself has come before.
            self.note("content_twice")
            return True
        return self._messages.add(id, dict_of(payload, "delta"))

    def _read_message(self, payload: JsonObject) -> None:
        self._messages.read(text_of(payload, "id") or "", payload.get("content"))

    def _read_tool(self, payload: JsonObject) -> None:
        data = fields_except(payload, *_TOOL_FIELDS)
        call = ServerToolCall(
            id=text_of(payload, "id") or "",
            name=text_of(payload, "name") or "",
            arguments_text=json_text(dict_of(payload, "input")),
            complete=True,
            provider_data=data,
        )
        self.parts.whole(0, call)

    def _read_tool_result(self, payload: JsonObject) -> None:
        name, content = (text_of(payload, "type") or "").removeprefix("agent."), payload.get("content")
        result = ServerToolResult(id=text_of(payload, *_IDS_OF_CALLS) or "", name=name, content=content)
        if payload.get("is_error") is True:
            failure = {"provider_data": {"is_error": True}, "error": failure_text(content)}
            result = result.model_copy(update=failure)
        self.parts.whole(0, result)

    def _read_call(self, payload: JsonObject) -> bool:
        """Hand out a call of one of the application's tools; return False if the call has no tool name."""
        name = text_of(payload, "name")
        if name is None:
            self.note("call_nameless")
            return False
        data = fields_except(payload, *_TOOL_FIELDS)
        call = self.parts.open_call(0, text_of(payload, "id"), name, provider_data=data)
        self.parts.add_whole_arguments(call, payload.get("input"))
        self.parts.close_call(call)
        return True

    _OF_SESSION: ClassVar[dict[str, _EventReader]] = {
        "session.status_idle": _read_idle,
        "session.error": HostedSession.note_error,
        **dict.fromkeys(_ENDS_OF_SESSION, _read_end),
    }
    _OF_ANSWER: ClassVar[dict[str, _EventReader]] = {
        "session.status_running": _read_start,
        "span.model_request_start": _read_start,
        "span.model_request_end": _read_request_end,
        # Nothing is opened yet: the first piece of text opens the part, since only the piece has an index.
        "event_start": lambda _, payload: text_of(dict_of(payload, "event"), "type") == "agent.message",
        "event_delta": _read_delta,
        "agent.message": _read_message,
        "agent.tool_use": _read_tool,
        "agent.mcp_tool_use": _read_tool,
        "agent.tool_result": _read_tool_result,
        "agent.mcp_tool_result": _read_tool_result,
        "agent.custom_tool_use": _read_call,
    }


def _is_of_thread(payload: JsonObject, kind: str) -> bool:
    """Return True for an event of another agent's thread, except a call that the application must answer."""
    return kind != "agent.custom_tool_use" and text_of(payload, "session_thread_id") is not None


def usage_of(payload: JsonObject) -> Usage | None:
    """Return the tokens of one request to the model, from the event that ends it; None if it has none."""
    return counts_in(dict_of(payload, "model_usage"), COUNTS)
