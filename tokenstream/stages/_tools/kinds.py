"""The kinds of tools that calls are checked against: a type, or a function with its signature."""

from __future__ import annotations

import functools
import json
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias, get_origin

from tokenstream._basics.json import says_no_arguments
from tokenstream.errors import MisuseError, OutputInvalid
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.stages._tools.generators import makes_async_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokenstream.stages._tools.signature import FunctionTool

    Tool: TypeAlias = "TypeTool | FunctionTool"


class AnyTool:
    """Describes the calls of a tool, for the keys under which stores remember them."""

    def describe(self, text: str) -> str | None:
        """Return a text that is the same for equal arguments; None if there is none."""
        raise NotImplementedError

    def describe_call(self, text: str) -> str | None:
        """Return the description of a call's arguments, which may be absent; None if there is none."""
        try:
            return self.describe("{}" if says_no_arguments(text) else text)
        except OutputInvalid:
            return None


class TypeTool(AnyTool):
    """A tool that is declared by the type of its arguments.

    Args:
        name: The name that the model uses.
        type: The type, or a `TypeAdapter`.
        documented_by: The function whose docstring describes the tool; None for the type's own docstring.
    """

    def __init__(self, name: str, type: Any, documented_by: object = None) -> None:  # noqa: A002, ANN401 - any type
        self.name = name
        self.documented_by = documented_by
        self.type: Any = type
        self.schema = Schema[Any].of(type)

    def schema_of(self, start: str) -> Schema[Any]:
        """Return the schema of the arguments: always the same one, however their JSON begins."""
        return self.schema

    def read(self, text: str) -> object:
        return self.schema.validate_text(text)

    def describe(self, text: str) -> str | None:
        from tokenstream.stages._tools.same_calls import describe_arguments

        return describe_arguments(self.schema, text)

    def show(self, arguments: object) -> str | None:
        from tokenstream.stages._tools.same_calls import show_arguments

        return show_arguments(self.schema, arguments)

    def as_json(self, text: str) -> str:
        """Convert arguments that are free text, not JSON, to JSON that `read` accepts."""
        return json.dumps(text)

    def run(self, arguments: object) -> object:
        raise MisuseError(
            f"the tool {self.name} was given as a type, which has nothing to run: use call.arguments, "
            "or give its function in place of the type"
        )

    def __reduce__(self) -> tuple[type[TypeTool], tuple[str, Any, object]]:
        return TypeTool, (self.name, self.type, self.documented_by)


def is_async(function: Callable[..., Any]) -> bool:
    """Return True for a function that is declared with `async def`, also for an async generator."""
    # A callable object has its code in `__call__`.
    is_coroutine = iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)
    return is_coroutine or makes_async_generator(function)


class ToolTable:
    """A collection of tools by name, accepted wherever single tools are."""

    def __init__(self, by_name: Mapping[str, Tool]) -> None:
        self._by_name = dict(by_name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the model uses for the tools, in order."""
        return tuple(self._by_name)

    def checks(self) -> tuple[Tool, ...]:
        """Return the tools; each of them checks and runs its own calls."""
        return tuple(self._by_name.values())


def gather(tools: Iterable[object], named: Mapping[str, object]) -> dict[str, Tool]:
    """Return all tools by name, including the tools in tables."""
    all_tools: list[Tool] = []
    for each in tools:
        all_tools.extend(each.checks() if isinstance(each, ToolTable) else [make_tool(each)])
    all_tools.extend(make_tool(tool, name) for name, tool in named.items())
    by_name: dict[str, Tool] = {}
    for tool in all_tools:
        if tool.name in by_name:
            raise MisuseError(
                f"two tools are named {tool.name!r}; name one of them by a keyword: other_name=…"
            )
        by_name[tool.name] = tool
    if not by_name:
        raise MisuseError("no tools were given; give the types or functions that calls are checked against")
    return by_name


def make_tool(tool: Any, name: str | None = None) -> Tool:  # noqa: ANN401 - whatever is given
    """Return the tool for a type, a `TypeAdapter` or a function."""
    if name is None and issubclass(type(tool), AnyTool):
        given: Tool = tool
        return given
    if _is_type(tool):
        return TypeTool(name or _name_tool(tool), tool)
    if any(isinstance(tool, kind) for kind in (list, tuple, set, frozenset)):
        raise MisuseError(
            f"a {type(tool).__qualname__} is no tool: pass each of its tools by itself, as in "
            "validated_calls(*tools)"
        )
    if not callable(tool):
        raise MisuseError(f"{type(tool).__qualname__} is no tool; give a type, a TypeAdapter or a function")
    # Imported on first use: tools that are declared by types need no signature.
    from tokenstream.stages._tools.signature import FunctionTool

    return FunctionTool(name or _name_tool(tool), tool)


def make_local_tool(function: Any, name: str) -> FunctionTool | None:  # noqa: ANN401 - whatever is given
    """Return the checker of a tool's calls for a function inside another one; None for any other function.

    Such a checker is made at once, because the function's annotations may name local types of the enclosing
    function. They exist only while that function runs, and a router is run later.
    """
    if "<locals>" in getattr(function, "__qualname__", ""):
        # A name that cannot be resolved yet is tried again when the router is run, and is an error then.
        from tokenstream.stages._tools.signature import FunctionTool

        with suppress(MisuseError):
            return FunctionTool(name, function)
    return None


def _is_type(tool: object) -> bool:
    """Return True for a class, a `TypeAdapter`, or a type such as `list[int]`, which has an origin."""
    from pydantic import TypeAdapter

    return isinstance(tool, type | TypeAdapter) or get_origin(tool) is not None


def _name_tool(tool: Callable[..., Any]) -> str:
    while isinstance(tool, functools.partial):
        tool = tool.func
    name: str = getattr(tool, "__name__", "")
    # `list[int].__name__` is "list", and a lambda's is "<lambda>"; neither names a tool.
    if not name or name[0] == "<" or get_origin(tool) is not None:
        raise MisuseError("a tool has no name of its own; say how the model calls it by a keyword: name=…")
    return name
