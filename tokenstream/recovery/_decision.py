"""The decision how to go on with an answer that broke off: a pure function of the facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._basics.waits import clamp_reconnect
from tokenstream.errors import PositionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._pipeline.delivery_log import Extent
    from tokenstream.errors import StreamError
    from tokenstream.stream._attempts import AttemptMode, FetchKind, RequestKind


class TimeBound(NamedTuple):
    """A bound on the time at which an attempt may begin."""

    seconds: float
    option: str
    since: float
    """The clock reading from which the seconds count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The facts about an answer whose attempt has failed, whoever makes the next attempt, and when."""

    error: StreamError
    now: float
    again: bool
    has_content: bool
    """True if the message has content of the answer, from this attempt or from an earlier one."""
    delivered: Extent
    is_call_cut: bool = False
    """True if the answer broke off in a tool call, which has closed the text that readers have."""
    is_whole: bool = False
    """True if the answer had ended, with a pause or at its limit, before a request was to go on with it."""
    is_divided: bool = False
    """True if the connection has several answers, each with readers of its own, which none can replace."""
    is_out_of_time: bool = False
    has_spent_all: bool = False
    wants: Callable[[bool], bool] = bool
    """Returns True if the caller wants the error to be retried, given whether it is retried by default."""
    prefix_refused: bool = False
    """True if a prefix was refused, and a request without a prefix is possible."""
    request_refused: bool = False
    fetches: FetchKind | None = None
    """The kind of the request for the answer by its id, which asks no model; None if none may help."""
    fetch_failed: bool = False
    """True if the last request was one by the answer's id, and has brought nothing of it."""
    is_deferred: bool = False
    """True if the server has refused the request for a time that it names, which is no attempt."""
    backoff: float | None = 0.0
    """Seconds to wait before another request to this server; None if it requests too long a wait."""
    reconnect_after: int | None = None
    """The reconnection time that the server has sent, in milliseconds; None if it sent none."""
    sets_wait: bool = False
    """True if a function of the caller's sets the wait, once the attempt is planned."""
    bounds: tuple[TimeBound, ...] = ()

    @property
    def may_go_on(self) -> bool:
        return not (self.is_out_of_time or self.has_spent_all)

    @property
    def may_begin_again(self) -> bool:
        """True if another answer may replace this one: its readers have only what it can repeat, or want it.

        Reasoning can be taken back, by a `Restarted`, and a closed text is compared.
        """
        if not self.may_go_on or self.is_whole or not self.has_content or self.is_divided:
            return False
        return self.again or self.delivered != "content" or self.is_call_cut

    @property
    def is_refused(self) -> bool:
        """True if the server has refused the request to continue the answer, or the prefix in it."""
        return self.request_refused or self.prefix_refused

    @property
    def is_free(self) -> bool:
        """True if the next request at the same server does not count towards `Retry.attempts`."""
        return self.prefix_refused or self.is_deferred or (self.fetches is not None and not self.fetch_failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenerFacts:
    """The facts about an opener that may make the next attempt."""

    index: int = 0
    is_other: bool = False
    is_paused: bool = False
    """True if the answer was paused, and the request for its rest has brought nothing yet."""
    obstacle: str | None = None
    """The reason why the answer can't be continued with this opener; None if it can."""


class ModeChoice(NamedTuple):
    mode: AttemptMode | None
    """The mode; None if this opener must not make the attempt."""
    why_not: str | None = None
    """The reason why the answer is not continued; None if there is none to report."""


class AttemptPlan(NamedTuple):
    """A plan for the next attempt: its mode, its opener, and the wait before it."""

    mode: AttemptMode
    opener_index: int
    wait: float
    """Seconds to wait before the attempt, unless the caller's function decides."""
    may_wait: bool = True
    """False if the attempt is made at once, so that the caller's `wait` function is not called."""
    why: str | None = None
    """Reason for restarting the answer although a continuation was wanted; otherwise None."""
    is_free: bool = False
    """True if this attempt does not count, because a prefix was refused, or a request for a time."""
    server_asks: bool = False
    kind: RequestKind = "attempt"
    """The kind of the request; a poll or a document counts as an attempt only if it fails."""


class NoPlan(NamedTuple):
    """The result of planning if an opener must not make the next attempt."""

    note: str | None = None
    """The note for the error that the stream raises if no other opener makes one; None for no note."""
    why_not: str | None = None
    """The reason why the answer is not continued; None if there is none to report."""


def choose(broken: Failure, opener: OpenerFacts) -> ModeChoice:
    """Choose the mode of an attempt that does not resume the answer.

    The first row that applies counts. If it applies to no opener that may make an attempt, the first such
    opener restarts the answer, if `broken.may_begin_again`; otherwise the stream raises the error.

    | the answer                               | mode     |
    |------------------------------------------|----------|
    | was paused, and nothing has come since   | pause    |
    | has no content yet                       | restart  |
    | is one of several of its connection      | no       |
    | can be continued by this opener          | continue |
    | (any other)                              | no       |
    """
    if opener.is_paused:
        return ModeChoice("pause")
    if not broken.has_content:
        return ModeChoice("restart")
    is_continued = opener.obstacle is None and not broken.is_divided
    return ModeChoice("continue" if is_continued else None, opener.obstacle)


def plan(broken: Failure, opener: OpenerFacts, choice: ModeChoice | None = None) -> AttemptPlan | NoPlan:
    """Plan the next attempt, with one opener, in a given mode or in one that is chosen here.

    | the next request              | is made if                                   | after a wait of         |
    |-------------------------------|----------------------------------------------|-------------------------|
    | leaves out a refused prefix   | always                                       | 0                       |
    | polls an unfinished answer    | always                                       | the back-off of polls   |
    | goes to another opener        | the caller wants the error, or says nothing  | 0                       |
    | fetches the finished answer   | the caller wants the error, or says nothing  | 0                       |
    | differs from the refused one  | the caller wants the error, or says nothing  | the back-off            |
    | resumes the answer            | the error is retried                         | what the server has sent|
    | (any other)                   | the error is retried                         | the back-off            |

    In each row, no request is made if it would begin later than a bound allows. A poll or a request for the
    finished answer that has failed is made again by the last row.
    """
    error = broken.error
    mode, why_not = choice or choose(broken, opener)
    if mode is None:
        is_told = why_not is not None and (broken.is_refused or broken.wants(error.retryable))
        return NoPlan(f"the answer was not continued: {why_not}", why_not) if is_told else NoPlan()
    # An attempt with another mode asks the model, although the answer could have been fetched.
    kind = broken.fetches if mode == "resume" else "leg" if mode == "pause" else None
    is_first_fetch = mode == "resume" and broken.fetches is not None and not broken.fetch_failed
    is_other_request = opener.is_other or broken.is_refused or is_first_fetch
    is_certain = broken.prefix_refused or (is_first_fetch and kind == "poll")
    asks_anew = mode == "continue" or (mode == "restart" and broken.has_content)
    is_retried = error.retryable or (isinstance(error, PositionLost) and asks_anew)
    if not (is_certain or broken.wants(is_other_request or is_retried)):
        return NoPlan()
    # Another server, or another request, can be tried at once.
    at_once = opener.is_other or broken.prefix_refused or (is_first_fetch and kind == "document")
    # The server has sent a reconnection time (`retry:`) in its event stream.
    reconnects = mode == "resume" and kind is None and broken.reconnect_after is not None
    waits_to_reconnect = reconnects and error.retry_after is None
    wait = clamp_reconnect(broken.reconnect_after) if waits_to_reconnect else broken.backoff
    wait = 0.0 if at_once else wait
    if wait is None:
        return NoPlan()
    # The result of a function for the wait is only known with the planned attempt.
    late = None if broken.sets_wait and not at_once else why_late(broken.bounds, broken.now + wait)
    if late is not None:
        return NoPlan(late)
    return AttemptPlan(
        mode,
        opener.index,
        wait,
        not at_once,
        why=why_not,
        is_free=broken.prefix_refused or broken.is_deferred,
        server_asks=error.retry_after is not None or reconnects,
        kind=kind or "attempt",
    )


def why_late(bounds: Iterable[TimeBound], begin: float) -> str | None:
    """Return the reason why an attempt would begin too late; None if it may begin then."""
    for bound in bounds:
        if begin - bound.since > bound.seconds:
            allowed = f"{bound.option} allows ({bound.seconds:g} s)"
            return f"no further attempt was made: it would begin later than {allowed}"
    return None
