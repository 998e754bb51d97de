"""Messages of LangChain's streaming protocol that are open at the same time, and the content blocks in them.

Blocks have events for their start, their pieces and their end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.json import says_no_arguments
from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    fields_except,
    int_of,
    is_dict,
    text_of,
    text_or_empty,
)
from tokenstream.formats._kit.open import NO_PART, OpenCall
from tokenstream.formats._kit.repeated import complete_arguments
from tokenstream.formats._kit.values import base64_bytes, split_names
from tokenstream.formats._wire.langchain.parts import (
    MESSAGE_FIELDS,
    LangChainBlocks,
    citation_of,
    close_before_next,
    find_signature,
    tell_unread_fields,
)
from tokenstream.message import MediaPart, OpaquePart, ReasoningPart, ServerToolCall, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.sessions import SessionParts

START, FINISH = "message-start", "message-finish"
_MOST_OPEN = 1_000
"""Number of open messages that are known at most; the oldest one has lost its end."""


class OpenMessage:
    """A message that has begun and not ended.

    Args:
        id: The message's id; "" if it has none.
        is_answer: True if a model writes the message; False for any other, such as a tool's.
    """

    __slots__ = ("count", "id", "ids", "is_answer", "is_mixed", "was_taken")

    def __init__(self, id: str, *, is_answer: bool) -> None:
        self.id = id
        self.ids = [id]
        """The ids of the messages that this one stands for, until they are taken."""
        self.is_answer = is_answer
        self.is_mixed = False
        """True if another message is open of which nothing tells this one."""
        self.was_taken = False
        """True once ids were taken: the answers that were open have ended, and its pieces belong to none."""
        self.count = 1
        """Number of messages that this one stands for: more than 1 if they are mixed."""

    def mix(self, others: Iterable[OpenMessage]) -> None:
        """Stand for other messages, too."""
        self.is_mixed = True
        for other in others:
            other.is_mixed = True
            self.is_answer = self.is_answer or other.is_answer
            self.count += other.count
            self.ids += other.ids
        del self.ids[_MOST_OPEN:]

    def end_one(self) -> bool:
        """End one of the messages that this one stands for; return True if it was the last."""
        self.count -= 1
        return not self.count

    def take_ids(self) -> list[str]:
        """Return the ids of the messages that have been mixed since the last call."""
        ids, self.ids, self.was_taken = self.ids, [], True
        return ids


class OpenMessages:
    """The open messages of one namespace, by their sources: a model's run, or a node.

    Only its start has a message's id. Other events belong to the message that is open at their source. Two
    messages with one source, or without any, are mixed until both have ended.

    Example:
        >>> messages = OpenMessages()
        >>> a = messages.place({"event": "message-start", "id": "a"}, "node_a")
        >>> b = messages.place({"event": "message-start", "id": "b"}, "node_b")
        >>> messages.place({"event": "message-finish"}, "node_a") is a, b.is_mixed
        (True, False)
        >>> messages.place({"event": "message-start", "id": "c"}, "node_b") is b, b.is_mixed
        (True, True)
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[str | None, OpenMessage] = {}
        """The messages by their sources; mixed ones are a single object."""

    def place(self, event: JsonObject, source: str | None) -> OpenMessage | None:
        """Return the message of an event, which may begin or end it; None if its start has not come."""
        kind, message = text_of(event, "event"), self._find(source)
        if kind == START:
            id = text_or_empty(event, "id")
            is_answer = text_of(event, "role") in (None, "ai")
            if message is None:
                return self.begin(source, id, is_answer=is_answer)
            if not id or id != message.id:
                message.mix([OpenMessage(id, is_answer=is_answer)])
        elif message is not None and kind in (FINISH, "error") and message.end_one():
            self._open = {key: each for key, each in self._open.items() if each is not message}
        return message

    def begin(self, source: str | None, id: str, *, is_answer: bool) -> OpenMessage:
        if len(self._open) >= _MOST_OPEN:
            del self._open[next(iter(self._open))]
        message = self._open[source] = OpenMessage(id, is_answer=is_answer)
        return message

    def clear(self) -> None:
        """Forget all messages, because the run has ended."""
        self._open.clear()

    def _find(self, source: str | None) -> OpenMessage | None:
        """Return the open message of a source; those among which nothing tells are mixed."""
        if source is not None:
            return self._open.get(source) or self._open.get(None)
        first = next(iter(self._open.values()), None)
        if first is not None and len(self._open) > 1:
            first.mix({each for each in self._open.values() if each is not first})
            self._open = dict.fromkeys(self._open, first)
        return first


_CALL_CHUNK, _SERVER_CALL_CHUNK = "tool_call_chunk", "server_tool_call_chunk"
_CALLS = frozenset({_CALL_CHUNK, "tool_call", "invalid_tool_call"})
_MEDIA = split_names("image audio video file")
_GROWING: dict[str, type[TextPart | ReasoningPart]] = {"text": TextPart, "reasoning": ReasoningPart}
"""Maps the types of blocks with a text, which are also the names of its field, to the classes of parts."""
_FIELDS = {
    "text": ("type", "text", "index", "annotations"),
    "reasoning": ("type", "reasoning", "index", "extras", "signature"),
}
_CALL_FIELDS = split_names("type id name args index error")


class _ContentBlock:
    __slots__ = ("kind", "part")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        """The type of the block, as its start says; "" if the block was not begun."""
        self.part: OpenPart = NO_PART
        """The part of the block; `NO_PART` until the part can be opened."""


class ProtocolBlocks:
    """Turns the content blocks of one answer into its parts; each event names its block by an index.

    A call is not handed out at the end of its block: LangChain ends all blocks when the provider's stream
    ends, also if that was cut off. Another block, or the finish reason, shows that the call is whole.
    """

    __slots__ = ("_blocks", "_ended_calls", "_last_call", "_parts", "_whole_blocks")

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._whole_blocks = LangChainBlocks(parts)
        self._blocks: dict[int, _ContentBlock] = {}
        """The blocks that have begun, by their indexes."""
        self._ended_calls: list[OpenCall] = []
        """The calls whose blocks have ended since the last piece of any block."""
        self._last_call: OpenCall | None = None

    def clear(self) -> None:
        """Forget the blocks of the answer before, because another answer begins."""
        self._blocks.clear()
        self._ended_calls.clear()
        self._last_call = None

    def begin(self, event: JsonObject) -> None:
        """Begin a block; a text, reasoning or a call with a name becomes a part, with what the start has."""
        self._close_ended_calls()
        close_before_next(self._parts, self._last_call)
        self._last_call = None
        index, content = int_of(event, "index") or 0, _find_event_block(event)
        before = self._blocks.get(index)
        if before is not None and not _is_ended(before):
            self._parts.note("part_repeated")
            return
        if before is not None:
            self._parts.note("part_index_reused")
        block = self._make_block(index, text_or_empty(content, "type"))
        if block.kind in _GROWING:
            data = fields_except(content, *_FIELDS[block.kind])
            block.part = self._parts.open(0, _GROWING[block.kind](provider_data=data))
            self._parts.add(block.part, text_or_empty(content, block.kind))
        elif block.kind in _CALLS:
            self._open_call(block, content)
            # An empty object stands for arguments that are still to come.
            if not says_no_arguments(text_or_empty(content, "args")):
                self._add_arguments(block, content)
        elif block.kind == _SERVER_CALL_CHUNK:
            self._open_server_call(block, content)
            self._add_arguments(block, content)
        # The start of a whole block only says what comes at its end.

    def add(self, event: JsonObject) -> bool:
        """Add a piece to a block; return False for a piece of an unknown kind."""
        self._close_ended_calls()
        index, delta = int_of(event, "index") or 0, _find_event_piece(event)
        reader = self._DELTAS.get(text_or_empty(delta, "type"))
        if reader is None:
            return False
        self._parts.tell_inside(delta, MESSAGE_FIELDS)
        block = self._blocks.get(index)
        if block is None:
            self._parts.note("part_unopened")
            block = self._make_block(index, "")
        if _is_ended(block) and not isinstance(block.part, OpenCall):
            return self._add_late(index, block, delta)
        return reader(self, block, delta)

    def _add_late(self, index: int, block: _ContentBlock, delta: JsonObject) -> bool:
        """Add text in a new part after a block's end, unless the end has it; return False for all else."""
        kind = text_or_empty(delta, "type").removesuffix("-delta")
        text = text_of(delta, kind)
        if text is None or kind != block.part.kind:
            self._parts.note("part_after_close")
            return False
        if not self._parts.is_in_whole_text(block.part, text):
            self._parts.note("part_after_close")
            self._DELTAS[f"{kind}-delta"](self, self._make_block(index, block.kind), {kind: text})
        return True

    def end(self, event: JsonObject) -> None:
        """End a block: add what its pieces lack, or all of it if it had none."""
        index, content = int_of(event, "index") or 0, _find_event_block(event)
        kind = text_or_empty(content, "type")
        block = self._blocks.get(index)
        if block is None:
            self._parts.note("part_unopened")
            block = self._make_block(index, kind)
        if block.part is not NO_PART:
            tell_unread_fields(self._parts, content)
        if isinstance(block.part, OpenCall) and block.part.closed:
            # The block after it has shown that the call was whole; its end repeats the arguments.
            complete_arguments(self._parts, block.part, content.get("args"))
        elif _is_ended(block):
            self._parts.note("part_end_unmatched")
        elif kind in _GROWING:
            self._end_text(block, content, kind)
        elif kind in _CALLS:
            self._end_call(block, content)
        elif block.part is not NO_PART:
            # The pieces of a server's call, or of media, were all of it.
            self._parts.close(block.part)
        else:
            self._close_ended_calls()
            self._whole_blocks.read([content])

    # -- within ------------------------------------------------------------

    def _make_block(self, index: int, kind: str) -> _ContentBlock:
        self._parts.check_room(len(self._blocks))
        block = self._blocks[index] = _ContentBlock(kind)
        return block

    def _close_ended_calls(self) -> None:
        """Hand out the calls whose blocks have ended: more of the answer follows, so they are whole."""
        ended, self._ended_calls = self._ended_calls, []
        for call in ended:
            self._parts.end_at_mark(call)

    def _add_text(self, block: _ContentBlock, delta: JsonObject, *, kind: str) -> bool:
        """Add text or reasoning to a block; return False if the block is of another kind."""
        if block.part is NO_PART:
            block.part = self._parts.open(0, _GROWING[kind]())
        self._parts.add(block.part, text_or_empty(delta, kind))
        return block.part.kind == kind

    def _add_arguments(self, block: _ContentBlock, delta: JsonObject) -> bool:
        # Without a name so far, the end of the block has the whole call.
        return self._parts.add_fragment(block.part, text_or_empty(delta, "args"))

    def _add_data(self, block: _ContentBlock, delta: JsonObject) -> bool:
        """Add a piece of media to a block; return False if the piece is not base64."""
        data = base64_bytes(text_or_empty(delta, "data"))
        if data is None or block.kind not in _MEDIA:
            return False
        if block.part is NO_PART:
            block.part = self._parts.open(0, MediaPart())
        self._parts.add_media(block.part, data)
        return True

    def _add_fields(self, block: _ContentBlock, delta: JsonObject) -> bool:
        """Read the fields of a block that have changed; return False if they say nothing that is known."""
        fields = dict_of(delta, "fields")
        arguments = fields.get("args")
        if isinstance(arguments, str) and isinstance(block.part, OpenCall) and not block.part.closed:
            # The field has all arguments so far.
            before = block.part.arguments.join() + block.part.placeholder
            if arguments.startswith(before):
                self._parts.add_arguments(block.part, arguments[len(before) :])
                return True
            return False
        signature = find_signature(fields)
        if signature and block.part.kind == "reasoning" and block.part is not NO_PART:
            self._parts.add_signature(block.part, signature)
            return True
        return False

    def _end_text(self, block: _ContentBlock, content: JsonObject, kind: str) -> None:
        """Compare a text with its pieces, add what they lack, and close its part; reasoning may be signed."""
        if block.part is NO_PART:
            block.part = self._parts.open(0, _GROWING[kind]())
        signature = find_signature(content) if kind == "reasoning" else None
        if signature and block.part.signature != signature:
            self._parts.add_signature(block.part, signature)
        whole = text_of(content, kind)
        if whole:
            self._parts.tell(block.part, whole, len(whole))
        self._parts.close(block.part)
        for annotation in dicts_of(content.get("annotations")):
            self._parts.cite(0, citation_of(annotation))

    def _end_call(self, block: _ContentBlock, content: JsonObject) -> None:
        """End the block of a call, whose arguments LangChain has parsed from the pieces."""
        if block.part is NO_PART:
            self._open_call(block, content)
        call, arguments = block.part, content.get("args")
        if not isinstance(call, OpenCall):
            self._parts.note("call_nameless")
            self._parts.whole(0, OpaquePart(type="tool_call", data=content))
            return
        if arguments:
            complete_arguments(self._parts, call, arguments)
        self._ended_calls.append(call)

    def _open_call(self, block: _ContentBlock, content: JsonObject) -> None:
        name = text_of(content, "name")
        if name:
            data = fields_except(content, *_CALL_FIELDS)
            call = self._parts.open_call(0, text_of(content, "id"), name, provider_data=data)
            block.part = self._last_call = call

    def _open_server_call(self, block: _ContentBlock, content: JsonObject) -> None:
        """Open the part for a call of a tool that the provider runs, which arrives in pieces."""
        id, name = text_or_empty(content, "id"), text_or_empty(content, "name")
        data = fields_except(content, *_CALL_FIELDS)
        block.part = self._parts.open(0, ServerToolCall(id=id, name=name, provider_data=data))

    _DELTAS: ClassVar[dict[str, Callable[[ProtocolBlocks, _ContentBlock, JsonObject], bool]]] = {
        "text-delta": partial(_add_text, kind="text"),
        "reasoning-delta": partial(_add_text, kind="reasoning"),
        "tool-call-delta": _add_arguments,
        "data-delta": _add_data,
        "block-delta": _add_fields,
    }


def _is_ended(block: _ContentBlock) -> bool:
    return block.part.closed and block.part is not NO_PART


def _find_event_block(event: JsonObject) -> JsonObject:
    """Return the block in an event; before version 1.4, LangChain called it `content_block`."""
    return dict_of(event, "content") or dict_of(event, "content_block")


def _find_event_piece(event: JsonObject) -> JsonObject:
    """Return the piece in an event; an older server sends a block, whose text is the piece."""
    delta = event.get("delta")
    if is_dict(delta):
        return delta
    # Quirk (langgraph-api 0.16.7, 2026-11): the pieces of a tool's message are blocks.
    block = _find_event_block(event)
    kind = text_or_empty(block, "type")
    if kind in (_CALL_CHUNK, _SERVER_CALL_CHUNK):
        kind = "tool-call"
    return {**block, "type": f"{kind}-delta"}
