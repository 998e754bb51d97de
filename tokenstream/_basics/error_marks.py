"""Private marks on errors, by which the command line recognises an error, however its message is worded.

The marks are attributes of the error, so that they survive pickle with it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar, cast

from tokenstream.errors import TokenStreamError

Cause: TypeAlias = Literal["agent", "redirect", "unknown_format"]
"""The cause of a `NotAStream`, if the command line has advice for it."""

EMPTY_INPUT_HINT = "; ask again, or pass a new iterator if the one that you passed was read before"
"""Advice for input without a single event: the server has failed, or the iterator is used up."""

ErrorT = TypeVar("ErrorT", bound="TokenStreamError")


def add_code_hint(error: ErrorT, hint: str) -> ErrorT:
    """Append a hint for users of the Python API, which the command line leaves out; return the error."""
    error.args = (f"{error.message}{hint}", *error.args[1:])
    vars(error)["_code_hint"] = hint
    return error


def add_advice(error: ErrorT, advice: str) -> ErrorT:
    """Note the library's own advice, with which an error's message ends, for a log; return the error."""
    vars(error)["_advice"] = advice
    return error


def add_sentence(error: ErrorT, sentence: str) -> ErrorT:
    """Note the `sentence` of an error whose message has others' words, too; return the error."""
    vars(error)["_sentence"] = sentence
    return error


def add_notice(error: ErrorT, sentence: str) -> ErrorT:
    """Note words for a log and for the readers of a relay, which name nobody and no server; return it."""
    vars(error)["_notice"] = sentence
    return add_sentence(error, sentence)


def notice_of(error: Exception) -> str | None:
    """Return the words that the readers of a relay may get; None if those of the error's class will do."""
    noted: str | None = vars(error).get("_notice")
    return noted


def advice_of(error: Exception) -> str:
    """Return the library's own advice on an error, which quotes nobody; "" if there is none."""
    noted: str = vars(error).get("_advice") or vars(error).get("_code_hint", "")
    return noted.lstrip(";,:. ")


def message_of(error: BaseException) -> str:
    """Return the message of any exception, without the line that tells the origin of an answer.

    That line is for logs and tracebacks only: it names the host and the path of a request. What a model, a
    browser or another process reads is made with this function.
    """
    return str(error.message if isinstance(error, TokenStreamError) else error)


def message_without_hint(error: Exception) -> str:
    """Return an error's message without the advice that applies only to code."""
    hint: str = vars(error).get("_code_hint", "")
    return message_of(error).replace(hint, "")


def mark_reported(error: TokenStreamError) -> bool:
    """Note on an error that it was logged; return False if that was noted before."""
    was_reported = vars(error).get("_reported", False)
    vars(error)["_reported"] = True
    return not was_reported


def mark_cause(error: ErrorT, cause: Cause) -> ErrorT:
    """Note on an error why it was raised, so that the command line can give advice; return the error."""
    vars(error)["_cause"] = cause
    return error


def cause_of(error: Exception) -> Cause | None:
    """Return why an error was raised, as `mark_cause` has noted it; None if nothing was noted."""
    return cast("Cause | None", vars(error).get("_cause"))
