"""Checks of the arguments of a script's methods.

Each method checks its arguments when it is called, so that the traceback of a faulty test
points at the faulty call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

from tokenstream.errors import ErrorKind, MisuseError
from tokenstream.message import FinishReason, Usage
from tokenstream.testing._scripts.events import cut_fragments

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_texts(name: str, values: Iterable[object]) -> None:
    """Raise `MisuseError` if a value is not text.

    Args:
        name: Name of the method or argument, for the message.
    """
    for item in values:
        if not isinstance(item, str):
            raise MisuseError(f"{name} takes text, and not a value of type {type(item).__name__}")


def check_text_or_none(name: str, *values: object) -> None:
    """Raise `MisuseError` if a value is neither text nor None."""
    check_texts(name, (item for item in values if item is not None))


def check_name(name: str, value: object) -> None:
    """Raise `MisuseError` unless a value is text that is not empty."""
    if not isinstance(value, str) or not value:
        raise MisuseError(f"{name}={value!r} is invalid: pass text that is not empty")


def check_bytes(name: str, value: object) -> None:
    """Raise `MisuseError` unless a value is bytes-like."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise MisuseError(f"{name} takes the bytes of a file, and not a value of type {type(value).__name__}")


def check_number(name: str, value: object, *, zero: bool) -> None:
    """Raise `MisuseError` unless a value is a finite number above 0, or 0 if that is allowed.

    Args:
        name: The argument's name, for the message.
        zero: True to allow 0.
    """
    # True and False are ints, too, but no numbers.
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_allowed_zero = zero and value == 0
        if 0 < value < math.inf or is_allowed_zero:
            return
    range_in_words = "0 or more" if zero else "above 0"
    raise MisuseError(f"{name}={value!r} is invalid: pass a number, {range_in_words}")


def check_choice(value: object) -> None:
    """Raise `MisuseError` unless a value is the index of a choice."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MisuseError(f"choice {value!r} is invalid: choices are counted from 0")


def check_event(value: object) -> None:
    """Raise `MisuseError` unless a value is text on one line, as an event's name is."""
    if not isinstance(value, str) or "\n" in value or "\r" in value:
        raise MisuseError(f"event={value!r} is invalid: pass text on one line")


def check_reason(value: object) -> None:
    """Raise `MisuseError` unless a value is a finish reason."""
    _check_word("finish reason", value, get_args(FinishReason))


def check_kind(value: object) -> None:
    """Raise `MisuseError` unless a value is a kind of error."""
    _check_word("kind of error", value, get_args(ErrorKind))


def json_of(name: str, value: object, *, strict: bool = True) -> str:
    """Return a value as JSON text.

    Args:
        name: The argument's name, for the message.
        strict: True to refuse NaN and the infinities.

    Raises:
        MisuseError: The value cannot be written as JSON.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=not strict)
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(f"{name} cannot be written as JSON: {error}") from error


def fragments_of(arguments: object) -> tuple[str, ...]:
    """Return the arguments of a tool call as fragments of JSON text.

    Args:
        arguments: A mapping, its JSON text, or fragments of that text; an empty sequence means an empty
            object.

    Raises:
        MisuseError: The value is none of these.
    """
    if isinstance(arguments, tuple | list):
        fragments = tuple(cast("Iterable[str]", arguments))
        check_texts("a fragment of arguments", fragments)
        return fragments or ("{}",)
    if isinstance(arguments, str):
        return cut_fragments(arguments)
    if isinstance(arguments, Mapping):
        return cut_fragments(json_of("arguments", dict(cast("Mapping[str, Any]", arguments))))
    kind = type(arguments).__name__
    raise MisuseError(f"arguments are a mapping, its JSON as text, or fragments of that, and not a {kind}")


def usage_of(counts: dict[str, Any]) -> Usage:
    """Return token counts as a `Usage`.

    Raises:
        MisuseError: A value is not a token count.
    """
    for name, count in counts.items():
        is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
        if count is not None and not is_count:
            raise MisuseError(f"{name}={count!r} is invalid: pass a number of tokens, 0 or more")
    return Usage(**counts)


def _check_word(what: str, value: object, words: tuple[str, ...]) -> None:
    """Raise `MisuseError` unless a value is one of the allowed words; `what` names their kind."""
    if value not in words:
        raise MisuseError(f"{value!r} is not a {what}: pass one of {', '.join(words)}")
