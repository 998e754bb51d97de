"""A function's parameters as a schema of the JSON that a model writes for them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import FrameType, SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NotRequired,
    Required,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PydanticUserError, RootModel, TypeAdapter
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict, is_typeddict
from typing_extensions import Unpack as LaterUnpack

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import MisuseError, ProtocolError
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.stages._tools.kinds import AnyTool, is_async

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

    from tokenstream._basics.loose import JsonObject

EMPTY = inspect.Parameter.empty
_EMPTY_OBJECT = re.compile(r"[ \t\n\r]*+\{[ \t\n\r]*+\}[ \t\n\r]*+")
_match_opening: Any = re.compile(r"[ \t\r\n]*+(\{?+)[ \t\r\n]*+").match
_MAX_START = 64
"""The most characters before the first key; up to this point, each piece reads the start again."""
_VAR_ARGS, _VAR_KWARGS = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


class FunctionTool(AnyTool):
    """A tool that is a function: validates arguments for its parameters, and calls it with them.

    The language model writes one JSON object with a key for each parameter, of whatever kind;
    the arguments for `*values` are a list under that name, the arguments for `**others`
    are additional keys. If the only parameter is a pydantic model, a dataclass or a
    TypedDict, the object may also be the value of that parameter itself.

    Args:
        name: The name by which the model calls the function.
        function: The function, or another callable.

    Raises:
        MisuseError: The parameters cannot be determined, or have types that JSON cannot represent.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function
        try:
            self._signature = inspect.signature(function)
            self.parameters: Mapping[str, inspect.Parameter] = self._signature.parameters
            """The parameters by name, in order."""
            self.types = _types_of(function, self.parameters)
            """The types of the parameters; Any for a parameter without a type."""
            self._schema = Schema[Any].of(adapter_of(self.parameters, self.types))
            # Models mostly write the object for an only parameter without the parameter's name.
            self._only = _OnlyParameter.find(self.parameters, self.types)
        except (TypeError, ValueError, NameError, PydanticUserError) as error:
            called = getattr(function, "__qualname__", type(function).__qualname__)
            raise MisuseError(
                f"the parameters of {called} cannot be read from its signature: {error}; "
                "give a type for its arguments instead"
            ) from error

    @property
    def schema(self) -> Schema[Any]:
        """The schema of the JSON that language models usually write: an object with a key for each parameter.

        If the only parameter is itself an object in JSON, such as a dataclass or a pydantic model, they
        usually write that object without the parameter's name; then this is the object's schema.
        """
        return self._schema if self._only is None else self._only.schema

    def schema_of(self, start: str) -> Schema[Any] | None:
        """Return the schema for arguments whose JSON begins with `start`; None while it is undecided."""
        only = self._only
        if only is None:
            return self._schema
        is_named = only.is_named_first(start)
        if is_named is None:
            return None
        return self._schema if is_named else only.schema

    @property
    def only(self) -> object:
        """The type of the only parameter, if that is an object whose JSON may stand alone; otherwise None."""
        return None if self._only is None else self.types[self._only.name]

    def read(self, text: str) -> JsonObject:
        """Return the arguments by name, with values of the types that the function declares."""
        only = self._find_unnamed(text)
        if only is not None:
            # The JSON is the value of the parameter, without the parameter's name.
            return {only.name: only.schema.validate_text(text)}
        arguments: JsonObject = self._schema.validate_text(text)
        return arguments

    def describe(self, text: str) -> str | None:
        """Return a text that is the same for equal arguments, without defaults; None if there is none."""
        from tokenstream.stages._tools.same_calls import describe_arguments

        only = self._only
        if only is not None and only.is_named(text):
            # The object has the same description with the parameter's name as without it.
            text = json.dumps(decode(text)[only.name])
        if only is not None and self._find_unnamed(text) is not None:
            return describe_arguments(only.schema, text)
        return describe_arguments(self._schema, self._without_defaults(text))

    def show(self, arguments: Mapping[str, Any]) -> str | None:
        """Return arguments that `read` has returned as JSON for a person, without what their type hides."""
        from tokenstream.stages._tools.same_calls import show_arguments

        return show_arguments(self._schema, arguments)

    def _without_defaults(self, text: str) -> str:
        """Return arguments as JSON, without those that equal the defaults of their parameters."""
        arguments, written = self._schema.validate_text(text), decode(text)
        for name, parameter in self.parameters.items():
            if name in written and name in arguments:
                default, value = parameter.default, arguments[name]
                # Python compares 1 and True as equal.
                if default == value and isinstance(default, bool) == isinstance(value, bool):
                    del written[name]
        return json.dumps(written)

    def _find_unnamed(self, text: str) -> _OnlyParameter | None:
        """Return the only parameter if the JSON is its value, without its name; else None."""
        only = self._only
        if only is None or only.is_named(text):
            return None
        default = self.parameters[only.name].default
        is_required = default.is_required() if isinstance(default, FieldInfo) else default is EMPTY
        # `{}` leaves out a parameter that has a default, which then applies.
        return None if not is_required and _EMPTY_OBJECT.fullmatch(text) else only

    def as_json(self, text: str) -> str:
        """Convert arguments that are free text to JSON in which the text is the function's first argument."""
        return json.dumps({next(iter(self.parameters), "input"): text})

    @property
    def is_async(self) -> bool:
        return is_async(self.function)

    def __reduce__(self) -> tuple[type[FunctionTool], tuple[str, Callable[..., Any]]]:
        return FunctionTool, (self.name, self.function)

    def run(self, arguments: Mapping[str, Any]) -> object:
        """Call the function with arguments that `read` has returned, by position where that is needed.

        The result is what the function returns, which may be an awaitable or a generator.
        """
        remaining = dict(arguments)
        bound = inspect.BoundArguments(self._signature, {})
        for name, parameter in self.parameters.items():
            if parameter.kind is not _VAR_KWARGS and name in remaining:
                value = remaining.pop(name)
                bound.arguments[name] = tuple(value) if parameter.kind is _VAR_ARGS else value
        bound.apply_defaults()
        # The remaining arguments belong to `**others`.
        return self.function(*bound.args, **{**bound.kwargs, **remaining})


class _OnlyParameter:
    """The only parameter of a function, if its type is an object.

    A model may write the value of such a parameter with or without the parameter's name.

    Args:
        fields: The keys of the type's object in JSON.
    """

    def __init__(self, name: str, type: Any, fields: set[str]) -> None:  # noqa: A002, ANN401 - any type
        self.name = name
        self.schema = Schema[Any].of(type)
        self._fields = fields

    @classmethod
    def find(
        cls, parameters: Mapping[str, inspect.Parameter], types: Mapping[str, Any]
    ) -> _OnlyParameter | None:
        """Return the only parameter; None if there are several, or if its type is not an object."""
        if len(parameters) != 1:
            return None
        ((name, parameter),) = parameters.items()
        fields = _list_json_keys(types[name])
        if fields is None or parameter.kind in (_VAR_ARGS, _VAR_KWARGS):
            return None
        return cls(name, types[name], fields)

    def is_named(self, text: str) -> bool:
        """Return True if the JSON is an object with a single key, which is the parameter's name."""
        if self.name in self._fields:
            # A key of that name belongs to the value.
            return False
        try:
            value: object = decode(text)
        except ProtocolError:
            return False
        return is_dict(value) and list(value) == [self.name]

    def is_named_first(self, start: str) -> bool | None:
        """Return True if JSON's first key is the parameter's name; None while `start` cannot tell."""
        if self.name in self._fields:
            # A key of that name belongs to the value.
            return False
        key = f'"{self.name}"'
        opening = _match_opening(start)
        after_opening = start[opening.end() :]
        if len(start) > _MAX_START + len(key):
            # So much white space before the first key that the search for it is given up.
            return False
        if len(after_opening) < len(key) and key.startswith(after_opening):
            return None
        has_brace = bool(opening[1])
        return has_brace and after_opening.startswith(key)


class _Others:
    """Annotation of an object that accepts other keys, as a function with `**others` does.

    Its `type` is the type of the values of these keys.
    """

    def __init__(self, type: Any) -> None:  # noqa: A002, ANN401 - any type
        self.type = type

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the annotated object's schema, changed to accept other keys with values of `type`."""
        schema = handler.resolve_ref_schema(handler(source))
        extended: Any = schema
        extended["extra_behavior"] = "allow"
        extended["extras_schema"] = handler.generate_schema(self.type)
        return schema


def adapter_of(parameters: Mapping[str, inspect.Parameter], types: Mapping[str, Any]) -> TypeAdapter[Any]:
    """Return a pydantic adapter for the JSON of arguments: a key per parameter, and those of `**others`."""
    fields: JsonObject = {}
    others: Any = None
    for name, parameter in parameters.items():
        type_ = types[name]
        if parameter.kind is _VAR_ARGS:
            several: Any = list
            fields[name] = NotRequired[several[type_]]
        elif parameter.kind is not _VAR_KWARGS:
            fields[name] = _with_default(type_, parameter.default)
        elif is_unpacked(type_):
            fields.update(_fields_of_typed_dict(get_args(type_)[0]))
        else:
            others = _Others(type_)
    # A variable of type Any (like `several` and `annotated`): type checkers allow no computed arguments.
    make_typed_dict: Any = TypedDict
    arguments: Any = make_typed_dict("arguments", fields)
    arguments.__pydantic_config__ = ConfigDict(
        extra="forbid" if others is None else "allow", arbitrary_types_allowed=True
    )
    annotated: Any = Annotated
    return TypeAdapter(arguments if others is None else annotated[arguments, others])


def is_unpacked(type_: object) -> bool:
    """Return True for `Unpack[…]` of a TypedDict, in either of its variants: typing or typing_extensions."""
    return get_origin(type_) in (Unpack, LaterUnpack)


def _fields_of_typed_dict(type_: Any) -> JsonObject:  # noqa: ANN401 - a TypedDict
    """Return the fields of `**others: Unpack[type_]`; optional ones are marked as `NotRequired`."""
    fields: JsonObject = {}
    for name, declared in get_type_hints(type_, include_extras=True).items():
        mark = get_origin(declared)
        marked = mark is Required or mark is NotRequired
        required = mark is Required or (not marked and name in type_.__required_keys__)
        unmarked = get_args(declared)[0] if marked else declared
        fields[name] = unmarked if required else NotRequired[unmarked]
    return fields


def _with_default(type_: object, default: object) -> object:
    """Return the type of a parameter's field; if the parameter has a default, the field is not required."""
    if default is EMPTY:
        return type_
    if isinstance(default, FieldInfo):
        # `Field(…)` in place of a default: pydantic reads the real default and more from it.
        return Annotated[type_, default]
    return NotRequired[type_]


def _types_of(function: Any, parameters: Mapping[str, inspect.Parameter]) -> JsonObject:  # noqa: ANN401 - any callable
    declared = {
        name: Any if parameter.annotation is EMPTY else parameter.annotation
        for name, parameter in parameters.items()
    }
    # `get_type_hints` reads the annotations of any object, and resolves those that are text.
    annotated_object = SimpleNamespace(__annotations__=declared)
    # The function inside partials, methods, decorators and callable objects.
    while isinstance(function, partial):
        function = function.func
    inner = inspect.unwrap(getattr(function, "__func__", function))
    # Only functions have globals; the function of a callable object is in its class.
    inner_function = inner if hasattr(inner, "__globals__") else inspect.unwrap(type(inner).__call__)
    names: JsonObject = getattr(inner_function, "__globals__", {})
    # A local name hides a global one, as in the code of the function.
    return get_type_hints(annotated_object, names, _local_names(inner_function), include_extras=True)


def _local_names(function: object) -> JsonObject:
    """Return the local names that the annotations of a function may refer to.

    They are those of the functions in which it was defined, as long as these are still running.
    """
    names: JsonObject = {}
    qualname = getattr(function, "__qualname__", "")
    # The way to names that no closure holds.
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        if qualname.startswith(f"{frame.f_code.co_qualname}.<locals>."):
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def _list_json_keys(type_: object) -> set[str] | None:
    """Return the keys that values of a type have in JSON; None if the values are not objects in JSON."""
    while get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    any_type: Any = type_
    if isinstance(type_, type) and issubclass(type_, RootModel):
        # The JSON is that of the root, which may not be an object.
        root = type_.model_fields["root"].annotation
        origin = get_origin(root) or root
        return set() if isinstance(origin, type) and issubclass(origin, Mapping) else _list_json_keys(root)
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        model_fields = type_.model_fields
        return {*model_fields, *[field.alias for field in model_fields.values() if field.alias]}
    if isinstance(type_, type) and is_dataclass(type_):
        return {field.name for field in fields(type_)}
    if is_typeddict(any_type):
        return set(any_type.__annotations__)
    return None
