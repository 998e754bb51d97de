"""Private marks on errors, by which the command line recognises an error, however its message is worded.

The marks are attributes of the error, so that they survive pickle with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from tokenstream.errors import TokenStreamError

Cause: TypeAlias = Literal["agent", "redirect", "unknown_format"]
"""The cause of a `NotAStream`, if the command line has advice for it."""

EMPTY_INPUT_HINT = "; ask again, or pass a new iterator if the one that you passed was read before"
"""Advice for input without a single event: the server has failed, or the iterator is used up."""

ErrorT = TypeVar("ErrorT", bound="TokenStreamError")


def add_code_hint(error: ErrorT, hint: str) -> ErrorT:
    """Append a hint to an error's message; return the error.

    The hint is for users of the Python API: the command line leaves it out, with `message_without_hint`.
    """
    error.args = (f"{error}{hint}", *error.args[1:])
    vars(error)["_code_hint"] = hint
    return error


def message_without_hint(error: Exception) -> str:
    """Return an error's message without the advice that applies only to code."""
    hint: str = vars(error).get("_code_hint", "")
    return str(error).replace(hint, "")


def mark_cause(error: ErrorT, cause: Cause) -> ErrorT:
    """Note on an error why it was raised, so that the command line can give advice; return the error.

    Args:
        cause: The cause, such as "redirect", by which the command line chooses the advice.
    """
    vars(error)["_cause"] = cause
    return error


def cause_of(error: Exception) -> Cause | None:
    """Return why an error was raised, as `mark_cause` has noted it; None if nothing was noted."""
    return cast("Cause | None", vars(error).get("_cause"))
