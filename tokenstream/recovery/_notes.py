"""Log the attempts of a recovery, and note them on the error that remained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.stream._log import DEBUG, INFO, describe_cause, is_shown, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._pipeline.asked import AttemptFacts
    from tokenstream._pipeline.machine import Machine
    from tokenstream.errors import StreamError
    from tokenstream.recovery._decision import AttemptPlan
    from tokenstream.stream._attempts import Attempt, AttemptReport

_NAMES = {"continue": "continuation", "resume": "resume", "pause": "request after a pause"}


def log_next(
    machine: Machine,
    plan: AttemptPlan,
    attempt: Attempt,
    error: StreamError | None,
    *,
    find_last: Callable[[], AttemptFacts],
    other: str | None,
) -> None:
    """Log that another attempt follows, such as "retry 1 of 2 in 0.4 s: overloaded (StatusError 503)"."""
    # A poll, or a request after a pause, is not a retry.
    level = DEBUG if error is None or plan.kind == "poll" else INFO
    if not is_shown(level):
        return
    last = find_last()
    name, to = _NAMES.get(attempt.mode, "retry"), ""
    if other is not None:
        name, to = "fallback", f" to {other}"
    is_fetch = plan.kind in ("poll", "document")
    tell(
        level,
        "%s%s in %.1f s%s: %s",
        plan.kind if is_fetch else f"{name} {max(last.number, 1)} of {max(last.number, last.most - 1, 1)}",
        to,
        attempt.wait,
        ", as the server asks" if plan.server_asks else "",
        "the answer was paused" if error is None else describe_cause(error),
        of=machine if error is None else error,
    )


def add_note_once(error: StreamError, words: str) -> None:
    """Add a note to an error, unless the error already has it: one error may be judged more than once."""
    if words not in getattr(error, "__notes__", ()):
        error.add_note(words)


def pass_notes(error: StreamError, raised: StreamError | None) -> None:
    for words in getattr(error, "__notes__", ()):
        if raised is not None:
            add_note_once(raised, words)


def note_refused_seams(error: StreamError, reports: Iterable[AttemptReport]) -> None:
    """Note on an error which continuations their seams refused, why, and which option takes them."""
    refused = [report for report in reports if getattr(report.error, "outcome", "") == "seam"]
    if not refused:
        return
    tried = "1 continuation was" if len(refused) == 1 else f"{len(refused)} continuations were"
    why = "; ".join(
        f"attempt {report.number}{f' at {report.route}' if report.route else ''}: {_words_of(report.error)}"
        for report in refused
    )
    note = f"the answer was not continued: {tried} tried and refused ({why})"
    # Without the call that was cut, no option takes a continuation.
    if doubtful := [report.confidence for report in refused if report.confidence is not None]:
        words = "takes such continuations, in which words may be missing or doubled"
        note += f"; Seam(least={min(doubtful):g}) {words}"
    add_note_once(error, note)


def _words_of(error: StreamError | None) -> str:
    return "" if error is None else error.message


def make_continuation_note(reports: list[AttemptReport]) -> str:
    """Return a note for the error of a failed continuation: it names the error that broke off the answer."""
    broken = next((report.error for report in reversed(reports) if report.mode != "continue"), None)
    why = _words_of(broken)
    return f"the request to continue the answer failed; before it, the answer had broken off ({why})"
