"""What formats share whose answers are made of blocks, one after the other, each with its index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.relay.encoders._encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.events import (
        CitationAdded,
        Finish,
        PartDone,
        PartStart,
        ToolCallDone,
    )
    from tokenstream.message import FinishReason, Part, ReasoningPart
    from tokenstream.relay.encoders._encoder import Payload, Payloads
    from tokenstream.turns import Kind

__all__ = ["BlockEncoder", "words_of"]

_SAID: frozenset[Kind] = frozenset({"text", "reasoning", "citation"})
"""Kinds of parts whose blocks end where something else is said."""
_ENDS_CALLS = frozenset({"stop", "stop_sequence", "tool_calls", "pause"})
"""Finish reasons after which an open call may be ended; any other has cut it."""


class BlockEncoder(Encoder, ABC):
    """Writes a head, and around the pieces of every part the start and the end of a block.

    The head waits for the first part: what is known of the request by then stands in it.

    A block of text stays open until something else is said: a source may be named
    for it. A tool call's block stays open until the call is whole, even where
    another part comes between.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(**options)
        self.blocks: dict[int, int] = {}
        """The index of each block that is open, by the index of its part."""
        self._written: set[int] = set()
        """Parts that have, or had, a block."""
        self._said: dict[int, None] = {}
        """Parts that are open until something else is said."""
        self._count = 0
        self._redacted: set[int] = set()
        """Parts whose encrypted reasoning was sent."""

    # -- for encoders ------------------------------------------------------------

    @abstractmethod
    def head(self) -> Payloads:
        """What an answer begins with."""

    def place(self, part: int) -> int:
        """The index of a new block, of that part."""
        self._count += 1
        return self._count - 1

    @abstractmethod
    def begun(self, index: int, start: Any) -> list[Payload]:  # noqa: ANN401 - any JSON value
        """What a block begins with.

        Args:
            index: The block's index.
            start: What it begins as, in the format's own words.
        """

    @abstractmethod
    def ended(self, part: int, index: int) -> list[Payload]:
        """What ends a block.

        Args:
            part: The index of its part.
            index: The block's own.
        """

    def hidden(self, part: int, data: str) -> Payloads:
        """Reasoning that only the provider can read."""
        return self.omit("encrypted reasoning", "reasoning")

    def special(self, event: PartStart, content: Part) -> Payloads:
        """The start of a part that is neither text nor reasoning."""
        return ()

    @abstractmethod
    def ending(self, event: Finish) -> Payloads:
        """What ends the answer, behind its blocks."""

    # -- what they call ----------------------------------------------------------

    def block(self, part: int, start: Any) -> list[Payload]:  # noqa: ANN401 - any JSON value
        """Return what comes before a piece of a part: nothing where its block is open."""
        if part in self.blocks:
            return []
        before = [*self.ahead(), *self.leave()]
        self.blocks[part] = index = self.place(part)
        self._written.add(part)
        if self._kinds[0, part] in _SAID:
            self._said[part] = None
        return [*before, *self.begun(index, start)]

    def leave(self) -> list[Payload]:
        """Return the end of what was said: something else follows."""
        return [payload for part in [*self._said] for payload in self.shut(part)]

    def cited(self, event: CitationAdded) -> int:
        """Return the part in whose block a source is named: its text, or itself where that has ended."""
        cites = event.citation.cites
        if cites is not None and self._kinds.get((0, cites)) == "text":
            return cites if cites in self.blocks or cites not in self._written else event.part
        return self.open_text(event.part)

    def open_text(self, part: int) -> int:
        """Return the text that is open; where there is none, the part that is given."""
        return next((said for said in self._said if self._kinds[0, said] == "text"), part)

    def shut(self, part: int) -> list[Payload]:
        """Return the end of a part's block, if it has one."""
        index = self.blocks.pop(part, None)
        self._said.pop(part, None)
        return [] if index is None else self.ended(part, index)

    # -- what they have in common --------------------------------------------------

    def open(self, event: PartStart) -> Payloads:
        """What is known of a part from its start; more may be told with another one."""
        content = event.content
        if content.kind == "reasoning":
            return [*self.ahead(), *self._reasoned(event.part, content)]
        if content.kind != "text":
            return self.special(event, content)
        new = content.text and event.part not in self.blocks
        return [*self.ahead(), *(self.text(TextDelta(content.text, part=event.part)) if new else ())]

    def close(self, event: PartDone) -> Payloads:
        """The end of a block, of text aside."""
        return () if self._kinds[0, event.part] == "text" else self.shut(event.part)

    def call_done(self, event: ToolCallDone) -> Payloads:
        """The end of a call's block."""
        return self.shut(event.part)

    def tail(self) -> Payloads:
        """The ends of all blocks, calls that were cut aside, and of the answer."""
        event = self.finishes[0]
        ended = event.reason in _ENDS_CALLS
        left = [part for part in self.blocks if ended or self._kinds[0, part] != "tool_call"]
        ends = [payload for part in left for payload in self.shut(part)]
        return [*self.ahead(), *ends, *self.ending(event)]

    # -- within ------------------------------------------------------------------

    def _reasoned(self, part: int, content: ReasoningPart) -> list[Payload]:
        payloads: list[Payload] = []
        if part not in self.blocks and (content.text or content.signature):
            payloads += self.reasoning(ReasoningDelta(content.text, content.signature, part=part))
        if content.redacted is not None and part not in self._redacted:
            self._redacted.add(part)
            payloads += self.hidden(part, content.redacted)
        return payloads


def words_of(reasons: Mapping[str, FinishReason]) -> dict[FinishReason, str]:
    """Return a format's words for finish reasons, of several the first.

    Args:
        reasons: What each word says.

    Example:
        >>> words_of({"max_tokens": "length", "context_window": "length"})
        {'length': 'max_tokens'}
    """
    words: dict[FinishReason, str] = {}
    for word, reason in reasons.items():
        words.setdefault(reason, word)
    return words
