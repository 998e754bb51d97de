"""The parts of a run: messages and tool calls by id.

A *chunk* is an event such as `TEXT_MESSAGE_CHUNK`, here and in the format: chunks write a message
or a call that has no start and end events.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dict_of, fields_except, text_of, text_or_empty
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.named import CALL, NamedKind, NamedParts, call_id_of
from tokenstream.formats._kit.open import OpenCall
from tokenstream.formats._kit.values import split_names
from tokenstream.message import ReasoningPart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.values import ReadersOf
    from tokenstream.message import Part

COMMON_FIELDS = split_names("type timestamp rawEvent raw_event metadata")
"""Fields that any event may have, such as its time; they are not reported, but an event's `raw` has them."""
PROGRESS = "TOOL_PROGRESS"
"""The type of the activity in which a relay of this library sends the progress of a tool.

AG-UI has no event for it (github.com/ag-ui-protocol/ag-ui, issues 443 and 620, seen 2026-11), but activities
are for "intermediate planning or tool use visibility" (docs.ag-ui.com/drafts/activity-events).
"""

_MESSAGE_FIELDS = (*COMMON_FIELDS, "delta")
# Fields that are not reported, or that the start of a message has reported.
_CONTENT_FIELDS = (*_MESSAGE_FIELDS, "messageId", "subagentRunId", "role", "name")
_CALL_FIELDS = (*COMMON_FIELDS, "delta", "toolCallId", "toolCallName")
_RESULT_FIELDS = (*COMMON_FIELDS, "toolCallId", "content")


class RunParts(NamedParts):
    """Turns the messages and tool calls of one run into parts of the answer's message."""

    __slots__ = ("_chunked_part", "_reasoning_by_id", "_subagents")

    id_field = "messageId"
    text_fields = _CONTENT_FIELDS

    def _set_up(self) -> None:
        super()._set_up()
        self._chunked_part: tuple[str, str] | None = None
        """The key of the open part that consists of chunks; any other event of the message closes it."""
        self._reasoning_by_id: dict[str, OpenPart] = {}
        """The last reasoning part of each message, by the message's id."""
        self._subagents: dict[str, str] = {}
        """The names of the subagents that have begun, by the ids of their runs."""

    # -- subagents ---------------------------------------------------------

    def read_subagent(self, payload: JsonObject) -> None:
        """Note the name of a subagent, and report the event as unknown."""
        id, name = text_of(payload, "subagentRunId"), text_of(payload, "name")
        if id is not None and name is not None:
            self.check_room(len(self._subagents))
            self._subagents[id] = name
        self.unknown("SUBAGENT_STARTED", payload)

    @override
    def make_empty_part(self, kind: NamedKind, data: JsonObject | None) -> Part:
        run = text_of(data or {}, "subagentRunId")
        if data is None or run is None or kind != "text":
            return super().make_empty_part(kind, data)
        # The text of a subagent is not the answer: it is a result with the subagent's name.
        name = self._subagents.get(run) or text_of(data, "name") or run
        return ServerToolResult(id=text_or_empty(data, "messageId"), name=name, provider_data=data)

    @override
    def read_delta(self, payload: JsonObject, *, kind: NamedKind) -> None:
        id = self.id_in(payload, kind) if text_of(payload, "subagentRunId") is not None else None
        if id is not None and (kind, id) not in self._open:
            # Without the start of its message, only the piece says that it is a subagent's.
            self._note_unopened((kind, id))
            self.read_message_start({**payload, "messageId": id}, kind=kind)
        super().read_delta(payload, kind=kind)

    # -- messages ----------------------------------------------------------

    def read_message_start(self, payload: JsonObject, *, kind: NamedKind) -> None:
        """Open the part of a message; `kind` says whether the message is text or reasoning."""
        name = self.id_in(payload, kind, new=True)
        part = self.start(kind, name, _data_of_start(payload))
        if kind == "reasoning":
            # A later payload may add the reasoning's encrypted form.
            self._reasoning_by_id[name] = part

    def read_message_end(self, payload: JsonObject, *, kind: NamedKind) -> None:
        self.stop((kind, self.id_in(payload, kind)))

    def read_message_chunk(self, payload: JsonObject, *, kind: NamedKind) -> None:
        """Add the text of a chunk event to its message, which its first chunk may open."""
        message_id = self._id_of_chunk(payload, "messageId", kind)
        if message_id is None:
            self.note("part_index_missing")
            message_id = ""
        if (kind, message_id) != self._chunked_part:
            self.end_chunked_part()
            # A message that a start event opened also has an end event, so chunks do not end it.
            if (kind, message_id) not in self._open:
                self.read_message_start({**payload, "messageId": message_id}, kind=kind)
                self._chunked_part = (kind, message_id)
        self.add(self.get_or_open(kind, message_id), text_or_empty(payload, "delta"))

    def _id_of_chunk(self, payload: JsonObject, field: str, kind: str) -> str | None:
        """Return the id in a chunk; without one, the chunk goes on with what the chunk before it opened."""
        id, (open_kind, open_id) = text_of(payload, field), self._chunked_part or (None, None)
        return open_id if id is None and open_kind == kind else id

    def expects_id(self, payload: JsonObject) -> bool:
        # Before version 1.0, reasoning was called thinking and had no id.
        return not text_or_empty(payload, "type").startswith("THINKING")

    # -- tool calls --------------------------------------------------------

    def read_call_start(self, payload: JsonObject) -> OpenPart | None:
        """Open a tool call and return it; return None if the call has no name, or was opened before.

        The protocol has no field for calls of tools that a model's provider runs itself: our relay marks them
        in the metadata.
        """
        id, name = call_id_of(payload), text_or_empty(payload, "toolCallName")
        data = fields_except(payload, *_CALL_FIELDS)
        if is_server_call(payload):
            return self.start_server_call(ServerToolCall(id=id, name=name, provider_data=data))
        return self.start_call(id, name, data)

    def read_call_end(self, payload: JsonObject) -> None:
        self.stop((CALL, call_id_of(payload)))

    def read_call_chunk(self, payload: JsonObject) -> None:
        """Add a chunk event's fragment to its call, which it may open; without one, report it as unknown."""
        key = CALL, self._id_of_chunk(payload, "toolCallId", CALL) or ""
        if key != self._chunked_part:
            self.end_chunked_part()
            # Only the first chunk of a call has the tool's name.
            has_name = text_of(payload, "toolCallName") is not None
            if has_name and key not in self._open and self.read_call_start(payload) is not None:
                self._chunked_part = key
        if not self.add_to_call(key[1], text_or_empty(payload, "delta")):
            self.unknown("TOOL_CALL_CHUNK", payload)

    def read_result(self, payload: JsonObject) -> None:
        """Read a tool's result; if the call of the tool is still open, close the call first."""
        call_id = call_id_of(payload)
        # If a tool has returned a result, the arguments of the call must be complete.
        call = self.remove_call(call_id) if (CALL, call_id) in self._open else None
        if isinstance(call, OpenCall):
            if not call.waits:
                self.note("part_unclosed")
            self.close_call(call)
        elif call is not None:
            self.note("part_unclosed")
            self.close(call)
        if not self.answer_call(call_id, payload):
            return
        output, error, executed = read_output(payload)
        if self.is_own_call(call_id, executed=executed):
            self.result_of_call(call_id, output, error, provider_executed=executed)
            return
        result = ServerToolResult(
            id=call_id,
            name="TOOL_CALL_RESULT",
            content=output,
            provider_data=fields_except(payload, *_RESULT_FIELDS),
            error=error,
        )
        self.whole(0, result)

    def read_activity(self, payload: JsonObject) -> None:
        """Read an activity, which opens no part: the progress of a tool, if our relay has sent it."""
        progress = read_progress(payload)
        if progress is None or not self.progress_of_call(*progress):
            self.unknown("ACTIVITY_SNAPSHOT", payload)

    # -- ends --------------------------------------------------------------

    def end_chunked_part(self) -> None:
        """Close the open part that arrives in `…_CHUNK` events, if any; these have no end event."""
        key, self._chunked_part = self._chunked_part, None
        if key is not None:
            self.stop(key)

    # -- encrypted values --------------------------------------------------

    def read_encrypted(self, payload: JsonObject) -> None:
        """Attach an encrypted value to the reasoning or the open call that it belongs to.

        The next request must send the value back. A value that belongs to anything else is reported
        unchanged, in the list `encrypted_values`.
        """
        entity_id, value = text_or_empty(payload, "entityId"), text_of(payload, "encryptedValue")
        call = self._open.get((CALL, entity_id))
        if value is None:
            self.unknown("REASONING_ENCRYPTED_VALUE", payload)
        elif payload.get("subtype") == "tool-call" and isinstance(call, OpenCall):
            call.provider_data = {**(call.provider_data or {}), "encryptedValue": value}
        elif payload.get("subtype") == "message" and entity_id in self._reasoning_by_id:
            part = self._reasoning_by_id[entity_id]
            self.report_start_again(part, ReasoningPart(redacted=value, provider_data=self.data_of(part)))
        else:
            # The value belongs to a closed call, or to a message of another run.
            self.items("encrypted_values", [fields_except(payload, *COMMON_FIELDS) or {}])


def _data_of_start(payload: JsonObject) -> JsonObject | None:
    """Return the fields of a start event to repeat in the next request, but not the usual roles; or None."""
    data = fields_except(payload, *_MESSAGE_FIELDS)
    if data is not None and data.get("role") in ("assistant", "reasoning"):
        data.pop("role")
    return data or None


PART_READERS: ReadersOf[RunParts] = {
    "TEXT_MESSAGE_START": partial(RunParts.read_message_start, kind="text"),
    "TEXT_MESSAGE_CONTENT": partial(RunParts.read_delta, kind="text"),
    "TEXT_MESSAGE_END": partial(RunParts.read_message_end, kind="text"),
    "TEXT_MESSAGE_CHUNK": partial(RunParts.read_message_chunk, kind="text"),
    "REASONING_MESSAGE_START": partial(RunParts.read_message_start, kind="reasoning"),
    "REASONING_MESSAGE_CONTENT": partial(RunParts.read_delta, kind="reasoning"),
    "REASONING_MESSAGE_END": partial(RunParts.read_message_end, kind="reasoning"),
    "REASONING_MESSAGE_CHUNK": partial(RunParts.read_message_chunk, kind="reasoning"),
    "THINKING_TEXT_MESSAGE_START": partial(RunParts.read_message_start, kind="reasoning"),
    "THINKING_TEXT_MESSAGE_CONTENT": partial(RunParts.read_delta, kind="reasoning"),
    "THINKING_TEXT_MESSAGE_END": partial(RunParts.read_message_end, kind="reasoning"),
    "REASONING_ENCRYPTED_VALUE": RunParts.read_encrypted,
    "TOOL_CALL_START": RunParts.read_call_start,
    "TOOL_CALL_ARGS": partial(RunParts.read_fragment, field="delta"),
    "TOOL_CALL_END": RunParts.read_call_end,
    "TOOL_CALL_CHUNK": RunParts.read_call_chunk,
    "TOOL_CALL_RESULT": RunParts.read_result,
    "ACTIVITY_SNAPSHOT": RunParts.read_activity,
}


def read_output(payload: JsonObject) -> tuple[Json, str | None, bool]:
    """Return the output and the error of a `TOOL_CALL_RESULT`, and True if the agent has run the tool."""
    content = payload.get("content")
    sent = dict_of(dict_of(payload, "metadata"), "tokenstream")
    error, kind = sent.get("error"), text_of(sent, "content")
    if kind == "error":
        content = None
    elif kind == "json" and isinstance(content, str):
        # Content that is not JSON, although the metadata say so, stays text.
        with suppress(ProtocolError):
            content = decode(content)
    return content, error if isinstance(error, str) else None, sent.get("providerExecuted") is True


def read_progress(payload: JsonObject) -> tuple[str, Json] | None:
    """Return the id of a call and what its tool shows, from an activity; None for any other activity."""
    content, id = dict_of(payload, "content"), text_of(dict_of(payload, "content"), "toolCallId")
    # Another application may have an activity of that name.
    is_ours = "tokenstream" in dict_of(payload, "metadata")
    if id is None or not is_ours or payload.get("activityType") != PROGRESS:
        return None
    return id, content.get("output")


def is_server_call(payload: JsonObject) -> bool:
    """Return True if the metadata of a call say that a model's provider runs the tool itself."""
    return dict_of(dict_of(payload, "metadata"), "tokenstream").get("providerExecuted") is True
