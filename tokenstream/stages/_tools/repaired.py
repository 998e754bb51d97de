"""The repairs that were made in a tool call, which are attached to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream.message import ToolCall
    from tokenstream.partial_json._repairs import Repair


def set_repairs(call: ToolCall[Any, Any], repairs: tuple[Repair, ...]) -> None:
    """Attach the repairs that were made in a call, which `ToolCall.repairs` returns."""
    # Not a field: a call that is read again from its JSON is equal.
    attributes: Any = vars(call)
    attributes["_repairs"] = repairs
