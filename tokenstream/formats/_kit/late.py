"""Arguments that arrive after their call was handed out: a repetition, or a contradiction."""

from __future__ import annotations

import re

from tokenstream._basics.text_log import TextLog
from tokenstream.formats._kit.repeated import MOST_SPREAD, OPENING
from tokenstream.formats._kit.values import canonical_json
from tokenstream.formats._kit.whole import Wholeness

_SAYS_NOTHING = re.compile(r"\s*(?:\{\s*\}\s*)?")


def says_no_arguments(text: str) -> bool:
    """Return True for arguments that a server also sends as a placeholder: none, or an empty object.

    Example:
        >>> says_no_arguments(""), says_no_arguments("{ }"), says_no_arguments('{"a": 1}')
        (True, True, False)
    """
    return _SAYS_NOTHING.fullmatch(text) is not None


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
        """Return True if the fragments so far are other arguments than those that were handed out.

        Args:
            fragment: The next fragment.
        """
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
