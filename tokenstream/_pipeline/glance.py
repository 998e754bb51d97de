"""The fast path: one function for a chunk like the last one but for its text, from bytes to the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._answer.growing import NOWHERE, is_bare
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._answer.growing import Target
    from tokenstream._pipeline.intake import Intake
    from tokenstream.events import Event


Glance: TypeAlias = "Callable[[Any, float], Event | None]"
"""Reads a chunk that arrived at a time; returns its event, or None if the chunk must be read in full."""
Pull: TypeAlias = "Callable[[], Event | None]"
"""Returns the next event, or None if there is none yet."""


def make_glance(  # noqa: C901 - what runs for every token is in one place
    intake: Intake, accumulator: Accumulator, read: Callable[[Any], Event | None]
) -> Glance:
    """Return the fast path: a function that reads a chunk in a single call.

    It adds the chunk's delta to the message, and returns the delta. When it returns None for a chunk,
    `Intake.read` has to read that chunk, and the function must not be called again.
    """
    meter, limits = intake.meter, intake.link.limits
    max_bytes, max_text = limits.body, limits.text
    # The destination of the last delta: the next one mostly goes there, too.
    target: Target | None = None
    kind: Any = None
    choice = part = -1
    is_fragment = is_call = is_reasoning = False
    # All its events then have the same kind, choice and part.
    fast = intake.link.connection.format.fast_path
    is_alone = fast is not None and not fast.entries[1:]
    log = NOWHERE.log
    pieces = log.pieces

    def glance(chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`; as above
        """Return the event of a chunk, and add it to the message; None if `Intake.read` must read it."""
        nonlocal target, kind, choice, part, is_fragment, is_call, is_reasoning, log, pieces
        stamps = meter.stamps
        # From time to time, the meter has work to do with the times of arrival: `_sample` starts it, and
        # then calls this function again.
        if len(stamps) >= meter.check_at:
            if len(pieces) >= log.full_at:
                # It is enough to join the pieces here: a block may contain a few pieces more.
                log.pack()
            return _sample(intake, chunk, now)
        intake.now = now
        size = meter.bytes + len(chunk)
        # A chunk that exceeds the limit is left to `Intake.read`, which reports the error.
        event: Any = read(chunk) if size <= max_bytes else None
        if event is None:
            intake.read_plainly(chunk, now)
            return None
        meter.bytes = size
        stamps.append(now)
        if (
            accumulator.target is target
            and (is_alone or (event.__class__ is kind and event.part == part and event.choice == choice))
            # A signature, which may come with reasoning, is left to `Accumulator.take`.
            and (not is_reasoning or is_bare(event))
        ):
            # `Accumulator.take` and `TextLog.append` are inlined: calls would cost time for each event.
            if is_call:
                event._link = log  # noqa: SLF001 - read by `partial_arguments`
            text = event.fragment if is_fragment else event.text
            pieces.append(text)
            size = len(text)
            log.length += size
            accumulator.held += size
            if accumulator.held > max_text:
                intake.fail(accumulator.overflow())
            if accumulator.built is not None:
                # The message that was built last lacks this text.
                accumulator.built = None
        else:
            # The delta goes elsewhere than the last one: remember its destination.
            accumulator.take(event)
            target = accumulator.target
            kind, choice, part, log = target.kind, target.choice, target.part, target.log
            pieces, is_fragment = log.pieces, target.is_fragment
            is_call, is_reasoning = kind is ToolCallDelta, kind is ReasoningDelta
            # `waiting`: a mark of the metrics, such as the first text, is not reached yet.
            if meter.waiting and event.__class__ is TextDelta:
                meter.mark_text(now)
            if accumulator.error is not None:
                intake.fail(accumulator.error)
        return event  # type: ignore[no-any-return] # an event, or None

    return glance


def _sample(intake: Intake, chunk: object, now: float) -> Event | None:
    """Do the meter's periodic work, then read a chunk on the fast path, and measure that reading."""
    # Not a variable of `glance` itself, which would then refer to itself.
    timer, glance = intake.timer, intake.glance or intake.give
    if timer is None:
        intake.meter.check_stamps()
        return glance(chunk, now)
    started_at = timer()
    intake.meter.check_stamps()
    checked_at = timer()
    event = glance(chunk, now)
    if event is not None:
        intake.meter.took(timer() - checked_at, packing=checked_at - started_at)
    return event
