"""Recognises arguments and events that a server sends again, and tests if a text is JSON so far."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tokenstream._basics.json import canonical_json, looks_whole
from tokenstream._values.event_base import are_equal_deltas
from tokenstream.partial_json._strict.numbers import may_be_too_long

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.message import ToolCall

OPENING = frozenset("{[")
"""The first characters of a fragment that may repeat the arguments so far."""

LONGEST_PLACEHOLDER = 8
"""The most characters of an empty object in place of arguments: it may have white space in it."""

MOST_SPREAD = 8
"""A JSON text is compared as a value with an earlier one that is at most this many times as long."""

_SAYS_NOTHING = re.compile(r"\s*(?:\{\s*\}\s*)?")


def says_no_arguments(text: str) -> bool:
    """Return True for arguments that a server also sends as a placeholder: none, or an empty object."""
    return _SAYS_NOTHING.fullmatch(text) is not None


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
    own = canonical_json(arguments) if similar else None
    return next((text for text in similar if own is not None and canonical_json(text) == own), arguments)


class RepeatedArguments:
    """Finds fragments of one call that repeat the arguments so far."""

    __slots__ = ("_brackets", "_canonical", "_read_length")

    def __init__(self) -> None:
        self._canonical: tuple[int, str | None] | None = None
        """The length and canonical form of the arguments when they were last compared; None before that."""
        self._brackets: Wholeness | None = None
        """Follows the arguments, once an empty object has come after their beginning; None before that."""
        self._read_length = 0
        """Number of characters of the arguments that it has read."""

    def is_repeated(self, text: str, call: OpenCall, note: Callable[[str], None]) -> bool:
        """Return True if a fragment is all arguments of a call again, or an empty object after them."""
        if self._repeats_nothing(text, call, note):
            return True
        # Texts of equal values have similar lengths; comparing any others would cost more than was sent.
        similar = call.has_id and looks_whole(text) and call.arguments.length <= MOST_SPREAD * len(text)
        if not similar or not self.are_equal(text, call):
            return False
        note("call_repeated")
        return True

    def _repeats_nothing(self, text: str, call: OpenCall, note: Callable[[str], None]) -> bool:
        """Return True if a fragment is an empty object, and the call's arguments are whole without it."""
        if not says_no_arguments(text):
            return False
        if self._brackets is None:
            self._brackets = Wholeness()
        self._brackets.add(call.arguments.since(self._read_length))
        self._read_length = call.arguments.length
        if self._brackets.whole:
            note("arguments_placeholder")
        return self._brackets.whole

    def are_equal(self, arguments: object, call: OpenCall) -> bool:
        """Return True if arguments are the same JSON value as those of a call."""
        own = call.arguments.join() + call.placeholder
        # Stored, since any number of fragments may be compared with the call.
        if self._canonical is None or self._canonical[0] != len(own):
            self._canonical = len(own), canonical_json(own)
        return self._canonical[1] is not None and self._canonical[1] == canonical_json(arguments)


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
        self._event: dict[str, Any] | None = None
        """The last event that was decoded; None before the first."""
        self._delta: AnyEvent | None = None
        """The delta after that event that was read last without decoding; None if there is none."""
        self._ids_change = False
        """True once an event has had another id than the one before it."""
        self._ids_are_shared = False
        """True once two events in a row have had the same id, so that ids identify no event."""

    def is_again(self, payload: dict[str, Any]) -> bool:
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
