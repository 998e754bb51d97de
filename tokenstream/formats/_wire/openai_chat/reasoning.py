"""Read the reasoning of a choice, which arrives as plain text, as a list of typed details, or as both.

If both are in one delta, the text repeats the details. Details that repeat the whole plain text in a later
delta only add their signature. A signature ends its block; text that is not a repetition begins another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.chat_words import BLOCKS, REASONING_FIELDS, REASONING_LISTS, REASONING_STEPS
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_dict, text_of
from tokenstream._values.parts import READ_FROM
from tokenstream.formats._wire.openai_chat.parts import scalar_or_none, text_within
from tokenstream.message import ReasoningPart

if TYPE_CHECKING:
    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._wire.openai_chat.parts import ChatContent

_DETAIL_TEXT_FIELDS = ("text", "summary", "thinking")
_DETAIL_FIELDS = (*_DETAIL_TEXT_FIELDS, "type", "id", "index", "format", "signature", "data", READ_FROM)
_OBJECT_TEXT_FIELDS = ("text", "value", "content", "thinking")
_THINKING = frozenset({"thinking", "signature", "data"})
_STEP_TEXT_FIELDS = ("thought", "text", "content")


class ChatReasoning:
    """Reads the reasoning in the deltas of one choice; each piece is reported once.

    Args:
        content: Reads the other content of the choice.
    """

    __slots__ = (
        *("_content", "_fields", "_is_mixed", "_key", "_part", "_parts", "_plain_part", "_repeated"),
        *("_field", "_signed", "_text"),
    )

    def __init__(self, content: ChatContent) -> None:
        self._content = content
        self._parts = content.parts
        self._field = ""
        """The field of the last plain text."""
        # The block that is being written.
        self._part: OpenPart | None = None
        """The part of the block that has details; None before the first of them."""
        self._key: tuple[object, object] = (None, None)
        """Type and index of the block's details."""
        self._fields: JsonObject = {}
        """Fields of the block's details, which the next request must have, too."""
        self._text: TextLog | None = None
        """The text of a block that has details; None before the first of them."""
        self._is_mixed = False
        """True if the block has another text than its details, whose signature then does not fit it."""
        self._plain_part: OpenPart | None = None
        """The last part of plain text, which details may repeat; None if there is none."""
        self._repeated = ""
        """The text of the last detail that repeated it, while the signature is still to come."""
        self._signed: set[tuple[str, str]] = set()
        """The signatures of earlier blocks, each with the text of its block, and with an empty one."""

    def read(self, delta: JsonObject) -> None:
        """Read the reasoning in a delta, which may be in several fields.

        A list of details must be sent back in the next request. If there is also a text, the text
        repeats the content of the details in readable form.
        """
        text = self._find_plain_text(delta)
        details = [item for name in REASONING_LISTS[:-1] for item in dicts_of(delta.get(name))]
        if BLOCKS in delta:
            details += self._find_thinking(delta)
        if details:
            self._read_details(details, text)
        elif text:
            self._add_plain(text)
        for name in REASONING_STEPS:
            for step in dicts_of(delta.get(name)):
                self._read_step(step)

    def follow(self) -> DeltaCallback | None:
        """Return a function to call with each later delta of plain reasoning; see `Format.follow`."""
        part, text = self._current, self._text
        if part is None or text is None:
            return None

        def keep(delta: Any) -> bool | None:  # noqa: ANN401 - a `ReasoningDelta`
            """Keep the text of a delta of the block; return False if the delta must be decoded."""
            if part.signature or self._part is not part:
                return False
            text.append(delta.text)
            return None

        return keep

    # -- plain text --------------------------------------------------------

    def _find_plain_text(self, delta: JsonObject) -> str:
        """Return the reasoning in the fields of plain text, of which one may repeat another."""
        text = ""
        for name in REASONING_FIELDS:
            value = delta.get(name)
            # A boolean is a flag, not reasoning; a number is a piece of reasoning.
            value = None if isinstance(value, bool) else self._content.scalar_as_text(value)
            if not text:
                self._field = name
            if is_dict(value):
                text = text or text_within(value) or text_of(value, "content", "thinking") or ""
                unread = fields_except(value, *_OBJECT_TEXT_FIELDS)
                if unread is not None:
                    self._content.read_opaque({"type": name, **unread})
            elif not isinstance(value, str):
                text = text or text_within(value)
            elif not text:
                text = value
            elif value == text:
                # Quirk (Rapid-MLX, 2026-06): `reasoning` repeats `reasoning_content`;
                # raullenchai/Rapid-MLX#852.
                self._parts.note("reasoning_twice")
            elif value:
                # This field has another text than the first one: nothing of it may be lost.
                self._parts.field(name, value, self._content.choice)
        return text

    def _add_plain(self, text: str) -> None:
        """Add a plain text, unless it repeats the details of the block."""
        part, log = self._current, self._text
        if part is None or log is None:
            self._content.write("reasoning", text, self._start())
            self._plain_part = self._content.state.current_part
        elif self._is_whole(text):
            self._parts.note("reasoning_twice")
        elif part.signature:
            # The signature has ended the block: `write` begins another one.
            self._content.write("reasoning", text, self._start())
        else:
            self._is_mixed = True
            self._append(part, text)

    def _find_thinking(self, delta: JsonObject) -> list[JsonObject]:
        """Return the reasoning in Anthropic's blocks as details; the text of blocks is in `content`, too.

        Quirk (Portkey 1.15, 2026-11): each block is its start or a delta, without the type.
        """
        found: list[JsonObject] = []
        for block in dicts_of(delta.get(BLOCKS)):
            fields = dict_of(block, "delta") or block
            names = fields.keys() & _THINKING
            if names:
                sent = {name: fields[name] for name in names} | {READ_FROM: BLOCKS}
                is_hidden = "data" in names
                kind = (
                    {"type": "redacted_thinking"}
                    if is_hidden
                    else {"type": "thinking", "index": block.get("index")}
                )
                found.append(sent | kind)
            elif fields_except(fields, "type", "text" if delta.get("content") else "type"):
                self._parts.tell_field(BLOCKS, fields)
                self._parts.stray(BLOCKS, block, self._content.choice)
        return found

    def _start(self) -> ReasoningPart | None:
        """Return the empty part with which text of an unusual field begins; None if it goes on."""
        current = self._content.state.current_part
        goes_on = current is not None and current.kind == "reasoning" and not current.signature
        if goes_on or self._field == REASONING_FIELDS[0]:
            return None
        return ReasoningPart.model_construct(provider_data={READ_FROM: self._field})

    # -- details -----------------------------------------------------------

    def _read_details(self, details: list[JsonObject], text: str) -> None:
        """Read a list of reasoning details; if plain text beside them differs, it is used instead.

        Where a block begins, a signature is about the text of its detail: the plain text is then carried.
        """
        own_texts = [_find_detail_text(item) for item in details if "data" not in item]
        if text and any(own_texts):
            self._parts.note("reasoning_twice")
        is_sum = text == "".join(own_texts)
        begun = self._content.state.current_part
        is_begun = begun is not None and begun.kind == "reasoning" and not begun.signature
        if text and not is_sum and not is_begun and any(own_texts) and any(map(_signature_in, details)):
            is_sum = True
            self._parts.field(REASONING_FIELDS[0], text, self._content.choice)
        unread_text = "" if is_sum else text
        for item in details:
            encrypted = text_of(item, "data")
            if encrypted is not None:
                self._content.read_encrypted(item, encrypted)
                continue
            own_text = _find_detail_text(item)
            # If the texts differ, the first readable detail gets all of the plain text, and others nothing.
            added_text = own_text if is_sum or not text else unread_text
            unread_text = ""
            signature = _signature_in(item)
            if added_text or signature:
                self._read_detail(item, added_text, signature)
            elif fields_except(item, *_DETAIL_FIELDS) is not None and not own_text:
                # A detail of an unknown kind.
                self._content.read_opaque(item)
        if unread_text:
            # All details are encrypted, so none of them got the text.
            self._add_plain(unread_text)

    def _read_detail(self, item: JsonObject, text: str, signature: str) -> None:
        """Add a readable item of `reasoning_details` or `thinking_blocks` to its block, or begin one."""
        self._content.record_kind("reasoning")
        if (signature, text) in self._signed:
            self._parts.note("reasoning_twice")
            return
        part = self._current if self._key == _find_block_key(item) else None
        if part is not None and part.signature and part.signature != signature:
            if not signature and self._is_whole(text):
                # The block is sent again.
                self._parts.note("reasoning_twice")
                return
            # Only a detail with an index may have its signature in pieces.
            if text or not signature or item.get("index") is None:
                part = None
        # Anthropic refuses its own blocks with an index.
        unsent = ("signature", "index") if READ_FROM in item else ("signature",)
        fields = fields_except(item, *_DETAIL_TEXT_FIELDS, *unsent) or {}
        whole = text or self._repeated
        repeats = part is None and self._plain_part and self._parts.has_text(self._plain_part, whole)
        if repeats:
            self._parts.note("reasoning_twice")
            self._repeated = whole
            if not signature:
                return
            # The next request must have the text where its signature is.
            fields, text = {**fields, _text_field_of(item): whole}, ""
        if part is None:
            part = self._begin(item, fields)
            # Of the text that will be signed, the last details may have had the beginning.
            self._is_mixed = not repeats and self._repeated != ""
            self._repeated = ""
        else:
            self._add_fields(part, fields)
        if text and signature and self._is_whole(text):
            # With a signature, servers repeat the whole text of a block.
            self._parts.note("reasoning_twice")
        elif text:
            self._append(part, text)
            self._is_mixed = self._is_mixed or _find_detail_text(item) not in ("", text)
        self._sign(part, item, signature)

    def _sign(self, part: OpenPart, item: JsonObject, signature: str) -> None:
        """Add a signature to a block, unless it is that of another text."""
        if not self._is_mixed or self._is_whole(_find_detail_text(item)):
            self._parts.add_signature(part, signature)
        elif signature:
            # The next request would be refused with it.
            self._parts.note("delta_misfits")
            self._part = part if item.get("index") is not None else None

    def _begin(self, item: JsonObject, fields: JsonObject) -> OpenPart:
        if self._part is not None and self._part.signature and self._text is not None:
            self._signed |= {(self._part.signature, text) for text in ("", self._text.join())}
        self._content.end_current_part()
        part = self._parts.open(self._content.choice, ReasoningPart(provider_data=fields or None))
        self._content.state.current_part = part
        self._part, self._key = part, _find_block_key(item)
        self._fields, self._text = fields, TextLog()
        return part

    def _add_fields(self, part: OpenPart, fields: JsonObject) -> None:
        """Report the fields of an item that the block does not have yet, such as its format."""
        fields = {**self._fields, **fields}
        if fields != self._fields:
            self._fields = fields
            self._parts.report_start_again(part, ReasoningPart(provider_data=fields))

    # -- repetitions -------------------------------------------------------

    @property
    def _current(self) -> OpenPart | None:
        """The open block, if it has details; else None."""
        part = self._part
        return part if part is not None and self._content.state.current_part is part else None

    def _is_whole(self, text: str) -> bool:
        log = self._text
        return log is not None and len(text) == log.length and log.join() == text

    def _append(self, part: OpenPart, text: str) -> None:
        self._parts.add(part, text)
        if self._text is not None:
            self._text.append(text)

    # -- other forms -------------------------------------------------------

    def _read_step(self, step: JsonObject) -> None:
        self._content.end_current_part()
        self._content.record_kind("reasoning")
        part = self._parts.open(
            self._content.choice, ReasoningPart(provider_data=fields_except(step, *_STEP_TEXT_FIELDS))
        )
        self._parts.add(part, text_of(step, *_STEP_TEXT_FIELDS) or "")
        self._parts.close(part)

    def read_extra(self, value: object) -> None:
        """Read `extra_content`: the signature of the reasoning, and unknown fields."""
        google = dict_of(value, "google") if is_dict(value) else {}
        signature = text_of(google, "thought_signature")
        if signature is not None:
            self._parts.sign(self._content.choice, signature)
        unread: object = value
        if is_dict(value):
            # Empty fields are left out, such as `google` if it had only the signature.
            unread = fields_except({**value, "google": fields_except(google, "thought_signature")})
        if unread is not None:
            self._parts.field("extra_content", unread, self._content.choice)


def _find_block_key(item: JsonObject) -> tuple[object, object]:
    """Return the type and the index of a detail, by which those of one block are known."""
    return item.get("type"), scalar_or_none(item.get("index"))


def _find_detail_text(item: JsonObject) -> str:
    return text_of(item, *_DETAIL_TEXT_FIELDS) or ""


def _signature_in(item: JsonObject) -> str:
    return text_of(item, "signature") or ""


def _text_field_of(item: JsonObject) -> str:
    by_type = {"thinking": "thinking", "reasoning.summary": "summary"}.get(str(item.get("type")), "text")
    return next((name for name in _DETAIL_TEXT_FIELDS if name in item), by_type)
