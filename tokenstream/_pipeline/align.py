"""Drops the events of a restarted answer that repeat what the reader already has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenstream.errors import StreamInterrupted

if TYPE_CHECKING:
    from tokenstream.accumulator import Accumulator
    from tokenstream.errors import StreamError
    from tokenstream.message import ToolCall


def make_difference_error(accumulator: Accumulator) -> StreamError:
    """Return the error that ends a stream whose answer was requested again and came out differently.

    The result is the error that broke off the first answer, if there was one; otherwise a new error.
    """
    restarted = None if accumulator.given_up is None else accumulator.given_up.event
    error = None if restarted is None else restarted.error
    if error is None:
        error = StreamInterrupted(
            "the answer began again, but differs from the part that was already given; ask anew"
        )
        if restarted is not None:
            error.partial = restarted.discarded
    # The first answer's error already has the traceback of the place where it was raised first.
    return error.with_traceback(None)


def is_same_call(before: ToolCall, call: ToolCall) -> bool:
    """Return True if two calls ask for the same: they have the same name, and arguments of equal value.

    Example:
        >>> from tokenstream.message import ToolCall
        >>> one = ToolCall(id="a", name="now", arguments_text='{"zone": "UTC"}')
        >>> is_same_call(one, ToolCall(id="b", name="now", arguments_text='{"zone":"UTC"}'))
        True
    """
    if (before.name, before.type) != (call.name, call.type):
        return False
    return before.arguments_text == call.arguments_text or _value_of(before) == _value_of(call)


def _value_of(call: ToolCall) -> str:
    """Return a call's arguments in canonical JSON; text that is not JSON stays unchanged."""
    text = call.arguments_text
    if call.type == "custom":
        return text
    try:
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return text
