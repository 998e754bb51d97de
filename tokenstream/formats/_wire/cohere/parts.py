"""Read content blocks, tool calls and citations; blocks and calls are numbered separately, each from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, fields_except, int_of, text_of
from tokenstream.formats._kit.contents import BLANK_REASONING, BLANK_TEXT
from tokenstream.formats._kit.open import OpenCall, OpenPart
from tokenstream.formats._kit.values import json_text
from tokenstream.formats._wire.cohere.words import citation_of
from tokenstream.message import OpaquePart, ReasoningPart, TextPart

if TYPE_CHECKING:
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import Part

TEXT_KEYS = {"text": "text", "thinking": "reasoning"}
"""Maps the fields of a content block that hold text to the kind of the block's part."""
_EMPTY_PARTS: dict[str, tuple[type[TextPart | ReasoningPart], Part]] = {
    "text": (TextPart, BLANK_TEXT),
    "thinking": (ReasoningPart, BLANK_REASONING),
}


class CohereContent:
    """Reads the content of an answer: text, reasoning, tool calls, plans and citations.

    The methods are named after the events of version 2 of the API (v2); the events of version 1 (v1)
    have the same content in other fields.

    Content blocks and tool calls are numbered separately, each from 0.

    Args:
        parts: Makes the events.
    """

    __slots__ = (
        "_closed_blocks",
        "_closed_calls",
        "_newest_block",
        "_open_blocks",
        "_open_calls",
        "_part_indexes",
        "_parts",
        "_waiting",
        "has_plan",
    )

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open_blocks: dict[int, OpenPart] = {}
        """Maps the indexes of open content blocks to their parts."""
        self._closed_blocks: set[int] = set()
        """Indexes of closed content blocks."""
        self._part_indexes: dict[int, int] = {}
        """Maps the index of each content block to the index of its part."""
        self._newest_block = -1
        """Index of the content block that was opened last."""
        self._open_calls: dict[int, OpenPart] = {}
        """Maps the indexes of open tool calls to their parts."""
        self._closed_calls: dict[int, str] = {}
        """Maps the indexes of closed tool calls to the ids that the server sent; "" for opaque parts."""
        self._waiting: list[OpenCall] = []
        """Calls that the server has closed, but that the token limit may have cut off."""
        self.has_plan = False
        """True once a piece of the model's plan for using tools has arrived."""

    @property
    def is_empty(self) -> bool:
        """True while no part has arrived."""
        choices = self._parts.choices
        return not any(choice.next_part for choice in choices.values())

    # -- text and reasoning --------------------------------------------------

    def start_block(self, index: int | None, content: dict[str, Any]) -> None:
        """Open a content block.

        Args:
            index: The block's index; None if the event has none.
            content: The block as its start event describes it.
        """
        # The answer goes on, so the token limit has not cut off the calls that wait to be handed out.
        self._hand_out_waiting_calls()
        if index is None:
            self._parts.note("part_index_missing")
            index = self._newest_block + 1
        open_block = self._open_blocks.pop(index, None)
        if open_block is not None:
            self._parts.note("part_unclosed")
            self._parts.close(open_block)
        elif index in self._closed_blocks:
            self._parts.note("part_index_reused")
        self._open_block(index, _type_of(content), content)

    def add_to_block(self, index: int | None, content: dict[str, Any]) -> None:
        """Add a delta to a content block; fields other than its text are reported in an `Unknown` event.

        Args:
            index: The block's index; None if the event has none.
            content: The delta.
        """
        if index is None:
            # The delta is assumed to belong to the newest block, or to block 0 if none has begun.
            self._parts.note("part_index_missing")
            index = max(self._newest_block, 0)
        for key, kind in TEXT_KEYS.items():
            text = content.get(key)
            if not isinstance(text, str):
                continue
            part = self._get_or_open_block(index, key, kind)
            self._parts.add(part, text)
            # This notes a departure if the delta interrupts another open part.
            self._parts.record_written_part(part)
        other_fields = fields_except(content, "type", *TEXT_KEYS)
        if other_fields is not None:
            self._parts.note("delta_misfits")
            self._parts.items("content-delta", [{"index": index, **other_fields}])

    def end_block(self, index: int | None) -> None:
        """Close a content block, by default the newest.

        An end without an open block is counted as a departure from the documentation.
        """
        if index is None:
            self._parts.note("part_index_missing")
            index = self._newest_block
        block = self._open_blocks.pop(index, None)
        if block is None:
            self._parts.note("part_end_unmatched")
            return
        self._closed_blocks.add(index)
        self._parts.close(block)

    def add_whole_block(self, index: int, content: dict[str, Any]) -> None:
        """Add a content block that arrived in one piece."""
        self.start_block(index, content)
        self.end_block(index)

    def _open_block(self, index: int, kind: str, content: dict[str, Any]) -> OpenPart:
        """Open the part of a content block: text or reasoning, or an opaque part if the type is unknown.

        Args:
            kind: Cohere's word for the type of the block.
            content: The block as the server sent it.
        """
        if self._parts.choice(0).finish is not None:
            self._parts.note("content_after_finish")
        self._closed_blocks.discard(index)
        part_class, empty_part = _EMPTY_PARTS.get(kind, (None, None))
        if part_class is None or empty_part is None:
            block = self._parts.open(0, OpaquePart(type=kind, data=content))
        else:
            other_fields = fields_except(content, "type", kind)
            block = self._parts.open(
                0, empty_part if other_fields is None else part_class(provider_data=other_fields)
            )
            # The type of the block is also the name of the field with the text.
            self._parts.add(block, text_of(content, kind) or "")
        self._open_blocks[index] = block
        self._part_indexes[index] = block.index
        self._newest_block = index
        return block

    def _get_or_open_block(self, index: int, key: str, kind: str) -> OpenPart:
        """Return the part of the block that a delta adds to; if no block of this kind is open, open one.

        Args:
            key: The field of the delta that holds the text.
            kind: The kind of part that this field belongs to.
        """
        block = self._open_blocks.get(index)
        if block is not None and block.kind == kind:
            return block
        if block is not None:
            # A block of another kind has this index.
            self._parts.note("part_index_reused")
            self._parts.close(block)
        else:
            self._parts.note("part_after_close" if index in self._closed_blocks else "part_unopened")
        return self._open_block(index, key, {})

    # -- plans and citations -------------------------------------------------

    def report_plan(self, text: object) -> None:
        """Report a piece of the model's plan for using tools; a plan is neither answer nor reasoning."""
        if isinstance(text, str) and text:
            self.has_plan = True
            self._parts.items("tool_plan", [text])

    def cite(self, citation: dict[str, Any], documents: object = None) -> None:
        """Add a citation.

        Args:
            citation: The citation as the server sent it.
            documents: Documents that the citation may refer to by id.
        """
        index = citation.get("content_index")
        if not isinstance(index, int) or index not in self._part_indexes:
            # The citation names no known block, so it is assumed to refer to the newest.
            index = self._newest_block
        # A citation in a plan belongs to no part.
        cites = None if citation.get("type") == "PLAN" else self._part_indexes.get(index)
        self._parts.cite(0, citation_of(citation, cites, documents))

    def write_text(self, text: str, choice: int) -> None:
        """Add text of a v1 answer; v1 has no events for the beginning and the end of a part."""
        # The answer goes on, so the token limit has not cut off the calls that wait to be handed out.
        self._hand_out_waiting_calls()
        self._parts.write(choice, "text", text)
        block = self._parts.choice(choice).current_part
        if block is not None and choice == 0:
            # In v1, all citations refer to this text.
            self._newest_block = 0
            self._part_indexes[0] = block.index

    # -- tool calls ----------------------------------------------------------

    def start_call(self, index: int | None, call: dict[str, Any]) -> None:
        """Open a tool call.

        Args:
            index: The call's index; None if the event has none.
            call: The call as its start event describes it.
        """
        # The answer goes on, so the token limit has not cut off the calls that wait to be handed out.
        self._hand_out_waiting_calls()
        if index is None:
            self._parts.note("call_index_missing")
            index = max([*self._open_calls, *self._closed_calls], default=-1) + 1
        open_call = self._open_calls.pop(index, None)
        if open_call is not None and not open_call.waits:
            # Another call begins under this index, so the arguments of the open call are all there. Only a
            # call without arguments is not whole, because its first fragment may have been lost.
            self._parts.note("call_index_reused")
            self._close_call(open_call, whole=isinstance(open_call, OpenCall) and open_call.has_arguments)
        elif open_call is not None or self._closed_calls.pop(index, None) is not None:
            self._parts.note("call_index_reused")
        function = dict_of(call, "function")
        name = text_of(function, "name")
        if not name:
            self._parts.note("call_nameless")
            self._open_calls[index] = self._parts.open(0, OpaquePart(type="tool_call", data=call))
            return
        other_fields = {
            **(fields_except(call, "id", "type", "function") or {}),
            **(fields_except(function, "name", "arguments") or {}),
        }
        opened = self._parts.open_call(
            0, text_of(call, "id"), name, provider_data=other_fields or None, number=index
        )
        self._open_calls[index] = opened
        self._add_arguments(opened, function.get("arguments"))

    def add_to_call(self, index: int | None, call: dict[str, Any]) -> None:
        """Add to the arguments of a tool call; without an open call, report the delta as unknown.

        Args:
            index: The call's index; None if the event has none.
            call: The delta.
        """
        if index is None:
            self._parts.note("call_index_missing")
            # The open call with the highest index began last.
            index = max(self._open_calls, default=0)
        opened = self._open_calls.get(index)
        if isinstance(opened, OpenCall):
            function = dict_of(call, "function")
            self._add_arguments(opened, function.get("arguments"))
            return
        # A call without a name was opened as an opaque part, which takes no arguments.
        if opened is None and index in self._closed_calls:
            self._parts.add_late(0, self._closed_calls[index], dict_of(call, "function").get("arguments"))
        elif opened is None:
            self._parts.note("part_unopened")
        self._parts.items("tool-call-delta", [{"index": index, **call}])

    def end_call(self, index: int | None) -> None:
        """Close a tool call, and hand it out to the application if it is whole.

        An end without an open call is counted as a departure from the documentation.
        """
        if index is None:
            self._parts.note("call_index_missing")
            # The open call with the highest index began last.
            index = max(self._open_calls, default=-1)
        opened = self._open_calls.pop(index, None)
        if opened is None:
            self._parts.note("part_end_unmatched")
            return
        self._close_call(opened, whole=True)
        if opened.waits:
            # The arguments may still come.
            self._open_calls[index] = opened
        else:
            self._note_closed(index, opened)

    def _note_closed(self, index: int, call: OpenPart) -> None:
        """Note that a call is closed, so that later pieces of it are recognised."""
        self._closed_calls[index] = call.sent_id if isinstance(call, OpenCall) else ""

    def add_whole_call(self, index: int, call: dict[str, Any]) -> None:
        """Add a tool call that arrived in one piece."""
        self.start_call(index, call)
        self.end_call(index)

    def _add_arguments(self, call: OpenCall, arguments: object) -> None:
        """Add arguments to a call: text, or a JSON value, which is a departure from the documentation."""
        if isinstance(arguments, str):
            self._parts.add_arguments(call, arguments)
        elif arguments is not None:
            self._parts.add_argument_values(call, arguments)

    def _close_call(self, call: OpenPart, *, whole: bool) -> None:
        """Close a tool call; if the token limit may have cut it off, let the next payload decide.

        Args:
            whole: True if the server has closed the call, so that its arguments should be whole.
        """
        if not isinstance(call, OpenCall):
            # A call without a name was opened as an opaque part.
            self._parts.close(call)
        elif whole and not (call.is_empty or call.begins_object):
            # Arguments should be an object. If they do not begin with a brace, the token limit may
            # have cut them off even though they look whole. The next payload decides.
            self._waiting.append(call)
        else:
            self._parts.end_at_mark(call, whole=whole)

    def _hand_out_waiting_calls(self) -> None:
        """Hand out the waiting calls: the answer goes on, so the token limit has not cut them off."""
        for call in self._waiting:
            self._parts.end_at_mark(call)
        self._waiting.clear()

    # -- tool calls of v1 ------------------------------------------------------

    def add_v1_fragment(self, delta: dict[str, Any]) -> None:
        """Add a piece of a v1 tool call: the first piece has the tool's name, the others have arguments."""
        self.report_plan(delta.get("text"))
        index = int_of(delta, "index")
        if index is None:
            # The open call with the highest index began last.
            index = max(self._open_calls, default=0)
        name, parameters = text_of(delta, "name"), delta.get("parameters")
        opened = self._open_calls.get(index)
        if opened is None and (name or parameters):
            if not name:
                # These arguments belong to no call.
                self._parts.note("part_unopened")
                self._parts.items("tool_call_delta", [delta])
                return
            opened = self._open_calls[index] = self._open_v1_call(name)
        elif name and parameters is None:
            # The piece looks like the first one of a call, but this call has begun before.
            self._parts.note("call_repeated")
        # A call without a name was opened as an opaque part, which takes no arguments.
        if isinstance(opened, OpenCall):
            self._add_arguments(opened, parameters)

    def read_call_list(self, calls: list[dict[str, Any]]) -> None:
        """Read the list of all tool calls that v1 sends at the end; some may have been streamed before."""
        for index, call in enumerate(calls):
            name, values = text_of(call, "name"), call.get("parameters")
            opened = self._open_calls.pop(index, None)
            if opened is None and not name:
                self._parts.note("call_nameless")
                self._parts.whole(0, OpaquePart(type="tool_call", data=call))
                continue
            if not isinstance(opened, OpenCall):
                # The call was not streamed.
                opened = self._open_v1_call(name or "")
            if not opened.has_arguments and values is not None:
                # v1 documents arguments as JSON values.
                self._parts.add_arguments(opened, json_text(values))
            self._note_closed(index, opened)
            # The list has all calls with all of their arguments.
            self._parts.close_call(opened)

    @property
    def has_calls(self) -> bool:
        """True once a tool call has begun."""
        return bool(self._open_calls or self._closed_calls)

    def _open_v1_call(self, name: str) -> OpenCall:
        # v1 has no ids, so a made-up one is not a departure.
        return self._parts.open_call(0, self._parts.new_id(0), name)

    # -- ends ------------------------------------------------------------------

    def note_unclosed_parts(self) -> None:
        """Count each open block and call as a departure: the documentation says that the server closes it.

        All of them are then forgotten; the end of the answer closes their parts.
        """
        for part in (*self._open_blocks.values(), *self._open_calls.values()):
            if not part.waits:
                self._parts.note("part_unclosed")
        self._open_blocks.clear()
        self._open_calls.clear()
        self._waiting.clear()

    def drop_open_calls(self) -> None:
        """Close the open calls without handing them out: they may not be whole."""
        for call in self._open_calls.values():
            if not call.waits:
                self._close_call(call, whole=False)
        self.note_unclosed_parts()


def _type_of(content: dict[str, Any]) -> str:
    """Return the type of a content block: its `type`, or else the key of its text; "" if it has neither."""
    return text_of(content, "type") or next((key for key in TEXT_KEYS if key in content), "")
