"""Schemas of types, with one interface for pydantic types, TypeAdapters and msgspec Structs."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

from tokenstream.errors import InvalidJSON, MisuseError, OutputInvalid
from tokenstream.partial_json._parser import find_fault
from tokenstream.partial_json._shapes.shape import InvalidValue, locate_errors
from tokenstream.partial_json._typed.first_fault import collect_words, describe_invalid

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Mapping, Sequence
    from typing import TypeAlias

    from pydantic import TypeAdapter

    from tokenstream.partial_json._shapes.shape import Slot

    _Key: TypeAlias = Hashable

T = TypeVar("T")
AskedT = TypeVar("AskedT")

MOST_DEPTH = 200
"""Maximum nesting of objects and arrays that pydantic accepts."""

_OLD_MODELS = "pydantic.v1."
_FIELDS = ("__pydantic_fields__", "__dataclass_fields__", "__struct_fields__")
"""Attributes of classes; an object of a class that has one of them is a value, not a type."""

_MODULES = re.compile(r"(?<![\w<>])(?:(?>[\w<>]++\.))++")


class Schema(Generic[T]):
    """The schema of a type, which validates documents.

    Args:
        slot: The slot that reads the document.
        title: The type's name.
        core: The pydantic core schema of the type; None for a type that msgspec reads.

    Example:
        >>> Schema.of(int).validate_text("3")
        3
    """

    def __init__(self, slot: Slot, title: str, core: object = None) -> None:
        self.slot = slot
        self.title = title
        self.core = core
        """The pydantic core schema of the type; None for a type that msgspec reads."""

    @staticmethod
    def of(type_or_adapter: type[AskedT] | TypeAdapter[AskedT]) -> Schema[AskedT]:
        """Return the schema of a type or of a TypeAdapter; return a schema unchanged.

        Raises:
            MisuseError: No schema can be built for the type.
        """
        candidate: Any = type_or_adapter
        if candidate.__class__ is Schema:
            schema: Schema[AskedT] = candidate
            return schema
        # isinstance() treats a generic alias as a class; type() does not.
        if issubclass(type(candidate), type):
            return _build_class_schema(candidate)
        # Of the objects that are left, only aliases such as `list[int]` have a key.
        key = _find_key(candidate)
        return _find_schema(candidate) if key is None else _build_alias_schema(key, candidate)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the type itself, such as field names; error messages may show these words."""
        return collect_words(self.core)

    def describe_errors(self, errors: Sequence[Mapping[str, Any]]) -> str:
        """Return the error message for an invalid output: its first error, without the model's text."""
        return describe_invalid(self.title, errors, self.words)

    def validate_text(self, json_text: str) -> T:
        """Return the value of a whole JSON text.

        Raises:
            OutputInvalid: The text does not fit the type; `InvalidJSON` if it is not JSON.
        """
        try:
            value: T = self.slot.read(json_text)
        except InvalidValue as invalid:
            errors = locate_errors((), invalid.errors)
            if any(error["type"] == "json_invalid" and not error["loc"] for error in errors):
                # Raises the more exact `InvalidJSON`.
                _check_json(json_text)
            raise OutputInvalid(self.describe_errors(errors), text=json_text, errors=errors) from None
        return value

    def fits(self, value: object) -> bool:
        """Return True if a document, as plain data, fits the type."""
        try:
            self.validate_text(json.dumps(value))
        except OutputInvalid:
            return False
        return True


def _check_json(text: str) -> None:
    """Raise `InvalidJSON` if a text is not JSON; pydantic's own error has no offset."""
    # No text can be nested more deeply than it is long, so the depth is not limited here.
    fault = find_fault(text, max_depth=len(text) + 1)
    if isinstance(fault, InvalidJSON):
        raise InvalidJSON(str(fault), text=text, offset=fault.offset)


def _build_schema(type_or_adapter: Any) -> Schema[Any]:  # noqa: ANN401 - any type
    """Return the schema of a type or of a TypeAdapter, without a cache."""
    from pydantic import TypeAdapter

    if issubclass(type(type_or_adapter), TypeAdapter):
        return _build_adapter_schema(type_or_adapter, title="")
    title = getattr(type_or_adapter, "__name__", "")
    # `__name__` of a generic alias is the name of its origin; `str` also gives its arguments, with modules.
    if get_args(type_or_adapter) or isinstance(type_or_adapter, str | None):
        title = _MODULES.sub("", str(type_or_adapter))
    # The repr of an object that is not a type may contain private data.
    title = title or f"an object of {type(type_or_adapter).__name__}"
    _refuse_non_type(type_or_adapter, title)
    if is_struct_type(type_or_adapter):
        from tokenstream.partial_json._shapes.msgspec_shapes import make_struct_slot

        with _explain_failure(title):
            return Schema(make_struct_slot(type_or_adapter), title)
    return _build_adapter_schema(_make_adapter(type_or_adapter, title), title)


_MOST_KEPT = 256

_build_class_schema = lru_cache(maxsize=_MOST_KEPT)(_build_schema)
"""Builds the schema of a class, with a cache: building takes longer than a short answer takes to arrive."""

_adapter_schemas: WeakKeyDictionary[TypeAdapter[Any], Schema[Any]] = WeakKeyDictionary()
"""Cached schemas of TypeAdapters; each is dropped together with its adapter."""


@lru_cache(maxsize=_MOST_KEPT)
def _build_alias_schema(key: _Key, alias: object) -> Schema[Any]:  # noqa: ARG001 - any alias; the key tells it
    """Return the schema of an alias such as `list[int]`, or of a union; the schema is cached.

    The key differs for aliases with different schemas, even if Python regards the aliases as equal.
    """
    return _build_schema(alias)


def _find_key(candidate: object) -> _Key | None:
    """Return the key under which the schema of a type is cached; None for an object that is not a type.

    Only types with the same schema have the same key. Types such as `list[int]` and unions cannot be
    keys themselves: `int | float` equals `float | int`, but their schemas differ.
    """
    cls: type = candidate.__class__
    if isinstance(candidate, type) and not get_args(candidate):
        return candidate
    keys: list[_Key | None]
    if get_origin(candidate) is Literal:
        keys = [_find_value_key(value) for value in get_args(candidate)]
    else:
        # The metadata of an Annotated may be any object; an object that is not a type has no key.
        keys = [arg if arg is Ellipsis else _find_key(arg) for arg in get_args(candidate)]
    return (cls, get_origin(candidate), *keys) if keys and None not in keys else None


def _find_value_key(value: object) -> _Key | None:
    """Return the key for a value in a Literal: its type, because 1 equals True, and the value itself.

    The result is None for a value of another type, such as a member of an enum.
    """
    return (type(value), value) if isinstance(value, str | bytes | int | None) else None


def _find_schema(candidate: Any) -> Schema[Any]:  # noqa: ANN401 - whatever is given
    """Return the schema of a type or a TypeAdapter, but not of an alias such as `list[int]`.

    The schema of a TypeAdapter is cached until the adapter is rebuilt.
    """
    from pydantic import TypeAdapter

    cls: type = candidate.__class__
    if cls is not TypeAdapter:
        return _build_schema(candidate)
    adapter: TypeAdapter[Any] = candidate
    cached = _adapter_schemas.get(adapter)
    if cached is None or cached.core is not adapter.core_schema:
        cached = _adapter_schemas[adapter] = _build_schema(adapter)
    return cached


def _make_adapter(type_: Any, title: str) -> TypeAdapter[Any]:  # noqa: ANN401 - any type
    """Return pydantic's adapter for a type; if pydantic refuses the type, the error names it by `title`."""
    from pydantic import TypeAdapter

    with _explain_failure(title):
        return TypeAdapter(type_)


def _build_adapter_schema(adapter: TypeAdapter[Any], title: str) -> Schema[Any]:
    """Return the schema of a TypeAdapter; if `title` is "", the schema's title is the type's name."""
    from tokenstream.partial_json._shapes.pydantic_shapes import make_root_slot

    with _explain_failure(title):
        built: Any = adapter.core_schema
        # The core schema is a placeholder if its building was deferred.
        if not isinstance(built, dict):
            adapter.rebuild()
        slot = make_root_slot(adapter)
    type_names = slot.type_names
    title = title or (type_names.title if type_names is not None else adapter.validator.title)
    return Schema(slot, title, adapter.core_schema)


def _refuse_non_type(candidate: object, title: str) -> None:
    """Raise an error for a model of pydantic 1, or for an object in place of its class; else return None."""
    cls = candidate if isinstance(candidate, type) else type(candidate)
    if any(base.__module__.startswith(_OLD_MODELS) for base in cls.__mro__):
        raise MisuseError(
            f"{title if cls is candidate else cls.__name__} is a model of pydantic 1 (pydantic.v1), which "
            "is not supported: derive it from pydantic.BaseModel, or pass a dataclass or a TypedDict of its "
            "fields"
        )
    # The class of a generic alias belongs to `typing` or to Python itself, and has none of these attributes.
    if cls is not candidate and any(hasattr(cls, fields) for fields in _FIELDS):
        raise MisuseError(f"an object of {cls.__name__} is not a type: pass the class itself")


@contextmanager
def _explain_failure(title: str) -> Generator[None]:
    """Raise a MisuseError that names the type if the block cannot build a schema."""
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
    from pydantic_core import SchemaError

    try:
        yield
    except PydanticSchemaGenerationError as error:
        raise MisuseError(
            f"no schema can be built for {title or 'the type of the adapter'}, for the reason in the cause; "
            "use a pydantic model, a dataclass, a TypedDict, or a type that pydantic knows"
        ) from error
    except (PydanticUserError, SchemaError, NameError, TypeError) as error:
        if getattr(error, "code", None) == "typed-dict-version":
            raise MisuseError(
                f"no schema can be built for {title or 'the type of the adapter'}: before Python 3.12, "
                "pydantic reads only a TypedDict of typing_extensions; write "
                "`from typing_extensions import TypedDict`"
            ) from error
        raise MisuseError(
            f"no schema can be built for {title or 'the type of the adapter'}, for the reason in the cause; "
            "if it names types that are defined later, call its model_rebuild() after them, or pass a "
            "TypeAdapter that was made there"
        ) from error


def is_struct_type(type_: object) -> bool:
    """Return True if msgspec must read a type, because it is a Struct or contains one."""
    msgspec = sys.modules.get("msgspec")
    if msgspec is None:
        # Nobody has imported msgspec, so there are no Structs.
        return False
    cls = get_origin(type_) or type_
    if isinstance(cls, type) and issubclass(cls, msgspec.Struct):
        return True
    return any(is_struct_type(inner) for inner in get_args(type_))
