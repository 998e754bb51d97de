"""One content block, and what is known of it beside its part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream.formats._open import OpenPart

__all__ = ["Block"]


class Block:
    """A content block that can still grow.

    Args:
        type: Its type, in Anthropic's word.
        part: The part or call that it is.
    """

    __slots__ = ("data", "deltas", "input", "part", "signature", "type")

    def __init__(self, type: str, part: OpenPart) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.part = part
        self.input: Any = None
        """Arguments that stood in its start; fragments replace them."""
        self.signature: str | None = None
        self.data: dict[str, Any] = {}
        """What is known of a compaction."""
        self.deltas = 0
        """How many deltas added to that."""
