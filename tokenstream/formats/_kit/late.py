"""Compare arguments that come after the end of a tool call with those that were handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import canonical_json, is_one_value
from tokenstream._basics.text_log import TextLog
from tokenstream.formats._kit.repeated import MOST_SPREAD, OPENING, Wholeness, says_no_arguments
from tokenstream.formats._kit.values import json_text

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.message import ToolCall


def is_other_value(text: str, arguments: str) -> bool:
    """Return True if a text is a JSON value, and not the one that some arguments are."""
    if text.strip() == arguments.strip():
        return False
    value = canonical_json(text)
    return value is not None and value != (canonical_json(arguments) or "{}")


def choose_arguments(arrived: str, spellings: list[str], *, is_json: bool) -> str | None:
    """Return the whole arguments of a call, whose end tells them; None if the pieces contradict the end.

    Pieces that are no JSON value give way to the end (MoonshotAI/kimi-code#1455). An end that is none says
    nothing, such as the arguments of several calls (vllm-project/vllm#39586); neither does an empty object
    (earendil-works/pi#917). Of two different values, none is chosen, because gateways have mixed up the
    arguments of several calls (Soju06/codex-lb#542).
    """
    told = next((text for text in spellings if text.startswith(arrived)), None)
    is_whole = is_json and is_one_value(arrived)
    if told is not None and not is_whole:
        return told
    end = spellings[0]
    if not is_json:
        return end or arrived
    if says_no_arguments(end) or not is_other_value(end, arrived):
        return arrived
    return end if says_no_arguments(arrived) or not is_whole else None


class LateArguments:
    """Finds out whether the fragments that follow the end of a call make up other arguments.

    Only a whole object or array says so, or any other free text. Each character is read once.

    Args:
        arguments: The arguments that were handed out.
        is_json: False for a tool that takes free text.

    Example:
        >>> late = LateArguments('{"a": 1}', is_json=True)
        >>> late.contradicts('{"a"'), late.contradicts(":1}"), late.contradicts('{"a":2}')
        (False, False, True)
    """

    __slots__ = ("_arguments", "_brackets", "_fragments", "_is_json", "_length")

    def __init__(self, arguments: str, *, is_json: bool) -> None:
        self._arguments = arguments
        self._is_json = is_json
        self._begin()

    def _begin(self) -> None:
        """Expect the beginning of a value."""
        self._fragments = TextLog()
        """The fragments since the last whole value, as far as they may be a repetition."""
        self._length = 0
        """Number of characters of all fragments since the last whole value."""
        self._brackets = Wholeness()

    def contradicts(self, fragment: str) -> bool:
        """Return True if the fragments so far are other arguments than those that were handed out."""
        if not self._length and self._is_json:
            fragment = fragment.lstrip()
            if fragment[:1] not in OPENING:
                # No arguments begin like this.
                return False
        self._brackets.add(fragment)
        self._length += len(fragment)
        # Other spellings of equal values have similar lengths, so no more needs to be kept.
        if self._length <= MOST_SPREAD * (len(self._arguments) + len("{}")):
            self._fragments.append(fragment)
        if not self._is_json:
            return not self._repeats_text()
        if not self._brackets.whole:
            return False
        text, is_longer = self._fragments.join(), self._length > self._fragments.length
        self._begin()
        return is_longer or is_other_value(text, self._arguments)

    def _repeats_text(self) -> bool:
        """Return True if the fragments so far repeat free text, or its beginning."""
        repeats = self._arguments.startswith(self._fragments.join()) and self._length <= len(self._arguments)
        if self._length == len(self._arguments):
            self._begin()
        return repeats


class EndedCalls:
    """The calls of a choice that were handed out: the server may send them again, but not change them."""

    __slots__ = ("_calls", "_late")

    def __init__(self) -> None:
        self._calls: dict[str, list[tuple[object, ToolCall]]] = {}
        """The calls, each with its index on the wire, by the id that the server sent with the call; an empty
        list for a call that has begun, and was not handed out."""
        self._late: dict[str, LateArguments] = {}
        """Comparisons of the fragments that came after the end of calls, by the same id."""

    def knows(self, id: str) -> bool:
        """Return True if a call has this id."""
        return id in self._calls

    def has(self, id: str) -> bool:
        """Return True if a call with this id was handed out."""
        return bool(self._calls.get(id))

    def begin(self, id: str) -> bool:
        """Note that a call with this id begins; return False if there was one."""
        is_new = id not in self._calls
        self._calls.setdefault(id, [])
        return is_new

    def add(self, call: OpenCall, finished: ToolCall) -> None:
        """Add a call that is handed out."""
        self._calls.setdefault(call.sent_id, []).append((call.number, finished))

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()

    def find_like(self, call: OpenCall) -> list[ToolCall]:
        """Return the calls with the same id, index, name and type."""
        calls, key = self._calls.get(call.sent_id), (call.number, call.name, call.type)
        return [each for number, each in calls if (number, each.name, each.type) == key] if calls else []

    def are_changed_by(self, id: str, fragment: str) -> bool:
        """Return True if the fragments that follow the end of a call make up other arguments than its own."""
        if not self.has(id):
            return False
        late = self._late.get(id)
        if late is None:
            call = self._calls[id][-1][1]
            late = self._late[id] = LateArguments(call.arguments_text, is_json=call.type != "custom")
        return late.contradicts(fragment)

    def differ_from(self, id: str, arguments: str) -> bool:
        """Return True if arguments are other ones than those of this id's calls; empty ones say nothing."""
        if says_no_arguments(arguments) or not self.has(id):
            return False
        return all(is_other_value(arguments, call.arguments_text) for _, call in self._calls[id])


def text_of_arguments(arguments: object) -> str:
    """Return arguments, or a piece of them, as text; "" for None."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json_text(arguments)
