"""The state of one content block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart


class AnthropicBlock:
    """The state of a content block that has not ended.

    Args:
        type: Anthropic's word for the type of the block.
        part: The part of our message that the block became, such as a text or a tool call.
    """

    __slots__ = ("data", "deltas", "input", "part", "signature", "type")

    def __init__(self, type: str, part: OpenPart) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.part = part
        self.input: Any = None
        """The arguments in the block's start event; fragments replace them."""
        self.signature: str | None = None
        """The last signature that was added to the block's reasoning."""
        self.data: dict[str, Any] = {}
        """The data of a compaction block, or of a block of unknown type."""
        self.deltas = 0
        """Number of deltas that added to `data`."""
