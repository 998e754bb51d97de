"""What a call can be checked against: a type, or the signature of a function."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, get_origin

from tokenstream.errors import MisuseError
from tokenstream.partial_json._typed.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    Tool: TypeAlias = "TypeTool | FunctionTool"


class TypeTool:
    """A tool that is known by the type of its arguments.

    Args:
        name: The name by which the model calls it.
        type: The type, or a `TypeAdapter`.
        documented_by: The function whose docstring tells what the tool does; None for the type's own.
    """

    __slots__ = ("documented_by", "name", "schema", "type")

    def __init__(self, name: str, type: Any, documented_by: object = None) -> None:  # noqa: A002, ANN401 - any type
        self.name = name
        self.documented_by = documented_by
        self.type: Any = type
        self.schema = Schema[Any].of(type)
        """What the arguments are."""

    def schema_of(self, start: str) -> Schema[Any]:
        """Return what the arguments are that begin so."""
        return self.schema

    def read(self, text: str) -> Any:  # noqa: ANN401 - what the type says
        """Return the arguments.

        Raises:
            OutputInvalid: They are not what the type says.
        """
        return self.schema.validate_text(text)

    def as_json(self, text: str) -> str:
        """Return arguments that are no JSON as `read` takes them."""
        return json.dumps(text)

    def run(self, arguments: object) -> Any:  # noqa: ANN401 - a function's result
        """Refuse: a type has nothing to run."""
        raise MisuseError(
            f"the tool {self.name} was given as a type, which has nothing to run: use call.arguments, "
            "or give its function in place of the type"
        )

    def __reduce__(self) -> tuple[type[TypeTool], tuple[str, Any, object]]:
        return TypeTool, (self.name, self.type, self.documented_by)


class FunctionTool:
    """A tool that is a function.

    Args:
        name: The name by which the model calls it.
        function: The function, or another callable.

    Raises:
        MisuseError: What it takes cannot be found out.
    """

    __slots__ = ("function", "name", "signature")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        # A type has no signature to look at.
        from tokenstream.stages._tools.signature import Signature

        self.name = name
        self.function = function
        self.signature = Signature(function)

    @property
    def schema(self) -> Schema[Any]:
        """What the arguments are, as a rule."""
        return self.signature.schema

    def schema_of(self, start: str) -> Schema[Any] | None:
        """Return what the arguments are that begin so; None while that cannot be told."""
        return self.signature.schema_of(start)

    def read(self, text: str) -> dict[str, Any]:
        """Return the arguments by the names of the function's parameters.

        Raises:
            OutputInvalid: The function does not take them.
        """
        return self.signature.read(text)

    def as_json(self, text: str) -> str:
        """Return text that is no JSON as the function's first argument."""
        return json.dumps({self.signature.first: text})

    def run(self, arguments: dict[str, Any]) -> Any:  # noqa: ANN401 - what the function returns
        """Call the function."""
        return self.signature.call(arguments)

    def __reduce__(self) -> tuple[type[FunctionTool], tuple[str, Callable[..., Any]]]:
        return FunctionTool, (self.name, self.function)


class ToolTable:
    """Tools by the names that the model calls them by: what is given in place of them, as one.

    Args:
        by_name: The tools.
    """

    __slots__ = ("_by_name",)

    def __init__(self, by_name: Mapping[str, Tool]) -> None:
        self._by_name = dict(by_name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which the model calls the tools, in their order."""
        return tuple(self._by_name)

    def checks(self) -> tuple[Tool, ...]:
        """Return what checks the calls of each tool, and runs them."""
        return tuple(self._by_name.values())


def gather(tools: Iterable[object], named: Mapping[str, object]) -> dict[str, Tool]:
    """Return tools by name: those that are given, and those of the tables among them.

    Args:
        tools: Types, functions, and tables of them.
        named: Types and functions by the name that the model calls them by.

    Raises:
        MisuseError: One is no tool, or has no name, or that of another; or there is none.
    """
    found: list[Tool] = []
    for each in tools:
        found.extend(each.checks() if isinstance(each, ToolTable) else [make_tool(each)])
    found.extend(make_tool(tool, name) for name, tool in named.items())
    by_name: dict[str, Tool] = {}
    for tool in found:
        if tool.name in by_name:
            raise MisuseError(
                f"two tools are named {tool.name!r}; name one of them by a keyword: other_name=…"
            )
        by_name[tool.name] = tool
    if not by_name:
        raise MisuseError("no tools were given; give the types or functions that calls are checked against")
    return by_name


def make_tool(tool: Any, name: str | None = None) -> Tool:  # noqa: ANN401 - whatever is given
    """Return what checks the calls of a tool.

    Args:
        tool: A type, a `TypeAdapter` or a function; what checks its calls already stays as it is.
        name: The name by which the model calls it; None for its own.

    Raises:
        MisuseError: It is none of these, or has no name.
    """
    if name is None and isinstance(tool, TypeTool | FunctionTool):
        return tool
    if _is_type(tool):
        return TypeTool(name or _name_of(tool), tool)
    if not callable(tool):
        raise MisuseError(f"{type(tool).__qualname__} is no tool; give a type, a TypeAdapter or a function")
    return FunctionTool(name or _name_of(tool), tool)


def _is_type(tool: object) -> bool:
    from pydantic import TypeAdapter

    return isinstance(tool, type | TypeAdapter) or get_origin(tool) is not None


def _name_of(tool: Callable[..., Any]) -> str:
    while isinstance(tool, functools.partial):
        tool = tool.func
    name: str = getattr(tool, "__name__", "")
    # That of `list[int]` is "list", and that of a lambda no name.
    if not name or name[0] == "<" or get_origin(tool) is not None:
        raise MisuseError("a tool has no name of its own; say how the model calls it by a keyword: name=…")
    return name
