"""Content blocks, tool calls and citations; each of these kinds is numbered separately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, fields_except, int_of, text_of
from tokenstream.formats._kit.parts import BLANK_REASONING, BLANK_TEXT, OpenCall, OpenPart
from tokenstream.formats._kit.values import json_text
from tokenstream.formats._wire.cohere.words import citation_of
from tokenstream.message import OpaquePart, ReasoningPart, TextPart

if TYPE_CHECKING:
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import Part

KEYS = {"text": "text", "thinking": "reasoning"}
"""Maps the fields of a content block that hold text to the kind of the block's part."""
_BLANKS: dict[str, tuple[type[TextPart | ReasoningPart], Part]] = {
    "text": (TextPart, BLANK_TEXT),
    "thinking": (ReasoningPart, BLANK_REASONING),
}


class CohereContent:
    """The content of an answer, named as in v2; v1 has some of it.

    Content blocks and tool calls are numbered separately, each from 0.

    Args:
        parts: Makes the events.
    """

    __slots__ = (
        "_blocks",
        "_calls",
        "_closed",
        "_handed",
        "_newest",
        "_parts",
        "_places",
        "_waiting",
        "planned",
    )

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._blocks: dict[int, OpenPart] = {}
        self._closed: set[int] = set()
        """Indexes of closed content blocks."""
        self._places: dict[int, int] = {}
        """Maps the index of each content block to the index of its part."""
        self._newest = -1
        self._calls: dict[int, OpenPart] = {}
        self._handed: set[int] = set()
        """Indexes of closed tool calls."""
        self._waiting: list[OpenCall] = []
        """Calls that the server has closed, but that the token limit may have cut off."""
        self.planned = False
        """True once a piece of the model's plan has arrived."""

    @property
    def is_empty(self) -> bool:
        """True while no part has arrived."""
        choices = self._parts.choices
        return not any(choice.next_part for choice in choices.values())

    # -- text and reasoning --------------------------------------------------

    def start(self, index: int | None, content: dict[str, Any]) -> None:
        """Open a content block.

        Args:
            index: The block's index; None if the event has none.
            content: The block as its start event describes it.
        """
        self._settle()
        if index is None:
            self._parts.note("part_index_missing")
            index = self._newest + 1
        open_block = self._blocks.pop(index, None)
        if open_block is not None:
            self._parts.note("part_unclosed")
            self._parts.close(open_block)
        elif index in self._closed:
            self._parts.note("part_index_reused")
        self._open(index, _type_of(content), content)

    def add(self, index: int | None, content: dict[str, Any]) -> None:
        """Add to a content block."""
        if index is None:
            self._parts.note("part_index_missing")
            index = max(self._newest, 0)
        for key, kind in KEYS.items():
            text = content.get(key)
            if not isinstance(text, str):
                continue
            block = self._find_block(index, key, kind)
            self._parts.add(block, text)
            self._parts.record_written_part(block)
        rest = fields_except(content, "type", *KEYS)
        if rest is not None:
            self._parts.note("delta_misfits")
            self._parts.items("content-delta", [{"index": index, **rest}])

    def stop(self, index: int | None) -> None:
        """Close a content block."""
        if index is None:
            self._parts.note("part_index_missing")
            index = self._newest
        block = self._blocks.pop(index, None)
        if block is None:
            self._parts.note("part_end_unmatched")
            return
        self._closed.add(index)
        self._parts.close(block)

    def whole(self, index: int, content: dict[str, Any]) -> None:
        """Add a content block that arrived in one piece."""
        self.start(index, content)
        self.stop(index)

    def _open(self, index: int, kind: str, content: dict[str, Any]) -> OpenPart:
        """Open a content block of a known type as text or reasoning, any other as an opaque part."""
        if self._parts.choice(0).finish is not None:
            self._parts.note("content_after_finish")
        self._closed.discard(index)
        made, blank = _BLANKS.get(kind, (None, None))
        if made is None or blank is None:
            block = self._parts.open(0, OpaquePart(type=kind, data=content))
        else:
            rest = fields_except(content, "type", kind)
            block = self._parts.open(0, blank if rest is None else made(provider_data=rest))
            self._parts.add(block, text_of(content, kind) or "")
        self._blocks[index] = block
        self._places[index] = block.index
        self._newest = index
        return block

    def _find_block(self, index: int, key: str, kind: str) -> OpenPart:
        """Return the part of the block that a delta adds to; open it if necessary."""
        block = self._blocks.get(index)
        if block is not None and block.kind == kind:
            return block
        if block is not None:
            self._parts.note("part_index_reused")
            self._parts.close(block)
        else:
            self._parts.note("part_after_close" if index in self._closed else "part_unopened")
        return self._open(index, key, {})

    # -- plans and citations -------------------------------------------------

    def plan(self, text: object) -> None:
        """Report a piece of the model's plan for using tools, which is neither answer nor reasoning."""
        if isinstance(text, str) and text:
            self.planned = True
            self._parts.items("tool_plan", [text])

    def cite(self, citation: dict[str, Any], documents: object = None) -> None:
        """Add a citation.

        Args:
            citation: The citation as the server sent it.
            documents: Documents that the citation may refer to by id.
        """
        index = citation.get("content_index")
        if not isinstance(index, int) or index not in self._places:
            index = self._newest
        # A citation in a plan belongs to no part.
        cites = None if citation.get("type") == "PLAN" else self._places.get(index)
        self._parts.cite(0, citation_of(citation, cites, documents))

    def write(self, text: str, choice: int) -> None:
        """Add text from v1, which does not mark parts."""
        self._settle()
        self._parts.write(choice, "text", text)
        block = self._parts.choice(choice).current_part
        if block is not None and choice == 0:
            self._newest = 0
            self._places[0] = block.index

    # -- tool calls ----------------------------------------------------------

    def start_call(self, index: int | None, call: dict[str, Any]) -> None:
        """Open a tool call.

        Args:
            index: The call's index; None if the event has none.
            call: The call as its start event describes it.
        """
        self._settle()
        if index is None:
            self._parts.note("call_index_missing")
            index = max([*self._calls, *self._handed], default=-1) + 1
        open_call = self._calls.pop(index, None)
        if open_call is not None:
            self._parts.note("call_index_reused")
            self._end_call(open_call, whole=isinstance(open_call, OpenCall) and open_call.has_arguments)
        elif index in self._handed:
            self._parts.note("call_index_reused")
            self._handed.discard(index)
        function = dict_of(call, "function")
        name = text_of(function, "name")
        if not name:
            self._parts.note("call_nameless")
            self._calls[index] = self._parts.open(0, OpaquePart(type="tool_call", data=call))
            return
        rest = {
            **(fields_except(call, "id", "type", "function") or {}),
            **(fields_except(function, "name", "arguments") or {}),
        }
        opened = self._parts.open_call(0, text_of(call, "id"), name, provider_data=rest or None, number=index)
        self._calls[index] = opened
        self._add_arguments(opened, function.get("arguments"))

    def add_call(self, index: int | None, call: dict[str, Any]) -> None:
        """Add to the arguments of a tool call."""
        if index is None:
            self._parts.note("call_index_missing")
            index = max(self._calls, default=0)
        opened = self._calls.get(index)
        if isinstance(opened, OpenCall):
            function = dict_of(call, "function")
            self._add_arguments(opened, function.get("arguments"))
            return
        if opened is None:
            self._parts.note("call_after_done" if index in self._handed else "part_unopened")
        self._parts.items("tool-call-delta", [{"index": index, **call}])

    def stop_call(self, index: int | None) -> None:
        """Close a tool call; it is handed out if it is whole."""
        if index is None:
            self._parts.note("call_index_missing")
            index = max(self._calls, default=-1)
        opened = self._calls.pop(index, None)
        if opened is None:
            self._parts.note("part_end_unmatched")
            return
        self._handed.add(index)
        self._end_call(opened, whole=True)

    def whole_call(self, index: int, call: dict[str, Any]) -> None:
        """Add a tool call that arrived in one piece."""
        self.start_call(index, call)
        self.stop_call(index)

    def _add_arguments(self, call: OpenCall, arguments: object) -> None:
        if isinstance(arguments, str):
            self._parts.add_arguments(call, arguments)
        elif arguments is not None:
            self._parts.add_argument_values(call, arguments)

    def _end_call(self, call: OpenPart, *, whole: bool) -> None:
        """Close a call; if the token limit may have cut it off, wait for the next payload."""
        if not isinstance(call, OpenCall):
            self._parts.close(call)
        elif whole and not call.begins_object:
            # Arguments should be an object. If they do not begin with a brace, the token limit may
            # have cut them off even though they look whole. The next payload decides.
            self._waiting.append(call)
        else:
            self._parts.close_call(call, whole=whole)

    def _settle(self) -> None:
        """Hand out the waiting calls: the answer goes on, so the token limit did not cut them off."""
        for call in self._waiting:
            self._parts.close_call(call)
        self._waiting.clear()

    # -- tool calls of v1 ------------------------------------------------------

    def add_delta(self, delta: dict[str, Any]) -> None:
        """Add a piece of a tool call of v1: first the tool's name, then the arguments."""
        self.plan(delta.get("text"))
        index = int_of(delta, "index")
        if index is None:
            index = max(self._calls, default=0)
        name, parameters = text_of(delta, "name"), delta.get("parameters")
        opened = self._calls.get(index)
        if opened is None and (name or parameters):
            if not name:
                self._parts.note("part_unopened")
                self._parts.items("tool_call_delta", [delta])
                return
            opened = self._calls[index] = self._open_unnumbered(name)
        elif name and parameters is None:
            self._parts.note("call_repeated")
        if isinstance(opened, OpenCall):
            self._add_arguments(opened, parameters)

    def generated(self, calls: list[dict[str, Any]]) -> None:
        """Read v1's list of all tool calls, which may repeat calls that were streamed."""
        for index, call in enumerate(calls):
            name, values = text_of(call, "name"), call.get("parameters")
            opened = self._calls.pop(index, None)
            if opened is None and not name:
                self._parts.note("call_nameless")
                self._parts.whole(0, OpaquePart(type="tool_call", data=call))
                continue
            if not isinstance(opened, OpenCall):
                opened = self._open_unnumbered(name or "")
            if not opened.has_arguments and values is not None:
                # v1 documents arguments as JSON values.
                self._parts.add_arguments(opened, json_text(values))
            self._handed.add(index)
            self._parts.close_call(opened)

    @property
    def has_calls(self) -> bool:
        """True once a tool call has begun."""
        return bool(self._calls or self._handed)

    def _open_unnumbered(self, name: str) -> OpenCall:
        # v1 has no ids, so a made-up one is no departure.
        return self._parts.open_call(0, self._parts.new_id(0), name)

    # -- ends ------------------------------------------------------------------

    def finish(self) -> None:
        """Count a departure for each part without an end event, and forget the open parts."""
        for _ in (*self._blocks, *self._calls):
            self._parts.note("part_unclosed")
        self._blocks.clear()
        self._calls.clear()
        self._waiting.clear()

    def cut(self) -> None:
        """Close the open calls without handing them out: they may not be whole."""
        for call in self._calls.values():
            self._end_call(call, whole=False)
        self.finish()


def _type_of(content: dict[str, Any]) -> str:
    """Return the type of a content block; if the block names none, it follows from the text field."""
    return text_of(content, "type") or next((key for key in KEYS if key in content), "")
