"""An application's tools, and the requested type of an answer, as each API's request expresses them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import OF_FORMAT, explain_names
from tokenstream.errors import MisuseError
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.schemas._build import SchemaDescription, describe, describe_type
from tokenstream.schemas._rules import (
    ANTHROPIC_STRICT,
    COHERE_STRICT,
    GEMINI,
    MISTRAL_STRICT,
    OLLAMA,
    OPENAI_STRICT,
    PLAIN,
    Rules,
    SchemaRefused,
)
from tokenstream.stages._tools.kinds import ToolTable, TypeTool, gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.stages._tools.kinds import Tool

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_MOST_NAME = 64
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")


@explain_names(OF_FORMAT)
class Tools(ToolTable):
    """Tools that a model may call: described for requests, and used to validate the calls.

    List each tool once, and use the list for `to_openai_chat()` and similar methods,
    for `validated_calls(tools)` and for `Router(tools)`. The description of a tool is
    the first paragraph of its docstring. The description of a parameter is that in
    `Field(description=…)`, or the one in the docstring if the extra `griffe` is
    installed. A parameter whose type has no JSON schema is not offered to the model, and keeps its default.

    Args:
        tools: Functions, whose parameters are the arguments, or types (pydantic models,
            dataclasses, TypedDicts); a tool has the name of its function
            or type. Other `Tools` add all tools that they contain.
        named: Further tools: each keyword is the name under which the model calls the tool.
            A `TypeAdapter` or a callable object needs a name.

    Raises:
        MisuseError: An argument is not a tool; or its name is not allowed by APIs, or
            is that of another tool; or its parameters have no JSON schema. The message
            names the tool and the parameter.

    Example:
        >>> def get_weather(city: str, days: int = 1) -> str:
        ...     '''Tell the weather of the next days.'''
        ...     return f"sun in {city}"
        >>> [tool] = Tools(get_weather).to_openai_chat()
        >>> tool["function"]["name"], tool["function"]["description"]
        ('get_weather', 'Tell the weather of the next days.')
        >>> tool["function"]["parameters"]["required"]
        ['city']
    """

    def __init__(self, /, *tools: object, **named: object) -> None:
        super().__init__(gather(tools, named))
        self._described = {tool.name: _describe(tool) for tool in self.checks()}
        """The descriptions of the tools for requests, by the tools' names."""

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of the tools, by the tools' names.

        Raises:
            MisuseError: A tool is a type, which has no function to run.
        """
        functions: dict[str, Callable[..., Any]] = {}
        for tool in self.checks():
            if isinstance(tool, TypeTool):
                raise MisuseError(
                    f"the tool {tool.name!r} was given as a type, which has nothing to run: register the "
                    f'function that takes one with @router.tool("{tool.name}", …), or pass that in its place'
                )
            functions[tool.name] = tool.function
        return functions

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"<Tools {', '.join(self.names)}>"

    # -- for requests ------------------------------------------------------------

    def to_openai_chat(self, *, strict: bool = False) -> list[JsonObject]:
        """Return `tools` for OpenAI Chat Completions, which most other servers accept as well.

        Args:
            strict: True makes the API enforce the schema; the model then writes every
                argument, even one with a default.

        Raises:
            MisuseError: OpenAI's strict mode does not support a parameter.
        """
        return self._declare_functions(OPENAI_STRICT if strict else PLAIN, strict=strict)

    def to_openai_responses(self, *, strict: bool = False) -> list[JsonObject]:
        """Return `tools` for OpenAI Responses.

        Args:
            strict: See `to_openai_chat`. The request always contains this key, because the API
                itself is strict by default.

        Raises:
            MisuseError: OpenAI's strict mode does not support a parameter.
        """
        declared = self._declare(OPENAI_STRICT if strict else PLAIN, "parameters")
        return [{"type": "function", **function, "strict": strict} for function in declared]

    def to_anthropic(self, *, strict: bool = False) -> list[JsonObject]:
        """Return `tools` for Anthropic Messages.

        Args:
            strict: True makes the API enforce the schema.

        Raises:
            MisuseError: Anthropic's strict mode does not support a parameter.
        """
        return self._declare(ANTHROPIC_STRICT if strict else PLAIN, "input_schema", strict=strict)

    def to_gemini(self) -> list[JsonObject]:
        """Return `tools` for Gemini: one item that declares all functions.

        The API enforces the schemas only if the request's `toolConfig` says so.
        """
        declared = self._declare(GEMINI, "parametersJsonSchema")
        for function in declared:
            # Gemini accepts no schema for a function without parameters.
            schema = function["parametersJsonSchema"]
            if not (schema.get("properties") or schema.get("additionalProperties")):
                del function["parametersJsonSchema"]
        return [{"functionDeclarations": declared}]

    def to_bedrock(self, *, strict: bool = False) -> list[JsonObject]:
        """Return `tools` for the `toolConfig` of Bedrock Converse.

        Args:
            strict: True makes the API enforce the schema; not every model supports that.

        Raises:
            MisuseError: The strict mode does not support a parameter.
        """
        rules = ANTHROPIC_STRICT if strict else PLAIN
        return [
            {"toolSpec": {**each, "inputSchema": {"json": each["inputSchema"]}}}
            for each in self._declare(rules, "inputSchema", strict=strict)
        ]

    def to_cohere(self, *, strict: bool = False) -> list[JsonObject]:
        """Return `tools` for Cohere's v2 chat API.

        Args:
            strict: True writes the schemas as `strict_tools` requires them; set that key in the
                request, beside `tools`.

        Raises:
            MisuseError: With `strict`, a tool has no required parameter, or one that is not supported.
        """
        return self._declare_functions(COHERE_STRICT if strict else PLAIN)

    def to_mistral(self, *, strict: bool = False) -> list[JsonObject]:
        """Return `tools` for Mistral's native chat API.

        Args:
            strict: True makes the API enforce the schema.

        Raises:
            MisuseError: Mistral's strict mode does not support a parameter.
        """
        return self._declare_functions(MISTRAL_STRICT if strict else PLAIN, strict=strict)

    def to_ollama(self) -> list[JsonObject]:
        """Return `tools` for Ollama's native chat API, which does not enforce the schemas."""
        return self._declare_functions(OLLAMA)

    # -- within ------------------------------------------------------------

    def _declare_functions(self, rules: Rules, *, strict: bool = False) -> list[JsonObject]:
        """Return the declaration of each tool as the chat APIs have it."""
        declared = self._declare(rules, "parameters", strict=strict)
        return [{"type": "function", "function": function} for function in declared]

    def _declare(self, rules: Rules, key: str, *, strict: bool = False) -> list[JsonObject]:
        written: list[JsonObject] = []
        more = {"strict": True} if strict else {}
        for name, (description, schema) in self._described.items():
            description_field = {"description": description} if description else {}
            try:
                written.append({"name": name, **description_field, key: rules.apply(schema), **more})
            except SchemaRefused as refused:
                raise MisuseError(
                    f"{_describe_tool(name, refused)}; leave strict=True out, or describe it more precisely"
                ) from None
        return written


def _describe(tool: Tool) -> SchemaDescription:
    if not _NAME.fullmatch(tool.name):
        raise MisuseError(
            f"no API takes the tool's name {tool.name!r}: a name has up to 64 letters of ASCII, digits, _ "
            "and -; give it another by a keyword: other_name=…"
        )
    try:
        return describe(tool)
    except SchemaRefused as refused:
        advice = "; give it another type, or a default" if refused.path else ""
        raise MisuseError(f"{_describe_tool(tool.name, refused)}{advice}") from refused.__cause__


def _describe_tool(name: str, refused: SchemaRefused) -> str:
    return _describe_refusal(f"the tool {name!r}", refused, "parameter")


@explain_names(OF_FORMAT)
class ResponseFormat:
    """The requested type of an answer, written for the request of each API.

    Args:
        name: The name of the type in requests, for APIs that want one.
        title: The type's own name, for error messages.
        description: The purpose of the type, for the model.
        schema: The type's JSON schema.
    """

    def __init__(self, name: str, title: str, description: str, schema: JsonObject) -> None:
        self._name = name
        self._title = title
        self._description = description
        self._schema = schema

    def __repr__(self) -> str:
        return f"<ResponseFormat {self._title}>"

    def to_openai_chat(self, *, strict: bool = True) -> JsonObject:
        """Return a dict with the key `response_format`, for a request to OpenAI Chat Completions.

        Args:
            strict: True makes the API enforce the schema; the model then writes every
                field, even one with a default.

        Raises:
            MisuseError: The type is not an object, or has a field that OpenAI's strict mode
                does not support.
        """
        spec = self._write_named(OPENAI_STRICT if strict else PLAIN, "OpenAI", {"strict": strict})
        return {"response_format": {"type": "json_schema", "json_schema": spec}}

    def to_openai_responses(self, *, strict: bool = True) -> JsonObject:
        """Return a dict with the key `text`, for a request to OpenAI Responses.

        The argument and the errors are those of `ResponseFormat.to_openai_chat`.
        """
        spec = self._write_named(OPENAI_STRICT if strict else PLAIN, "OpenAI", {"strict": strict})
        return {"text": {"format": {"type": "json_schema", **spec}}}

    def to_anthropic(self) -> JsonObject:
        """Return a dict with the key `output_config`, for a request to Anthropic Messages.

        Raises:
            MisuseError: The type has a field that Anthropic does not support.
        """
        schema = self._write_schema(ANTHROPIC_STRICT)
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}

    def to_gemini(self) -> JsonObject:
        """Return a dict with the key `generationConfig`, for a request to Gemini."""
        spec = {"responseMimeType": "application/json", "responseJsonSchema": self._write_schema(GEMINI)}
        return {"generationConfig": spec}

    def to_bedrock(self) -> JsonObject:
        """Return a dict with the key `outputConfig`, for a request to Bedrock Converse.

        Only some models support this key.

        Raises:
            MisuseError: The type is not an object, or has a field that the API does not support.
        """
        spec = self._write_named(ANTHROPIC_STRICT, "Bedrock", {})
        # Unlike the other APIs, this one takes the schema as text.
        spec["schema"] = json.dumps(spec["schema"], ensure_ascii=False)
        return {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": spec}}}}

    def to_cohere(self) -> JsonObject:
        """Return a dict with the key `response_format`, for a request to Cohere's v2 chat API.

        The API does not allow tools in the same request.

        Raises:
            MisuseError: The type is not an object, has no required field, or has a field that
                Cohere does not support.
        """
        schema = self._write_object(COHERE_STRICT, "Cohere")
        return {"response_format": {"type": "json_object", "json_schema": schema}}

    def to_mistral(self, *, strict: bool = True) -> JsonObject:
        """Return a dict with the key `response_format`, for a request to Mistral's native chat API.

        Args:
            strict: True makes the API enforce the schema.

        Raises:
            MisuseError: The type is not an object, or has a field that Mistral's strict mode
                does not support.
        """
        spec = self._write_named(MISTRAL_STRICT if strict else PLAIN, "Mistral", {"strict": strict})
        return {"response_format": {"type": "json_schema", "json_schema": spec}}

    def to_ollama(self) -> JsonObject:
        """Return a dict with the key `format`, for a request to Ollama's native chat API."""
        return {"format": self._write_schema(PLAIN)}

    # -- within ------------------------------------------------------------

    def _write_named(self, rules: Rules, api: str, more: JsonObject) -> JsonObject:
        """Return an object with the type's name, its description, its converted schema, and further keys."""
        spec = {"description": self._description} if self._description else {}
        return {"name": self._name, **spec, "schema": self._write_object(rules, api), **more}

    def _write_object(self, rules: Rules, api: str) -> JsonObject:
        """Return the schema, converted for an API that answers only with objects."""
        if self._schema.get("type") != "object":
            raise MisuseError(
                f"{self._title} is not an object, and {api} answers only with objects: make it a field "
                "of a model, and read that with at= or as the model"
            )
        return self._write_schema(rules)

    def _write_schema(self, rules: Rules) -> JsonObject:
        try:
            return rules.apply(self._schema)
        except SchemaRefused as refused:
            raise MisuseError(
                f"{_describe_refusal(self._title, refused)}; describe it more precisely in the type, or "
                "pass the type as a tool that is not strict and read its call with tool=…"
            ) from None


def response_format(type: Any, *, name: str | None = None) -> ResponseFormat:  # noqa: A002, ANN401 - any type
    """Describe the type of an answer; the result has a method per API that returns the request's options.

    Pass the same type to `stream.partials`, `stream.result` and similar methods.

    Args:
        type: A pydantic model, dataclass, TypedDict, or a `TypeAdapter`.
        name: The name in the request; by default, the type's own name.

    Raises:
        MisuseError: The type has no JSON schema; the message names the field.

    Example:
        >>> from pydantic import BaseModel
        >>> class City(BaseModel):
        ...     name: str
        >>> response_format(City).to_ollama()["format"]["properties"]
        {'name': {'type': 'string'}}
        >>> request = {"model": "m", "stream": True, **response_format(City).to_openai_chat()}
    """
    title = Schema[Any].of(type).title
    try:
        description, schema = describe_type(type)
    except SchemaRefused as refused:
        raise MisuseError(_describe_refusal(title, refused)) from refused.__cause__
    # APIs limit the characters and the length of a name.
    allowed_name = _NOT_ALLOWED.sub("_", title if name is None else name)[:_MOST_NAME]
    return ResponseFormat(allowed_name or "answer", title, description, schema)


def _describe_refusal(owner: str, refused: SchemaRefused, kind: str = "field") -> str:
    """Return the beginning of an error message: the tool or type, or a part of it, and the fault in it."""
    where = f"the {kind} {refused.path!r} of {owner}" if refused.path else owner
    return f"{where} {refused.why}"
