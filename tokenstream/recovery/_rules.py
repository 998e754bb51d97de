"""Rules for continuing an answer: if it may be continued, with which turns, and up to which limit.

The *rest* is the text that the model adds. It joins the answer at the *seam*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.overlap import UNKNOWN, AskedOverlap, Overlap, PrefixOverlap, is_recognizable
from tokenstream._pipeline.seam import SeamJoiner
from tokenstream._values.parts import BESIDE
from tokenstream.errors import ProviderError, StatusError
from tokenstream.message import TextPart
from tokenstream.stream._attempts import find_tokens_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.errors import StreamError
    from tokenstream.message import Ending, Message
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._received import ReceivedAnswer
    from tokenstream.stream._continuation import Continuation

JSON_TEXT = "its text is JSON, which only a prefix can continue"
NOT_JOINED = "the model has not gone on from its last words"
CALL_MISSING = "the model has not made the call again that was cut"
TOO_SHORT = "it is too short to be recognized at the beginning of a continuation"
JSON_ASKED = "the request asks for JSON, which only a prefix can continue"
"""Reasons not to continue JSON with a user's turn, because a model would answer that with prose."""
_REFUSALS = (
    "does not support assistant message prefill",
    "does not support conversation prefill",
    "must end with a user message",
    "end with a user role",
    "ending with a model turn",
    "prefill is incompatible with enable_thinking",
    "cannot end with trailing whitespace",
    "substring not found",
    "expected last role user",
)
_FILTER_WORDS = ("content_filter", "content_policy", "refusal", "safety", "prohibited")
_FENCE = "```json"
_REASONS = {
    "tool_call": "it has a tool call",
    "server_tool_call": "it broke off after a call of a tool that the provider runs",
    "server_tool_result": "it broke off after a call of a tool that the provider runs",
    "refusal": "the model has refused",
    "media": "it has media",
    "reasoning": "it broke off in its reasoning",
    "opaque": "it broke off in a part that is not known",
}
"""Maps a kind of part to the reason not to continue an answer that ends with a part of this kind."""
_ANYWHERE = frozenset({"tool_call", "refusal", "media"})
"""Kinds of parts because of which an answer is not continued, wherever in the answer the part is."""
_BAD_REQUEST = (400, 422)


def reason_against(messages: Sequence[Message], error: StreamError | None, *, prefill: bool) -> str | None:
    """Return the reason not to continue an answer; None if the answer may be continued.

    Without an error, the answer has reached its output limit.
    """
    message = messages[0]
    if len(messages) > 1 or message.choice != 0:
        return "it has several choices"
    if message.finish_reason is not None or (error is not None and is_filtered(error)):
        return "the provider has ended it"
    # White space says nothing, nor does a citation, or a whole part of an unknown kind.
    kinds = [
        part.kind
        for part in message.parts
        if (part.text.strip() if isinstance(part, TextPart) else part.kind not in BESIDE or not part.complete)
    ]
    # Parts of some kinds prevent a continuation wherever they are, others only at the end.
    reason_anywhere = next((_REASONS[kind] for kind in kinds if kind in _ANYWHERE), None)
    if reason_anywhere is not None:
        return reason_anywhere
    if kinds and kinds[-1] != "text":
        return _REASONS[kinds[-1]]
    if any(not part.complete for part in message.parts if part.kind == "server_tool_call"):
        return _REASONS["server_tool_call"]
    text = message.text
    if not text.strip():
        return "no text has arrived yet"
    if may_have_call(text):
        return "it has a call in its text"
    return JSON_TEXT if not prefill and _is_json(text.lstrip()) else None


def may_have_call(text: str) -> bool:
    """Return True if a text has a call in it, or may end with the beginning of one."""
    if "<" not in text and "[" not in text:
        return False
    # The mechanism that reads such calls knows all openings, also those of which only some has arrived.
    from tokenstream.stages._calls.calls import CallScanner
    from tokenstream.stages._calls.dialects import choose_dialects

    scanner = CallScanner(choose_dialects(names=True), None)
    scanner.feed(text)
    # A lone bracket is one of a link more often than the beginning of a call.
    return scanner.found or scanner.held not in ("", "[", "]")


def is_bad_request(error: StreamError) -> bool:
    return isinstance(error, StatusError) and error.status in _BAD_REQUEST


def refuses_prefill(error: StreamError) -> bool:
    if not is_bad_request(error) and not isinstance(error, ProviderError):
        return False
    message = f"{error.message} {getattr(error, 'body', '')}".lower()
    return any(phrase in message for phrase in _REFUSALS)


def is_filtered(error: StreamError) -> bool:
    if not isinstance(error, ProviderError | StatusError):
        return False
    code_and_type = f"{error.code} {error.type}".lower()
    return any(word in code_and_type for word in _FILTER_WORDS)


def _is_json(text: str) -> bool:
    """Return True if a broken answer's text is JSON, as far as it goes, or ends inside of a ```json block."""
    in_code_block = text.count("```") % 2 == 1
    if in_code_block and text[text.rindex("```") :].lower().startswith(_FENCE):
        return True
    if text[0] not in "{[":
        return False
    # Text such as "[1] says" also begins with a bracket: only the parser can tell.
    from tokenstream.partial_json import PartialJSONParser

    parser = PartialJSONParser()
    parser.feed(text)
    return parser.error is None


def why_not(current: CurrentAttempt, error: StreamError | None, opener: SourceOpener) -> str | None:
    """Return the reason not to continue the answer with an opener; None if it may be continued.

    Without an error, the answer has reached its output limit, which the next request has once more.
    """
    accumulator = current.machine.accumulator
    messages = accumulator.messages or [accumulator.message]
    is_closed = False
    if error is not None and (cut_calls := accumulator.cut_calls):
        # Nobody was given them, and the model makes them again.
        kept = messages[0].parts[: -len(cut_calls)]
        # Once is enough: a reply that repeats a short text can't be told from one that begins with it.
        was_continued = any(report.mode == "continue" for report in current.reports)
        is_closed = not was_continued and all(part.complete for part in kept)
        messages[0] = messages[0].model_copy(update={"parts": kept})
    has_prefix = opener.prefix(messages[0]) is not None
    reason = reason_against(messages, error, prefill=has_prefix)
    if reason is not None:
        return reason
    tokens_left = None if error is None else count_tokens_left(current, opener)
    # With no tokens left, the answer ends at its limit, and no continuation has to be recognized.
    is_joined = is_closed or is_recognizable(messages[0].text) or current.request.retry.seam.least <= UNKNOWN
    if not has_prefix and not is_joined and tokens_left != 0:
        return TOO_SHORT
    return opener.why_not(messages[0], tokens_left)


def has_cut_call(answer: ReceivedAnswer) -> bool:
    """Return True if an answer broke off in its first calls, which have closed the text before them."""
    calls, parts = answer.machine.accumulator.cut_calls, answer.machine.accumulator.message.parts
    is_first = all(part.kind != "tool_call" for part in parts[: len(parts) - len(calls)])
    return is_first and bool(answer.cut_calls)


def make_seam(answer: ReceivedAnswer, continuation: Continuation) -> SeamJoiner:
    before, prefix = continuation.message.text, continuation.prefix
    if prefix is None:
        # The model is asked in a user's turn, and may repeat some of its last words.
        overlap: Overlap = AskedOverlap(before)
    else:
        overlap = PrefixOverlap(before, echoes=prefix.echoes, known=prefix.known)
    # The user's turn has markers.
    return SeamJoiner(answer.machine.accumulator, overlap, marked=prefix is None, missing=answer.cut_calls)


def count_tokens_left(current: CurrentAttempt, opener: SourceOpener) -> int | None:
    """Return the number of tokens left until the request's output limit; None if no limit is known."""
    limit, message = opener.limit(current.machine.accumulator.format), current.machine.accumulator.message
    return None if limit is None else find_tokens_left(limit, current.counted_in_all, message)


def ending_with(error: StreamError) -> Ending:
    return "failed" if isinstance(error, ProviderError) else "truncated"
