"""The error of journals, with the table of its kinds: unknown answers, unreachable storage and the like."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from tokenstream.errors import TokenStreamError

JournalErrorKind: TypeAlias = Literal[
    "unavailable",
    "closed",
    "too_many_answers",
    "unknown_answer",
    "unknown_position",
    "answer_expired",
    "fenced",
]
"""The cause of a journal's error in one word."""


class _Row(NamedTuple):
    """The response that reports an error of one kind."""

    status: int
    type: str
    """The type of the error in the JSON body."""
    message: str
    """The message in the JSON body."""
    retry_after: float | None = None
    """Seconds after which it may help to ask again; None if it does not help."""


_CANNOT_BE_USED = _Row(503, "journal_unavailable", "The journal cannot be used now.", 1.0)
ROWS: dict[JournalErrorKind, _Row] = {
    "unavailable": _CANNOT_BE_USED,
    "closed": _CANNOT_BE_USED,
    "too_many_answers": _Row(429, "too_many_answers", "Too many answers of this user are running.", 1.0),
    "unknown_answer": _Row(404, "unknown_answer", "No answer has this id."),
    "unknown_position": _Row(400, "unknown_position", "The answer has no such position."),
    "answer_expired": _Row(410, "answer_expired", "The next records of this answer are no longer held."),
    "fenced": _Row(500, "journal", "The journal has failed."),
}
"""The words that readers get for each kind; an error's own message may have the host of its storage."""


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
        return ROWS[self.kind].status

    @property
    def retry_after(self) -> float | None:
        """Seconds after which it may help to ask again; None if it does not help."""
        return ROWS[self.kind].retry_after


def fenced_error() -> JournalError:
    return JournalError("this producer may no longer write the answer", kind="fenced")


def describe_failure(error: BaseException) -> str:
    """Return an error and its cause as text for the log, which may contain a storage's own words."""
    cause = error.__cause__
    return repr(error) if cause is None else f"{error!r}, caused by {type(cause).__name__}: {cause}"
