"""The plain path of an event: from a chunk of input through framing and format to the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._pipeline.arrivals import SLICE_END
from tokenstream.errors import LimitExceeded
from tokenstream.events import Ping, TextDelta, ToolCallStart
from tokenstream.framing._comments import COMMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        connection, coding = machine.connection, machine.coding
        uses_sorted_frames = coding is not None or arrivals.reorder is not None or arrivals.log is not None
        if not uses_sorted_frames:
            frames = connection.framing.frames(chunk)
            several = len(frames) > 1
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
                if not machine.is_between_slices:
                    # The input has ended here, or another connection has begun.
                    frames = None
                    break
                machine.resume()
                now = machine.now
                continue
            else:
                events = [Ping()] if frame is COMMENT else connection.format.feed(frame)
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
                if not (machine.reads_behind_error and reader.reads_on):
                    break
        else:
            if error is None:
                machine.current_frame = None
            machine.error = (
                error or connection.framing.error or (coding.error if coding else None) or arrivals.gap
            )
            if outgrown and machine.error is None:
                machine.error = LimitExceeded(limit="body", value=max_bytes)
        if frames is None:
            continue
        if content_events:
            meter.count_deltas(content_events)
        reader = connection.format
        machine.answered = reader.ended
        if machine.answered:
            meter.finish(now)
        if reader.resting is not machine.resting:
            # The server has begun, or has ceased, to wait for the client.
            machine.resting, machine.begun_at = not machine.resting, now
        if not reader.awaits_end:
            machine.awaits_end_since = None
        elif machine.awaits_end_since is None or content_events:
            machine.awaits_end_since = now
        awaits_end = machine.awaits_end_since is not None
        machine.continues = machine.error is None and not (machine.answered or awaits_end)
        may_have_shortcut = machine.continues and reader.may_have_shortcut and meter.content_chunks
        if may_have_shortcut and not (uses_sorted_frames or machine.changes_events):
            # The next chunk may be like this one: `give` then creates the fast path, and uses it.
            machine.shortcut = machine.make_shortcut
        # Frees the payload, since it may be large and the next input may take long to arrive.
        frames = frame = event = read_like_last = None
        events = ()
        machine.current_events = NO_EVENTS


def _count_late_content(machine: Machine, event: Event, *, is_first: bool) -> None:
    """Count an event with content in the metrics, if only the end of the input has produced the event.

    Args:
        is_first: True for the first such event.
    """
    if is_first:
        machine.meter.mark_content(machine.now)
    machine.meter.count_deltas(1)
    # `waiting`: a mark of the metrics, such as the first text, is not reached yet.
    if machine.meter.waiting and event.__class__ is TextDelta:
        machine.meter.mark_text(machine.now)
    elif event.__class__ is ToolCallStart:
        machine.meter.mark_tool_call(machine.now)
