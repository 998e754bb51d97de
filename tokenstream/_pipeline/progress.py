"""The progress of an answer: its checkpoint, and the partial answer that an error keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._pipeline import checkpoints
from tokenstream.errors import StreamInterrupted, StreamStalled, StreamTruncated, store_progress
from tokenstream.formats._resume.state import write_events
from tokenstream.framing import ServerSentEvent
from tokenstream.message import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._pipeline.machine import Machine
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Ending

TRUNCATIONS = (StreamTruncated, StreamInterrupted, StreamStalled)
"""Errors of an answer that was cut off, rather than failed."""


class Progress:
    """Makes the checkpoints of a machine's answer."""

    __slots__ = ("_machine", "last")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.last: Checkpoint | None = None
        """The checkpoint from before the end closed the open parts; None before the end."""

    def begin_again(self) -> None:
        """Forget where the last connection has ended."""
        self.last = None

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the answer so far.

        If the attempt to go on was refused, or has brought no event yet, the result is the checkpoint from
        before that attempt.
        """
        resumption = self._machine.resumption
        if resumption is None:
            return self._make_checkpoint()
        earlier = resumption.find_checkpoint()
        if earlier is not None:
            return earlier
        checkpoint = self._make_checkpoint()
        # No server knows the position in an answer that was joined from several requests.
        return _without_position(checkpoint) if resumption.continued else checkpoint

    def _make_checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the answer as this connection has brought it so far."""
        machine, accumulator = self._machine, self._machine.accumulator
        if self.last is not None:
            return checkpoints.with_final_ending(self.last, accumulator)
        # The response may be an error, which has no position in the answer.
        connection = machine.connection if machine.refusal is None else None
        # After the end of the input, the position is that from before the end closed the open parts.
        last = None if connection is None else connection.last_position or connection.find_position()
        # Events that were decoded but not yet returned, such as the rest of a frame.
        waiting, log = self._waiting, machine.arrivals.log
        if waiting:
            # The end of its part may have been returned already, and cannot be found by the next stream.
            accumulator.complete_result(waiting[0])
        state: dict[str, Any] | None = None
        if connection is not None and last is not None and last.state is not None:
            state = {"format": last.state}
            if waiting:
                state["events"] = write_events(waiting)
            if log is not None:
                # The events that were read, in case the server repeats some.
                state["log"] = log.save(connection.known_format)
            if (usages := accumulator.usages_to_keep) is not None:
                state["usages"] = [usage.model_dump(mode="json", exclude_none=True) for usage in usages]
        messages = accumulator.messages
        if not messages:
            # Before any choice has begun, there may be a message that has only a head.
            head = accumulator.message
            messages = [head] if head.id or head.model or head.provider_data or head.usage else []
        return Checkpoint(
            messages=tuple(messages),
            format=None if connection is None else connection.name,
            last_event_id=self.last_event_id,
            events_seen=machine.events_seen,
            tool_calls_delivered=tuple(accumulator.tool_calls_delivered),
            position=None if last is None else last.position,
            state=state,
            identity=accumulator.calls.identity_to_keep,
        )

    @property
    def _waiting(self) -> Sequence[Event]:
        """The events that were decoded but not yet returned."""
        machine = self._machine
        current = machine.unread_events
        return current if machine.joining is None else [*machine.joining.waiting, *current]

    @property
    def last_event_id(self) -> str | None:
        """The id of the last SSE event that was read, also on an earlier connection; None if unknown."""
        machine = self._machine
        last_id = machine.connection.last_event_id
        # The framing cuts a whole chunk into frames, so that it is at the id of the chunk's last frame. What
        # counts is the frame whose events are being returned, or whose error was: "" if that has no id.
        frame = machine.current_frame
        if last_id is not None and frame is not None:
            last_id = frame.id if isinstance(frame, ServerSentEvent) else ""
        return last_id or (None if machine.resumption is None else machine.resumption.id_before)

    def keep(self) -> None:
        """Store the checkpoint of an answer whose input has ended, unless events must be returned first.

        The checkpoint is from before the events with which the end closes the parts that are still open.
        """
        if self._machine.connection.last_position is not None and not self._waiting:
            self.last = self.checkpoint()

    def keep_without_position(self) -> None:
        """Store a checkpoint at which no server can resume, because reading broke off within an event."""
        self.last = _without_position(self.checkpoint())

    def store_on(self, error: StreamError, ending: Ending | None = None) -> None:
        """Store the partial answer, a checkpoint and further details on an error.

        An attempt that has failed gets an ending as if the answer had ended with its error.
        """
        machine = self._machine
        if error.request_id is None and machine.head is not None:
            error.request_id = machine.head.request_id
        if checkpoints.has_partial(error):
            # It was stored earlier, for example when an attempt failed with this error.
            return
        # Not for other errors: their tail would depend on how much was read beyond the fault.
        has_tail = isinstance(error, TRUNCATIONS)
        partial, checkpoint = machine.accumulator.message, self.checkpoint()
        if ending is not None:
            partial = machine.accumulator.end_with(ending, partial)
            if checkpoint.messages:
                messages = [message.model_copy(update={"ending": ending}) for message in checkpoint.messages]
                checkpoint = checkpoint.model_copy(update={"messages": tuple(messages)})
        store_progress(
            error,
            partial,
            checkpoint,
            machine.asked.make_origin(machine, error=error),
            tail=machine.connection.tail[: machine.limits.tail] if has_tail else None,
        )


def _without_position(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint at which no server can resume."""
    return checkpoint.model_copy(update={"position": None, "state": None})
