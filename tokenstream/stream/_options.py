"""Options for reading a stream, by one reader or by several."""

from __future__ import annotations

import time
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tokenstream._pipeline.factories import make_offered, make_stage_factory
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages import Reorder
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream._protocols import Clock, Job

Policy: TypeAlias = Literal["wait", "drop_oldest", "raise"]
"""Handling of a loop over a broadcast's events that falls behind by as many events as the queue holds."""

CLOCKS: ContextVar[tuple[Clock, ...]] = ContextVar("clocks", default=(time.monotonic,))
"""The clocks of the open blocks of this thread or task, the innermost last."""


def current_clock() -> Clock:
    """Return the clock of the streams and runs that this thread or task makes now."""
    return CLOCKS.get()[-1]


def enter_clock(clock: Clock) -> None:
    """Begin a block whose streams and runs read a clock."""
    CLOCKS.set((*CLOCKS.get(), clock))


def leave_clock() -> None:
    """End the innermost block."""
    CLOCKS.set(CLOCKS.get()[:-1])


class Options(NamedTuple):
    """The caller's options for reading a stream."""

    format: FormatChoice = None
    limits: Limits | None = None
    deadlines: Deadlines | None = None
    started_at: float | None = None
    clock: Clock | None = None
    """Returns the time in seconds; None for `current_clock`."""
    reorder: Reorder | None = None
    job: Job | None = None
    """The job that the answer belongs to; None if the caller has named none."""
    make_stage: StageFactory | None = None
    """Makes, for each format, the stages that its events pass through before delivery."""
    offered: OfferedTools | None = None
    """The tools that the caller names; None to take them from the request, if it is known."""

    def make_driver(self, kind: Any, source: Any) -> Any:  # noqa: ANN401 - a class of drivers
        """Return a driver that reads the answer, and may also keep it for the job."""
        return (kind if self.job is None else self.job.find_driver(kind))(source, self)

    def find_start(self, now: float) -> float:
        """Return the time from which the metrics count: that of the request, or `now` if it is unknown."""
        if self.started_at is None:
            return now
        if self.started_at > now:
            raise MisuseError(
                "started_at is in the future: pass what time.monotonic() returned before the request"
            )
        return self.started_at


def make_options(
    format: FormatChoice,
    limits: Limits | None,
    deadlines: Deadlines | None,
    tags: Tags | None,
    job: Job | str | None,
    *,
    tools: ToolsOption = None,
    started_at: float | None = None,
    reorder: Reorder | None = None,
) -> Options:
    """Return the options of a new stream, from those of the caller."""
    if job is not None:
        # Few streams have one; and its drivers read the options, so that it is named by a text.
        job = import_module("tokenstream.stream._job").to_job(job)
    make_stage, offered = make_stage_factory(tags), make_offered(tools)
    given = (format, limits, deadlines, started_at, None, reorder, job, make_stage, offered)
    # A call of the class takes five times as long.
    return tuple.__new__(Options, given)  # pyright: ignore[reportUnknownMemberType]
