"""Drops the events of a restarted answer that repeat what the reader already has."""

from __future__ import annotations

import json
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream.errors import StreamInterrupted
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.message import ServerToolCall, ServerToolResult, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.accumulator import Accumulator
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Message, Part

_TEXT_ATTRIBUTES: dict[type, str] = {
    TextDelta: "text",
    ReasoningDelta: "text",
    RefusalDelta: "text",
    ToolCallDelta: "fragment",
    PartDelta: "fragment",
    MediaDelta: "data",
}
"""Events that add to a part, and the attribute that contains the addition."""
_KINDS_WRITTEN_BY: dict[type, tuple[str, ...]] = {
    TextDelta: ("text",),
    ReasoningDelta: ("reasoning",),
    RefusalDelta: ("refusal",),
    ToolCallDelta: ("tool_call",),
    PartDelta: ("server_tool_call", "server_tool_result", "opaque"),
    MediaDelta: ("media",),
}
"""Events that add to a part, and the kinds of parts to which they add."""

_Comparison: TypeAlias = Literal["known", "different", "new"]
"""The result of comparing an event with what the reader has of a part.

"known": the reader has all of the event. "different": it contradicts what the reader has, so this is another
answer. "new": it goes on where the reader's part ends; what the reader has was cut off from the event.
"""


def make_difference_error(accumulator: Accumulator) -> StreamError:
    """Return the error that ends a stream whose answer was requested again and came out differently.

    The result is the error that broke off the first answer, if there was one; otherwise a new error.

    Args:
        accumulator: Holds the second answer, and the first one as given up.
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


def _text_of(part: Part) -> Any:  # noqa: ANN401 - a str or bytes
    """Return the content to which deltas add: a call's arguments, the bytes of media, or a text; or ""."""
    any_part: Any = part
    content = getattr(any_part, "arguments_text", None)
    if content is None:
        content = getattr(any_part, "data" if part.kind == "media" else "text", "")
    # Media may have no data.
    return content if isinstance(content, str | bytes) else ""


def _extent_of(part: Part) -> tuple[int, int, bool]:
    """Return how much has arrived of a part: of its content and of its signature, and if it has ended."""
    return len(_text_of(part)), len(getattr(part, "signature", None) or ""), part.complete


def _join_known(before: Message, after: Message) -> Message:
    """Return what the reader has who was given two answers, of which the second one repeats the first.

    Either may have broken off earlier, so of each part the reader has the longer one.
    """
    parts = tuple(max(filter(None, pair), key=_extent_of) for pair in zip_longest(after.parts, before.parts))
    results = max(after.results, before.results, key=len)
    reason = after.finish_reason or before.finish_reason
    return after.model_copy(update={"parts": parts, "results": results, "finish_reason": reason})


def _count_results(message: Message) -> int:
    """Return the number of `ToolResult` events that a reader of a message has received."""
    ended = [part for part in message.parts if part.kind == "server_tool_result" and part.complete]
    return len(ended) + len(message.results)


class _KnownPart:
    """A part of the first answer, as far as the reader has it, and the extent to which it was repeated."""

    __slots__ = ("end_repeated", "part", "repeated", "signature", "signature_repeated", "started", "text")

    def __init__(self, part: Part) -> None:
        any_part: Any = part
        self.part = part
        self.text = _text_of(part)
        """The content that deltas extend: text, the arguments of a call, or the bytes of media."""
        self.signature: str = getattr(any_part, "signature", None) or ""
        self.repeated = self.signature_repeated = 0
        """Length of the text, and of the signature, that was repeated so far."""
        self.started = False
        """True once the part has begun again."""
        # The end of an open part need not be repeated, except that of a tool call: up to there, the events
        # of the new answer have to get the call's old id. A citation has no end of its own.
        self.end_repeated = part.kind == "citation" or (not part.complete and part.kind != "tool_call")
        """True once the end of the part was repeated, or if it need not be."""

    @property
    def is_incomplete(self) -> bool:
        """True while the restarted answer has not repeated all of the part."""
        text_is_missing = self.repeated < len(self.text)
        signature_is_missing = self.signature_repeated < len(self.signature)
        return text_is_missing or signature_is_missing or not self.end_repeated or not self.started

    @property
    def must_end(self) -> bool:
        """True if the reader has the whole part, and the new answer has not ended it yet.

        The new answer differs from the first one if it adds anything to such a part.
        """
        return self.part.complete and not self.end_repeated

    def compare(self, event: AnyEvent, accumulator: Accumulator) -> _Comparison:
        """Compare an event of the new answer with the reader's part, and count what it repeats of that part.

        The text of the event loses what the reader already has. `_Comparison` explains the results.

        Args:
            accumulator: Holds the new answer, whose calls keep the reader's ids.
        """
        # A part may begin with its first delta, without a `PartStart`.
        self.started = True
        kind = event.__class__
        if kind is PartStart:
            return self._compare_start(event, accumulator)
        if kind is ToolCallStart:
            return self._compare_call_start(event, accumulator)
        if kind in _TEXT_ATTRIBUTES:
            return self._compare_text(event, _TEXT_ATTRIBUTES[kind])
        if kind is ToolCallDone:
            return self._compare_call_end(event, accumulator)
        if kind is CitationAdded:
            return "known" if self.part == event.citation else "different"
        if kind is PartDone:
            if self.repeated < len(self.text):
                # The end may have content that no delta has brought, such as the input of a provider's tool.
                content = event.content
                whole = _text_of(content) if content.kind == self.part.kind else None
                if whole is None or not whole.startswith(self.text):
                    return "different"
                self.repeated = len(self.text)
            self.end_repeated = True
            # The end is new to the reader of a part that was still open.
            return "known" if self.part.complete else "new"
        # Any other event of the part counts as new.
        return "new"

    def _compare_start(self, event: PartStart, accumulator: Accumulator) -> _Comparison:
        """Compare the event that starts a part with the reader's part, and count its text as repeated.

        A call or a result of the provider's tools keeps the reader's id.

        Args:
            event: The start of the part, perhaps with some text and a signature.

        Returns:
            "known" if the reader has all of it; "new" if only its signature is missing; else "different".
        """
        content = event.content
        start = _KnownPart(content)
        if self.part.kind != content.kind or not self.text.startswith(start.text):
            return "different"
        if isinstance(self.part, ServerToolCall | ServerToolResult):
            accumulator.rename_call(event.choice, event.part, self.part.id)
        # `max`, because a part may be started more than once, each time with more of its fields.
        self.repeated = max(self.repeated, len(start.text))
        if self.signature.startswith(start.signature):
            self.signature_repeated = max(self.signature_repeated, len(start.signature))
            return "known"
        may_add_signature = not (self.signature or self.must_end)
        # A start with text cannot be returned for its signature alone: the reader has the text already.
        return "new" if may_add_signature and not start.text else "different"

    def _compare_text(self, event: object, name: str) -> _Comparison:
        """Compare a delta with the text of a part, and cut off what the reader has.

        Args:
            name: The delta's attribute with the text.
        """
        if self.part.kind not in _KINDS_WRITTEN_BY[event.__class__]:
            # The delta is for a part of another kind.
            return "different"
        if isinstance(event, ReasoningDelta) and event.signature and not event.text:
            return self._compare_signature(event.signature)
        text: Any = getattr(event, name)
        # Shorter than `text` if the reader's text ends within this delta.
        expected: Any = self.text[self.repeated : self.repeated + len(text)]
        if not text.startswith(expected):
            return "different"
        self.repeated += len(expected)
        if isinstance(event, ToolCallDelta):
            # The reader knows the call by its old id.
            event.id = getattr(self.part, "id", event.id)
        if len(expected) == len(text):
            return "known"
        if self.must_end:
            return "different"
        # The rest of the delta is new.
        setattr(event, name, text[len(expected) :])
        return "new"

    def _compare_signature(self, signature: str) -> _Comparison:
        """Compare a signature, or a piece of it, with the rest of the reader's signature."""
        expected = self.signature[self.signature_repeated :]
        if not expected:
            # Nothing is left to be repeated, so this signature adds to the part.
            return "different" if self.must_end else "new"
        self.signature_repeated += len(signature)
        # A signature that is longer than the reader's counts as different.
        return "known" if expected.startswith(signature) else "different"

    def _compare_call_start(self, event: ToolCallStart, accumulator: Accumulator) -> _Comparison:
        """Compare the event that starts a call with the reader's part; the same call keeps the reader's id.

        The new answer mostly gives the call another id, but the reader knows the call by the first one.
        """
        part = self.part
        if not isinstance(part, ToolCall) or part.name != event.name:
            return "different"
        accumulator.rename_call(event.choice, event.part, part.id)
        return "known"

    def _compare_call_end(self, event: ToolCallDone, accumulator: Accumulator) -> _Comparison:
        """Compare the event that ends a call, and contains the whole call, with the reader's part."""
        part = self.part
        if not isinstance(part, ToolCall) or part.name != event.call.name:
            return "different"
        # The reader knows the call by its old id.
        event.call = accumulator.rename_call(event.choice, event.part, part.id) or event.call
        # The end contains the whole call, so nothing of the part is left to be repeated.
        self.end_repeated, self.repeated = True, len(self.text)
        if part.complete:
            return "known" if is_same_call(part, event.call) else "different"
        # The reader has only the beginning of the arguments, so the rest of them is new.
        return "new" if event.call.arguments_text.startswith(part.arguments_text) else "different"


class Aligner:
    """Drops the events of a restarted answer that repeat what the reader has of the first answer.

    Args:
        messages: The partial answer that the reader has, one message for each choice.
        accumulator: Holds the restarted answer.
    """

    def __init__(self, messages: Iterable[Message], accumulator: Accumulator) -> None:
        self._accumulator = accumulator
        self.messages = tuple(messages)
        """The partial answer that the reader has, one message for each choice."""
        self._known_parts = {
            (message.choice, index): _KnownPart(part)
            for message in self.messages
            for index, part in enumerate(message.parts)
        }
        self._reasons_left = {
            message.choice: message.finish_reason
            for message in self.messages
            if message.finish_reason is not None
        }
        """The finish reasons that the reader has, by choice, and that were not repeated so far."""
        self._results_left = {message.choice: _count_results(message) for message in self.messages}
        """Number of results of tools that the reader has, by choice, and that were not repeated so far."""
        self.error: StreamError | None = None
        """The error to raise, once the restarted answer differs; None until then."""

    @property
    def is_complete(self) -> bool:
        """True once the restarted answer has repeated all that the reader has."""
        is_incomplete = any(part.is_incomplete for part in self._known_parts.values())
        return not (self._reasons_left or any(self._results_left.values()) or is_incomplete)

    def join_known(self, messages: Iterable[Message]) -> list[Message]:
        """Return what the reader has after this answer has broken off, too.

        Args:
            messages: This answer, one message for each choice.
        """
        before = {message.choice: message for message in self.messages}
        return [_join_known(before.pop(each.choice, each), each) for each in messages] + [*before.values()]

    def fail(self) -> None:
        """Set `error`, because the restarted answer differs from the first."""
        self.error = make_difference_error(self._accumulator)

    def drop_repeated(self, event: Event) -> Event | None:
        """Return an event without the text that the reader already has; None if the reader has all of it.

        If the new answer differs from what the reader has, the result is None, and `error` is set.

        Args:
            event: An event of the new answer, which the message already contains. If the stream has guards
                (rules that may stop the answer), the message gets a `Finish` only later.
        """
        if isinstance(event, MessageStart):
            # The reader keeps the first answer's head.
            return None
        if isinstance(event, Finish):
            parts = (part for (choice, _), part in self._known_parts.items() if choice == event.choice)
            known_reason = self._reasons_left.pop(event.choice, None)
            ends_differently = known_reason not in (None, event.reason)
            ends_too_early = any(part.is_incomplete for part in parts)
            if ends_differently or ends_too_early:
                self.fail()
                return None
            return event if known_reason is None else None
        if isinstance(event, ToolResult):
            results_left = self._results_left.get(event.choice, 0)
            self._results_left[event.choice] = max(results_left - 1, 0)
            return None if results_left else event
        known_part = None if event.part is None else self._known_parts.get((event.choice, event.part))
        if known_part is None:
            return event
        comparison = known_part.compare(event, self._accumulator)
        if comparison == "different":
            self.fail()
        return event if comparison == "new" else None
