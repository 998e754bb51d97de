"""Recognises arguments and events that a server sends again, and tests if a text is JSON so far."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic_core import from_json

from tokenstream._basics.json import looks_whole, says_no_arguments
from tokenstream._basics.same_call import choose_arguments, form_of, judge
from tokenstream._basics.text_log import TextLog
from tokenstream._values.event_base import are_equal_deltas
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.open import OPENING
from tokenstream.formats._kit.values import json_text, mend_surrogates, spellings_of
from tokenstream.partial_json._strict.numbers import may_be_too_long

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent, JsonObject, RuleNote
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import ToolCall

MOST_SPREAD = 8
"""A JSON text is compared as a value with an earlier one that is at most this many times as long."""


def is_beginning(text: str) -> bool:
    """Return True if a text ends inside a JSON value; for a text that is not JSON, the result is False.

    Example:
        >>> is_beginning('{"path": "/srv'), is_beginning('{"path": "/srv"}')
        (True, False)
        >>> is_beginning("cat /srv"), is_beginning("")
        (False, False)
    """
    if not text or text.isspace():
        return False
    if not may_be_too_long(text) and "\\u" not in text[-5:]:
        # C code needs a fiftieth of the parser's time. It refuses more, such as deep nesting, and looks at an
        # escape by code only once that has four characters.
        try:
            from_json(text, allow_inf_nan=False)
        except (TypeError, ValueError) as error:  # TypeError: half a surrogate pair
            if str(error).startswith("EOF while parsing"):
                return True
        else:
            return False
    # Imported here, because only unusual answers need it.
    from tokenstream.partial_json import PartialJSONParser

    parser = PartialJSONParser()
    parser.feed(text)
    is_json = parser.error is None
    # An error at the end means that the value is incomplete.
    parser.end()
    return is_json and parser.error is not None


_MARK = re.compile(r'["\\\[\]{}]')
_CONTENT = re.compile(r"[^ \t\n\r]")


class Wholeness:
    """Follows the brackets of a text that arrives in pieces; each character is read once.

    Only objects and arrays have a clear end: a number may always go on.

    Example:
        >>> text = Wholeness()
        >>> text.add('{"a": "}'), text.whole, text.add('"}'), text.whole
        (None, False, None, True)
    """

    __slots__ = ("_depth", "_escaped", "_in_string", "_is_something_else", "_started", "whole")

    def __init__(self) -> None:
        self.whole = False
        """True if the text is one closed object or array, with at most white space after it."""
        self._depth = 0
        self._started = False
        self._in_string = False
        self._escaped = False
        self._is_something_else = False
        """True once the text is something other than one object or array, so that nothing more is read."""

    def add(self, text: str) -> None:
        """Read the next piece, and update `whole`."""
        if not self._started and (first := _CONTENT.search(text)) is not None:
            self._started, self._is_something_else = True, first.group() not in "[{"
        if self._is_something_else:
            return
        end = 0 if self.whole else self._read(text)
        # Only white space may follow the object or array.
        if self.whole and _CONTENT.search(text, end) is not None:
            self._is_something_else, self.whole = True, False

    def _read(self, text: str) -> int:
        """Read on up to the end of the object or array, or of the text; return the position after that."""
        # The character after a backslash, which may have ended the last piece, is no mark.
        unread, end = int(self._escaped), len(text)
        for match in _MARK.finditer(text):
            mark, position = match.group(), match.start()
            if position < unread:
                continue
            if mark == '"':
                self._in_string = not self._in_string
            elif self._in_string:
                unread = position + 2 if mark == "\\" else unread
            elif mark != "\\":
                self._depth += 1 if mark in "[{" else -1
                self.whole = self._depth == 0
                if self.whole:
                    end = match.end()
                    break
        self._escaped = unread > len(text)
        return end


def find_equal(arguments: str, calls: list[ToolCall]) -> str:
    """Return a finished call's spelling of equal arguments, for comparisons as text; or else the given."""
    # Texts of equal values have similar lengths; decoding any others would cost more than was sent.
    longest = MOST_SPREAD * len(arguments)
    similar = [call.arguments_text for call in calls if len(call.arguments_text) <= longest]
    own = form_of(arguments) if similar else None
    return next((text for text in similar if own is not None and form_of(text) == own), arguments)


class RepeatedArguments:
    """Finds fragments of one call that repeat the arguments so far."""

    __slots__ = ("_brackets", "_form", "_read_length")

    def __init__(self) -> None:
        self._form: tuple[int, str | None] | None = None
        """The length and the form of the arguments when they were last compared; None before that."""
        self._brackets: Wholeness | None = None
        """Follows the arguments, once an empty object has come after their beginning; None before that."""
        self._read_length = 0
        """Number of characters of the arguments that it has read."""

    def is_repeated(self, text: str, call: OpenCall, note: RuleNote) -> bool:
        """Return True if a fragment is all arguments of a call again, or an empty object after them."""
        if says_no_arguments(text):
            is_again, rule = self._is_whole(call), "arguments_placeholder"
        else:
            # Texts of equal values have similar lengths; comparing others would cost more than was sent.
            similar = call.has_id and looks_whole(text) and call.arguments.length <= MOST_SPREAD * len(text)
            is_again, rule = similar and self.has(text, call), "call_repeated"
        if is_again:
            note(rule)
        return is_again

    def _is_whole(self, call: OpenCall) -> bool:
        """Return True if a call's arguments so far are one object or array."""
        if self._brackets is None:
            self._brackets = Wholeness()
        self._brackets.add(call.arguments.since(self._read_length))
        self._read_length = call.arguments.length
        return self._brackets.whole

    def has(self, arguments: object, call: OpenCall) -> bool:
        """Return True if arguments are equal to those of a call."""
        own = call.arguments.join() + call.placeholder
        # Stored, since any number of fragments may be compared with the call.
        if self._form is None or self._form[0] != len(own):
            self._form = len(own), form_of(own)
        return self._form[1] is not None and self._form[1] == form_of(arguments)


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
        return is_longer or judge("after", self._arguments, text) == "contradicts"

    def _repeats_text(self) -> bool:
        repeats = self._arguments.startswith(self._fragments.join()) and self._length <= len(self._arguments)
        if self._length == len(self._arguments):
            self._begin()
        return repeats


def text_of_arguments(arguments: object) -> str:
    """Return arguments, or a piece of them, as text; "" for None."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json_text(arguments)


class LastEvent:
    """The last event of a stream whose events have ids: by them, it is known if it comes once more.

    Some servers give all events the same id. So ids identify events once one has been another than the one
    before, and no longer once two different events in a row have had the same one.

    Args:
        id_field: The field with the id; a number may be one, except 0.

    Example:
        >>> last = LastEvent("id")
        >>> [last.is_again({"id": id, "text": "la"}) for id in ("a", "b", "b", "c")]
        [False, False, True, False]
    """

    __slots__ = ("_delta", "_event", "_id_field", "_ids_are_shared", "_ids_change")

    def __init__(self, id_field: str) -> None:
        self._id_field = id_field
        self._event: JsonObject | None = None
        """The last event that was decoded; None before the first."""
        self._delta: AnyEvent | None = None
        """The delta after that event that was read last without decoding; None if there is none."""
        self._ids_change = False
        """True once an event has had another id than the one before it."""
        self._ids_are_shared = False
        """True once two events in a row have had the same id, so that ids identify no event."""

    def is_again(self, payload: JsonObject) -> bool:
        """Return True if a decoded event is the one before it again."""
        decoded, last = self._event, self._event if self._delta is None else self._delta.raw
        self._event, self._delta = payload, None
        if decoded is None or last is None:
            return False
        before, id = last.get(self._id_field), payload.get(self._id_field)
        # Deltas may have come between the two events that were decoded, of which the last one is known.
        self._ids_change = self._ids_change or not decoded.get(self._id_field) == before == id
        if not id or before != id:
            return False
        self._ids_are_shared = self._ids_are_shared or last != payload
        return self._ids_change and not self._ids_are_shared

    def follow(self, field: str) -> Callable[[Event], bool | None]:
        """Return a callback that has a delta decoded if it may be the one before it again."""

        def record_delta(delta: AnyEvent) -> bool | None:
            """Store a delta; return False if it has the text of the one before it, and may be it again."""
            last = self._delta
            may_be_last = delta.raw == self._event if last is None else are_equal_deltas(delta, last, field)
            if may_be_last and not self._ids_are_shared:
                return False
            self._delta = delta
            return None

        return record_delta


def complete_arguments(
    parts: Parts, call: OpenCall, arguments: object, *, replaces: Literal["none", "broken", "all"] = "broken"
) -> None:
    """Add what the pieces of a call lack of all its arguments, which the server tells at its end.

    If the call was handed out, the arguments are compared. Otherwise, they replace pieces that are
    others: "none", because the end may be that of another answer, "broken" ones, which are no JSON, or
    "all".
    """
    if call.closed or arguments is None:
        compare_arguments(parts, call.choice, call.sent_id, arguments)
        return
    if parts.may_hold_surrogates:
        arguments = mend_surrogates(arguments)
    spellings = [arguments] if isinstance(arguments, str) else spellings_of(arguments)
    arrived = call.arguments.join()
    whole = choose_arguments(arrived + call.placeholder, spellings, is_json=call.type != "custom")
    if whole is None and replaces == "all":
        whole = spellings[0]
    adds, is_placeholder = whole is not None and whole.startswith(arrived), says_no_arguments(arrived)
    if whole is None or not (adds or is_placeholder or replaces != "none"):
        raise _note_difference(
            parts, "the end of a tool call tells other arguments than its pieces; the call was not handed out"
        )
    if not adds:
        # The call will be handed out with these arguments.
        parts.note("arguments_placeholder" if is_placeholder else "arguments_rewritten")
        call.replace_arguments(whole)
    elif whole != arrived + call.placeholder:
        call.drop_held()
        parts.add_arguments(call, whole[len(arrived) :])
        if call.type == "custom":
            # Pieces of JSON show by themselves that they repeat it; those of free text do not.
            call.tell(whole, len(arrived))


def add_late(parts: Parts, choice: int, sent_id: str, fragment: object) -> None:
    """Read a fragment for a closed call, which may repeat arguments handed out, but not change them."""
    text = text_of_arguments(fragment)
    # White space adds nothing to arguments, so it is not a departure.
    if text and not text.isspace():
        if parts.choice(choice).ended.are_changed_by(sent_id, text):
            raise _refuse_change(parts)
        parts.note("call_after_done")


def compare_arguments(parts: Parts, choice: int, sent_id: str, arguments: object) -> None:
    """Refuse arguments, sent again, that are others than those handed out; empty ones say nothing."""
    if parts.choice(choice).ended.differ_from(sent_id, text_of_arguments(arguments)):
        raise _refuse_change(parts)


def _refuse_change(parts: Parts) -> ProtocolError:
    """Return the error for other arguments of a call that was handed out, and count it."""
    return _note_difference(
        parts,
        "a tool call was handed out, and the server then sends other arguments for it; the call may have "
        "been run with arguments that were not meant",
    )


def _note_difference(parts: Parts, message: str) -> ProtocolError:
    """Return the error for late arguments that are others, and keep it: no finish reason makes up for it."""
    parts.note("late_content")
    parts.difference = error = ProtocolError(message)
    return error
