"""The parts of an answer of Bedrock: each content block becomes one; its events have the block's index."""

from __future__ import annotations

import binascii
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_dict, text_of
from tokenstream.formats._kit.blocks import KeyedParts
from tokenstream.formats._kit.open import note_unread_texts
from tokenstream.formats._kit.parts import BLANK_REASONING, BLANK_TEXT
from tokenstream.formats._kit.values import failure_text
from tokenstream.message import Citation, MediaPart, OpaquePart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.message import Part

AddedContent: TypeAlias = "dict[str, list[Any]]"
"""The content of a part that came in pieces, by the names of their fields."""


class ConverseBlock:
    """The state of a content block that has not ended.

    The block's part is opened once its kind is known: at its start, or at its first delta.
    """

    __slots__ = ("added", "part", "start")

    def __init__(self) -> None:
        self.clear()  # sets the attributes

    def clear(self) -> None:
        """Reset the block, because another kind of content follows under its index."""
        self.part: OpenPart | None = None
        self.start: Part = BLANK_TEXT
        """The block's part as it was opened."""
        self.added: JsonObject = {}
        """Maps the names of fields that deltas have added to the part to lists of their values."""

    def add_field(self, name: str, value: object) -> bool:
        """Add a field of a delta to the block's part; return True if the field must be reported at once.

        The result is True for the first field only. Servers send such data in one piece; if there are
        more pieces, these wait for the end of the block, because a report of each one would repeat all
        pieces before it.
        """
        is_first = not self.added
        self.added.setdefault(name, []).append(value)
        return is_first

    def make_part(self) -> Part:
        """Return the part without its text: as it was opened, with the fields that deltas have added."""
        # Deltas add fields only to parts of the kinds in `_COMBINERS`.
        return _COMBINERS[self.start.kind](self.start, self.added)


def _join_texts(pieces: list[JsonObject]) -> list[JsonObject]:
    merged: list[JsonObject] = []
    for are_texts, group in groupby(pieces, _is_text):
        adjacent = list(group)
        merged += [{"text": "".join([piece["text"] for piece in adjacent])}] if are_texts else adjacent
    return merged


def _is_text(piece: JsonObject) -> bool:
    return isinstance(piece.get("text"), str) and len(piece) == 1


def _add_redacted(start: Part, added: AddedContent) -> Part:
    """Return a reasoning part with its encrypted form, whose pieces of base64 may each end with padding."""
    pieces = added["redacted"]
    decoded = [bytes_of(piece) for piece in pieces]
    # None stands for a piece that is not base64 by itself: perhaps only the pieces together are.
    if len(pieces) > 1 and None not in decoded:
        pieces = [base64_of(b"".join([piece for piece in decoded if piece])) or ""]
    return start.model_copy(update={"redacted": "".join(pieces)})


def _add_result_content(start: Part, added: AddedContent) -> Part:
    content = _join_texts(added["content"])
    data: JsonObject = getattr(start, "provider_data", None) or {}
    failure = {"error": failure_text(content)} if data.get("status") == "error" else {}
    return start.model_copy(update={"content": content, **failure})


def _add_image_data(start: Part, added: AddedContent) -> Part:
    data: JsonObject = {**(getattr(start, "provider_data", None) or {})}
    data |= {name: values[-1] for name, values in added.items()}
    return start.model_copy(update={"provider_data": data, "url": text_of(data.get("s3Location", {}), "uri")})


_COMBINERS: dict[str, Callable[[Part, AddedContent], Part]] = {
    "reasoning": _add_redacted,
    "server_tool_result": _add_result_content,
    "media": _add_image_data,
}


_EMPTY_PARTS: dict[str, Part] = {"text": BLANK_TEXT, "reasoning": BLANK_REASONING}
_CLIENT_TYPES = frozenset({None, "tool_use"})
"""Types of a `toolUse` block whose tool the application runs."""


class ConverseBlocks(KeyedParts[int, ConverseBlock]):
    """Turns content blocks into parts of a message.

    Blocks of text and reasoning have no start event. The indexes of the blocks may have gaps.
    """

    __slots__ = ()

    # -- blocks ------------------------------------------------------------

    def start(self, index: int, start: JsonObject) -> None:
        self._free(index)
        block = self._open_block(index)
        for name, value in start.items():
            if value is not None:
                self._read_start_field(block, name, value)
        # A start interrupts no other part, so the part is recorded without a check for that.
        self._last_written = block.part

    def add_delta(self, index: int, delta: JsonObject, payload: JsonObject) -> None:
        """Add a delta to its block; fields that do not fit the block are reported as unknown."""
        # Calls that the token limit might have cut off are whole, because the answer goes on.
        self._hand_out_waiting()
        block = self._open.get(index)
        if block is None:
            if delta.get("toolUse") is not None:
                # Arguments lack the tool's name, which only a start event has.
                self._read_unmatched(index, dict_of(delta, "toolUse").get("input"))
                self.stray("toolUse", payload)
                return
            if index in self._closed:
                self.note("part_after_close")
            block = self._open_block(index)
        elif block.part is not None:
            self.record_written_part(block.part)
        for name, value in delta.items():
            if value is None:
                continue
            reader = self._DELTA_READERS.get(name)
            if reader is None:
                note_unread_texts(block.part, {name: value})
                self.tell_field(name, value)
                self.stray(name, payload)
            elif not reader(self, block, value):
                self.note("delta_misfits")
                self.stray(name, payload)
        # The first delta of a block opens its part, and does not interrupt another part. So record the part
        # here, without the check of `record_written_part`.
        self._last_written = block.part

    # -- opening -----------------------------------------------------------

    def _open_block(self, index: int) -> ConverseBlock:
        self.check_room(len(self._open))
        self._closed.pop(index, None)
        block = self._open[index] = ConverseBlock()
        self.newest = index
        return block

    def _open_part(self, block: ConverseBlock, content: Part) -> OpenPart:
        block.start = content
        block.part = self.open(0, content)
        return block.part

    def _read_start_field(self, block: ConverseBlock, name: str, value: object) -> None:
        """Open the part of a block that a field of the start event describes.

        A field that belongs in a delta is read like one, and opens the part of its kind.
        """
        opener = self._PART_OPENERS.get(name)
        reader = self._DELTA_READERS.get(name)
        if opener is not None and is_dict(value):
            opener(self, block, value)
        elif reader is None or not reader(self, block, value):
            self._open_part(block, OpaquePart(type=name, data=value if is_dict(value) else {name: value}))

    def _open_tool(self, block: ConverseBlock, start: JsonObject) -> OpenPart:
        """Open a call of the application's or the server's tool; without a name, open an opaque part."""
        call_id, name = text_of(start, "toolUseId"), text_of(start, "name")
        other_fields = fields_except(start, "toolUseId", "name", "input")
        if text_of(start, "type") not in _CLIENT_TYPES:
            # The server runs the tool itself; without a type, the application does.
            call = ServerToolCall(id=call_id or "", name=name or "", provider_data=other_fields)
            part = self._open_part(block, call)
        elif name is None:
            self.note("call_nameless")
            part = self._open_part(block, OpaquePart(type="toolUse", data=start))
        else:
            # For a call of the application's tool, `type` says nothing further.
            other_fields = fields_except(start, "toolUseId", "name", "input", "type")
            # `newest` is the index of this block.
            part = block.part = self.open_call(
                0, call_id, name, provider_data=other_fields, number=self.newest
            )
        if start.get("input"):
            self._add_input(block, start)
        return part

    def _open_result(self, block: ConverseBlock, start: JsonObject) -> OpenPart:
        result = ServerToolResult(
            id=text_of(start, "toolUseId") or "",
            name=text_of(start, "type") or "",
            content=[],
            provider_data=fields_except(start, "toolUseId", "type", "content"),
            error=failure_text(None) if start.get("status") == "error" else None,
        )
        part = self._open_part(block, result)
        if "content" in start:
            self._add_result(block, start["content"])
        return part

    def _open_image(self, block: ConverseBlock, start: JsonObject) -> OpenPart:
        kind = text_of(start, "format")
        media = MediaPart(
            mime_type=None if kind is None else f"image/{kind}",
            provider_data=fields_except(start, "source", "error"),
        )
        part = self._open_part(block, media)
        self._add_image(block, start)
        return part

    # -- adding ------------------------------------------------------------

    # The methods in `_DELTA_READERS` are passed one field of a delta.

    def _get_or_open_part(self, block: ConverseBlock, kind: str) -> OpenPart:
        if block.part is not None and block.part.kind != kind:
            # Gateways that imitate Bedrock use one index for all blocks.
            self.note("part_index_reused")
            self._close_replaced(block)
            block.clear()
        return block.part or self._open_part(block, _EMPTY_PARTS[kind])

    def _add_text(self, block: ConverseBlock, text: object) -> bool:
        if not isinstance(text, str):
            return False
        # Quirk (Amazon Nova, 2025-03): blocks of empty text alone, where a guardrail took a word out;
        # recording: bedrock-invoke-openllmetry-test-nova-invoke-stream-bb275d29.
        if text:
            self.add(self._get_or_open_part(block, "text"), text)
        return True

    def _add_reasoning(self, block: ConverseBlock, delta: object) -> bool:
        """Add reasoning, its signature or redacted content; return False if the value does not fit."""
        if not is_dict(delta) or not delta:
            return False
        text, signature = delta.get("text"), delta.get("signature")
        redacted = base64_of(delta.get("redactedContent"))
        other_fields = fields_except(delta, "text", "signature", "redactedContent")
        if isinstance(text, str) and text:
            self.add(self._get_or_open_part(block, "reasoning"), text)
        if isinstance(signature, str) and signature:
            self.add_signature(self._get_or_open_part(block, "reasoning"), signature)
        if redacted is not None:
            self._add_data(block, self._get_or_open_part(block, "reasoning"), "redacted", redacted)
        if other_fields is not None:
            self.tell_field("reasoningContent", other_fields)
            self.stray("reasoningContent", other_fields)
        return text is None or isinstance(text, str)

    def _add_input(self, block: ConverseBlock, delta: object) -> bool:
        """Add arguments to a tool call, as text or values; return False if the value does not fit."""
        if not is_dict(delta) or block.part is None:
            if block.part is None:
                self.note("part_unopened")
            return False
        note_unread_texts(block.part, delta, "input")
        self.tell_fields(delta, ("toolUseId", "name", "input"))
        fragment = delta.get("input")
        if fragment is None and block.part.kind in ("tool_call", "server_tool_call"):
            self.note("arguments_null")
            return True
        return self.add_fragment(block.part, fragment)

    def _cite(self, block: ConverseBlock, citation: object) -> bool:
        if not is_dict(citation) or not citation:
            return False
        # Citations arrive before the text that they support, so the text may have to be opened.
        self.cite(0, citation_of(citation, self._get_or_open_part(block, "text").index))
        return True

    def _add_result(self, block: ConverseBlock, delta: object) -> bool:
        pieces = dicts_of(delta)
        part = block.part
        if part is None:
            self.note("part_unopened")
            part = self._open_result(block, {})
        if part.kind != "server_tool_result":
            return False
        for piece in pieces:
            self._add_data(block, part, "content", piece)
        return bool(pieces)

    def _add_image(self, block: ConverseBlock, delta: object) -> bool:
        """Add data, or the location of the file, to an image; return False if the value does not fit."""
        if not is_dict(delta):
            return False
        part = block.part
        if part is None:
            self.note("part_unopened")
            part = self._open_image(block, {})
        if part.kind != "media":
            return False
        source = delta.get("source")
        fields = source if is_dict(source) else {}
        # Without the field, no data are added; None stands for data that cannot be decoded.
        data = bytes_of(fields.get("bytes", ""))
        if data is None:
            self.add_undecodable_media(0, "image", delta)
            return True
        self.add_media(part, data)
        for name, value in (("s3Location", fields.get("s3Location")), ("error", delta.get("error"))):
            if is_dict(value):
                self._add_data(block, part, name, value)
        return True

    def _add_data(self, block: ConverseBlock, part: OpenPart, name: str, value: object) -> None:
        """Add a field of a delta to a part.

        The first field that deltas add to the block is reported at once, further ones at the block's end.
        """
        if block.add_field(name, value):
            self.report_start_again(part, block.make_part())

    # -- closing -----------------------------------------------------------

    def _report_unsent(self, block: ConverseBlock) -> None:
        # The first piece of all was reported at once.
        if sum(len(pieces) for pieces in block.added.values()) > 1 and block.part is not None:
            self.report_start_again(block.part, block.make_part())

    _PART_OPENERS: ClassVar[dict[str, Callable[[ConverseBlocks, ConverseBlock, JsonObject], OpenPart]]] = {
        "toolUse": _open_tool,
        "toolResult": _open_result,
        "image": _open_image,
    }
    _DELTA_READERS: ClassVar[dict[str, Callable[[ConverseBlocks, ConverseBlock, object], bool]]] = {
        "text": _add_text,
        "reasoningContent": _add_reasoning,
        "toolUse": _add_input,
        "citation": _cite,
        "toolResult": _add_result,
        "image": _add_image,
    }


def citation_of(data: JsonObject, cites: int) -> Citation:
    """Convert a citation, whose positions are those in the source."""
    source = text_of(data, "source") or ""
    texts = [text_of(piece, "text") or "" for piece in dicts_of(data.get("sourceContent"))]
    web = dict_of(dict_of(data, "location"), "web")
    return Citation(
        url=text_of(web, "url") or (source if "://" in source else None),
        title=text_of(data, "title"),
        text="".join(texts) or None,
        cites=cites,
        provider_data=data,
    )


def bytes_of(value: object) -> bytes | None:
    """Return bytes sent as base64 or, by an SDK, as bytes; None for anything else."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value.isascii():
        return None
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except binascii.Error:
        return None


def base64_of(value: object) -> str | None:
    """Return base64 for a value that is bytes in an SDK and base64 on the wire; None for any other value."""
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode("ascii")
    return value if isinstance(value, str) and value else None
