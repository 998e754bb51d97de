"""The checkpoint of an answer: made as it goes on, kept by an error, and restored by another stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.untrusted import is_dict, text_of
from tokenstream.errors import (
    MisuseError,
    ProviderError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
    store_progress,
)
from tokenstream.formats import _registry as registry
from tokenstream.framing._frames import ServerSentEvent
from tokenstream.message import Checkpoint, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._pipeline.way import Way
    from tokenstream.errors import AnswerFailure, StreamError
    from tokenstream.events import Event, Finish
    from tokenstream.formats._base import Format
    from tokenstream.formats._resume.event_log import EventLog
    from tokenstream.limits import Limits
    from tokenstream.message import Ending, Message

TRUNCATIONS = (StreamTruncated, StreamInterrupted, StreamStalled)
"""Errors of an answer that was cut off, rather than failed."""
_VERSION = 2
"""The version of checkpoints that can be read."""
_RESUMABLE = "openai-responses and gemini-interactions"


class Progress:
    """Makes the checkpoints of an answer."""

    def __init__(self, way: Way, machine: Any) -> None:  # noqa: ANN401 - whose module imports this one
        self._way, self._machine = way, machine
        self.last: Checkpoint | None = None
        """The checkpoint from before the end closed the open parts; None before the end."""
        self.is_stopped = False
        """True once `stop` or a guard, and not a mere closing, has ended the answer."""

    def begin_again(self) -> None:
        """Forget where the last connection has ended."""
        self.last = None

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the answer so far, which tells if nothing is left to ask for."""
        checkpoint = self._find_checkpoint()
        ending = self._find_ending(checkpoint.messages)
        if ending is None:
            return checkpoint
        return checkpoint.model_copy(update={"state": {**(checkpoint.state or {}), "ending": ending}})

    def _find_ending(self, messages: Sequence[Message]) -> Ending | None:
        """Return the ending that the answer would have if its process died now; None if it may go on."""
        intake = self._way.intake
        connection = intake.link.connection
        if intake.error is not None or intake.link.refusal is not None:
            return None
        if self.is_stopped:
            return "stopped"
        # A step of a run, or an answer of a session, is followed by others.
        is_last = connection.format.is_one_answer or connection.format.ended
        has_all = len(messages) >= self._machine.count_asked() and all(map(has_reason, messages))
        return "complete" if is_last and has_all and connection.endings.broken == "complete" else None

    def _find_checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the answer so far; that before an attempt which was refused or is empty."""
        joining = self._way.joining
        before = None if joining is None else joining.listener
        if before is None:
            return self._make_checkpoint()
        earlier = before.find_checkpoint()
        if earlier is not None:
            return earlier
        checkpoint = self._make_checkpoint()
        # No server knows the position in an answer that was joined from several requests.
        return _without_position(checkpoint) if before.continued else checkpoint

    def _make_checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the answer as this connection has brought it so far."""
        intake, accumulator = self._way.intake, self._way.accumulator
        if self.last is not None:
            return with_final_ending(self.last, accumulator)
        # The response may be an error, which has no position in the answer.
        connection = intake.link.connection if intake.link.refusal is None else None
        # After the end of the input, the position is that from before the end closed the open parts.
        last = None if connection is None else connection.last_position or connection.find_position()
        # Events that were decoded but not yet returned, such as the rest of a frame.
        waiting, log = self._waiting, intake.arrivals.log
        if waiting:
            # The end of its part may have been returned already, and cannot be found by the next stream.
            accumulator.complete_result(waiting[0])
        state: dict[str, Any] | None = None
        if connection is not None and last is not None and last.state is not None:
            state = {"format": last.state}
            if waiting:
                from tokenstream.formats._resume.state import write_events

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
            events_seen=intake.events_seen,
            tool_calls_delivered=tuple(accumulator.tool_calls_delivered),
            position=None if last is None else last.position,
            state=state,
            identity=accumulator.calls.identity_to_keep,
        )

    @property
    def _waiting(self) -> Sequence[Event]:
        """The events that were decoded but not yet returned."""
        way = self._way
        joining, unread = way.joining, way.intake.unread_events
        return unread if joining is None else [*joining.waiting, *unread]

    @property
    def last_event_id(self) -> str | None:
        """The id of the last SSE event that was read, also on an earlier connection; None if unknown."""
        intake, joining = self._way.intake, self._way.joining
        earlier = None if joining is None else joining.listener
        last_id = intake.link.connection.last_event_id
        # The framing cuts a whole chunk into frames, so that it is at the id of the chunk's last frame. What
        # counts is the frame whose events are being returned, or whose error was: "" if that has no id.
        frame = intake.current_frame
        if last_id is not None and frame is not None:
            last_id = frame.id if isinstance(frame, ServerSentEvent) else ""
        return last_id or (None if earlier is None else earlier.id_before)

    def keep(self) -> None:
        """Store, once, the checkpoint from before the events with which the end closes the open parts."""
        if self.last is None and self._way.intake.link.connection.last_position is not None:
            self.last = None if self._waiting else self.checkpoint()

    def keep_without_position(self) -> None:
        """Store a checkpoint at which no server can resume, because reading broke off within an event."""
        self.last = _without_position(self.checkpoint())

    def store_on(self, error: AnswerFailure, ending: Ending | None = None) -> None:
        """Store the partial answer and a checkpoint on an error, with an ending if an attempt has failed."""
        link = self._way.intake.link
        if error.request_id is None and link.head is not None:
            error.request_id = link.head.request_id
        if has_partial(error):
            # It was stored earlier, for example when an attempt failed with this error.
            return
        # Not for other errors: their tail would depend on how much was read beyond the fault.
        has_tail = isinstance(error, TRUNCATIONS)
        partial, checkpoint = self._way.accumulator.message, self._find_checkpoint()
        if ending is not None:
            partial = self._way.accumulator.end_with(ending, partial)
            if checkpoint.messages:
                messages = [message.model_copy(update={"ending": ending}) for message in checkpoint.messages]
                checkpoint = checkpoint.model_copy(update={"messages": tuple(messages)})
        if isinstance(error, ProviderError):
            # No server replays a failed answer, but the next process has to know if it may be asked again.
            told = {name: getattr(error, name) for name in ("message", "code", "type", "retryable")}
            checkpoint = checkpoint.model_copy(update={"state": {"error": told}})
        store_progress(
            error,
            partial,
            checkpoint,
            self._machine.make_origin(error),
            tail=link.connection.tail[: link.limits.tail] if has_tail else None,
        )


def _without_position(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint at which no server can resume."""
    return checkpoint.model_copy(update={"position": None, "state": None})


def with_final_ending(checkpoint: Checkpoint, accumulator: Accumulator) -> Checkpoint:
    """Return a checkpoint that was made before the answer ended, with the ending that is known by now."""
    messages = [
        message.model_copy(update={"ending": accumulator.ending_of(message.choice)})
        for message in checkpoint.messages
    ]
    if not messages and accumulator.message.id is not None:
        # Its head has arrived since then, with the id by which the answer is found again.
        messages = [accumulator.message]
    # Since then, the application may have read the key of a tool call, which fixes the answer's identity.
    identity = accumulator.calls.identity_to_keep
    return checkpoint.model_copy(update={"messages": tuple(messages), "identity": identity})


def with_pause(checkpoint: Checkpoint, finish: Finish) -> Checkpoint:
    """Return the checkpoint of an answer that has ended with a pause, from which no server replays it."""
    reasons = {"finish_reason": finish.reason, "raw_finish_reason": finish.raw_reason}
    messages = [message.model_copy(update=reasons) for message in checkpoint.messages]
    return checkpoint.model_copy(update={"messages": tuple(messages), "position": None, "state": None})


def restore_answer(
    checkpoint: Checkpoint, accumulator: Accumulator, *, limits: Limits, may_continue: bool
) -> tuple[Format | None, list[Event], EventLog | None]:
    """Restore an answer from a checkpoint: its messages into the accumulator, its position into a format.

    The result is that format, or None for an answer that is over or that another request `may_continue`; the
    events that were decoded before the checkpoint, but are still to be returned; and the log, which
    recognises events that the server repeats, or None if the format does.
    """
    from tokenstream.formats._resume.event_log import EventLog
    from tokenstream.formats._resume.state import read_events

    if not _has_state(checkpoint) and (may_continue or find_ending(checkpoint)):
        accumulator.restore_answer(checkpoint, ())
        return None, [], None
    name, state = _check_resumable(checkpoint)
    format = registry.create(name, limits=limits)
    try:
        unreturned = read_events(state["events"]) if "events" in state else []
        # The format had already read the events that are still to be returned, so it needs the messages with
        # these events. The stream's accumulator gets the events only when they are returned.
        as_decoded = Accumulator(limits=limits)
        for message in checkpoint.messages:
            as_decoded.restore(message)
        for event in unreturned:
            as_decoded.take(event)
        format.restore(state["format"], as_decoded.messages or [as_decoded.message])
        log = None
        if format.resume is None or not format.resume.merges_replays:
            log = EventLog.restore(state.get("log"), format, as_decoded.message.id)
        usages: tuple[Usage, ...] = ()
        if "usages" in state:
            spent, own = map(Usage.model_validate, state["usages"])
            usages = spent, own
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        msg = "the checkpoint's state is not what `checkpoint()` returned: store it unchanged, or ask anew"
        raise MisuseError(msg) from error
    # The key of a field that belongs to one choice is a pair; the key of any other field is its name.
    shared = [field for field in format.parts.fields if isinstance(field, str)]
    accumulator.restore_answer(checkpoint, shared)
    if usages:
        accumulator.restore_usages(*usages)
    # These events are read a second time, because `as_decoded` may have changed the first copies.
    return format, read_events(state["events"]) if unreturned else [], log


def find_ending(checkpoint: Checkpoint) -> Ending | None:
    """Return the ending of an answer of which nothing is left to ask for; None for any other."""
    told: Any = _find_kept(checkpoint, "ending")
    if told in ("stopped", "complete"):
        return told  # type: ignore[no-any-return] # one of these
    # The records of a journal do not name the format, and have only the reason.
    is_told = has_reason if checkpoint.message.format is None else _is_complete
    return "complete" if checkpoint.messages and all(map(is_told, checkpoint.messages)) else None


def has_reason(message: Message) -> bool:
    """Return True if the model has ended a message, and has not only paused."""
    return _is_complete(message) or message.finish_reason not in (None, "pause")


def _is_complete(message: Message) -> bool:
    return message.ending == "complete"


def _find_kept(checkpoint: Checkpoint, name: str) -> object:
    return (checkpoint.state or {}).get(name)


def _has_state(checkpoint: Checkpoint) -> bool:
    """Return True if a checkpoint has the state of a format that reads on where a server replays."""
    return is_dict(_find_kept(checkpoint, "format"))


def find_cause(checkpoint: Checkpoint) -> StreamError:
    """Return the error with which the kept attempt broke off: the provider's, or the end of its process."""
    told = _find_kept(checkpoint, "error")
    if not is_dict(told):
        return StreamInterrupted("the process that read this answer has ended")
    return ProviderError(
        text_of(told, "message") or "the provider had reported an error",
        code=text_of(told, "code"),
        type=text_of(told, "type"),
        retryable=told.get("retryable") is True,
    )


def check_checkpoint(checkpoint: Checkpoint) -> None:
    """Refuse what is no checkpoint, or one of another version."""
    if not isinstance(cast("object", checkpoint), Checkpoint):
        kind = type(checkpoint).__qualname__
        raise MisuseError(
            f"expected a Checkpoint, not {kind}; read a stored one with Checkpoint.model_validate_json"
        )
    if checkpoint.version != _VERSION:
        raise MisuseError(
            f"the checkpoint has version {checkpoint.version}, but only version {_VERSION} can be read: "
            "ask for the answer anew; the partial answer is in its .messages"
        )


def _check_resumable(checkpoint: Checkpoint) -> tuple[str, dict[str, Any]]:
    """Check that a server can replay an answer; return its format's name and stored state."""
    name, state = checkpoint.format, checkpoint.state
    if name is None:
        raise MisuseError("the checkpoint was made before anything had arrived; ask for the answer anew")
    if not registry.load(name).resumes:
        raise MisuseError(
            f"{name} cannot be resumed: its servers cannot replay an answer, as those of {_RESUMABLE} can; "
            "connect(url, job=…) and resilient(open, job=…) ask for the rest"
        )
    if state is None or not _has_state(checkpoint):
        raise MisuseError(
            "the checkpoint has no state to continue from: the answer had failed, or had arrived in a form "
            "that cannot be stored; ask for the answer anew"
        )
    return name, state


def has_partial(error: AnswerFailure) -> bool:
    """Return True if a stream has stored its partial answer on an error, which `partial` would not tell."""
    return error._partial is not None  # noqa: SLF001 - only the machine needs to know
