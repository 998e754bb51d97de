"""The engine of streams and decoders: a connection, an accumulator and a meter, one event at a time.

If the server can replay the answer, recovery does not end the input: it calls `Resumption.cut_short` in place
of `Intake.finish`, so that the format stays open, and then `renew`. If a continuation is refused at its end,
`Joining` calls `Intake.refuse`, so that recovery can make another attempt.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Protocol

from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.request_facts import choices_in
from tokenstream._pipeline.asked import AskedFacts
from tokenstream._pipeline.checkpoints import TRUNCATIONS, Progress, find_ending, restore_answer
from tokenstream._pipeline.delivery_log import DeliveryLog
from tokenstream._pipeline.intake import Intake
from tokenstream._pipeline.link import Link
from tokenstream._pipeline.way import Way
from tokenstream.departures import Departures
from tokenstream.errors import StreamInterrupted
from tokenstream.formats._endings import ANSWERED, find_early_choices
from tokenstream.limits import DEFAULT_LIMITS, Limits, check_option
from tokenstream.stages._metrics.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream._values.origin import Origin
    from tokenstream.errors import StreamError
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.message import Checkpoint, Ending
    from tokenstream.stages._metrics.metrics import Metrics

may_have_markup = re.compile(r"[<\[{`]|\Aanalysis|assistant(?=final|analysis|commentary)").search
"""Finds a character or word of which each markup of a call, and of reasoning, has one."""


class Observes(Protocol):
    """An observer of a machine, such as a tracer; the methods are called by the stream's code."""

    def ended(self, machine: Machine) -> None:
        """Record that the answer has ended, perhaps again: the ending is set, an error has the partial."""

    def around_tool(self, within: Any) -> Any:  # noqa: ANN401 - an argument from a higher layer
        """Return a function that makes each call's context manager, around the one that `within` makes."""


class Machine:
    """Framing, format and accumulator of one answer, for loops that take one event at a time.

    `intake` turns chunks into events, `way` passes each of them to the reader, and `progress` makes
    checkpoints. This class makes connections, and sets the ending (`conclude`).
    """

    # A name of the class: those of the module are gone by the time at which it is asked.
    _is_finalizing = staticmethod(sys.is_finalizing)

    def __init__(
        self,
        format: FormatChoice,
        *,
        limits: Limits | None,
        make_stage: StageFactory | None = None,
        offered: OfferedTools | None = None,
        timer: Callable[[], float] | None = None,
    ) -> None:
        check_option("limits", limits, Limits)
        # The caller's options.
        self.limits = limits = limits if limits is not None else DEFAULT_LIMITS

        self.was_restored = False
        """True once there is an answer that another process has left."""

        # The parts.
        self.asked = AskedFacts()
        """Knows the request, for the answer's origin."""
        self.way = way = Way()
        """Passes each event to the reader."""
        self.accumulator = accumulator = Accumulator(
            limits=limits,
            late_usage=way.find_late_usage,
            find_journal_id=self.find_answer_id,
            find_origin=self.make_origin,
        )
        self.delivered = DeliveryLog(accumulator)
        """Records what of the answer its readers were given."""
        self.meter = meter = Meter(0.0)
        """Records the times for the metrics; the caller replaces its start, 0.0."""
        self.departures = Departures()
        """Deviations of the server from its documentation, with the rule applied to each."""
        self.progress = progress = Progress(way, self)
        """Makes checkpoints of the answer so far."""
        self.observer: Observes | None = None

        # The input.
        self.link = link = Link(
            format,
            limits=limits,
            departures=self.departures,
            found=way.name_format,
            find_text=way.find_text,
            make_stage=make_stage,
            offered=offered,
        )
        """Makes connections."""
        self.intake = intake = Intake(link=link, way=way, meter=meter, keep=progress.keep, timer=timer)
        """Takes the chunks, and gives their events; has the state of the input."""
        way.begin(intake, accumulator)
        link.begin()

    def restore(self, checkpoint: Checkpoint, *, may_continue: bool = False) -> None:
        """Restore an answer from a checkpoint, before there is any input; end one that was over."""
        self.was_restored = True
        format, unreturned, log = restore_answer(
            checkpoint, self.accumulator, limits=self.limits, may_continue=may_continue
        )
        if log is not None:
            self.intake.arrivals.remember(log)
        if format is not None:
            self.link.expect_format(checkpoint.format, self.link.make_stage)
            self.link.read_with(format)
        self.intake.restore(unreturned, checkpoint.events_seen, breaks=may_continue)
        if (ending := find_ending(checkpoint)) is not None:
            self.progress.is_stopped = ending == "stopped"
            self.intake.end_input(self.meter.started_at)

    def find_answer_id(self) -> str | None:
        """Return the answer's id at a journal, which also gives an address, positions or an event with it."""
        head, own_id = self.link.head, self.link.sent_id
        is_kept = own_id or self.progress.last_event_id or (head is not None and "location" in head.headers)
        return self.link.named_id if is_kept else None

    def count_asked(self) -> int:
        """Return the number of alternative answers that the request asks for; 1 if that is not known."""
        return 1 if self.asked.request is None else choices_in(self.asked.request[1])

    @property
    def origin(self) -> Origin:
        """The origin of the answer, up to the last input, for the log of recovery."""
        return self.make_origin()

    def make_origin(self, error: StreamError | None = None, now: float | None = None) -> Origin:
        """Return the answer's origin, up to a time or the last input; a failed one's error has its id."""
        now = self.intake.now if now is None else now
        return self.asked.make_origin(self.link, self.meter, self.intake.events_seen, now, error)

    @property
    def metrics(self) -> Metrics:
        # Before the first chunk, there is no time of a last input.
        return self.meter.read(
            self.intake.now if self.meter.chunks else None,
            events=self.intake.events_seen,
            usage=self.accumulator.counted,
        )

    # -- the end -------------------------------------------------------------

    def break_off(self, now: float) -> None:
        """Stop after an exception, such as KeyboardInterrupt, broke off the decoding of an event."""
        # The format may have read events that were never returned.
        is_whole = self.link.connection.endings.broken == "complete" and not (
            self.intake.error or self.link.refusal
        )
        has_end = self.intake.end_sign in ANSWERED or all(
            each.finish_reason for each in self.accumulator.messages
        )
        if is_whole and has_end:
            self.link.connection.note("broken_after_finish")
        else:
            interrupted = "reading was broken off while an event was decoded; what had arrived is in .partial"
            self.intake.fail(self.intake.error or StreamInterrupted(interrupted))
            self.progress.keep_without_position()
        self.way.cut(now)

    def conclude(self, ending: Ending | None = None) -> None:
        """Set the ending, or derive it for None, and store the partial answer on the error."""
        error, refusal, connection = self.intake.error, self.link.refusal, self.link.connection
        if self.accumulator.ending == "streaming":
            self._note_markup()
        if ending is None and error is not None:
            ending = "truncated" if isinstance(error, TRUNCATIONS) else "failed"
        elif ending is None or ending == "complete":
            # An error body is not an answer, and an answer sent by a relay may have been stopped.
            is_stopped = refusal is not None or self.progress.is_stopped
            ending = "stopped" if is_stopped else connection.format.known_ending
        is_cut = refusal is None and (error is not None or connection.format.goes_on)
        cut = connection.unfinished_choices if is_cut else []
        if ending == "stopped":
            cut = [*cut, *self.intake.reopened_choices]
        early = () if ending == "complete" else find_early_choices(connection.format)
        self.accumulator.conclude(ending, cut=cut, early=early)
        if error is not None:
            self.progress.store_on(error)
        if self.observer is not None:
            self.observer.ended(self)

    def _note_markup(self) -> None:
        """Count a departure for each choice whose whole text has the markup of a call, or of reasoning."""
        parts = self.link.connection.format.parts
        reads_reasoning = parts.stage is not None and parts.stage.reads_reasoning
        for text in filter(may_have_markup, self.accumulator.texts()):
            # Few answers need these.
            from tokenstream.stages._calls.dialects import DANGLING, find_call_markup
            from tokenstream.stages._text.tags import has_reasoning

            dialect = find_call_markup(text, parts.offered)
            if dialect is not None:
                self.link.connection.note("call_in_text", about=dialect)
            if parts.calls_seen and text.rstrip().endswith(DANGLING):
                self.link.connection.note("opening_left")
            if not reads_reasoning and has_reasoning(text):
                self.link.connection.note("reasoning_in_text")

    def dispose(self) -> None:
        """Let go of the parts that refer back to this machine, so that all of it is freed with its owner.

        Only the owner calls this, as the last that it does: no method may be called afterwards.
        While Python shuts down, it does nothing.
        """
        if self._is_finalizing():
            return
        self.link.dispose()
        self.intake.dispose()
        self.way.dispose()
        del self.accumulator, self.asked, self.delivered, self.progress, self.intake
