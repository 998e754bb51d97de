"""Checks of the arguments of a script's methods.

They are made at once, so that the traceback of a wrong test points at the wrong line.
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


def check_texts(where: str, given: Iterable[object]) -> None:
    """Raise `MisuseError` if a value is not text.

    Args:
        where: Name of the method or argument, for the message.
        given: The values.
    """
    for each in given:
        if not isinstance(each, str):
            raise MisuseError(f"{where} takes text, and not a value of type {type(each).__name__}")


def check_text_or_none(where: str, *given: object) -> None:
    """Raise `MisuseError` if a value is neither text nor None."""
    check_texts(where, (each for each in given if each is not None))


def check_name(where: str, given: object) -> None:
    """Raise `MisuseError` unless a value is text that is not empty."""
    if not isinstance(given, str) or not given:
        raise MisuseError(f"{where}={given!r} is invalid: pass text that is not empty")


def check_bytes(where: str, given: object) -> None:
    """Raise `MisuseError` unless a value is bytes-like."""
    if not isinstance(given, bytes | bytearray | memoryview):
        raise MisuseError(
            f"{where} takes the bytes of a file, and not a value of type {type(given).__name__}"
        )


def check_number(where: str, given: object, *, zero: bool) -> None:
    """Raise `MisuseError` unless a value is a finite number that is not negative.

    Args:
        where: The argument's name, for the message.
        given: The value.
        zero: True to allow 0.
    """
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
        fits = False
    else:
        fits = given > 0 or zero
    if not fits:
        raise MisuseError(
            f"{where}={given!r} is invalid: pass a number, {'0 or more' if zero else 'above 0'}"
        )


def check_choice(given: object) -> None:
    """Raise `MisuseError` unless a value is the index of a choice."""
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise MisuseError(f"choice {given!r} is invalid: choices are counted from 0")


def check_event(given: object) -> None:
    """Raise `MisuseError` unless a value is text on one line, as an event's name is."""
    if not isinstance(given, str) or "\n" in given or "\r" in given:
        raise MisuseError(f"event={given!r} is invalid: pass text on one line")


def check_reason(given: object) -> None:
    """Raise `MisuseError` unless a value is a finish reason."""
    _check_word("finish reason", given, get_args(FinishReason))


def check_kind(given: object) -> None:
    """Raise `MisuseError` unless a value is a kind of error."""
    _check_word("kind of error", given, get_args(ErrorKind))


def json_of(where: str, value: object, *, strict: bool = True) -> str:
    """Return a value as JSON text.

    Args:
        where: The argument's name, for the message.
        value: The value.
        strict: True to refuse NaN and the infinities.

    Raises:
        MisuseError: The value cannot be written as JSON.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=not strict)
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(f"{where} cannot be written as JSON: {error}") from error


def fragments_of(arguments: object) -> tuple[str, ...]:
    """Return the arguments of a tool call as fragments of JSON text.

    Args:
        arguments: A mapping, its JSON text, or fragments of that text.

    Raises:
        MisuseError: The value is none of these.
    """
    if isinstance(arguments, tuple | list):
        given = tuple(cast("Iterable[str]", arguments))
        check_texts("a fragment of arguments", given)
        return given or ("{}",)
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
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise MisuseError(f"{name}={count!r} is invalid: pass a number of tokens, 0 or more")
    return Usage(**counts)


def _check_word(what: str, given: object, words: tuple[str, ...]) -> None:
    if given not in words:
        raise MisuseError(f"{given!r} is not a {what}: pass one of {', '.join(words)}")
