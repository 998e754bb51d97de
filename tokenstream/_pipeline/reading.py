"""The two paths of an event to the message: the plain one, and the fast one for one more delta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._answer.growing import NOWHERE, is_bare
from tokenstream._pipeline.arrivals import SLICE_END
from tokenstream.errors import LimitExceeded
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart
from tokenstream.formats._kit.errors import is_unsaid
from tokenstream.formats._state import ANSWERED, OPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokenstream._answer.growing import Target
    from tokenstream._pipeline.machine import Machine
    from tokenstream.errors import StreamError
    from tokenstream.events import Event

CurrentEvents: TypeAlias = "tuple[Sequence[Event], int]"
"""The events of a frame, and the number of events returned before them: a tuple, to set both at once."""
NO_EVENTS: CurrentEvents = ((), 0)
"""The value of `Machine.current_events` between two chunks."""


def read_events(machine: Machine) -> Iterator[Event | None]:  # noqa: C901 - what runs for every token is in one place
    """Yield events without end: one at a time, and None whenever input is needed.

    One generator serves all connections of a machine. Just before an event is yielded, `Machine.on_read`
    adds it to the message, unless another part of the machine does that later; so the message never runs
    ahead of the reader. This code runs for every token, so it avoids calls that usually do nothing.
    """
    accumulator, meter, max_bytes = machine.accumulator, machine.meter, machine.limits.body
    arrivals, progress = machine.arrivals, machine.progress
    frames: Any
    events: Sequence[Event]
    event: Event | None
    # After `restore`: the events that the checkpoint holds, but that were never returned.
    for event in machine.current_events[0]:
        machine.on_read(event)
        machine.returned_count += 1
        yield event
    while True:
        chunk = machine.chunk
        if chunk is None:
            event, machine.glanced_event = machine.glanced_event, None
            if event is not None:
                # The fast path has read a payload, and the message contains its event.
                yield event
                continue
            is_first = True
            while machine.events_left:
                if progress.last is None:
                    progress.keep()
                event = machine.events_left.pop(0)
                if machine.on_read(event):
                    _count_late_content(machine, event, is_first=is_first)
                    is_first = False
                machine.returned_count += 1
                yield event
            yield None
            continue
        machine.chunk = None
        now = machine.now
        # A payload that was decoded elsewhere has no known size.
        size = 0 if chunk.__class__ is dict else len(chunk)
        outgrown = meter.bytes + size > max_bytes
        if outgrown:
            # Only the allowed bytes are read; the error follows their events.
            size = max_bytes - meter.bytes
            chunk = chunk[:size]
        meter.count_chunk(size)
        if machine.refusal is not None:
            machine.read_refusal(machine.refusal, chunk, is_last=outgrown)
            continue
        connection, coding = machine.connection, machine.coding
        uses_sorted_frames = coding is not None or arrivals.looks_at_frames
        if not uses_sorted_frames:
            frames = connection.framing.frames(chunk)
            several = len(frames) > 1
            if several:
                machine.last_frame = frames[-1]
            # `waiting`: a mark of the metrics, such as the first frame or text, is not reached yet.
            if meter.waiting:
                meter.mark(now, frame=bool(frames))
            if not frames and not outgrown and connection.framing.error is None:
                # A piece of a frame changes nothing that is checked below.
                continue
        else:
            frames, several = arrivals.sort(coding, connection, chunk, now), True
        content_events = 0
        error: StreamError | None = None
        # Reads a frame like the last one without decoding it; worth creating only for several frames.
        read_like_last = connection.format.frame_shortcut() if several else None
        for frame in frames:
            if several:
                machine.current_frame = frame
            event = None if read_like_last is None else read_like_last(frame)
            if event is not None:
                events = (event,)
            elif frame is SLICE_END:
                machine.current_frame = None
                meter.count_deltas(content_events)
                content_events = 0
                machine.pause()
                yield None
                if machine.state != "sliced":
                    # The input has ended here, or another connection has begun.
                    frames = None
                    break
                machine.resume()
                now = machine.now
                continue
            else:
                events = connection.format.feed(frame)
                read_like_last = connection.format.frame_shortcut() if several else None
                # A checkpoint made between two events contains those that are not returned yet.
                if len(events) > 1:
                    machine.current_events = events, machine.returned_count
            for event in events:
                if machine.on_read(event):
                    if not content_events:
                        meter.mark_content(now)
                    content_events += 1
                    if event.__class__ is TextDelta:
                        if meter.waiting:
                            meter.mark_text(now)
                    elif event.__class__ is ToolCallStart:
                        meter.mark_tool_call(now)
                machine.returned_count += 1
                yield event
            reader = connection.format
            if reader.error is not None or accumulator.error is not None:
                error = machine.error = reader.error or accumulator.error
                # The framing is ahead of the format by the rest of the chunk.
                machine.current_frame = frame
                is_read_on = machine.reads_behind_error is not None or is_unsaid(error)
                if not (is_read_on and reader.reads_on):
                    break
        else:
            if error is None:
                machine.current_frame = None
            machine.error = error or connection.framing.error
            if uses_sorted_frames and machine.error is None:
                machine.error = (coding.error if coding else None) or arrivals.gap
            if outgrown and machine.error is None:
                machine.error = LimitExceeded(limit="body", value=max_bytes)
        if frames is None:
            continue
        if content_events:
            meter.count_deltas(content_events)
        reader = connection.format
        machine.said = said = reader.said()
        if said in ANSWERED:
            meter.finish(now)
        if reader.resting is not machine.resting:
            # The server has begun, or has ceased, to wait for the client.
            machine.resting, machine.begun_at = not machine.resting, now
        if said == "nothing" or not reader.awaits_end(said):
            machine.awaits_end_since = None
        elif machine.awaits_end_since is None or content_events:
            machine.awaits_end_since = now
        awaits_end = machine.awaits_end_since is not None
        is_ending = machine.error is not None or said in ANSWERED or awaits_end
        if machine.state in OPEN:
            machine.state = "ending" if is_ending else "reading"
        may_have_shortcut = not is_ending and reader.may_have_shortcut() and meter.content_chunks
        if may_have_shortcut and not (uses_sorted_frames or machine.changes_events):
            # The next chunk may be like this one: `give` then creates the fast path, and uses it.
            machine.shortcut = machine.make_shortcut
        # Frees the payload, since it may be large and the next input may take long to arrive.
        frames = frame = event = read_like_last = None
        events = ()
        machine.current_events, machine.last_frame = NO_EVENTS, None


def _count_late_content(machine: Machine, event: Event, *, is_first: bool) -> None:
    """Count an event with content in the metrics, if only the end of the input has produced the event."""
    if is_first:
        machine.meter.mark_content(machine.now)
    machine.meter.count_deltas(1)
    # `waiting`: a mark of the metrics, such as the first text, is not reached yet.
    if machine.meter.waiting and event.__class__ is TextDelta:
        machine.meter.mark_text(machine.now)
    elif event.__class__ is ToolCallStart:
        machine.meter.mark_tool_call(machine.now)


def make_glance(  # noqa: C901 - what runs for every token is in one place
    machine: Machine, read: Callable[[Any], Event | None]
) -> Callable[[Any, float], Event | None]:
    """Return the fast path: a function that reads a chunk in a single call.

    It adds the chunk's delta to the message, and returns the delta. When it returns None for a chunk,
    `Machine.pull` has to read that chunk, and the function must not be called again.
    """
    meter, accumulator = machine.meter, machine.accumulator
    max_bytes, max_text = machine.limits.body, machine.limits.text
    # The destination of the last delta: the next one mostly goes there, too.
    target: Target | None = None
    kind: Any = None
    choice = part = -1
    is_fragment = is_call = is_reasoning = False
    # All its events then have the same kind, choice and part.
    is_alone = machine.connection.format.has_one_shape
    log = NOWHERE.log
    pieces = log.pieces

    def glance(chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`; as above
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
            machine.read_plainly(chunk, now)
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
        return event  # type: ignore[no-any-return] # an event, or None

    return glance


def _sample(machine: Machine, chunk: object, now: float) -> Event | None:
    """Do the meter's periodic work, then read a chunk on the fast path, and measure that reading."""
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
