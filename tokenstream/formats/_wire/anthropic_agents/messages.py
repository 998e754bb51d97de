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


class _Block:
    """A block of text that was previewed."""

    __slots__ = ("part", "text")

    def __init__(self, part: OpenPart) -> None:
        self.part = part
        self.text = TextLog()
        """The text so far, to be compared with that of the message."""


class AgentMessages:
    """The messages of one answer, and their previews, which are kept until the messages come.

    Args:
        parts: Makes the events.
    """

    __slots__ = ("_parts", "_previews")

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts
        self._previews: dict[str, dict[int, _Block]] = {}
        """The blocks of each previewed message, by its id and their indexes."""

    def clear(self) -> None:
        """Forget the previews, since the next answer begins."""
        self._previews.clear()

    def add(self, id: str, delta: dict[str, Any]) -> bool:
        """Add a piece of a preview; return False if it has no text.

        Args:
            id: The id that the message will have.
            delta: The piece.
        """
        text = dict_of(delta, "content").get("text")
        if not isinstance(text, str):
            return False
        blocks = self._previews.setdefault(id, {})
        index = int_of(delta, "index") or 0
        if index not in blocks:
            # A block without text is no part, so the limit on parts must be checked here, too.
            if len(blocks) >= self._parts.limits.parts:
                raise LimitExceeded(limit="parts", value=self._parts.limits.parts)
            blocks[index] = _Block(self._parts.open(0, TextPart(provider_data={"id": id})))
        block = blocks[index]
        if block.part.closed:
            self._parts.note("part_after_close")
            return False
        block.text.append(text)
        self._parts.add(block.part, text)
        return True

    def end_previews(self) -> None:
        """Close the previews whose message does not come, because the request to the model has ended."""
        for blocks in self._previews.values():
            for block in blocks.values():
                self._parts.close(block.part)

    def read(self, id: str, content: object) -> None:
        """Read a whole message, which replaces its preview.

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
            # The message does not have this block.
            self._complete(block, id, "")

    def _complete(self, block: _Block, id: str, text: str) -> None:
        """Add what a preview lacks of the text of its message, or replace its text if that differs."""
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
