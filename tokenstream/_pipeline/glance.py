"""The fast path, which reads a chunk that is one more delta like the last one, with little decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.text_log import TextLog
from tokenstream._growing import is_bare
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._growing import Target
    from tokenstream._pipeline.machine import Machine
    from tokenstream.events import Event


def make_glance(  # noqa: C901 - what runs for every token is in one place
    machine: Machine, read: Callable[[Any], Event | None]
) -> Callable[[Any, float], Event | None]:
    """Return the fast path: a function that reads a chunk in a single call.

    It adds the chunk's delta to the message, and returns the delta. When it returns None for a chunk,
    `Machine.pull` has to read that chunk, and the function must not be called again.

    Args:
        read: Reads a chunk that is like the last one; returns None for any other chunk.
    """
    meter, accumulator = machine.meter, machine.accumulator
    max_bytes, max_text = machine.limits.body, machine.limits.text
    # The destination of the last delta: the next one mostly goes there, too.
    target: Target | None = None
    kind: Any = None
    choice = part = -1
    is_fragment = is_call = is_reasoning = False
    log, pieces = TextLog(), list[str]()

    def glance(chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`
        """Return the event of a chunk, and add it to the message; None if `Machine.pull` must read it."""
        nonlocal target, kind, choice, part, is_fragment, is_call, is_reasoning, log, pieces
        stamps = meter.stamps
        # From time to time, the meter has work to do with the times of arrival: `_sample` starts it, and
        # then calls this function again.
        if len(stamps) >= meter.check_at:
            if len(pieces) >= log.full_at:
                # It is enough to join the pieces here: a block may contain a few pieces more.
                log.pack()
            return _sample(machine, chunk, now)
        machine.now = now
        size = meter.bytes + len(chunk)
        # A chunk that exceeds the limit is left to `pull`, which reports the error.
        event: Any = read(chunk) if size <= max_bytes else None
        if event is None:
            machine.shortcut = None
            machine.chunk = chunk
            return None
        meter.bytes = size
        stamps.append(now)
        if (
            event.__class__ is kind
            and event.part == part
            and event.choice == choice
            and accumulator.target is target
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
                machine.fail(accumulator.overflow())
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
                machine.fail(accumulator.error)
        taken: Event = event
        return taken

    return glance


def _sample(machine: Machine, chunk: object, now: float) -> Event | None:
    """Do the meter's periodic work, then read a chunk on the fast path, and measure how long that takes.

    Args:
        now: A clock reading, in seconds.

    Returns:
        The chunk's event; None if the fast path cannot read the chunk.
    """
    # Not a variable of `glance` itself, which would then refer to itself.
    timer, glance = machine.timer, machine.glance or machine.give
    if timer is None:
        machine.meter.check_stamps()
        return glance(chunk, now)
    started_at = timer()
    machine.meter.check_stamps()
    checked_at = timer()
    event = glance(chunk, now)
    if event is not None:
        machine.meter.took(timer() - checked_at, packing=checked_at - started_at)
    return event
