"""What a call can be checked against: a type, or the signature of a function."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, get_origin

from tokenstream.errors import MisuseError
from tokenstream.partial_json._schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Tool: TypeAlias = "TypeTool | FunctionTool"

__all__ = ["FunctionTool", "TypeTool", "make_tool"]


class TypeTool:
    """A tool that is known by the type of its arguments.

    Args:
        name: The name by which the model calls it.
        type: The type, or a `TypeAdapter`.
    """

    __slots__ = ("_type", "name", "schema")

    def __init__(self, name: str, type: Any) -> None:  # noqa: A002, ANN401 - any type
        self.name = name
        self._type = type
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

    def __reduce__(self) -> tuple[type[TypeTool], tuple[str, Any]]:
        return TypeTool, (self.name, self._type)


class FunctionTool:
    """A tool that is a function.

    Args:
        name: The name by which the model calls it.
        function: The function, or another callable.

    Raises:
        MisuseError: What it takes cannot be found out.
    """

    __slots__ = ("_function", "_signature", "name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        # A type has no signature to look at.
        from tokenstream.stages._tools_signature import Signature

        self.name = name
        self._function = function
        self._signature = Signature(function)

    @property
    def schema(self) -> Schema[Any]:
        """What the arguments are, as a rule."""
        return self._signature.schema

    def schema_of(self, start: str) -> Schema[Any] | None:
        """Return what the arguments are that begin so; None while that cannot be told."""
        return self._signature.schema_of(start)

    def read(self, text: str) -> dict[str, Any]:
        """Return the arguments by the names of the function's parameters.

        Raises:
            OutputInvalid: The function does not take them.
        """
        return self._signature.read(text)

    def as_json(self, text: str) -> str:
        """Return text that is no JSON as the function's first argument."""
        return json.dumps({self._signature.first: text})

    def run(self, arguments: dict[str, Any]) -> Any:  # noqa: ANN401 - what the function returns
        """Call the function."""
        return self._signature.call(arguments)

    def __reduce__(self) -> tuple[type[FunctionTool], tuple[str, Callable[..., Any]]]:
        return FunctionTool, (self.name, self._function)


def make_tool(tool: Any, name: str | None = None) -> Tool:  # noqa: ANN401 - whatever is given
    """Return what checks the calls of a tool.

    Args:
        tool: A type, a `TypeAdapter` or a function.
        name: The name by which the model calls it; None for its own.

    Raises:
        MisuseError: It is none of these, or has no name.
    """
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
