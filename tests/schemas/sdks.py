"""What the official SDKs take as tools and as the form of an answer, by their own types."""

from __future__ import annotations

import importlib
import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from tests.support.packages import needed

TOOLS = {
    "openai-chat": ("openai", "openai.types.chat", "ChatCompletionFunctionToolParam"),
    "openai-responses": ("openai", "openai.types.responses", "FunctionToolParam"),
    "anthropic": ("anthropic", "anthropic.types", "ToolParam"),
    "gemini": ("google.genai", "google.genai.types", "Tool"),
    "bedrock": ("botocore.session", "toolConfig", "tools"),
    "ollama": ("ollama", "ollama", "Tool"),
    "cohere": ("cohere", "cohere", "ToolV2"),
    "mistral": ("mistralai", "mistralai.client.models", "Tool"),
}
"""The package of each API's SDK, and where in it the type of a tool is."""

_FORMS: dict[str, tuple[str, str, str]] = {
    "openai-chat": ("openai", "openai.types.shared_params", "ResponseFormatJSONSchema"),
    "openai-responses": ("openai", "openai.types.responses", "ResponseTextConfigParam"),
    "anthropic": ("anthropic", "anthropic.types", "OutputConfigParam"),
    "gemini": ("google.genai", "google.genai.types", "GenerationConfig"),
    "cohere": ("cohere", "cohere", "JsonObjectResponseFormatV2"),
    "mistral": ("mistralai", "mistralai.client.models", "ResponseFormat"),
}
STRICT = ("openai-chat", "openai-responses", "anthropic", "bedrock", "cohere", "mistral")
"""APIs that can hold a model to a tool's schema."""


def method_of(api: str) -> str:
    """Return the name of the method that makes an API's part of a request."""
    return "to_" + api.replace("-", "_")


def accept_tools(api: str, tools: list[dict[str, Any]]) -> None:
    """Let the API's own SDK say whether it would send the tools, all that is in them; it raises where not."""
    assert tools == json.loads(json.dumps(tools))
    if api == "bedrock":
        _accept_by_botocore("toolConfig", {"tools": tools})
        return
    for tool in tools:
        _accept(TOOLS[api], tool)


def accept_form(api: str, keys: dict[str, Any]) -> None:
    """Let the API's own SDK say whether it would send what asks for the form of an answer."""
    assert keys == json.loads(json.dumps(keys))
    (asked,) = keys.values()
    if api == "bedrock":
        _accept_by_botocore("outputConfig", asked)
    elif api == "ollama":
        needed("ollama")
        importlib.import_module("ollama._types").ChatRequest.model_validate({"model": "m", **keys})
    else:
        _accept(_FORMS[api], asked)


def schemas_of(api: str, tools: list[dict[str, Any]]) -> dict[str, Any]:
    if api == "gemini":
        return {each["name"]: each.get("parametersJsonSchema") for each in tools[0]["functionDeclarations"]}
    if api == "bedrock":
        return {tool["toolSpec"]["name"]: tool["toolSpec"]["inputSchema"]["json"] for tool in tools}
    if api == "anthropic":
        return {tool["name"]: tool["input_schema"] for tool in tools}
    bare = [tool if api == "openai-responses" else tool["function"] for tool in tools]
    return {tool["name"]: tool["parameters"] for tool in bare}


def _accept(where: tuple[str, str, str], value: Any) -> None:
    adapter = _adapter(*where)
    read = adapter.validate_python(value)
    if not isinstance(read, dict):
        # What a model's class does not know, it would not send, or is kept in a corner of its own.
        sent = adapter.dump_python(read, mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
        assert _bare(value).keys() <= _bare(sent).keys()


def _bare(tool: dict[str, Any]) -> dict[str, Any]:
    declared = tool.get("functionDeclarations")
    bare: dict[str, Any] = declared[0] if declared else tool.get("function", tool)
    return bare


@cache
def _adapter(package: str, module: str, name: str) -> TypeAdapter[Any]:
    needed(package)
    return TypeAdapter(getattr(importlib.import_module(module), name))


def _accept_by_botocore(member: str, value: Any) -> None:
    service = needed("botocore.session").get_session().get_service_model("bedrock-runtime")
    shape = service.operation_model("Converse").input_shape.members[member]
    report = needed("botocore.validate").ParamValidator().validate(value, shape)
    if report.has_errors():
        raise ValueError(report.generate_report())
