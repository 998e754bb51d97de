"""What the official SDKs take as the assistant's turn of a request, by their own types."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

from tests.support.packages import needed
from tokenstream.errors import NotExpressible
from tokenstream.message import Message, Part
from tokenstream.turns._drop import Kind

METHODS = {
    "openai-chat": "to_openai_chat",
    "openai-responses": "to_openai_responses",
    "anthropic": "to_anthropic",
    "gemini": "to_gemini",
    "bedrock": "to_bedrock",
    "ollama": "to_ollama",
    "cohere": "to_cohere",
    "mistral": "to_mistral",
}
"""The method that makes each API's turn."""

_TYPES = {
    "openai-chat": ("openai", "openai.types.chat", "ChatCompletionAssistantMessageParam"),
    "openai-responses": ("openai", "openai.types.responses", "ResponseInputItemParam"),
    "anthropic": ("anthropic", "anthropic.types", "MessageParam"),
    "anthropic-beta": ("anthropic", "anthropic.types.beta", "BetaMessageParam"),
    "gemini": ("google.genai", "google.genai.types", "Content"),
    "ollama": ("ollama", "ollama", "Message"),
    "cohere": ("cohere", "cohere", "AssistantChatMessageV2"),
    "mistral": ("mistralai", "mistralai.client.models", "AssistantMessage"),
}
_BETA = frozenset(
    {"advisor_tool_result", "compaction", "fallback", "mcp_tool_listing", "mcp_tool_result", "mcp_tool_use"}
)


def answer_of(*parts: Part, format: str | None) -> Message:
    return Message(parts=parts, ending="complete", format=format)


def turn_of(message: Message, api: str, **options: Any) -> Any:
    make: Callable[..., Any] = getattr(message, METHODS[api])
    return make(**options)


def attempt(message: Message, api: str, **options: Any) -> tuple[Any, dict[Kind, int] | None]:
    """Return the message as a turn of an API and None, or None and what cannot go."""
    try:
        return turn_of(message, api, **options), None
    except NotExpressible as error:
        return None, error.kinds


def unsendable(message: Message, api: str, **options: Any) -> dict[Kind, int]:
    """Return how many parts of each kind have no place in an API's turn, which is refused for them."""
    turn, kinds = attempt(message, api, **options)
    assert kinds is not None, turn
    return kinds


def content_of(message: Message, api: str) -> Any:
    """Return what the message's turn holds: the turn is the model's, and the API's SDK would send it."""
    turn = turn_of(message, api)
    role, content = ("model", "parts") if api == "gemini" else ("assistant", "content")
    assert role == turn["role"]
    accept(api, turn)
    return turn[content]


def accept(api: str, turn: Any) -> None:
    """Let the API's own SDK say whether it would send the turn; it raises where not."""
    if api == "bedrock":
        _accept_bedrock(turn)
        return
    # What goes over the wire, but for Bedrock's, is JSON.
    written = json.loads(json.dumps(turn))
    assert written == turn
    if api == "anthropic" and any(_is_beta(block) for block in turn["content"]):
        api = "anthropic-beta"
    if api == "ollama" and "images" in turn:
        # Its client wraps images itself, on the way to the type.
        turn = {**turn, "images": [{"value": image} for image in turn["images"]]}
    for item in turn if api == "openai-responses" else [turn]:
        _drain(_adapter(api).validate_python(item))


@cache
def _adapter(api: str) -> TypeAdapter[Any]:
    package, module, name = _TYPES[api]
    needed(package)
    return TypeAdapter(getattr(importlib.import_module(module), name))


def _is_beta(block: dict[str, Any]) -> bool:
    return block["type"] in _BETA or block.get("name") == "advisor"


def _drain(value: Any) -> None:
    """Look at every item: pydantic checks those of an Iterable only when they are asked for."""
    if isinstance(value, dict):
        for inner in value.values():
            _drain(inner)
    elif hasattr(value, "__iter__") and not isinstance(value, str | bytes | BaseModel):
        for inner in value:
            _drain(inner)


@cache
def _converse_message() -> Any:
    service = needed("botocore.session").get_session().get_service_model("bedrock-runtime")
    return service.operation_model("Converse").input_shape.members["messages"].member


def _accept_bedrock(turn: Any) -> None:
    report = needed("botocore.validate").ParamValidator().validate(turn, _converse_message())
    if report.has_errors():
        raise ValueError(report.generate_report())
