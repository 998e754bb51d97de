"""The tools of an application, as each API's request expresses them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.schemas._build import SchemaDescription, describe
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
from tokenstream.stages._tools.kinds import FunctionTool, ToolTable, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.stages._tools.kinds import Tool

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@show_members
class Tools(ToolTable):
    """Tools that a model may call: described for requests, and used to validate the calls.

    List each tool once, and use the list for `to_openai_chat()` and similar methods,
    for `validated_calls(tools)` and for `Router(tools)`. The description of a tool is
    the first paragraph of its docstring. The description of a parameter is that in
    `Field(description=…)`, or the one in the docstring if the extra `griffe` is
    installed. A parameter whose type has no JSON schema is not offered to the model, and keeps its default.

    Args:
        tools: Functions, whose parameters are the arguments, or types (pydantic models,
            dataclasses, TypedDicts, msgspec Structs); a tool has the name of its function
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

    __slots__ = ("_described",)

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
            if not isinstance(tool, FunctionTool):
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

    def to_openai_chat(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` for OpenAI Chat Completions, which most other servers accept as well.

        Args:
            strict: True makes the API enforce the schema; the model then writes every
                argument, even one with a default.

        Raises:
            MisuseError: OpenAI's strict mode does not support a parameter.
        """
        functions = self._declare(
            OPENAI_STRICT if strict else PLAIN, "parameters", {"strict": True} if strict else {}
        )
        return [{"type": "function", "function": function} for function in functions]

    def to_openai_responses(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` for OpenAI Responses.

        Args:
            strict: See `to_openai_chat`. The request always contains this key, because the API
                itself is strict by default.

        Raises:
            MisuseError: OpenAI's strict mode does not support a parameter.
        """
        rules = OPENAI_STRICT if strict else PLAIN
        return [
            {"type": "function", **each} for each in self._declare(rules, "parameters", {"strict": strict})
        ]

    def to_anthropic(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` for Anthropic Messages.

        Args:
            strict: True makes the API enforce the schema.

        Raises:
            MisuseError: Anthropic's strict mode does not support a parameter.
        """
        rules = ANTHROPIC_STRICT if strict else PLAIN
        return self._declare(rules, "input_schema", {"strict": True} if strict else {})

    def to_gemini(self) -> list[dict[str, Any]]:
        """Return `tools` for Gemini: one item that declares all functions.

        The API enforces the schemas only if the request's `toolConfig` says so.
        """
        declared = self._declare(GEMINI, "parametersJsonSchema", {})
        for function in declared:
            # Gemini accepts no schema for a function without parameters.
            schema = function["parametersJsonSchema"]
            if not (schema.get("properties") or schema.get("additionalProperties")):
                del function["parametersJsonSchema"]
        return [{"functionDeclarations": declared}]

    def to_bedrock(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` for the `toolConfig` of Bedrock Converse.

        Args:
            strict: True makes the API enforce the schema; not every model supports that.

        Raises:
            MisuseError: The strict mode does not support a parameter.
        """
        rules = ANTHROPIC_STRICT if strict else PLAIN
        return [
            {"toolSpec": {**each, "inputSchema": {"json": each["inputSchema"]}}}
            for each in self._declare(rules, "inputSchema", {"strict": True} if strict else {})
        ]

    def to_cohere(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` for Cohere's v2 chat API.

        Args:
            strict: True writes the schemas as `strict_tools` requires them; set that key in the
                request, beside `tools`.

        Raises:
            MisuseError: With `strict`, a tool has no required parameter, or one that is not supported.
        """
        functions = self._declare(COHERE_STRICT if strict else PLAIN, "parameters", {})
        return [{"type": "function", "function": function} for function in functions]

    def to_mistral(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` for Mistral's native chat API.

        Args:
            strict: True makes the API enforce the schema.

        Raises:
            MisuseError: Mistral's strict mode does not support a parameter.
        """
        functions = self._declare(
            MISTRAL_STRICT if strict else PLAIN, "parameters", {"strict": True} if strict else {}
        )
        return [{"type": "function", "function": function} for function in functions]

    def to_ollama(self) -> list[dict[str, Any]]:
        """Return `tools` for Ollama's native chat API, which does not enforce the schemas."""
        functions = self._declare(OLLAMA, "parameters", {})
        return [{"type": "function", "function": function} for function in functions]

    # -- within ------------------------------------------------------------

    def _declare(self, rules: Rules, key: str, more: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the declaration of each tool.

        Args:
            key: The key under which the API expects the schema.
            more: Further keys of each declaration.

        Raises:
            MisuseError: The rules do not allow the schema of a tool.
        """
        written: list[dict[str, Any]] = []
        for name, (description, schema) in self._described.items():
            description_field = {"description": description} if description else {}
            try:
                written.append({"name": name, **description_field, key: rules.apply(schema), **more})
            except SchemaRefused as refused:
                raise MisuseError(
                    f"{_describe_refusal(name, refused)}; leave strict=True out, or describe it more "
                    "precisely"
                ) from None
        return written


def _describe(tool: Tool) -> SchemaDescription:
    """Return the description and the schema of a tool.

    Raises:
        MisuseError: The tool's name is not allowed, or its parameters have no schema.
    """
    if not _NAME.fullmatch(tool.name):
        raise MisuseError(
            f"no API takes the tool's name {tool.name!r}: a name has up to 64 letters of ASCII, digits, _ "
            "and -; give it another by a keyword: other_name=…"
        )
    try:
        return describe(tool)
    except SchemaRefused as refused:
        raise MisuseError(
            f"{_describe_refusal(tool.name, refused)}; give it another type, or a default"
            if refused.path
            else _describe_refusal(tool.name, refused)
        ) from refused.__cause__


def _describe_refusal(name: str, refused: SchemaRefused) -> str:
    """Return the beginning of an error message: the name of the tool or parameter, and the fault in it.

    Args:
        name: The tool's name.
        refused: The fault, with the name of the parameter if a parameter has the fault.
    """
    where = f"the parameter {refused.path!r} of the tool {name!r}" if refused.path else f"the tool {name!r}"
    return f"{where} {refused.why}"
