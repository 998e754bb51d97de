"""Errors of journals: unknown answers and positions, expired answers, and unreachable storage."""

from __future__ import annotations

from tokenstream.errors import TokenStreamError


class JournalError(TokenStreamError):
    """Base class of the errors that a journal raises.

    The attribute `status` is the HTTP status of the response that reports the error.
    """

    status = 500


class UnknownAnswer(JournalError):
    """No answer has this id, or the answer belongs to another owner; the error does not reveal which."""

    status = 404


class AnswerExpired(JournalError):
    """The records after a position are gone: they were trimmed, or the answer has expired."""

    status = 410


class UnknownPosition(JournalError):
    """The answer has no such position: the position is malformed, or beyond the last record."""

    status = 400


class JournalUnavailable(JournalError):
    """The journal cannot be used now: its storage is unreachable or full, or the journal was closed."""

    status = 503


class TooManyAnswers(JournalUnavailable):
    """The owner has as many running answers as one owner may have; another can begin when one ends."""

    status = 429


class JournalClosed(JournalUnavailable):
    """The journal was closed because the server shuts down; another server may have the answer."""


def describe_failure(error: BaseException) -> str:
    """Return an error and its cause as text for the log, which may contain a storage's own words.

    Example:
        >>> describe_failure(JournalUnavailable("the storage is full"))
        "JournalUnavailable('the storage is full')"
    """
    cause = error.__cause__
    return repr(error) if cause is None else f"{error!r}, caused by {type(cause).__name__}: {cause}"
