"""The caller's rule for answers that are good enough: `Retry.accept`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, get_origin

from tokenstream.errors import AnswerRejected, OutputIncomplete, OutputInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from tokenstream.message import Message

Accept: TypeAlias = "type[Any] | TypeAdapter[Any] | Callable[[Message], object]"
"""A type that the answer's text has to match, or a function that returns False for a bad message."""


def is_rule(accept: object) -> bool:
    """Return True if a value can be a rule: a type, a `TypeAdapter` or a function."""
    return callable(accept) or _is_type(accept)


def find_fault(message: Message, accept: Accept) -> AnswerRejected | None:
    """Return the error for a whole answer that the caller's rule refuses; None if the rule accepts it."""
    whole = message.model_copy(update={"ending": "complete"})
    cause: OutputInvalid | OutputIncomplete | None = None
    if _is_type(accept):
        cause = _find_mismatch(whole, accept)
        is_accepted, words = cause is None, "it does not match the type of accept="
    else:
        accepts: Any = accept
        is_accepted, words = bool(accepts(whole)), "accept= returned False for it"
    if is_accepted:
        return None
    error = AnswerRejected(f"the answer is not good enough: {words}", outcome="invalid")
    error.partial, error.__cause__ = whole, cause
    return error


def _is_type(accept: object) -> bool:
    """Return True for a class, a generic type such as `list[int]`, or a `TypeAdapter`."""
    return isinstance(accept, type) or get_origin(accept) is not None or hasattr(accept, "validate_python")


def _find_mismatch(message: Message, accept: Any) -> OutputInvalid | OutputIncomplete | None:  # noqa: ANN401 - a type of any kind
    """Return the error with which `Stream.result` would refuse the answer's text; None if it matches."""
    from tokenstream.stream import Stream

    try:
        Stream([message.text], format="pieces").result(accept)
    except (OutputInvalid, OutputIncomplete) as error:
        return error
    return None
