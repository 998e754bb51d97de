"""JSON schemas of types and of functions' parameters, also of the tools that a stream's caller names."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args, get_type_hints

from pydantic import PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tokenstream._basics.request_facts import OfferedTools, offered_of
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import MisuseError
from tokenstream.partial_json._typed.schema import refuse_struct
from tokenstream.schemas._rules import SchemaRefused, definition_name
from tokenstream.stages._tools.kinds import ToolTable, gather
from tokenstream.stages._tools.signature import EMPTY, FunctionTool, adapter_of, is_unpacked

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.stages._tools.kinds import Tool

    NamedTool: TypeAlias = "str | dict[str, Any] | Callable[..., Any] | type[Any] | ToolTable"
    ToolsOption: TypeAlias = "ToolTable | Iterable[NamedTool] | None"
    """The option `tools=`: `Tools`, a request's list of tools, or a list of functions, types and names."""

_begins_section: Any = re.compile(
    r"(?:Args|Arguments|Attributes|Parameters):|(?:Returns|Raises|Yields|Examples?|Notes?):$"
    r"|:(?:param|type|returns?|rtype|raises)\b"
).match
"""Matches a line that begins a section of a docstring, such as `Args:`, and so ends the first paragraph."""
_UNDERLINE = "---"
"""The start of the line below a section's title in NumPy style."""
_SECTIONS_OF_PARAMETERS = frozenset({"attributes", "other parameters", "parameters"})


def docstring_of(function: object) -> str:
    """Return the docstring of a function, or of the function in a `functools.partial`; "" if it has none."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.getdoc(function) or ""


def first_paragraph(docstring: str) -> str:
    """Return the first paragraph of a docstring in one line; "" if it begins with its parameters."""
    lines: list[str] = []
    for line in map(str.strip, inspect.cleandoc(docstring).splitlines()):
        if line.startswith(_UNDERLINE):
            # The line before is the title of a section in NumPy style.
            lines = lines[:-1]
            break
        if not line or _begins_section(line):
            break
        lines.append(line)
    return " ".join(lines)


def parameter_descriptions(docstring: str) -> dict[str, str]:
    """Return the description of each parameter in a docstring of Google, NumPy or Sphinx style.

    This needs the package griffelib, which the extra `griffe` installs; without that
    package the result is empty.
    """
    # A docstring of one line has no section; returning here avoids the slow import.
    if "\n" not in docstring:
        return {}
    try:
        from griffe import Docstring, parse_google, parse_numpy, parse_sphinx
    except ImportError:
        return {}
    # griffe's `auto` tries the styles in the same order, but warns about missing types,
    # which the function's signature contains.
    for parse in (parse_sphinx, parse_numpy, parse_google):
        sections: Any = parse(Docstring(inspect.cleandoc(docstring), lineno=1), warnings=False)
        descriptions = {
            item.name.lstrip("*"): " ".join(item.description.split())
            for section in sections
            if section.kind.value in _SECTIONS_OF_PARAMETERS
            for item in section.value
        }
        if descriptions:
            return descriptions
    return {}


_OPTIONAL = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
"""The kinds of `*args` and `**kwargs`, which need no default."""
_NO_JSON = "has a type that no JSON schema can describe"


class SchemaDescription(NamedTuple):
    """The description and the JSON schema of a tool's arguments, or of the answer's type."""

    description: str
    schema: JsonObject


class _UntitledSchemas(GenerateJsonSchema):
    """Makes schemas without the titles that pydantic derives from field names; no model needs them."""

    # A default that JSON cannot express is left out, without a warning.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as pydantic has it

    def field_title_should_be_set(self, schema: object) -> bool:
        """Return False: pydantic then makes no title from the field's name."""
        return False


def describe(tool: Tool) -> SchemaDescription:
    if isinstance(tool, FunctionTool):
        docstring = docstring_of(tool.function)
        described = _describe_function(tool)
    else:
        # The function that takes a value of the type describes the tool, if there is one.
        docstring = docstring_of(tool.documented_by) if tool.documented_by is not None else ""
        described = describe_type(tool.type)
    if described.schema.get("type") != "object":
        raise SchemaRefused(
            "", "does not take a JSON object, as tools must: make its type a field of a model"
        )
    _add_descriptions(described.schema, docstring)
    return described._replace(description=first_paragraph(docstring) or described.description)


def describe_type(type_: Any) -> SchemaDescription:  # noqa: ANN401 - any type
    refuse_struct(type_)
    try:
        adapter = type_ if issubclass(type(type_), TypeAdapter) else TypeAdapter(type_)
        schema: JsonObject = adapter.json_schema(schema_generator=_UntitledSchemas)
    except PydanticUserError as error:
        raise SchemaRefused(_find_unsupported_field(type_), _NO_JSON) from error
    definitions = schema.pop("$defs", {})
    while definition_name(schema.get("$ref", "")) in definitions:
        # The schema of a recursive type is a reference to a definition: put the definition at the root.
        schema = {**definitions[definition_name(schema.pop("$ref"))], **schema}
    docstring = schema.pop("description", "")
    schema.pop("title", None)
    _add_descriptions(schema, docstring)
    return SchemaDescription(first_paragraph(docstring), _add_definitions(schema, definitions))


def _describe_function(tool: FunctionTool) -> SchemaDescription:
    """Return the schema of a function's arguments.

    The description beside the schema is empty, unless the function takes a single object: then it is that of
    the object's type. A parameter whose type has no schema is left out if it has a default.
    """
    if tool.only is not None:
        # The only parameter is an object: the model writes that object, without the parameter's name.
        return describe_type(tool.only)
    parameters, types = dict(tool.parameters), tool.types
    try:
        schema = adapter_of(parameters, types).json_schema(schema_generator=_UntitledSchemas)
    except PydanticUserError:
        # Try again without the parameters whose types have no schema.
        parameters = {name: each for name, each in parameters.items() if not _is_left_out(tool, name, each)}
        schema = adapter_of(parameters, types).json_schema(schema_generator=_UntitledSchemas)
    schema.pop("title", None)
    properties = schema.setdefault("properties", {})
    # The schema is that of a TypedDict, which has no defaults.
    for name, parameter in parameters.items():
        default = _write_default(parameter.default)
        if default is not None and name in properties:
            properties[name].setdefault("default", default)
    return SchemaDescription("", _add_definitions(schema, schema.pop("$defs", {})))


def _is_left_out(tool: FunctionTool, name: str, parameter: inspect.Parameter) -> bool:
    """Return True if a parameter must keep its default because its type has no JSON schema."""
    if is_unpacked(tool.types[name]):
        field_name = _find_unsupported_field(get_args(tool.types[name])[0])
        if field_name:
            raise SchemaRefused(field_name, _NO_JSON)
        return False
    if _has_schema(tool.types[name]):
        return False
    if parameter.default is EMPTY and parameter.kind not in _OPTIONAL:
        raise SchemaRefused(name, _NO_JSON)
    return True


def _has_schema(type_: object) -> bool:
    parameter = inspect.Parameter("it", inspect.Parameter.KEYWORD_ONLY)
    try:
        adapter_of({"it": parameter}, {"it": type_}).json_schema(schema_generator=_UntitledSchemas)
    except PydanticUserError:
        return False
    return True


def _find_unsupported_field(type_: object) -> str:
    """Return the name of the field whose type has no schema; "" if no field can be named."""
    try:
        # An adapter holds its type in a private attribute.
        fields = get_type_hints(getattr(type_, "_type", type_), include_extras=True)
    except (NameError, TypeError):
        return ""
    return next((name for name, each in fields.items() if not _has_schema(each)), "")


def _write_default(default: object) -> Json:
    """Return a parameter's default as a JSON value; None if there is none, or if JSON cannot express it."""
    if default is EMPTY or default is None:
        return None
    try:
        return to_jsonable_python(default)
    except (PydanticSerializationError, ValueError):
        return None


def _add_descriptions(schema: JsonObject, docstring: str) -> None:
    """Add descriptions, taken from a docstring, to the properties of a schema that have none."""
    properties = schema.get("properties", {})
    if all("description" in each for each in properties.values()):
        # This saves the slow parsing of the docstring.
        return
    for name, words in parameter_descriptions(docstring).items():
        if name in properties and words:
            properties[name].setdefault("description", words)


def _add_definitions(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    """Return a schema with `$defs` added, to which its references point; unchanged if there are none."""
    return {**schema, "$defs": definitions} if definitions else schema


def offered_by(tools: ToolsOption) -> OfferedTools | None:
    """Return the names and schemas of the tools that a caller names; None if there are none.

    Example:
        >>> tools = offered_by(["now", {"type": "function", "function": {"name": "get_weather"}}])
        >>> "now" in tools, "get_weather" in tools, "no" in tools
        (True, True, False)
    """
    if tools is None:
        return None
    if isinstance(tools, str) or is_dict(tools) or not isinstance(tools, ToolTable | Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may not check
        raise MisuseError(
            "tools= takes Tools(…), a request's list of tools, or a list of functions, types and names, not "
            f"{type(tools).__qualname__}: put it into a list, as in tools=[get_weather]"
        )
    each: list[Any] = [tools] if isinstance(tools, ToolTable) else [*tools]
    named = offered_of([tool for tool in each if isinstance(tool, str) or is_dict(tool)])
    others = [tool for tool in each if not isinstance(tool, str | dict)]
    by_name: dict[str, Tool] = gather(others, {}) if others else {}
    if not named and not by_name:
        return None

    # The schemas are made only for tools whose calls need them.
    return OfferedTools(
        lambda: {**named.schemas, **{name: _schema_of(tool) for name, tool in by_name.items()}}
    )


def _schema_of(tool: Tool) -> JsonObject | None:
    """Return the schema of a tool's arguments; None if its types have none."""
    try:
        return describe(tool)[1]
    except SchemaRefused:
        return None
