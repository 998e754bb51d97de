"""Outcomes of answers that are complete but useless, such as an empty answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._pipeline.hold import is_visible
from tokenstream.errors import AnswerRejected
from tokenstream.events import PartDone, RefusalDelta, ToolCallDelta, ToolCallStart
from tokenstream.message import ToolCall
from tokenstream.recovery._accept import find_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.errors import Outcome
    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.recovery._accept import Accept

_MESSAGES: dict[Outcome, str] = {
    "empty": "the answer is empty",
    "refusal": "the model declined to answer",
    "content_filter": "the provider's content filter ended the answer before it showed anything",
    "malformed_call": "the answer has a tool call whose arguments are not JSON",
}
_MALFORMED = frozenset({"MALFORMED_FUNCTION_CALL", "malformed_function_call", "UNEXPECTED_TOOL_CALL"})
"""Gemini's finish reasons for a call that it could not produce."""


def make_content_test(outcomes: frozenset[str]) -> Callable[[Event], bool]:
    """Return a function that returns True for an event after which the answer cannot be rejected any more.

    Such an event has content that the caller can see, and that none of the outcomes rejects.

    Args:
        outcomes: The reasons for which a complete answer is rejected and retried, such as "refusal".
    """
    if "invalid" in outcomes:
        # Only the whole answer can be judged.
        return _is_never_final
    rejects_refusals, rejects_calls = "refusal" in outcomes, "malformed_call" in outcomes
    if not (rejects_refusals or rejects_calls):
        return is_visible

    def has_final_content(event: Event) -> bool:
        """Return True if an event has visible content that none of the outcomes can reject later."""
        if rejects_refusals and isinstance(event, RefusalDelta):
            return False
        # A call counts as content only once it is complete.
        if rejects_calls and isinstance(event, ToolCallStart | ToolCallDelta):
            return False
        # This event reports a call whose arguments are not JSON.
        if rejects_calls and isinstance(event, PartDone) and isinstance(event.content, ToolCall):
            return False
        return is_visible(event)

    return has_final_content


def _is_never_final(_: Event) -> bool:
    """Return False: any content may still be rejected."""
    return False


def find_outcome(
    message: Message, outcomes: frozenset[str], accept: Accept | None = None
) -> AnswerRejected | None:
    """Return the error for a finished but useless answer; None if the answer is acceptable.

    Args:
        outcomes: The outcomes to reject.
        accept: The caller's rule for answers; None if there is none.
    """
    rejected = next(filter(outcomes.__contains__, _outcomes_in(message)), None)
    if rejected is None:
        return None if accept is None else find_fault(message, accept)
    error = AnswerRejected(_MESSAGES[rejected], outcome=rejected)
    # The answer itself has ended properly; only its content is useless.
    error.partial = message.model_copy(update={"ending": "complete"})
    return error


def _outcomes_in(message: Message) -> Iterable[Outcome]:
    """Yield the reasons for which a complete answer is useless; the first one to be retried counts."""
    if message.finish_reason == "refusal" or message.refusal:
        yield "refusal"
    if message.finish_reason == "content_filter":
        yield "content_filter"
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    # At the length limit, an unfinished call is normal.
    has_broken_call = any(not call.complete for call in calls) and message.finish_reason != "length"
    if has_broken_call or message.raw_finish_reason in _MALFORMED:
        yield "malformed_call"
    if not (message.text.strip() or message.refusal or calls):
        yield "empty"
