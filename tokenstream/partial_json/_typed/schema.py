"""One interface to pydantic types and TypeAdapters, and to the first error of a value."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, get_args, get_origin
from weakref import WeakKeyDictionary

from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import InvalidJSON, MisuseError, OutputInvalid
from tokenstream.partial_json._parser import find_fault
from tokenstream.partial_json._shapes.shape import InvalidValue, Slot, locate_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Hashable, Iterable, Mapping, Sequence

    from pydantic import TypeAdapter

    from tokenstream.partial_json._events import KeyOrIndex

T = TypeVar("T")
AskedT = TypeVar("AskedT")

MOST_DEPTH = 200
"""Maximum nesting of objects and arrays that pydantic accepts."""

_OLD_MODELS = "pydantic.v1."
_FIELDS = ("__pydantic_fields__", "__dataclass_fields__")
"""Attributes of classes; an object of a class that has one of them is a value, not a type."""

_MODULES = re.compile(r"(?<![\w<>])(?:(?>[\w<>]++\.))++")

_MOST_KEYS = 12
_MOST_OF_MESSAGE = 200
_HIDDEN = "*"
"""Replaces a key that the model wrote; it is also the wildcard in paths."""
_QUOTING_KEYS = frozenset({"error", "tag", "encoding_error"})
"""Context keys of pydantic's errors whose content comes from the value."""
_SAFE_TYPES = frozenset(
    {
        "date_from_datetime_parsing",
        "date_parsing",
        "datetime_from_date_parsing",
        "datetime_parsing",
        "time_delta_parsing",
        "time_parsing",
    }
)
"""Error types with one of the `_QUOTING_KEYS`, whose content is one of a few fixed sentences here."""
_PROGRAMS = frozenset({"value_error", "assertion_error"})
"""Error types whose message is written by the program, and may quote the value."""


class Schema(Generic[T]):
    """The schema of a type, which validates documents.

    Args:
        slot: The slot that reads the document.
        title: The type's name.
        core: The pydantic core schema of the type.

    Example:
        >>> Schema.of(int).validate_text("3")
        3
    """

    def __init__(self, slot: Slot, title: str, core: object) -> None:
        self.slot = slot
        self.title = title
        self.core = core
        """The pydantic core schema of the type."""

    @staticmethod
    def of(type_or_adapter: type[AskedT] | TypeAdapter[AskedT] | Schema[AskedT]) -> Schema[AskedT]:
        """Return the schema of a type or of a TypeAdapter; return a schema unchanged."""
        candidate: Any = type_or_adapter
        if candidate.__class__ is Schema:
            schema: Schema[AskedT] = candidate
            return schema
        # isinstance() treats a generic alias as a class; type() does not.
        if issubclass(type(candidate), type):
            return _build_class_schema(candidate)
        # Of the objects that are left, only aliases such as `list[int]` have a key.
        key = _find_key(candidate)
        return _find_type_schema(candidate) if key is None else _build_alias_schema(key, candidate)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the type itself, such as field names; error messages may show these words."""
        return collect_words(self.core)

    def describe_errors(self, errors: Sequence[Mapping[str, Any]]) -> str:
        return describe_invalid(self.title, errors, self.words)

    def validate_text(self, json_text: str) -> T:
        """Return the value of a whole JSON text, or raise `OutputInvalid`, as `InvalidJSON` if it is none."""
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
    refuse_struct(type_or_adapter)
    return _build_adapter_schema(_make_adapter(type_or_adapter, title), title)


_MOST_KEPT = 256

_build_class_schema = lru_cache(maxsize=_MOST_KEPT)(_build_schema)
"""Builds the schema of a class, with a cache: building takes longer than a short answer takes to arrive."""

_adapter_schemas: WeakKeyDictionary[TypeAdapter[Any], Schema[Any]] = WeakKeyDictionary()
"""Cached schemas of TypeAdapters; each is dropped together with its adapter."""


@lru_cache(maxsize=_MOST_KEPT)
def _build_alias_schema(key: Hashable, alias: object) -> Schema[Any]:  # noqa: ARG001 - any alias; the key tells it
    """Return the schema of an alias such as `list[int]`, or of a union; the schema is cached.

    The key differs for aliases with different schemas, even if Python regards the aliases as equal.
    """
    return _build_schema(alias)


def _find_key(candidate: object) -> Hashable | None:
    """Return the key under which the schema of a type is cached; None for an object that is not a type.

    Only types with the same schema have the same key. Types such as `list[int]` and unions cannot be
    keys themselves: `int | float` equals `float | int`, but their schemas differ.
    """
    cls: type = candidate.__class__
    if isinstance(candidate, type) and not get_args(candidate):
        return candidate
    keys: list[Hashable | None]
    if get_origin(candidate) is Literal:
        keys = [_find_value_key(value) for value in get_args(candidate)]
    else:
        # The metadata of an Annotated may be any object; an object that is not a type has no key.
        keys = [arg if arg is Ellipsis else _find_key(arg) for arg in get_args(candidate)]
    return (cls, get_origin(candidate), *keys) if keys and None not in keys else None


def _find_value_key(value: object) -> Hashable | None:
    """Return the key for a value in a Literal: its type, because 1 equals True, and the value itself.

    The result is None for a value of another type, such as a member of an enum.
    """
    return (type(value), value) if isinstance(value, str | bytes | int | None) else None


def _find_type_schema(candidate: Any) -> Schema[Any]:  # noqa: ANN401 - whatever is given
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
    if isinstance(candidate, dict | list | tuple):
        raise MisuseError(
            f"an object of {cls.__name__} is not a type: pass a class, such as a pydantic model or a "
            "TypedDict, or `dict` for any JSON object"
        )


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


def refuse_struct(type_: object) -> None:
    """Raise an error for a msgspec Struct, and for a type such as a list of Structs; else return None."""
    cls = get_origin(type_) or type_
    if isinstance(cls, type) and hasattr(cls, "__struct_fields__"):
        raise MisuseError(
            f"{cls.__name__} is a msgspec Struct, which is not read: pass a dataclass or a TypedDict of its "
            f"fields, or convert the whole answer with msgspec.convert(stream.result(dict), {cls.__name__})"
        )
    for inner in get_args(type_):
        refuse_struct(inner)


def describe_first_fault(errors: Sequence[Mapping[str, Any]], type_words: Collection[KeyOrIndex]) -> str:
    """Return the location and message of the first error, and how many there are; hide words of the model."""
    first, more = errors[0], len(errors) - 1
    location = _describe_location(first, type_words)
    where = f"at {location}: " if location else ""
    hint = f", and {more:,} more in `errors`" if more else ""
    return f"{where}{_describe_safely(first)}{hint}"


def describe_invalid(
    title: str, errors: Sequence[Mapping[str, Any]], type_words: Collection[KeyOrIndex]
) -> str:
    """Return the message for an invalid output: the first error, with nothing that a model wrote."""
    return f"the output is not a valid {title}: {describe_first_fault(errors, type_words)}"


def collect_words(schema: object) -> frozenset[str]:
    """Return the words of a type, such as field names, that errors may quote: no model wrote them."""
    words: set[str] = set()
    visited_ids: set[int] = set()
    # Not recursive: a schema may be nested deeply, and a default in it may contain itself.
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if id(node) in visited_ids:
            continue
        visited_ids.add(id(node))
        if isinstance(node, str):
            words.add(node)
        elif isinstance(node, type):
            words.add(node.__name__)
        elif is_dict(node):
            waiting += [*node, *node.values()]
        elif isinstance(node, list | tuple):
            waiting += cast("Iterable[Any]", node)
    return frozenset(words)


def _describe_location(error: Mapping[str, Any], type_words: Collection[KeyOrIndex]) -> str:
    """Return the location of an error as text; keys that the model may have made up are hidden."""
    keys = [str(key) if isinstance(key, int) or key in type_words else _HIDDEN for key in error["loc"]]
    if len(keys) > _MOST_KEYS:
        # The keys in the middle are left out.
        keys[_MOST_KEYS // 2 : -_MOST_KEYS // 2] = ["…"]
    return ".".join(keys)


def _describe_safely(error: Mapping[str, Any]) -> str:
    """Return the message of an error, or only its type if the message may quote the value."""
    kind, message = str(error["type"]), str(error["msg"])
    # The keys of `ctx` name what the message contains; those in `_QUOTING_KEYS` come from the value.
    may_quote = kind not in _SAFE_TYPES and not _QUOTING_KEYS.isdisjoint(error.get("ctx") or ())
    if may_quote or kind not in _list_pydantic_kinds():
        # The message of a kind that pydantic does not define was written by the application's validator.
        return kind
    return message if len(message) <= _MOST_OF_MESSAGE else f"{message[:_MOST_OF_MESSAGE]}…"


@cache
def _list_pydantic_kinds() -> frozenset[str]:
    """Return the error types whose messages pydantic itself writes, and not a validator of the program."""
    from pydantic_core.core_schema import ErrorType

    return frozenset(get_args(ErrorType)) - _PROGRAMS
