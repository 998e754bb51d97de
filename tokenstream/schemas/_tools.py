"""The tools of an application, as each API's request wants them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.schemas._build import Described, describe
from tokenstream.schemas._rules import (
    ANTHROPIC_STRICT,
    COHERE_STRICT,
    GEMINI,
    MISTRAL_STRICT,
    OLLAMA,
    OPENAI_STRICT,
    PLAIN,
    Refused,
    Rules,
)
from tokenstream.stages._tools_kinds import FunctionTool, ToolTable, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.stages._tools_kinds import Tool

__all__ = ["Tools"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Tools(ToolTable):
    """Tools that a model may call: what a request says of them, and what their calls are checked against.

    Each is given once, and serves `to_openai_chat()` and its like, `validated_calls(tools)`
    and `Router(tools)`. A tool is described by the first paragraph of its docstring, a
    parameter by `Field(description=…)`, or by the docstring where the extra `griffe` is
    installed. A parameter of a type that no JSON can be is left to its default.

    Args:
        tools: Functions, whose parameters are the arguments, or types (pydantic models,
            dataclasses, TypedDicts, msgspec Structs); the tool's name is theirs. Other
            `Tools` stand for what they hold.
        named: The same by the name that the model calls the tool by; a `TypeAdapter` or a
            callable object needs one.

    Raises:
        MisuseError: What is given is no tool, has no name that APIs take, or has that of
            another; or what it takes can't be told in JSON Schema: the tool and the
            parameter are named.

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

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return what each tool runs, by its name.

        Raises:
            MisuseError: One is a type, which has nothing to run.
        """
        functions: dict[str, Callable[..., Any]] = {}
        for tool in self.checks():
            if not isinstance(tool, FunctionTool):
                raise MisuseError(
                    f"the tool {tool.name!r} was given as a type, which has nothing to run: register the "
                    f'function that takes one with @router.tool("{tool.name}", …), or give that in its place'
                )
            functions[tool.name] = tool.function
        return functions

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"<Tools {', '.join(self.names)}>"

    # -- for requests ------------------------------------------------------------

    def to_openai_chat(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` of OpenAI Chat Completions, which most other servers take as well.

        Args:
            strict: Whether the model is held to the schema: then it writes every argument,
                those that have a default, too.

        Raises:
            MisuseError: A parameter is such that OpenAI's strict mode takes no schema of it.
        """
        functions = self._written(
            OPENAI_STRICT if strict else PLAIN, "parameters", {"strict": True} if strict else {}
        )
        return [{"type": "function", "function": function} for function in functions]

    def to_openai_responses(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` of OpenAI Responses.

        Args:
            strict: As in `to_openai_chat`. It is always told, since the API's own default is
                to be strict.

        Raises:
            MisuseError: A parameter is such that OpenAI's strict mode takes no schema of it.
        """
        rules = OPENAI_STRICT if strict else PLAIN
        return [
            {"type": "function", **each} for each in self._written(rules, "parameters", {"strict": strict})
        ]

    def to_anthropic(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` of Anthropic Messages.

        Args:
            strict: Whether the model is held to the schema.

        Raises:
            MisuseError: A parameter is such that Anthropic's strict mode takes no schema of it.
        """
        rules = ANTHROPIC_STRICT if strict else PLAIN
        return self._written(rules, "input_schema", {"strict": True} if strict else {})

    def to_gemini(self) -> list[dict[str, Any]]:
        """Return `tools` of Gemini: one item that declares all functions.

        Whether the model is held to the schemas, the request's `toolConfig` says.
        """
        declared = self._written(GEMINI, "parametersJsonSchema", {})
        for function in declared:
            # A function without parameters has no schema there.
            schema = function["parametersJsonSchema"]
            if not (schema.get("properties") or schema.get("additionalProperties")):
                del function["parametersJsonSchema"]
        return [{"functionDeclarations": declared}]

    def to_bedrock(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` of the `toolConfig` of Bedrock's Converse.

        Args:
            strict: Whether the model is held to the schema; not every model there can be.

        Raises:
            MisuseError: A parameter is such that the strict mode takes no schema of it.
        """
        rules = ANTHROPIC_STRICT if strict else PLAIN
        return [
            {"toolSpec": {**each, "inputSchema": {"json": each["inputSchema"]}}}
            for each in self._written(rules, "inputSchema", {"strict": True} if strict else {})
        ]

    def to_cohere(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` of Cohere's v2 chat.

        Args:
            strict: Whether the schemas are such as the request's `strict_tools` asks for, which is
                a key of its own beside `tools`.

        Raises:
            MisuseError: A tool has no required parameter, or one that `strict_tools` takes no schema of.
        """
        functions = self._written(COHERE_STRICT if strict else PLAIN, "parameters", {})
        return [{"type": "function", "function": function} for function in functions]

    def to_mistral(self, *, strict: bool = False) -> list[dict[str, Any]]:
        """Return `tools` of Mistral's own chat.

        Args:
            strict: Whether the model is held to the schema.

        Raises:
            MisuseError: A parameter is such that Mistral's strict mode takes no schema of it.
        """
        functions = self._written(
            MISTRAL_STRICT if strict else PLAIN, "parameters", {"strict": True} if strict else {}
        )
        return [{"type": "function", "function": function} for function in functions]

    def to_ollama(self) -> list[dict[str, Any]]:
        """Return `tools` of Ollama's own chat, which holds no model to them."""
        functions = self._written(OLLAMA, "parameters", {})
        return [{"type": "function", "function": function} for function in functions]

    # -- within ------------------------------------------------------------

    def _written(self, rules: Rules, key: str, more: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what is said of each tool.

        Args:
            rules: Those of the API for schemas.
            key: Where the schema goes.
            more: What else is said of each.
        """
        written: list[dict[str, Any]] = []
        for name, (description, schema) in self._described.items():
            told = {"description": description} if description else {}
            try:
                written.append({"name": name, **told, key: rules.apply(schema), **more})
            except Refused as refused:
                raise MisuseError(
                    f"{_subject(name, refused)}; leave strict=True out, or say more of it"
                ) from None
        return written


def _describe(tool: Tool) -> Described:
    if not _NAME.fullmatch(tool.name):
        raise MisuseError(
            f"no API takes the tool's name {tool.name!r}: a name has up to 64 letters of ASCII, digits, _ "
            "and -; give it another by a keyword: other_name=…"
        )
    try:
        return describe(tool)
    except Refused as refused:
        raise MisuseError(
            f"{_subject(tool.name, refused)}; give it another type, or a default to leave it to"
            if refused.place
            else _subject(tool.name, refused)
        ) from refused.__cause__


def _subject(name: str, refused: Refused) -> str:
    where = f"the parameter {refused.place!r} of the tool {name!r}" if refused.place else f"the tool {name!r}"
    return f"{where} {refused.why}"
