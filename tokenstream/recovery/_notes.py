"""Notes on the error of an answer that was not recovered: they say what was tried, and why it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import AnswerRejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import StreamError
    from tokenstream.stream._attempts import AttemptReport


def add_note_once(error: StreamError, words: str) -> None:
    """Add a note to an error, unless the error already has it: one error may be judged more than once."""
    if words not in getattr(error, "__notes__", ()):
        error.add_note(words)


def note_refused_seams(error: StreamError, reports: Iterable[AttemptReport]) -> None:
    """Add a note to an error about the continuations that were refused at their seams, if there were any.

    It says how many were tried, why each was refused, and which option would have taken them.

    Args:
        reports: The reports on all attempts.
    """
    refused = [report for report in reports if _is_refused_at_seam(report.error)]
    if not refused:
        return
    tried = "1 continuation was" if len(refused) == 1 else f"{len(refused)} continuations were"
    why = "; ".join(f"{_name_of(report)}: {_words_of(report.error)}" for report in refused)
    lowest = min(report.confidence or 0.0 for report in refused)
    add_note_once(
        error,
        f"the answer was not continued: {tried} tried and refused ({why}); Retry(least={lowest:g}) takes "
        "such continuations, in which words may be missing or doubled",
    )


def _words_of(error: StreamError | None) -> str:
    """Return the description of an error; a note needs no line about its origin."""
    return "" if error is None else error.message


def _name_of(report: AttemptReport) -> str:
    """Return the name of an attempt, with the route that was asked, if there are routes."""
    return f"attempt {report.number}" + ("" if report.route is None else f" at {report.route}")


def _is_refused_at_seam(error: StreamError | None) -> bool:
    """Return True if an attempt has ended because its continuation does not join the answer."""
    return isinstance(error, AnswerRejected) and error.outcome == "seam"


def make_continuation_note(reports: list[AttemptReport]) -> str:
    """Return a note for the error of a failed continuation: it names the error that broke off the answer."""
    broken = next((report.error for report in reversed(reports) if report.mode != "continue"), None)
    why = _words_of(broken)
    return f"the request to continue the answer failed; before it, the answer had broken off ({why})"
