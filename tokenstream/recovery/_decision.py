"""The decision how to go on with an answer that broke off: a pure function of the facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tokenstream._pipeline.delivered import Extent
    from tokenstream.recovery._retry import Mode
    from tokenstream.stream._attempts import AttemptMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The facts about an answer whose attempt has ended, whoever makes the next attempt."""

    mode: Mode
    """The mode that the caller wants."""
    has_content: bool
    """True if the message has content of the answer, from this attempt or from an earlier one."""
    delivered: Extent
    """The extent to which the answer was delivered to its readers."""
    is_whole: bool = False
    """True if the answer had ended, with a pause or at its limit, before a request was to go on with it."""
    may_lack: bool = False
    """True if events may be missing in the answer, so that nothing may go on from it."""
    is_out_of_time: bool = False
    """True if the time for all attempts is used up."""
    has_spent_all: bool = False
    """True if the costs of all attempts have reached their limit."""

    @property
    def may_go_on(self) -> bool:
        """True if another attempt may be made that goes on with the answer."""
        return not (self.is_out_of_time or self.has_spent_all or self.may_lack)

    @property
    def may_begin_again(self) -> bool:
        """True if another answer may replace this one, because no reader has anything that can't be replaced.

        Reasoning can be taken back, by a `Restarted`. In mode "resume", the caller wants this answer or none.
        """
        if self.is_out_of_time or self.has_spent_all or self.is_whole or not self.has_content:
            return False
        return self.delivered != "content" and self.mode != "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenerFacts:
    """The facts about an opener that may make the next attempt."""

    is_paused: bool = False
    """True if the answer was paused, and the request for its rest has brought nothing yet."""
    follows_modes: bool = True
    """True if the opener is known to send another request to continue an answer than to begin one."""
    only_restarts: bool = False
    """True if the opener's function takes no attempt, and another opener could continue the answer."""
    obstacle: str | None = None
    """The reason why the answer can't be continued with this opener; None if it can."""


class ModeChoice(NamedTuple):
    """A choice of the mode of an attempt."""

    mode: AttemptMode | None
    """The mode; None if this opener must not make the attempt."""
    why_not: str | None = None
    """The reason why the answer is not continued; None if there is none to report."""


ONLY_WHOLE = (
    "a part of it has arrived already, and the function that opens a source may only be able to request "
    'all of it; Retry(mode="restart") begins again, and Retry(mode="continue") asks for the rest'
)
"""The reason not to continue an answer, in mode "auto", if the caller's function makes the requests."""


def needs_candidate(ended: Ended) -> bool:
    """Return True if the choice depends on whether an opener can continue the answer."""
    return ended.has_content and ended.mode not in ("restart", "resume")


def choose(ended: Ended, candidate: OpenerFacts) -> ModeChoice:
    """Choose the mode of an attempt that does not resume the answer.

    The first row that applies counts. If it applies to no opener that may make an attempt, and
    `ended.may_begin_again`, the first such opener restarts the answer; otherwise the stream raises the error.

    | the answer                               | mode "auto"      | "continue"       | "restart" | "resume" |
    |------------------------------------------|------------------|------------------|-----------|----------|
    | was paused, and nothing has come since   | pause            | pause            | pause     | pause    |
    | has no content yet                       | restart          | restart          | restart   | restart  |
    | (any)                                    |                  |                  | restart   | no       |
    | comes from a function of the caller's    | no               |                  |           |          |
    | can be continued, but not by this opener | no               | no               |           |          |
    | can be continued                         | continue         | continue         |           |          |
    | (any other)                              | no               | restart          |           |          |

    Args:
        ended: The facts about the answer.
        candidate: The facts about the opener. Without `needs_candidate`, only `is_paused` counts.
    """
    if candidate.is_paused:
        return ModeChoice("pause")
    if not ended.has_content or ended.mode == "restart":
        return ModeChoice("restart")
    if ended.mode == "resume":
        return ModeChoice(None)
    if ended.mode == "auto" and not candidate.follows_modes:
        return ModeChoice(None, candidate.obstacle)
    if candidate.obstacle is not None:
        return ModeChoice("restart" if ended.mode == "continue" else None, candidate.obstacle)
    return ModeChoice(None if candidate.only_restarts else "continue")
