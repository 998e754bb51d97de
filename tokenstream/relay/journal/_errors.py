"""Errors of journals: an answer or a position that there is not, and a storage that cannot be reached."""

from __future__ import annotations

from tokenstream.errors import TokenStreamError

__all__ = ["AnswerExpired", "JournalError", "JournalUnavailable", "UnknownAnswer", "UnknownPosition"]


class JournalError(TokenStreamError):
    """The root of what a journal raises about an answer.

    `status` is the HTTP status that says the same.
    """

    status = 500


class UnknownAnswer(JournalError):
    """No answer has this id, or it is another owner's: nobody is told which."""

    status = 404


class AnswerExpired(JournalError):
    """What comes after a position is no longer held: it was trimmed, or the answer has expired."""

    status = 410


class UnknownPosition(JournalError):
    """A position is none of the answer's: it is malformed, or lies in the future."""

    status = 400


class JournalUnavailable(JournalError):
    """The journal cannot be used now: its storage is out of reach or full, or it was closed."""

    status = 503
