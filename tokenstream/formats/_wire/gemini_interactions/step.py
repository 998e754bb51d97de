"""The state of one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import text_of
from tokenstream.formats._kit.values import json_text
from tokenstream.message import OpaquePart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart

OUTPUT = "model_output"
THOUGHT = "thought"
CALL = "function_call"
"""Type of a call of one of the application's tools; the provider runs the calls of other types."""


class InteractionStep:
    """A step that can still grow.

    Args:
        type: The API's word for the type of the step.
        data: The fields of the step so far.
    """

    __slots__ = ("data", "fragments", "kind", "part", "text", "type")

    def __init__(self, type: str, data: dict[str, Any]) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.data = data
        self.part: OpenPart | None = None
        """The part that the next delta of the step belongs to."""
        self.kind = ""
        """The content type of this part."""
        self.text: int | None = None
        """Index of the step's last text part."""
        self.fragments = False
        """True if the arguments of the step arrived as text."""


def name_of(step: InteractionStep) -> str:
    return text_of(step.data, "name") or step.type


def result_of(step: InteractionStep) -> ServerToolResult:
    return ServerToolResult(
        id=text_of(step.data, "call_id") or "",
        name=step.type,
        content=step.data.get("result"),
        provider_data={**step.data},
    )


def whole_of(
    step: InteractionStep, data: dict[str, Any], part: OpenPart
) -> ServerToolCall | ServerToolResult | OpaquePart | None:
    """Return the whole content of a step; None if its deltas add up to the content."""
    if part.kind == "server_tool_result":
        return result_of(step)
    if part.kind == "opaque" and step.type != OUTPUT:
        return OpaquePart(type=step.type, data=data)
    if part.kind != "server_tool_call" or step.fragments:
        return None
    arguments = data.get("arguments")
    text = arguments if isinstance(arguments, str) else json_text(arguments or {})
    return server_call(step, data, text)


def server_call(step: InteractionStep, data: dict[str, Any], arguments: str = "") -> ServerToolCall:
    return ServerToolCall(
        id=text_of(data, "id") or "",
        name=name_of(step),
        arguments_text=arguments,
        provider_data={**data},
    )
