"""The tools that the caller of a stream names, as names and schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.request_facts import OfferedTools
from tokenstream.errors import MisuseError
from tokenstream.schemas._build import describe
from tokenstream.schemas._rules import SchemaRefused
from tokenstream.stages._tools.kinds import ToolTable, gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._tools.kinds import Tool

    ToolsOption: TypeAlias = "ToolTable | Iterable[str | Callable[..., Any] | type[Any] | ToolTable] | None"
    """The option `tools=`: `Tools`, or a list of functions, types and names."""


def offered_by(tools: ToolsOption) -> OfferedTools | None:
    """Return the names and schemas of the tools that a caller names; None if there are none.

    Args:
        tools: `Tools`; or functions, types, `Tools` and names of tools; None if the caller names no tools.

    Raises:
        MisuseError: An object is no tool, or a name is used twice.

    Example:
        >>> tools = offered_by(["now", "get_weather"])
        >>> "now" in tools, "no" in tools
        (True, False)
    """
    if tools is None:
        return None
    if isinstance(tools, str) or not isinstance(tools, ToolTable | Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may not check
        raise MisuseError(
            f"tools= takes Tools(…) or a list of functions, types and names, not {type(tools).__qualname__}: "
            "put it into a list, as in tools=[get_weather]"
        )
    each: list[Any] = [tools] if isinstance(tools, ToolTable) else [*tools]
    names = [tool for tool in each if isinstance(tool, str)]
    others = [tool for tool in each if not isinstance(tool, str)]
    by_name: dict[str, Tool] = gather(others, {}) if others else {}
    if not names and not by_name:
        return None
    schemas: dict[str, dict[str, Any] | None] = dict.fromkeys(names)

    def find() -> dict[str, dict[str, Any] | None]:
        """Return the schemas, which are made only for tools whose calls need them."""
        return schemas | {name: _schema_of(tool) for name, tool in by_name.items()}

    return OfferedTools(find)


def _schema_of(tool: Tool) -> dict[str, Any] | None:
    """Return the schema of a tool's arguments; None if its types have none."""
    try:
        return describe(tool)[1]
    except SchemaRefused:
        return None
