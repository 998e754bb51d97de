"""The error of journals, with the table of its kinds: unknown answers, unreachable storage and the like."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tokenstream.errors import AnswerFailure, TokenStreamError
from tokenstream.relay._incident import Incident, judge_error
from tokenstream.stream._log import INFO

JournalErrorKind: TypeAlias = Literal[
    "unavailable",
    "closed",
    "too_many_answers",
    "unknown_answer",
    "unknown_position",
    "answer_expired",
    "fenced",
]


_CANNOT_BE_USED = Incident(
    "journal_unavailable", "relay", 503, "The journal is unavailable now.", retryable=True, retry_after=1.0
)
INCIDENTS: dict[JournalErrorKind, Incident] = {
    "unavailable": _CANNOT_BE_USED,
    "closed": _CANNOT_BE_USED,
    # An owner who asks too often must not fill the log with warnings.
    "too_many_answers": Incident(
        "too_many_answers",
        "reader",
        429,
        "Too many requests: answers of this user are still running.",
        retryable=True,
        retry_after=1.0,
        level=INFO,
    ),
    "unknown_answer": Incident("unknown_answer", "reader", 404, "No answer has this id."),
    "unknown_position": Incident("unknown_position", "reader", 400, "The answer has no such position."),
    "answer_expired": Incident(
        "answer_expired", "reader", 410, "The next records of this answer are no longer held."
    ),
    "fenced": Incident("journal", "relay", 500, "The journal has failed."),
}
"""The record of each kind of error, whose own message may have the host of its storage."""


class JournalError(TokenStreamError):
    """A journal, or its storage, cannot do what was asked; `kind` says why.

    ==================  ======  ==================================================================
    kind                status  meaning
    ==================  ======  ==================================================================
    unavailable         503     the storage is unreachable or full
    closed              503     the journal was closed, as the server shuts down
    too_many_answers    429     the owner has as many answers as one owner may have
    unknown_answer      404     no answer has this id, or it belongs to another owner
    unknown_position    400     the position is malformed, or beyond the last record
    answer_expired      410     the records were trimmed, or the answer has expired
    fenced              500     the producer may no longer write: it was declared dead, or the
                                storage has lost the answer; only a storage raises it
    ==================  ======  ==================================================================

    Args:
        message: What cannot be done, and why.
        kind: The cause in one word.

    Example:
        >>> error = JournalError("8 answers of this owner are running", kind="too_many_answers")
        >>> error.status, error.retry_after
        (429, 1.0)
    """

    def __init__(self, message: str, *, kind: JournalErrorKind = "unavailable") -> None:
        super().__init__(message)
        self.kind: JournalErrorKind = kind

    @property
    def status(self) -> int:
        """The HTTP status of a response that reports the error."""
        return INCIDENTS[self.kind].status

    @property
    def retry_after(self) -> float | None:
        """Seconds after which it may help to ask again; None if it does not help."""
        return INCIDENTS[self.kind].retry_after


def fenced_error() -> JournalError:
    return JournalError("this producer may no longer write the answer", kind="fenced")


def judge_failure(error: AnswerFailure | JournalError) -> Incident:
    """Return the record of an error; that of a journal is logged if asking again may help."""
    if isinstance(error, AnswerFailure):
        return judge_error(error)
    incident = INCIDENTS[error.kind]
    return incident._replace(cause=describe_failure(error)) if incident.retryable else incident


def describe_failure(error: BaseException) -> str:
    """Return an error and its cause as text for the log, which may contain a storage's own words."""
    cause = error.__cause__
    return repr(error) if cause is None else f"{error!r}, caused by {type(cause).__name__}: {cause}"
