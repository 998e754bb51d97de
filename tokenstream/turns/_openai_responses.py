"""The assistant's turn for OpenAI Responses: a list of items for the next request's `input`.

OpenAI checks that reasoning and the item after it stay together. The API refuses a reasoning item without
the item after it. It also refuses an item that is sent with its id, but without the reasoning before it.
"""

from __future__ import annotations

from base64 import b64encode
from copy import deepcopy
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import text_of
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)
from tokenstream.turns._turn import AssistantTurn, text_arguments

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.turns._drop import Drop, Obstacle

_INDEX_FIELDS = ("summary_index", "content_index")
"""Provider fields with the index of a text in its reasoning item, which are not fields of the item."""


def to_openai_responses(message: Message, drop: Drop) -> list[JsonObject]:
    return _OpenAIResponsesTurn(message, drop).write_content()


class _OpenAIResponsesTurn(AssistantTurn):
    """Writes the parts of a message as input items; several parts may belong to one item."""

    api = "OpenAI Responses"
    formats = frozenset({"openai-responses"})
    cites_in_text = True
    sends_text_arguments = True

    def __init__(self, message: Message, drop: Drop) -> None:
        super().__init__(message, drop)
        self._items: dict[tuple[str, str], JsonObject] = {}
        """Items that may consist of several parts, by type and id."""
        self._message_without_id: JsonObject | None = None
        """The message without an id to which the last text was added."""
        self._unfinished, self._continued = self._find_unfinished_reasoning()
        """Ids of the reasoning items that the API would refuse, which are left out; `_continued` has those of
        them before a text that was cut off, and was continued by another request."""
        # The API refuses a part after reasoning that is left out, if it is sent with its id.
        self._orphans = set[int]()
        is_left_out = False
        for index, part in enumerate(self.message.parts):
            if isinstance(part, ReasoningPart):
                id = text_of(self.fields(part), "id")
                is_left_out = id is not None and ("reasoning" in self._drop or id in self._unfinished)
            elif is_left_out:
                self._orphans.add(index)
        """Indexes of parts that must be sent without an id, because their reasoning is left out."""
        self._written_server_calls: set[str] = set()

    def _find_unfinished_reasoning(self) -> tuple[set[str], set[str]]:
        """Return the ids of reasoning that the API would refuse, and of that before continued text.

        The API refuses reasoning that was cut off, and reasoning without the finished item that followed it.
        """
        unfinished: set[str] = set()
        before_continued_text: set[str] = set()
        # From the end, so that the part that follows the reasoning is known when the reasoning comes.
        finished_item_follows = continued_text_follows = False
        for part in reversed(self.message.parts):
            if isinstance(part, ReasoningPart):
                id = text_of(self.fields(part), "id")
                if id is not None and not (finished_item_follows and part.complete):
                    unfinished.add(id)
                    if continued_text_follows:
                        before_continued_text.add(id)
            elif part.kind != "citation":
                finished_item_follows = part.kind not in self._drop and self._is_item(part)
                continued_text_follows = part.kind == "text" and part.complete and not finished_item_follows
        return unfinished, before_continued_text

    def _is_item(self, part: Part) -> bool:
        """Return True if a part will be sent in an item that the API accepts after a reasoning item.

        It accepts any item that the server has finished, and a text as a message without an id.
        """
        fields = self.fields(part)
        if part.kind == "refusal" or (part.kind == "text" and "id" in fields):
            # The item is a message, which can be unfinished although this part of it is complete.
            return _is_finished(fields)
        if part.kind == "text":
            return part.complete and bool(part.text)
        if self._find_obstacle(part) is not None:
            return False
        if part.kind == "tool_call":
            return True
        # Any other item is sent as it came, which needs its type.
        data = part.data if part.kind == "opaque" and self.is_own else fields
        return text_of(data, "type") is not None

    def _find_fields(self, part: Part, index: int) -> JsonObject:
        """Return a part's provider fields, without the id if the reasoning before the part is left out."""
        fields = self.fields(part)
        if index in self._orphans:
            fields.pop("id", None)
        return fields

    # -- messages ----------------------------------------------------------

    def write_text(self, part: TextPart) -> None:
        """Write text into its message item, or into a message without an id if that item is unfinished."""
        fields = self._find_fields(part, self.index)
        item = self._find_message({**fields, "phase": part.phase} if part.phase else fields)
        if item is None:
            self._add_without_id(part)
        else:
            annotations = self.cited.get(self.index, [])
            item["content"].append({"type": "output_text", "text": part.text, "annotations": annotations})

    def write_refusal(self, part: RefusalPart) -> Obstacle | None:
        """Add a refusal to its message item; if the server has not finished that item, return why not."""
        item = self._find_message(self._find_fields(part, self.index))
        if item is None:
            return "refusal"
        item["content"].append({"type": "refusal", "refusal": part.text})
        return None

    def _find_message(self, fields: JsonObject) -> JsonObject | None:
        """Return the message item that a part belongs to; None if the server has not finished that item."""
        if not _is_finished(fields):
            return None
        return self._find_item("message", {**fields, "role": "assistant", "content": []})

    def can_send_citations(self, part: TextPart, index: int) -> bool:
        """Return True if the text is sent in a finished item of the server, which may have citations."""
        return _is_finished(self._find_fields(part, index))

    def _add_without_id(self, part: TextPart) -> None:
        """Write text as a message without an id; consecutive texts of the same phase become one message."""
        if not part.text:
            return
        phase = part.phase or text_of(self.fields(part), "phase")
        message = self._message_without_id
        if message is None or message is not self.written[-1] or message.get("phase") != phase:
            message = {"type": "message", "role": "assistant", "content": ""}
            if phase is not None:
                message["phase"] = phase
            self.written.append(message)
            self._message_without_id = message
        message["content"] += part.text

    def _find_item(self, type: str, first_fields: JsonObject) -> JsonObject:  # noqa: A002 - the field's name
        """Return the item with a type and id; add it to the turn if this is its first part."""
        key = (type, first_fields["id"])
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = {"type": type, **first_fields}
            self.written.append(item)
        return item

    def write_citation(self, part: Citation) -> Obstacle | None:
        """Return None if the item of the cited text was written with its citations, else "citation".

        The source of a search that cites no text is in the item with the results, which is sent unchanged.
        """
        if self.is_own and part.cites is None:
            return None
        return super().write_citation(part)

    # -- reasoning ---------------------------------------------------------

    def write_reasoning(self, part: ReasoningPart) -> Obstacle | None:
        """Write a part of a reasoning item: a summary, a text, or the encrypted content."""
        fields = self.fields(part)
        id = text_of(fields, "id")
        if id is None:
            # Perplexity sends the thoughts of its research in events of their own, which have no item that a
            # request could contain.
            is_event = (text_of(fields, "type") or "").startswith("response.reasoning.")
            return None if is_event else "reasoning"
        if id in self._unfinished:
            # Before a text that another request has continued, the reasoning is left out silently.
            return None if id in self._continued else "incomplete"
        first_fields = {name: value for name, value in fields.items() if name not in _INDEX_FIELDS}
        item = self._find_item("reasoning", {**first_fields, "summary": []})
        if part.redacted is not None:
            item["encrypted_content"] = part.redacted
        if "summary_index" in fields:
            item["summary"].append({"type": "summary_text", "text": part.text})
        elif "content_index" in fields:
            item.setdefault("content", []).append({"type": "reasoning_text", "text": part.text})
        return None

    # -- tools -------------------------------------------------------------

    def can_send_call(self, call: ToolCall) -> bool:
        """Return True if a call of something other than a function can be sent.

        These are all calls of custom tools, and calls of this API whose items are sent back unchanged.
        """
        return call.type == "custom" or self.fields(call).get("type") == call.type

    def write_tool_call(self, part: ToolCall) -> Obstacle | None:
        fields = self._find_fields(part, self.index)
        if "type" in fields:
            # The call of a computer or a shell, or an approval request: its item is sent unchanged. The first
            # argument is the obstacle to return if that is impossible.
            return self._write_unchanged("custom_tool_call", fields, self.index)
        if part.type == "custom":
            item = {"type": "custom_tool_call", "input": part.arguments_text}
        else:
            item = {"type": "function_call", "arguments": text_arguments(part)}
        self.written.append({**fields, **item, "call_id": part.id, "name": part.name})
        return None

    def write_server_tool_call(self, part: ServerToolCall) -> Obstacle | None:
        obstacle = self._write_unchanged("server_tool_call", self.fields(part), self.index)
        if obstacle is None:
            self._written_server_calls.add(part.id)
        return obstacle

    def write_server_tool_result(self, part: ServerToolResult) -> Obstacle | None:
        if part.provider_data is None and part.id in self._written_server_calls:
            # The item of the call contains the result, too.
            return None
        return self._write_unchanged("server_tool_result", self.fields(part), self.index)

    def write_opaque(self, part: OpaquePart) -> Obstacle | None:
        return self._write_unchanged("opaque", deepcopy(part.data), index=None)

    def write_media(self, part: MediaPart) -> Obstacle | None:
        """Write the item of a medium that this API has sent; for any other medium, return why not."""
        fields = self.fields(part)
        if not fields:
            # Another API has sent the medium.
            return "media"
        return self._write_unchanged(
            "media", {**fields, "result": part.url or b64encode(part.data).decode()}, self.index
        )

    def _write_unchanged(self, obstacle: Obstacle, item: JsonObject, index: int | None) -> Obstacle | None:
        if text_of(item, "type") is None or index in self._orphans:
            return obstacle
        self.written.append(item)
        return None


def _is_finished(fields: JsonObject) -> bool:
    """Return True if a part's provider fields say that the server has finished the part's message item."""
    return text_of(fields, "id") is not None and text_of(fields, "status") is not None
