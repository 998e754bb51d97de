"""Encoders whose answers are sequences of indexed content blocks, and their base class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import count
from typing import TYPE_CHECKING

from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta
from tokenstream.message import FinishReason, Part, ReasoningPart, RefusalPart, TextPart
from tokenstream.relay._encoders.encoder import Encoder, Payload, Payloads
from tokenstream.relay._encoders.vocabulary import BASICS, PROOFS, SERVER_TOOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import Json
    from tokenstream.events import CitationAdded, Finish, PartDone, PartStart, ToolCallDone
    from tokenstream.relay._encoders.losses import Loss

_SEQUENTIAL_KINDS: frozenset[Loss] = frozenset({"text", "reasoning", "citation"})
_COMPLETING_REASONS = frozenset({"stop", "stop_sequence", "tool_calls", "pause"})
"""The finish reasons after which an open tool call is complete; after any other reason it was cut off."""


class BlockEncoder(Encoder, ABC):
    """Encodes an answer as a head and a sequence of blocks, each with a start, deltas and an end.

    The head is delayed until the first part, so that it can include the token counts of the request.

    A text block stays open until another block begins, because citations of the text may follow.
    The block of a tool call stays open until the call is complete, even if other parts begin meanwhile.
    """

    expresses = frozenset({*BASICS, *SERVER_TOOLS, *PROOFS, "citation", "citation_text"})

    def reset(self) -> None:
        super().reset()
        self.blocks: dict[int, int] = {}
        self._ever_opened: set[int] = set()
        self._sequential: dict[int, None] = {}
        """The parts with open blocks that end when another block begins, in order."""
        self._indexes = count()
        self.signed: set[int] = set()
        """The parts whose signature was sent, or a piece of it; encoders that send signatures add them."""
        self._redacted: set[int] = set()

    # -- for encoders ------------------------------------------------------------

    def assign_index(self, part: int) -> int:
        """Return the index of a new block; subclasses may number by the kind of the part."""
        return next(self._indexes)

    @abstractmethod
    def encode_begin(self, index: int, start: Json) -> Payloads:
        """Return the payloads that begin a block."""

    @abstractmethod
    def encode_end(self, part: int, index: int) -> Payloads:
        """Return the payloads that end a block."""

    def encode_redacted(self, part: int, data: str) -> Payloads:
        """Return the payloads for encrypted reasoning, which only the provider can read; here none."""
        return ()

    def encode_special(self, event: PartStart, content: Part) -> Payloads:
        """Return the payloads for the start of a part that is neither text nor reasoning."""
        return ()

    @abstractmethod
    def encode_ending(self, event: Finish) -> Payloads:
        """Return the payloads that end the answer, after its blocks."""

    # -- called by encoders ------------------------------------------------------

    def open_block(self, part: int, start: Json) -> list[Payload]:
        """Return the payloads that open a part's block; none if the block is open already."""
        if part in self.blocks:
            return []
        before = [*self.unsent_head(), *self.close_sequential()]
        self.blocks[part] = index = self.assign_index(part)
        self._ever_opened.add(part)
        # The first key is the choice; formats with blocks have only one.
        if self._kinds[0, part] in _SEQUENTIAL_KINDS:
            self._sequential[part] = None
        return [*before, *self.encode_begin(index, start)]

    def close_sequential(self) -> Payloads:
        """Return the payloads that end the open blocks of text, reasoning and citations.

        These blocks end when another block begins; the blocks of calls and of media stay open.
        """
        return [payload for part in [*self._sequential] for payload in self.close_block(part)]

    def find_cited_part(self, event: CitationAdded) -> int:
        """Return the index of the part to which the block for a citation belongs.

        If the citation names a text part:

        1. That part, unless its block has ended.
        2. The citation's own part, if the block of the text has ended.

        If the citation names no text part:

        1. The text part that has an open block.
        2. The citation's own part, if no text has an open block.
        """
        cited_part = event.citation.cites
        # `_kinds` has the kinds of parts by choice and part; there is only one choice.
        if cited_part is None or self._kinds.get((0, cited_part)) != "text":
            return self.find_open_text(event.part)
        has_ended = cited_part in self._ever_opened and cited_part not in self.blocks
        return event.part if has_ended else cited_part

    def find_open_text(self, default: int) -> int:
        """Return the index of the text part that has an open block, or the default."""
        # `_kinds` has the kinds of parts by choice and part; there is only one choice.
        return next((part for part in self._sequential if self._kinds[0, part] == "text"), default)

    def close_block(self, part: int) -> Payloads:
        """Return the payloads that end a part's block; none if the part has no open block."""
        index = self.blocks.pop(part, None)
        self._sequential.pop(part, None)
        return [] if index is None else self.encode_end(part, index)

    # -- handlers of events --------------------------------------------------------

    def encode_part_start(self, event: PartStart) -> Payloads:
        """Return the payloads for the content that the start of a part contains.

        A part may have several starts: content that an earlier start contained is not sent again.
        """
        content = event.content
        if content.kind == "reasoning":
            return [*self.unsent_head(), *self._encode_reasoning_part(event.part, content)]
        if not isinstance(content, TextPart | RefusalPart):
            return self.encode_special(event, content)
        payloads = self.unsent_head()
        if content.text and event.part not in self.blocks:
            payloads += (
                self.encode_text(TextDelta(content.text, part=event.part))
                if isinstance(content, TextPart)
                else self.encode_any_refusal(RefusalDelta(content.text, part=event.part))
            )
        return payloads

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the end of a part's block; no payloads for a text, whose block may still get citations."""
        if self._kinds[0, event.part] == "text":
            return ()
        return [*self._late_signature(event.part, event.content), *self.close_block(event.part)]

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        return self.close_block(event.part)

    def encode_tail(self) -> Payloads:
        """Return the ends of all blocks and of the answer; blocks of calls that were cut off stay open."""
        event = self.finishes[0]
        calls_are_complete = event.reason in _COMPLETING_REASONS
        # `_kinds` has the kinds of parts by choice and part; there is only one choice.
        to_close = [part for part in self.blocks if calls_are_complete or self._kinds[0, part] != "tool_call"]
        ends = [payload for part in to_close for payload in self.close_block(part)]
        return [*self.unsent_head(), *ends, *self.encode_ending(event)]

    # -- within ------------------------------------------------------------------

    def _late_signature(self, part: int, content: Part | None) -> Payloads:
        """Return the payloads for a signature that no delta had; none if it was sent or the block is over."""
        if not isinstance(content, ReasoningPart) or content.signature is None:
            return []
        if part in self.signed or part not in self.blocks:
            return []
        return list(self.encode_reasoning(ReasoningDelta("", content.signature, part=part)))

    def _encode_reasoning_part(self, part: int, content: ReasoningPart) -> Payloads:
        """Return the payloads for the reasoning that a part's start contains, unless it was sent before."""
        payloads: list[Payload] = []
        is_unsent = part not in self.blocks
        if is_unsent and (content.text or content.signature):
            payloads += self.encode_reasoning(ReasoningDelta(content.text, content.signature, part=part))
        payloads += self._late_signature(part, content)
        if content.redacted is not None and part not in self._redacted:
            self._redacted.add(part)
            payloads += self.encode_redacted(part, content.redacted)
        return payloads


def invert_reasons(reasons: Mapping[str, FinishReason]) -> dict[FinishReason, str]:
    """Return a format's words for finish reasons; if several words mean the same reason, the first word."""
    words: dict[FinishReason, str] = {}
    for word, reason in reasons.items():
        words.setdefault(reason, word)
    return words
