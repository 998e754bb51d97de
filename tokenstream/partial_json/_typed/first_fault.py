"""Descriptions of the first error of a value, which quote nothing that a model wrote."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_MOST_KEYS = 12
_MOST_OF_MESSAGE = 200
_HIDDEN = "*"
"""Replaces a key that the model wrote; it is also the wildcard in paths."""
_MSGSPEC = "msgspec"
_SAFE_BEGINNINGS = ("Expected `", "Object missing required field")
"""Beginnings of the msgspec messages that contain only words of the type."""
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


def describe_first_fault(errors: Sequence[Mapping[str, Any]], type_words: Collection[str | int]) -> str:
    """Return the location and the message of the first error, and the number of other errors.

    Args:
        errors: At least one error, in the form of `ValidationError.errors()`.
        type_words: The keys that the type itself defines. The model wrote any other key, which is hidden.

    Example:
        >>> error = {"type": "missing", "loc": ("steps", 1, "minutes"), "msg": "Field required"}
        >>> describe_first_fault([error, error], {"steps", "minutes"})
        'at steps.1.minutes: Field required, and 1 more in `errors`'
    """
    first, more = errors[0], len(errors) - 1
    location = _describe_location(first, type_words)
    where = f"at {location}: " if location else ""
    hint = f", and {more:,} more in `errors`" if more else ""
    return f"{where}{_describe_error(first)}{hint}"


def describe_invalid(
    title: str, errors: Sequence[Mapping[str, Any]], type_words: Collection[str | int]
) -> str:
    """Return the message for an invalid output: the first error, with nothing that a model wrote.

    Args:
        title: The name of the type.
        errors: The errors, at least one.
        type_words: The keys that the type itself defines. The model wrote any other key, which is hidden.
    """
    return f"the output is not a valid {title}: {describe_first_fault(errors, type_words)}"


def collect_words(schema: object) -> frozenset[str]:
    """Return the words of a type, such as field names, which error messages may quote: no model wrote them.

    Args:
        schema: The pydantic core schema of the type.
    """
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
        elif _is_dict(node):
            waiting += [*node, *node.values()]
        elif _is_list(node):
            waiting += node
    return frozenset(words)


def _is_dict(node: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(node, dict)


def _is_list(node: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(node, list | tuple)


def _describe_location(error: Mapping[str, Any], type_words: Collection[str | int]) -> str:
    """Return the location of an error as text; keys that the model may have made up are hidden.

    Args:
        error: The error, in pydantic's form.
        type_words: The keys that the type itself has, which are shown.
    """
    # msgspec names only fields; it writes "..." for any other key.
    fields = {key for key in error["loc"] if key != "..."} if error["type"] == _MSGSPEC else type_words
    keys = [str(key) if isinstance(key, int) or key in fields else _HIDDEN for key in error["loc"]]
    if len(keys) > _MOST_KEYS:
        # The keys in the middle are left out.
        keys[_MOST_KEYS // 2 : -_MOST_KEYS // 2] = ["…"]
    return ".".join(keys)


def _describe_error(error: Mapping[str, Any]) -> str:
    """Return the message of an error, or only its type if the message may quote the value."""
    kind, message = str(error["type"]), str(error["msg"])
    if kind == _MSGSPEC:
        # Only messages of these forms are certain not to quote the value.
        return message if message.startswith(_SAFE_BEGINNINGS) else "Invalid value"
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
