"""Outcomes of an answer that is whole, and yet of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._hold import shows
from tokenstream.accumulator import Accumulator
from tokenstream.errors import AnswerRejected
from tokenstream.events import PartDone, RefusalDelta, ToolCallDelta, ToolCallStart
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.errors import Outcome
    from tokenstream.events import Event
    from tokenstream.message import Message

__all__ = ["outcome_of", "shows_but"]

_WORDS: dict[Outcome, str] = {
    "empty": "the answer is empty",
    "refusal": "the model declined to answer",
    "content_filter": "the provider's content filter ended the answer before it showed anything",
    "malformed_call": "the answer has a tool call whose arguments are no JSON",
}
_MALFORMED = frozenset({"MALFORMED_FUNCTION_CALL", "malformed_function_call", "UNEXPECTED_TOOL_CALL"})
"""Gemini's words for a call that it has not given because it could not."""


def shows_but(outcomes: frozenset[str]) -> Callable[[Event], bool]:
    """Return what tells whether an event shows something that none of the outcomes would take back.

    Args:
        outcomes: The outcomes that are asked again for.
    """
    refusals, calls = "refusal" in outcomes, "malformed_call" in outcomes
    if not (refusals or calls):
        return shows

    def shows_for_good(event: Event) -> bool:
        if refusals and isinstance(event, RefusalDelta):
            return False
        # A call shows once it is whole.
        if calls and isinstance(event, ToolCallStart | ToolCallDelta):
            return False
        if calls and isinstance(event, PartDone) and isinstance(event.content, ToolCall):
            return False
        return shows(event)

    return shows_for_good


def outcome_of(events: Iterable[Event], outcomes: frozenset[str]) -> AnswerRejected | None:
    """Return what is wrong with an answer that has ended and shown nothing; None where nothing is.

    Args:
        events: All its events.
        outcomes: What counts as wrong.
    """
    accumulator = Accumulator()
    for event in events:
        accumulator.take(event)
    message = accumulator.message
    for found in _found_in(message):
        if found in outcomes:
            break
    else:
        return None
    error = AnswerRejected(_WORDS[found], outcome=found)
    error.partial = message.model_copy(update={"ending": "complete"})
    return error


def _found_in(message: Message) -> Iterable[Outcome]:
    if message.finish_reason == "refusal" or message.refusal:
        yield "refusal"
    if message.finish_reason == "content_filter":
        yield "content_filter"
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    broken = any(not call.complete for call in calls) and message.finish_reason != "length"
    if broken or message.raw_finish_reason in _MALFORMED:
        yield "malformed_call"
    if not (message.text.strip() or message.refusal or calls):
        yield "empty"
