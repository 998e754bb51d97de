"""One content block, with its data beside the part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart


class AnthropicBlock:
    """A content block that can still grow.

    Args:
        type: Its type, in Anthropic's word.
        part: Its part or call in the message.
    """

    __slots__ = ("data", "deltas", "input", "part", "signature", "type")

    def __init__(self, type: str, part: OpenPart) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.part = part
        self.input: Any = None
        """Arguments in its start; fragments replace them."""
        self.signature: str | None = None
        self.data: dict[str, Any] = {}
        """Data of a compaction."""
        self.deltas = 0
        """Number of deltas that added to `data`."""
