"""Changes checkpoints as an answer goes on, and restores an answer from a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import MisuseError
from tokenstream.formats import _registry as registry
from tokenstream.formats._resume.event_log import EventLog
from tokenstream.formats._resume.state import read_events
from tokenstream.message import Checkpoint, Usage

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.events import Event, Finish
    from tokenstream.formats._base import Format
    from tokenstream.limits import Limits

_VERSION = 2
"""The version of checkpoints that can be read."""
_RESUMABLE = "openai-responses and gemini-interactions"


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
    """Return the checkpoint of an answer that has ended with a pause, which was not reported.

    No server can replay it from there: the next request sends the answer back.
    """
    reasons = {"finish_reason": finish.reason, "raw_finish_reason": finish.raw_reason}
    messages = [message.model_copy(update=reasons) for message in checkpoint.messages]
    return checkpoint.model_copy(update={"messages": tuple(messages), "position": None, "state": None})


def restore_answer(
    checkpoint: Checkpoint, accumulator: Accumulator, *, limits: Limits
) -> tuple[Format, list[Event], EventLog | None]:
    """Restore an answer from a checkpoint: its messages into the accumulator, its position into a format.

    The result is that format; the events that were decoded before the checkpoint, but are still to be
    returned; and the log, which recognises events that the server repeats, or None if the format does.
    """
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
        if not format.merges_replays:
            log = EventLog.restore(state.get("log"), format, as_decoded.message.id)
        usages = _read_usages(state)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        msg = "the checkpoint's state is not what `checkpoint()` returned: store it unchanged, or ask anew"
        raise MisuseError(msg) from error
    # The key of a field that belongs to one choice is a pair; the key of any other field is its name.
    shared = [field for field in format.parts.fields if isinstance(field, str)]
    accumulator.restore_answer(checkpoint, shared)
    if usages is not None:
        accumulator.restore_usages(*usages)
    # These events are read a second time, because `as_decoded` may have changed the first copies.
    return format, read_events(state["events"]) if unreturned else [], log


def _read_usages(state: dict[str, Any]) -> tuple[Usage, Usage] | None:
    """Return the token counts that `usages_to_keep` has returned; None if the state has none."""
    if "usages" not in state:
        return None
    spent, own = map(Usage.model_validate, state["usages"])
    return spent, own


def _check_resumable(checkpoint: Checkpoint) -> tuple[str, dict[str, Any]]:
    """Check that an answer can be continued from a checkpoint; return its format's name and stored state."""
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
    name, state = checkpoint.format, checkpoint.state
    if name is None:
        raise MisuseError("the checkpoint was made before anything had arrived; ask for the answer anew")
    if not registry.load(name).resumes:
        raise MisuseError(
            f"{name} cannot be resumed: its servers cannot continue an answer, as those of {_RESUMABLE} can; "
            "ask for the answer anew; the partial answer is in checkpoint.message"
        )
    if state is None or not is_dict(state.get("format")):
        raise MisuseError(
            "the checkpoint has no state to continue from: the answer had failed, or had arrived in a form "
            "that cannot be stored; ask for the answer anew"
        )
    return name, state


def has_partial(error: StreamError) -> bool:
    """Return True if a stream has stored its partial answer on an error.

    Reading `partial` would not tell, because it returns an empty message if none is stored.
    """
    return error._partial is not None  # noqa: SLF001 - only the machine needs to know
