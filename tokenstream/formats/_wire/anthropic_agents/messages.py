"""Turns messages of an agent, and the previews that come before them, into parts of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.events import PartDone
from tokenstream.message import OpaquePart, TextPart

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.session_parts import SessionParts


class _MessageBlock:
    """A block of text in a message, whose pieces have arrived before the message itself."""

    __slots__ = ("part", "text")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.text = TextLog()
        """The text of the pieces, to be compared with that of the whole message."""


class AgentMessages:
    """Turns the messages of one answer into parts.

    The server may send the text of a message twice: first in pieces, as a *preview*, and then as a whole
    message with the same id. The preview opens the parts; the message completes them, or corrects their text.

    Args:
        parts: Makes the events.
    """

    __slots__ = ("_parts", "_previews")

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._previews: dict[str, dict[int, _MessageBlock]] = {}
        """The blocks of each preview, by the id of the message and the index of the block."""

    def clear(self) -> None:
        """Forget the previews of the answer before, because another answer begins."""
        self._previews.clear()

    def add(self, id: str, delta: dict[str, Any]) -> bool:
        """Add a piece of text to a preview.

        Args:
            id: The id that the message will have.
            delta: The piece.

        Returns:
            False if the piece has no text, or if the preview was closed before.
        """
        text = dict_of(delta, "content").get("text")
        if not isinstance(text, str):
            return False
        blocks = self._previews.setdefault(id, {})
        index = int_of(delta, "index") or 0
        if index not in blocks:
            # A block without text does not become a part, so the limit on parts must be checked here, too.
            if len(blocks) >= self._parts.limits.parts:
                raise LimitExceeded(limit="parts", value=self._parts.limits.parts)
            blocks[index] = _MessageBlock(self._parts.open(0, TextPart(provider_data={"id": id})))
        block = blocks[index]
        if block.part.closed:
            self._parts.note("part_after_close")
            return False
        block.text.append(text)
        self._parts.add(block.part, text)
        return True

    def end_previews(self) -> None:
        """Close the parts of all previews: the request to the model has ended, so no message will come."""
        for blocks in self._previews.values():
            for block in blocks.values():
                self._parts.close(block.part)

    def read(self, id: str, content: object) -> None:
        """Read a whole message; if it had a preview, complete the preview's parts.

        Args:
            id: The message's id.
            content: Its blocks.
        """
        blocks = self._previews.pop(id, {})
        for index, data in enumerate(dicts_of(content)):
            text, block = data.get("text"), blocks.pop(index, None)
            if text_of(data, "type") not in ("text", None) or not isinstance(text, str):
                self._parts.whole(0, OpaquePart(type=text_of(data, "type") or "", data=data))
            elif block is not None:
                self._complete(block, id, text)
            elif text:
                part = self._parts.open(0, TextPart(provider_data={"id": id}))
                self._parts.add(part, text)
                self._parts.close(part)
        for block in blocks.values():
            # The message lacks this block of its preview, so the text of the block becomes empty.
            self._complete(block, id, "")

    def _complete(self, block: _MessageBlock, id: str, text: str) -> None:
        """Close the part of a previewed block, after adding the text that its preview lacks.

        If the message has other text than the preview, it replaces the text of the part.

        Args:
            id: The id of the message.
            text: The whole text of the block in the message.
        """
        before = block.text.join()
        if text.startswith(before) and not block.part.closed:
            if text != before:
                self._parts.add(block.part, text[len(before) :])
            self._parts.close(block.part)
        elif text != before:
            # No event can take the preview back, but the end of the part has the right text.
            self._parts.note("text_rewritten")
            whole = TextPart(text=text, complete=True, provider_data={"id": id})
            if block.part.closed:
                done = PartDone(whole, choice=0, part=block.part.index, raw=self._parts.raw)
                self._parts.emit(done)
            else:
                self._parts.close(block.part, whole)
