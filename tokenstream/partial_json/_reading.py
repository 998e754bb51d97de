"""Faults of a text, and the characters of its strings: what is below the grammar."""

from __future__ import annotations

import sys
from typing import Any

from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError
from tokenstream.partial_json._grammar import ENDED, FAILED, VALUE
from tokenstream.partial_json._growing import Growing
from tokenstream.partial_json._strings import (
    CUT_ESCAPE,
    LONGEST_ESCAPE,
    RUN,
    SIMPLE,
    is_undecided,
    unescape,
)

__all__ = ["FAR", "TextReader", "as_text"]

_QUOTE_OR_END = ('"', "")
FAR = sys.maxsize
"""Behind the end of any text: nothing more is read after a fault."""


def as_text(text: object) -> str:
    """Return a piece of text as what it is, and refuse what is none.

    Raises:
        MisuseError: It is bytes, or anything else.
    """
    if not isinstance(text, str):
        raise MisuseError(
            f"PartialJSONParser.feed takes str, not {type(text).__name__}; decode bytes first, with an "
            "incremental decoder"
        )
    # Of a subclass, a copy that is none.
    return str.__str__(text)


class TextReader(Growing):
    """Read characters, and tell where they go wrong.

    Args:
        allow: Bits of what may show before it is complete.
        max_depth: Most objects and arrays inside each other.
    """

    __slots__ = ("_at", "_held")

    def __init__(self, allow: int, max_depth: int) -> None:
        super().__init__(allow, max_depth)
        self._at: Any = VALUE
        """Between two values the table of what may come; inside a key, string, number or literal
        the step that reads on."""
        self._held = ""
        """The part of an escape or a number that has come."""

    def _unexpected(self, position: int) -> int:
        at = self._at
        if at is ENDED:
            raise MisuseError("PartialJSONParser.feed came after end(); a new document needs a new parser")
        return FAR if at is FAILED else self._refuse(position, at[""])

    def _refuse(self, position: int, expected: str) -> int:
        offset = self._base + position
        advice = "" if offset else "; where prose or a code fence stands around the JSON, pass lenient=True"
        self._fail(
            offset, f"the text is no JSON from character {offset:,} on, where {expected} was expected{advice}"
        )
        return FAR

    def _fail(self, offset: int, why: str) -> None:
        kept = "; what came before is still readable" if offset else ""
        self.error = InvalidJSON(f"{why}{kept}", text="", offset=offset)
        self._at = FAILED

    def _exceed(self, why: str, limit: str, value: int) -> int:
        self.error = LimitExceeded(why, limit=limit, value=value)
        self._at = FAILED
        return FAR

    def _characters(self, text: str, position: int) -> tuple[int, str]:
        """Return where a string's closing quote is, or the end of the text, and what stands before it."""
        pieces: list[str] = []
        size = len(text)
        if self._held:
            position = self._escape(text, position, pieces)
        while position < size:
            run: Any = RUN(text, position)
            end: int = run.end()
            pieces.append(text[position:end])
            mark = text[end : end + 1]
            if mark != "\\":
                if mark not in _QUOTE_OR_END:
                    end = self._refuse(end, "an escape in place of a control character")
                return end, "".join(pieces)
            simple = SIMPLE.get(text[end + 1 : end + 2])
            if simple is None:
                position = self._escape(text, end, pieces)
            else:
                pieces.append(simple)
                position = end + 2
        return position, "".join(pieces)

    def _escape(self, text: str, position: int, pieces: list[str]) -> int:
        """Read an escape, or the rest of one, and return what is behind it."""
        before = len(self._held)
        escape = self._held + text[position : position + LONGEST_ESCAPE - before]
        if is_undecided(escape):
            self._held = escape
            return len(text)
        string, length = unescape(escape)
        if not length:
            good: Any = CUT_ESCAPE(escape)
            return self._refuse(position + good.end() - before, "the rest of an escape")
        pieces.append(string)
        # Half a surrogate pair goes alone, and leaves what was held because of it.
        self._held = self._held[length:]
        if self._held:
            return self._escape(text, position, pieces)
        return position + length - before
