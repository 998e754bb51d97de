"""The verdict on an attempt that has ended: useless outcomes, and the error for which another is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.error_marks import add_sentence
from tokenstream._pipeline.joining import is_visible
from tokenstream.errors import AnswerRejected, PositionLost, StatusError, StreamError
from tokenstream.events import PartDone, RefusalDelta, ToolCallDelta, ToolCallStart
from tokenstream.formats._endings import ANSWERED
from tokenstream.message import ToolCall
from tokenstream.recovery._retry import find_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.errors import Outcome
    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.recovery._received import ReceivedAnswer

_MESSAGES: dict[Outcome, str] = {
    "empty": "the answer is empty",
    "refusal": "the model declined to answer",
    "content_filter": "the provider's content filter ended the answer",
    "malformed_call": "the answer has a tool call whose arguments are not JSON",
}
_MALFORMED = frozenset({"MALFORMED_FUNCTION_CALL", "malformed_function_call", "UNEXPECTED_TOOL_CALL"})
"""Gemini's finish reasons for a call that it could not produce."""


def make_content_test(outcomes: frozenset[str]) -> Callable[[Event], bool]:
    """Return a function that finds the event with visible content that none of the outcomes can reject."""
    if "invalid" in outcomes:
        # Only the whole answer can be judged.
        return lambda _: False
    rejects_refusals, rejects_calls = "refusal" in outcomes, "malformed_call" in outcomes
    # A call counts as content only once it is complete.
    open_ended = (RefusalDelta,) * rejects_refusals + (ToolCallStart, ToolCallDelta) * rejects_calls

    def has_final_content(event: Event) -> bool:
        is_bad_call = isinstance(event, PartDone) and isinstance(event.content, ToolCall)
        return is_visible(event) and not (isinstance(event, open_ended) or (rejects_calls and is_bad_call))

    return has_final_content if open_ended else is_visible


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


_ANSWER_GONE = frozenset({400, 404, 409, 410, 412, 416, 422})
"""Statuses that mean, after a request to resume an answer, that the server no longer has the answer."""
_NO_CONTENT = 204
"""Status with which a server asks the client of an event stream to stop reconnecting."""


def find_error(answer: ReceivedAnswer, cause: StreamError | None, now: float) -> StreamError | None:
    """Return the error of an attempt whose input has ended or, with a cause, failed; None for success."""
    intake, refusal = answer.machine.intake, answer.machine.link.refusal
    if (refused_seam := answer.resumption.joining.refusal) is not None:
        return refused_seam
    if refusal is not None:
        # The response is an error instead of an answer; the format stays open, because it got none of it.
        return _as_position_lost(answer, intake.error or refusal.end())
    has_failed = intake.error is not None or cause is not None
    # After a mere sentinel, the end is only assumed, and the end of the format decides.
    if intake.end_sign == "terminal" and not has_failed:
        # The answer may be useless nevertheless, such as an empty one.
        return _find_outcome(answer)
    is_lost = intake.error is intake.arrivals.lost
    if intake.error is not None and is_lost and intake.end_sign not in ANSWERED:
        # The connection brought another answer than the resumed one, and nothing of it was read. So the open
        # parts stay open for the next attempt.
        return _as_position_lost(answer, intake.error)
    if intake.error is None and answer.position is not None:
        # The server can replay the answer: the format stays open, because the next attempt may resume it.
        error = answer.resumption.cut_short(cause)
        if error is not None:
            return _as_position_lost(answer, error)
        # The answer is complete, or only the end of the format shows if it is: `finish` ends the format.
    intake.finish(cause, now)
    # An attempt that ended without an error may still have brought a useless answer.
    return _find_outcome(answer) if intake.error is None else _as_position_lost(answer, intake.error)


def _as_position_lost(answer: ReceivedAnswer, error: StreamError) -> StreamError:
    """Return `PositionLost` if the server refused to resume from a position, otherwise the same error."""
    if answer.request.attempt.mode != "resume" or answer.hold.released:
        # The server was not asked to resume, or it has resumed.
        return error
    if isinstance(error, StatusError):
        answer_gone = not error.retryable and error.status in _ANSWER_GONE
    else:
        head = answer.machine.link.head
        answer_gone = head is not None and head.status == _NO_CONTENT
    if not answer_gone:
        return error
    lost = PositionLost(f"the server cannot resume from the position it was sent ({error.message})")
    lost.__cause__ = error
    return add_sentence(lost, f"the server cannot resume from the position it was sent ({error.sentence})")


def _find_outcome(answer: ReceivedAnswer) -> StreamError | None:
    """Return the error for a finished but useless answer; None if it is acceptable, or was delivered."""
    if not answer.outcomes or (answer.has_content and answer.machine.delivered.extent != "nothing"):
        return None
    if answer.reader.parts.withheld is not None:
        # The answer is only paused. If it does not go on, it is judged as it is then.
        return None
    if answer.accepted is answer.hold:
        # The end of the input follows the end of the answer, which was judged already.
        return None
    message, accept = make_message(answer), answer.request.retry.accept
    rejected = next(filter(answer.outcomes.__contains__, _outcomes_in(message)), None)
    if rejected is not None:
        error = AnswerRejected(_MESSAGES[rejected], outcome=rejected)
        # The answer itself has ended properly; only its content is useless.
        error.partial = message.model_copy(update={"ending": "complete"})
        return error
    fault = None if accept is None else find_fault(message, accept)
    if fault is None:
        answer.accept()
    return fault


def make_message(answer: ReceivedAnswer) -> Message:
    machine = answer.machine
    if answer.hold.released or (answer.has_content and answer.request.attempt.mode != "restart"):
        return machine.accumulator.message
    accumulator = Accumulator()
    accumulator.format, accumulator.route = machine.link.format, machine.accumulator.route
    for event in (*answer.hold.held, *machine.intake.events_left):
        accumulator.take(event)
    return accumulator.message
