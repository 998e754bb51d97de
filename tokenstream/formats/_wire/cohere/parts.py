"""Read Cohere's content blocks, tool calls and citations, and translate its finish reasons and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tokenstream._basics.untrusted import count_of, dict_of, dicts_of, fields_except, int_of, is_list, text_of
from tokenstream._values.parts import CONTEXT
from tokenstream.formats._kit.blocks import KeyedParts
from tokenstream.formats._kit.count_paths import Counts
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.open import NO_PART, OpenCall, OpenPart, note_unread_texts
from tokenstream.formats._kit.parts import empty_part
from tokenstream.formats._kit.repeated import complete_arguments
from tokenstream.formats._kit.values import fields_of_call, reasons_of
from tokenstream.message import Citation, OpaquePart, ReasoningPart

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import ProviderError
    from tokenstream.message import Usage

_CallKey: TypeAlias = tuple[str, int]
"""The kind of a block or call, and its index."""

COUNTED = Counts(
    input_tokens="billed_units|tokens.input_tokens",
    output_tokens="billed_units|tokens.output_tokens",
    cached_tokens="cached_tokens",
    beside="billed_units.search_units|classifications|images|image_tokens|pages",
)
TEXT_KEYS = {"text": "text", "thinking": "reasoning"}
"""Maps the fields of a content block that hold text to the kind of the block's part."""
PLAN = "tool_plan"
"""The type of a part of reasoning that is a plan, which goes back in a field of its own."""
_CALL_FIELDS = ("id", "type", "function", "name", "arguments")

FINISH_REASONS = reasons_of(
    stop="COMPLETE",
    stop_sequence="STOP_SEQUENCE",
    length="MAX_TOKENS ERROR_LIMIT",
    tool_calls="TOOL_CALL",
    content_filter="ERROR_TOXIC",
    cancelled="USER_CANCEL",
    error="ERROR TIMEOUT",
)

_FAILURES = {
    "ERROR": "generation failed with an error at the provider",
    "TIMEOUT": "generation took longer than the provider allows",
}
"""Messages for the finish reasons that are failures, used if the server sends no message."""


class CohereParts(KeyedParts[_CallKey, OpenPart]):
    """Reads the content of an answer: text, reasoning, tool calls, plans and citations.

    The methods are named after the events of version 2 of the API (v2); the events of version 1 (v1)
    have the same content in other fields. The key of a part is "block" or "call" and its index.
    """

    __slots__ = ("_part_indexes", "plan")

    def _set_up(self) -> None:
        super()._set_up()
        self._part_indexes: dict[int, int] = {}
        """Maps the index of each content block to the index of its part."""
        self.plan = NO_PART
        """The part of the model's plan for using tools."""

    def _note_taken(self, key: _CallKey, *, is_open: bool) -> None:
        if key[0] == "call":
            self.note("call_index_reused")
        else:
            super()._note_taken(key, is_open=is_open)

    # -- text and reasoning --------------------------------------------------

    def start_block(self, index: int | None, content: JsonObject) -> None:
        key = self._block_key(index, new=True)
        self._free(key)
        block_type = text_of(content, "type") or next((name for name in TEXT_KEYS if name in content), "")
        self._open_block(key, block_type, content)

    def add_to_block(self, index: int | None, content: JsonObject) -> None:
        """Add a delta to a block (None: the newest); its fields other than text are reported as `Unknown`."""
        key = self._block_key(index)
        for field, kind in TEXT_KEYS.items():
            text = content.get(field)
            if not isinstance(text, str) or (not text and self._is_of_other_kind(key, kind, content)):
                continue
            part = self._get_or_open_block(key, field, kind)
            self.add(part, text)
            # This notes a departure if the delta interrupts another open part.
            self.record_written_part(part)
        other_fields = fields_except(content, "type", *TEXT_KEYS)
        if other_fields is not None:
            self.note("delta_misfits")
            self.stray("content-delta", {"index": key[1], **other_fields})

    def _is_of_other_kind(self, key: _CallKey, kind: str, content: JsonObject) -> bool:
        """Return True if a delta is of another kind than the text in one of its fields, which is empty."""
        block = self._open.get(key)
        return any(content.get(name) for name in TEXT_KEYS) or (block is not None and block.kind != kind)

    def end_block(self, index: int | None) -> None:
        """Close a content block, by default the newest."""
        self.stop(self._block_key(index))

    def add_whole_block(self, index: int, content: JsonObject) -> None:
        self.start_block(index, content)
        self.end_block(index)

    def _block_key(self, index: int | None, *, new: bool = False) -> _CallKey:
        return "block", self.find_index(index, new=new)

    def _open_block(self, key: _CallKey, kind: str, content: JsonObject) -> OpenPart:
        self.close(self.plan)
        if kind in TEXT_KEYS:
            # The type of the block is also the name of the field with the text.
            part = self.open(0, empty_part(TEXT_KEYS[kind], fields_except(content, "type", kind)))
            self.add(part, text_of(content, kind) or "")
        else:
            part = self.open(0, OpaquePart(type=kind, data=content))
        self._open[key] = part
        self.newest = key[1]
        self._part_indexes[key[1]] = part.index
        return part

    def _get_or_open_block(self, key: _CallKey, field: str, kind: str) -> OpenPart:
        part = self._open.get(key)
        if part is None:
            self._note_unopened(key)
        elif part.kind == kind:
            return part
        else:
            # A block of another kind has this index.
            self.note("part_index_reused")
            self.close(part)
        return self._open_block(key, field, {})

    # -- plans and citations -------------------------------------------------

    def add_to_plan(self, text: object) -> None:
        """Add to the model's plan for using tools, by Cohere's page "a chain-of-thought style reflection"."""
        if isinstance(text, str) and text:
            if self.plan.closed:
                self.plan = self.open(0, ReasoningPart(provider_data={"type": PLAN}))
            self.add(self.plan, text)

    def cite_source(self, citation: JsonObject, documents: object = None) -> None:
        """Add a citation, which may refer to a document by its id."""
        index = citation.get("content_index")
        if not isinstance(index, int) or index not in self._part_indexes:
            # The citation names no known block, so it is assumed to refer to the newest.
            index = self.newest
        # Cohere counts no block for a plan.
        cites = None if citation.get("type") == "PLAN" else self._part_indexes.get(index)
        self.cite(0, citation_of(citation, cites, documents))

    def write_text(self, text: str, choice: int) -> None:
        """Add text of a v1 answer; v1 has no events for the beginning and the end of a part."""
        # The answer goes on, so the token limit has not cut off the calls that wait to be handed out.
        self._hand_out_waiting()
        self.write(choice, "text", text)
        block = self.choice(choice).current_part
        if block is not None and choice == 0:
            # In v1, all citations refer to this text.
            self.newest = 0
            self._part_indexes[0] = block.index

    # -- tool calls ----------------------------------------------------------

    def start_call(self, index: int | None, call: JsonObject) -> None:
        """Open a tool call; close an open one with the same index."""
        key = self._call_key(index, new=True)
        function = dict_of(call, "function")
        name = text_of(function, "name")
        self._free(key)
        self.close(self.plan)
        if not name:
            self.note("call_nameless")
            self._open[key] = self.open(0, OpaquePart(type="tool_call", data=call))
            return
        opened = self.open_call(
            0, text_of(call, "id"), name, provider_data=fields_of_call(call) or None, number=key[1]
        )
        self._open[key] = opened
        self.add_fragment(opened, function.get("arguments"))

    def add_to_call(self, index: int | None, call: JsonObject) -> None:
        """Add to the arguments of a call (None: the newest); without an open one, report it as unknown."""
        key = self._call_key(index)
        opened = self._open.get(key)
        function = dict_of(call, "function")
        arguments = function.get("arguments")
        fields = {**call, **function}
        note_unread_texts(opened, fields, "arguments")
        self.tell_fields(fields, _CALL_FIELDS)
        if opened is None:
            self._read_unmatched(key, arguments)
        elif self.add_fragment(opened, arguments):
            return
        # A call without a name was opened as an opaque part, which takes no arguments.
        self.stray("tool-call-delta", {"index": key[1], **call})

    def end_call(self, index: int | None) -> None:
        """Close a tool call, by default the first that is open, and hand it out if it is whole."""
        self.stop(self._call_key(index, ends=True))

    def _call_key(self, index: int | None, *, new: bool = False, ends: bool = False) -> _CallKey:
        if index is None:
            self.note("call_index_missing")
            indexes = self._call_indexes(*self._closed) if new else self._call_indexes()
            index = max(indexes, default=-1) + 1 if new else min(indexes, default=0)
            in_turn = None if new or ends else self.find_call_in_turn(0)
            if in_turn is not None and type(in_turn.number) is int:
                index = in_turn.number
        return "call", index

    def _call_indexes(self, *others: _CallKey) -> list[int]:
        return [index for kind, index in (*self._open, *others) if kind == "call"]

    # -- tool calls of v1 ------------------------------------------------------

    def add_v1_fragment(self, delta: JsonObject) -> None:
        """Add a piece of a v1 tool call: the first piece has the tool's name, the others have arguments."""
        self.add_to_plan(delta.get("text"))
        index = int_of(delta, "index")
        # Without an index, it is that of the open call that began last.
        key = "call", max(self._call_indexes(), default=0) if index is None else index
        name, parameters = text_of(delta, "name"), delta.get("parameters")
        opened = self._open.get(key)
        if opened is None and (name or parameters):
            if not name:
                # These arguments belong to no call.
                self.note("part_unopened")
                self.stray("tool_call_delta", delta)
                return
            opened = self._open[key] = self._open_v1_call(name)
        elif name and parameters is None:
            # The piece looks like the first one of a call, but this call has begun before.
            self.note("call_repeated")
        # A call without a name was opened as an opaque part, which takes no arguments.
        if opened is not None:
            note_unread_texts(opened, delta, "parameters", "text")
            self.add_fragment(opened, parameters)

    def read_call_list(self, calls: list[JsonObject]) -> None:
        """Read the list of all tool calls that v1 sends at the end; some may have been streamed before."""
        for index, call in enumerate(calls):
            name, values = text_of(call, "name"), call.get("parameters")
            key = "call", index
            opened = self._open.pop(key, None)
            if opened is None and not name:
                self.note("call_nameless")
                self.whole(0, OpaquePart(type="tool_call", data=call))
                continue
            if not isinstance(opened, OpenCall):
                # The call was not streamed.
                opened = self._open_v1_call(name or "")
            # v1 documents arguments as JSON values, of which the pieces are one spelling.
            complete_arguments(self, opened, values, replaces="all")
            self._note_closed(key, opened)
            # The list has all calls with all of their arguments.
            self.close_call(opened)

    @property
    def has_calls(self) -> bool:
        return bool(self._call_indexes(*self._closed))

    def _open_v1_call(self, name: str) -> OpenCall:
        self.close(self.plan)
        # v1 has no ids, so a missing one is not a departure.
        return self.open_call(0, "", name)

    # -- ends ------------------------------------------------------------------

    def forget_open(self) -> None:
        """Count each open block and call as a departure, and forget it; the end closes its part."""
        self._note_unclosed()
        self._open.clear()
        self._waiting.clear()


def usage_of(report: JsonObject) -> Usage:
    """Return the billed token counts as `Usage`; the context also has those that Cohere does not bill."""
    read = count_of(dict_of(report, "tokens"), "input_tokens")
    return COUNTED.read(report).model_copy(update={CONTEXT: read})


def citation_of(data: JsonObject, cites: int | None, documents: object) -> Citation:
    """Convert a citation.

    Of the sources, only the first with an address or a title is used. The other sources
    stay in `provider_data`, and so does `text`, which repeats the cited words of the answer.
    """
    url = title = None
    ids = data.get("document_ids")
    # A citation of v1 lists the ids of documents.
    listed = [document for document in dicts_of(documents) if is_list(ids) and document.get("id") in ids]
    sources = dicts_of(data.get("sources"))
    for source in (*[dict_of(each, "document") or dict_of(each, "tool_output") for each in sources], *listed):
        url, title = text_of(source, "url"), text_of(source, "title")
        if url or title:
            break
    return Citation(
        url=url,
        title=title,
        start=int_of(data, "start"),
        end=int_of(data, "end"),
        cites=cites,
        provider_data=data,
    )


def failure_of(reason: str, failure_message: str | None) -> ProviderError | None:
    if reason not in _FAILURES:
        return None
    error = provider_error({"error": {"message": failure_message, "type": reason}}, ours=_FAILURES[reason])
    if error is not None and error.kind == "unknown":
        # Cohere's word says only that the server failed.
        error.kind, error.retryable = "server", True
    return error
