"""Where an answer stands, written down, and taken up again in another stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tokenstream.accumulator import Accumulator
from tokenstream.errors import MisuseError
from tokenstream.formats import registry
from tokenstream.formats._kept import read_events, write_events
from tokenstream.formats._read import is_dict
from tokenstream.message import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.connection import Connection
    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits

__all__ = ["judged", "restored", "standing"]

# An instance would build the models of all messages, which costs a fifth of `import tokenstream`.
_VERSION: int = Checkpoint.model_fields["version"].default
_RESUMABLE = "openai-responses and gemini-interactions"


def standing(
    accumulator: Accumulator,
    connection: Connection,
    waiting: Sequence[Event],
    events_seen: int,
    last_event_id: str | None,
) -> Checkpoint:
    """Return where an answer stands.

    Args:
        accumulator: What there is of it.
        connection: Where it comes from.
        waiting: What the format has read and nobody was given yet, such as the rest of a frame.
        events_seen: How many events were given.
        last_event_id: The id of the last SSE event.
    """
    stood = connection.stood or connection.stand()
    state = None if stood.state is None else {"format": stood.state}
    if state is not None and waiting:
        state["events"] = write_events(waiting)
    head = accumulator.message
    known = head.id or head.model or head.provider_data or head.usage
    return Checkpoint(
        messages=tuple(accumulator.messages or ([head] if known else [])),
        format=connection.name,
        last_event_id=last_event_id,
        events_seen=events_seen,
        tool_calls_delivered=tuple(accumulator.tool_calls_delivered),
        position=stood.position,
        state=state,
    )


def judged(checkpoint: Checkpoint, accumulator: Accumulator) -> Checkpoint:
    """Return a checkpoint that was kept before the end, with the verdict that the end has brought."""
    messages = [
        message.model_copy(update={"ending": accumulator.ending_of(message.choice)})
        for message in checkpoint.messages
    ]
    return checkpoint.model_copy(update={"messages": tuple(messages)})


def restored(
    checkpoint: Checkpoint, accumulator: Accumulator, *, limits: Limits, pings: bool
) -> tuple[Format, list[Event]]:
    """Return the format that goes on from a checkpoint, and the events that it had still to give.

    Args:
        checkpoint: Where the answer stood.
        accumulator: Takes what there was of it.
        limits: Bounds for the format.
        pings: Whether signs of life become events.

    Raises:
        MisuseError: Nothing can go on from there.
    """
    name, state = _checked(checkpoint)
    known = registry.create(name, limits=limits, pings=pings)
    try:
        left = read_events(state["events"]) if "events" in state else []
        # The format has told these, too.
        told = Accumulator(limits=limits)
        for message in checkpoint.messages:
            told.restore(message)
        for event in left:
            told.take(event)
        known.restore(state["format"], told.messages or [told.message])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        msg = "the checkpoint's state is not what `checkpoint()` gave: store it as it is, or ask anew"
        raise MisuseError(msg) from error
    shared = [field for field in known.parts.fields if isinstance(field, str)]
    accumulator.tool_calls_delivered = [*checkpoint.tool_calls_delivered]
    for message in checkpoint.messages:
        accumulator.restore(message, shared)
    return known, read_events(state["events"]) if left else []


def _checked(checkpoint: Checkpoint) -> tuple[str, dict[str, Any]]:
    if not isinstance(cast("object", checkpoint), Checkpoint):
        kind = type(checkpoint).__qualname__
        raise MisuseError(
            f"{kind} is no checkpoint; one that was stored is read with Checkpoint.model_validate_json"
        )
    if checkpoint.version != _VERSION:
        raise MisuseError(
            f"the checkpoint is of version {checkpoint.version}, and version {_VERSION} can be read; "
            "what there was of the answer is in its .messages: ask for the answer anew"
        )
    name, state = checkpoint.format, checkpoint.state
    if name is None:
        raise MisuseError("nothing had come when the checkpoint was made; ask for the answer anew")
    if not registry.load(name).resumes:
        raise MisuseError(
            f"{name} has no resume: its servers cannot go on with an answer, as those of {_RESUMABLE} can; "
            "ask for the answer anew, what there was of it is in checkpoint.message"
        )
    if state is None or not is_dict(state.get("format")):
        raise MisuseError(
            "the checkpoint has no state to go on from: the answer had failed, or had come in a form that "
            "cannot be kept; ask for the answer anew"
        )
    return name, state
