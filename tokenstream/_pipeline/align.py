"""Drops the events of a restarted answer that repeat what the reader already has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
)
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.accumulator import Accumulator
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Message, Part

_TEXTS: dict[type, str] = {
    TextDelta: "text",
    ReasoningDelta: "text",
    RefusalDelta: "text",
    ToolCallDelta: "fragment",
    PartDelta: "fragment",
    MediaDelta: "data",
}
"""Events that add to a part, and the attribute that contains the addition."""
_WRITES: dict[type, tuple[str, ...]] = {
    TextDelta: ("text",),
    ReasoningDelta: ("reasoning",),
    RefusalDelta: ("refusal",),
    ToolCallDelta: ("tool_call",),
    PartDelta: ("server_tool_call", "server_tool_result", "opaque"),
    MediaDelta: ("media",),
}
"""Events that add to a part, and the kinds of parts to which they add."""


def difference(accumulator: Accumulator) -> StreamError:
    """Return the error for a restarted answer that differs from the first: the first answer's own error.

    Args:
        accumulator: Holds the restarted answer.
    """
    restarted = None if accumulator.given_up is None else accumulator.given_up.event
    error = None if restarted is None else restarted.error
    if error is None:
        error = StreamInterrupted(
            "the answer began again, but differs from the part that was already given; ask anew"
        )
        if restarted is not None:
            error.partial = restarted.discarded
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


class _Given:
    """A part that the reader had before the restart, and how much of it has been repeated since."""

    __slots__ = ("at", "done", "part", "signature", "signed", "started", "text")

    def __init__(self, part: Part) -> None:
        given: Any = part
        self.part = part
        self.text: Any = getattr(given, "arguments_text", None)
        if self.text is None:
            self.text = getattr(given, "data" if part.kind == "media" else "text", "")
        if not isinstance(self.text, str | bytes):
            self.text = ""
        self.signature: str = getattr(given, "signature", None) or ""
        self.at = self.signed = 0
        """Length of the text, and of the signature, that was repeated so far."""
        self.started = False
        # A tool call keeps its old id up to its end, even if the reader never received that end.
        self.done = not part.complete and part.kind != "tool_call"

    @property
    def owes(self) -> bool:
        """Return True if some of the part is still to be repeated."""
        missing = self.at < len(self.text) or self.signed < len(self.signature)
        return missing or not self.done or not self.started


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
        self._given = {
            (message.choice, index): _Given(part)
            for message in self.messages
            for index, part in enumerate(message.parts)
        }
        self.error: StreamError | None = None
        """The error to raise, once the restarted answer differs; None until then."""

    @property
    def over(self) -> bool:
        """True once all that the reader has was repeated."""
        return not any(given.owes for given in self._given.values())

    def fail(self) -> None:
        """Set `error`, because the restarted answer differs from the first."""
        self.error = difference(self._accumulator)

    def take(self, event: Event) -> Event | None:
        """Return the part of an event that the reader does not have; None if there is no such part.

        If the answers differ, `error` is set.

        Args:
            event: An event that the accumulator has taken.
        """
        if isinstance(event, MessageStart):
            return None
        if isinstance(event, Finish):
            if any(given.owes for (choice, _), given in self._given.items() if choice == event.choice):
                self.fail()
                return None
            return event
        given = None if event.part is None else self._given.get((event.choice, event.part))
        if given is None:
            return event
        # A part may begin with its first delta, without a `PartStart`.
        given.started = True
        found = self._compare(given, event)
        if found is False:
            self.fail()
            return None
        return None if found is True else event

    def _compare(self, given: _Given, event: Any) -> bool | None:  # noqa: ANN401 - any event of a part
        """Return True if the reader has the event, False if the event differs, None if it is new."""
        kind = event.__class__
        if kind is PartStart:
            return bool(given.part.kind == event.content.kind)
        if kind is ToolCallStart:
            return self._start_call(given.part, event)
        if kind in _TEXTS:
            return self._compare_text(given, event, _TEXTS[kind])
        if kind is ToolCallDone:
            return self._finish_call(given, event)
        if kind is CitationAdded:
            return bool(given.part == event.citation)
        if kind is PartDone:
            if given.at < len(given.text):
                return False
            given.done = True
            return True if given.part.complete else None
        return None

    def _compare_text(self, given: _Given, event: Any, name: str) -> bool | None:  # noqa: ANN401 - any delta
        """Compare a delta; cut off the text that the reader has. The result is that of `_compare`."""
        if given.part.kind not in _WRITES[event.__class__]:
            return False
        if isinstance(event, ReasoningDelta) and event.signature and not event.text:
            return self._compare_signature(given, event.signature)
        text: Any = getattr(event, name)
        again: Any = given.text[given.at : given.at + len(text)]
        if not text.startswith(again):
            return False
        given.at += len(again)
        if isinstance(event, ToolCallDelta):
            event.id = getattr(given.part, "id", event.id)
        if len(again) == len(text):
            return True
        setattr(event, name, text[len(again) :])
        return None

    def _compare_signature(self, given: _Given, signature: str) -> bool | None:
        """Compare a signature; a different one means a different answer, as different reasoning does."""
        rest = given.signature[given.signed :]
        if not rest:
            return None
        given.signed += len(signature)
        # A signature that is longer than the first one counts as different.
        return rest.startswith(signature)

    def _start_call(self, part: Part, event: ToolCallStart) -> bool:
        """Return True if the new answer begins the same call, which keeps the id that the reader knows."""
        if not isinstance(part, ToolCall) or part.name != event.name:
            return False
        self._accumulator.rename_call(event.choice, event.part, part.id)
        return True

    def _finish_call(self, given: _Given, event: ToolCallDone) -> bool | None:
        """Compare the end of a call. The result is that of `_compare`."""
        part = given.part
        if not isinstance(part, ToolCall) or part.name != event.call.name:
            return False
        event.call = self._accumulator.rename_call(event.choice, event.part, part.id) or event.call
        given.done, given.at = True, len(given.text)
        if part.complete:
            return is_same_call(part, event.call)
        return None if event.call.arguments_text.startswith(part.arguments_text) else False
