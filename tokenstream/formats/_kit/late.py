"""Compare arguments that come after the end of a tool call with those that were handed out."""

from __future__ import annotations

from tokenstream._basics.json import canonical_json, is_one_value
from tokenstream._basics.text_log import TextLog
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.contents import ContentParts
from tokenstream.formats._kit.repeated import MOST_SPREAD, OPENING, Wholeness, says_no_arguments
from tokenstream.formats._kit.values import json_text


def is_other_value(text: str, arguments: str) -> bool:
    """Return True if a text is a JSON value, and not the one that some arguments are.

    Example:
        >>> is_other_value('{"a": 2}', '{"a":1}'), is_other_value('{"a": 1}', '{"a":1}')
        (True, False)
        >>> is_other_value('{"a": 2', '{"a":1}')
        False
    """
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

    Example:
        >>> choose_arguments('{"a": ', ['{"a": 1}'], is_json=True)
        '{"a": 1}'
        >>> choose_arguments('{"a": 2}', ['{"a": 1}'], is_json=True)
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


class EndedCalls(ContentParts):
    """Compares what follows the end of a call with the arguments that were handed out."""

    __slots__ = ()

    def add_late(self, choice: int, sent_id: str, fragment: object) -> None:
        """Read a fragment for a closed call, which may repeat arguments handed out, but not change them."""
        text = _text_of(fragment)
        if not text or text.isspace():
            # White space adds nothing to arguments, so it is not a departure.
            return
        state = self.choice(choice)
        finished = state.handed_out.get(sent_id)
        if finished:
            call = finished[-1][1]
            late = state.late.get(sent_id)
            if late is None:
                late = state.late[sent_id] = LateArguments(call.arguments_text, is_json=call.type != "custom")
            if late.contradicts(text):
                raise self._find_contradiction()
        self.note("call_after_done")

    def compare_told(self, choice: int, sent_id: str, arguments: object) -> None:
        """Refuse arguments, sent again, that are others than those handed out; empty ones say nothing."""
        text = _text_of(arguments)
        finished = self.choice(choice).handed_out.get(sent_id)
        if says_no_arguments(text) or not finished:
            return
        if all(is_other_value(text, call.arguments_text) for _, call in finished):
            raise self._find_contradiction()

    def refuse_end(self) -> ProtocolError:
        """Return the error for an end of a call that tells other arguments than its pieces, and count it."""
        self.note("late_content")
        # Stored as well, because no finish reason makes up for it.
        self.difference = ProtocolError(
            "the end of a tool call tells other arguments than its pieces; the call was not handed out"
        )
        return self.difference

    def _find_contradiction(self) -> ProtocolError:
        """Return the error for other arguments of a call that was handed out, and count it."""
        self.note("late_content")
        # Stored as well, because no finish reason makes up for it.
        self.difference = ProtocolError(
            "a tool call was handed out, and the server then sends other arguments for it; the call may have "
            "been run with arguments that were not meant"
        )
        return self.difference


def _text_of(arguments: object) -> str:
    """Return arguments, or a piece of them, as text; "" for None."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json_text(arguments)
