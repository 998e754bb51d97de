"""Search for the JSON document in the prose that a model writes around it."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any, TypeAlias

from tokenstream.partial_json._lenient.peek import (
    LITERALS_IN_ANY_CASE,
    OPENING_QUOTES,
    Lookahead,
    LookaheadExceeded,
    MoreTextNeeded,
    read_atom,
)
from tokenstream.partial_json._strict.grammar import under

_STOP: Any = re.compile(r"[{\[<`~]").search
"""Finds the characters at which the search stops."""
_QUOTES = re.escape("".join(OPENING_QUOTES))
_RUN: Any = re.compile("`{1,64}|~{1,64}").match
"""Matches backticks or tildes, which may be a fence."""
_MOST_FENCE = 64
_LANGUAGE: Any = re.compile(r"[ \t]*([\w.+/-]{0,32})[ \t]*").match
_MOST_LANGUAGE = 64
_JSON_LANGUAGES = frozenset({"", "json", "jsonc", "json5", "jsonl", "application/json"})
_REASONING: Any = re.compile(
    r"<(/?)(think|thinking|thought|reasoning|reflection|analysis|scratchpad)>", re.IGNORECASE
).match
_CUT_TAG: Any = re.compile(r"</?[A-Za-z]{0,10}").fullmatch
_MARK_TEXT: Any = re.compile(rf"""(?:[^\[\]{{}}{_QUOTES}\r\n]|(?>(?<=\w)['’](?=\w)))*+""").match
"""Matches the text of a mark; of all quotes, it may contain only apostrophes within words."""
_MOST_MARK = 200
"""Maximum characters of the text of a mark."""
_APOSTROPHES = ("'", "’")
_BLANKS: Any = re.compile(r"[ \t]*").match
_BETWEEN_SCALARS: Any = re.compile(r"[\s,()]+").split
_ELLIPSES = frozenset({"...", "…", ""})
_AFTER_ARRAY = frozenset("\r\n,;.!)]}{[`~</#")
"""Characters that may follow an array on its line; after any other, the brackets belong to a sentence."""
_INTRODUCES = "\n\r:=(>|"
"""Characters after which numbers in brackets are an array; after any other, [2] is a reference."""
_MOST_BRACKETS = 4
"""Maximum nesting of arrays whose first element is looked for."""
_LINE_ENDS = ("", "\n", "\r", "`", "~", "<")

_STEPS: dict[str, Any] = {}
"""Maps each character at which the search stops to the method that reads on from there."""


def _is_scalar(word: str) -> bool:
    atom = read_atom(word)
    return atom is not None and atom.kind != "string"


class SearchResult(Enum):
    """The result of a search in prose; each member says what was found, and at which position."""

    NOTHING = auto()
    """Only prose so far; the position is after it."""
    MAYBE = auto()
    """Something that later text decides; the position is before it."""
    DOCUMENT = auto()
    """The opening bracket of a document; the position is before it."""
    FENCE = auto()
    """A code fence for JSON or without a language; the position is after its line."""
    CODE = auto()
    """A code fence for another language; the position is after its line."""
    THOUGHT = auto()
    """Reasoning between tags; the position is after the end tag."""
    THOUGHT_END = auto()
    """The end tag of reasoning that began in the prompt; the position is after the tag."""


ProsePlace: TypeAlias = "tuple[int, SearchResult | None]"
"""The position up to which prose was read, and the result of the search, or None if it goes on."""


class Prose:
    """The search for a JSON document in prose, code fences and tags.

    A bracket begins a document if one of these follows it: a key with its colon; another
    bracket that begins a document; in an array, a string. Numbers in brackets are an array
    only if there is a comma, and only at the start of a line or after a character such as a
    colon, because prose contains references and lists, too.

    Args:
        may_be_array: False if no array fits the type.
        fence: The character of the code fence that is open; "" if none is.
    """

    def __init__(self, *, may_be_array: bool, fence: str) -> None:
        self.fence = fence
        """The character of the open code fence; "" if none is open."""
        self.found_at = 0
        """Offset of the code fence or the reasoning that was found last."""
        self._may_be_array = may_be_array
        self._base = 0
        self._text_ended = False
        self._prose_start: int | None = None
        """Offset of the first visible prose since the last call of `pop_prose_start`."""
        self._introduces_json = True
        """True if the prose before the next bracket may introduce `{}`, `[]` or an array of numbers."""
        self._follows_word = False
        """True if a word directly precedes the next bracket."""
        self._end_tag = ""
        """The tag that ends the reasoning which is being skipped; "" outside of reasoning."""

    def pop_prose_start(self) -> int | None:
        """Return the offset of the first prose since the last call; None if there was only white space."""
        start, self._prose_start = self._prose_start, None
        return start

    def note_value_before(self) -> None:
        """Record that a value precedes the prose on its line: numbers in brackets are then not an array."""
        self._introduces_json = self._follows_word = False

    def search(self, text: str, position: int, base: int, *, text_ended: bool) -> tuple[int, SearchResult]:
        """Return the position after the prose, and the result of the search."""
        self._base = base
        self._text_ended = text_ended
        while True:
            if self._end_tag:
                return self._skip_reasoning(text, position)
            found = _STOP(text, position)
            stop: int = len(text) if found is None else found.start()
            self._record_prose(text, position, stop)
            if found is None:
                return stop, SearchResult.NOTHING
            # Each character at which the search stops has a method that reads on from there.
            position, finding = _STEPS[text[stop]](self, text, stop)
            if finding is not None:
                return position, finding

    def _record_prose(self, text: str, start: int, stop: int) -> None:
        """Record skipped prose: its offset, and its last characters, by which the next bracket is judged."""
        prose = text[start:stop]
        if not prose:
            return
        visible = prose.strip()
        if visible and self._prose_start is None:
            self._prose_start = self._base + start + prose.index(visible[0])
        # Spaces do not matter, but a line break does.
        before_spaces = prose.rstrip(" \t")
        if before_spaces:
            self._introduces_json = before_spaces[-1] in _INTRODUCES
        # A bracket after a name, a call or a subscript is a subscript, as in `row[0][1]`.
        self._follows_word = prose[-1].isalnum() or prose[-1] in "_])"

    def _skip_character(self, text: str, position: int) -> tuple[int, None]:
        """Skip one character as prose; return the position after it, and None: the search goes on."""
        self._record_prose(text, position, position + 1)
        return position + 1, None

    # -- brackets --------------------------------------------------------------

    def begins_document(self, text: str, position: int, *, text_ended: bool, after: str = "") -> bool | None:
        """Return True if a bracket begins a document; None if more text is needed.

        `after` is the kind of a document directly before it, "array" or "object"; otherwise "".
        """
        peek = Lookahead(text, position, text_ended=text_ended)
        try:
            if text[position] == "[" and self._is_mark(peek, text, position, after=after):
                return False
            if after:
                return True
            return (
                self._is_object(peek, position) if text[position] == "{" else self._is_array(peek, position)
            )
        except MoreTextNeeded:
            return None
        except LookaheadExceeded:
            # A bracket directly after a document begins another one, unless it is a mark, such as `[DONE]`.
            return bool(after)

    @under("{[", _STEPS)
    def _read_bracket(self, text: str, position: int) -> ProsePlace:
        """Begin a document at a bracket, or skip it as prose; return the position, and the result or None."""
        begins = self.begins_document(text, position, text_ended=self._text_ended)
        if begins is None:
            return position, SearchResult.MAYBE
        if begins:
            # After the document, no prose precedes the next bracket yet.
            self._introduces_json = True
            return position, SearchResult.DOCUMENT
        return self._skip_character(text, position)

    def _is_object(self, peek: Lookahead, position: int) -> bool:
        """Return True if a brace begins an object: a key, a comment, or the closing brace of `{}` follows."""
        start = peek.skip_spaces(position + 1)
        char = peek.get_char(start)
        if char == "}":
            # `{}` may also be code in the prose: it must be introduced, and be the last thing on its line.
            return self._introduces_json and self._ends_line(peek, start + 1)
        if char == "{":
            # Two opening braces, as in the template of a prompt.
            start = peek.skip_spaces(start + 1)
        if char == "/":
            return peek.get_char(start + 1) == "/"
        return peek.is_key(start)

    def is_mark(self, text: str, position: int, *, text_ended: bool, at_once: bool) -> bool | None:
        """Return True if the bracket at the start of a text begins a mark; None if later text decides."""
        peek = Lookahead(text, position, text_ended=text_ended)
        try:
            begins_array = at_once and self._begins_array(peek, position)
            return not begins_array and self._is_mark(peek, text, position)
        except MoreTextNeeded:
            return None
        except LookaheadExceeded:
            return False

    def _begins_array(self, peek: Lookahead, position: int) -> bool:
        """Return True if a bracket is followed by what may be the first element of an array."""
        start = peek.skip_spaces(position + 1)
        char = peek.get_char(start)
        if char.isdigit() or char in "-+.]":
            return True
        end = peek.skip_word(start)
        is_literal = peek.get_text(start, end) in LITERALS_IN_ANY_CASE
        return is_literal and peek.get_char(peek.skip_spaces(end)) in {",", "]"}

    def _is_mark(self, peek: Lookahead, text: str, position: int, *, after: str = "") -> bool:
        """Return True if a bracket begins a mark: a text in brackets that is not an array.

        Such are links, footnotes, times, and the marks of templates, as [TOOL_CALLS]. Where the document
        may be an array, several words or numbers in brackets are not a mark: they may have been meant as one.
        """
        mark = self._find_mark(peek, text, position + 1)
        if mark is None:
            return False
        end = position + len(mark) + 2
        may_be_array = self._may_be_array and after != "object"
        if peek.get_char(end) in {"(", ":"}:
            # A link, or the definition of one.
            return True
        if may_be_array and "," in mark:
            return False
        if not all(word in _ELLIPSES or _is_scalar(word) for word in _BETWEEN_SCALARS(mark)):
            return True
        following = peek.get_char(peek.skip_spaces(end, _BLANKS))
        return not may_be_array and bool(following) and following not in _AFTER_ARRAY

    @staticmethod
    def _find_mark(peek: Lookahead, text: str, start: int) -> str | None:
        """Return the text in brackets at a position; None if it is more than the text of a mark."""
        end: int = _MARK_TEXT(text, start, start + _MOST_MARK).end()
        closer = peek.get_char(end)
        if closer in _APOSTROPHES:
            # Within a word, it belongs to the mark: the next character must have arrived.
            peek.get_char(end + 1)
        mark = text[start:end]
        return mark if closer == "]" and len(mark) < _MOST_MARK else None

    def _is_array(self, peek: Lookahead, position: int) -> bool:
        """Return True if a bracket begins an array, and not a link, a reference or a list in the prose.

        It begins an array if an object follows the bracket. Other arrays are recognised only if no word
        directly precedes the bracket: with a string before a comma or a closing bracket; and where the
        prose introduces JSON, as with a colon, `[]`, and a number or a literal before a comma.
        """
        # Skip the brackets of arrays in arrays.
        start = position
        for _ in range(_MOST_BRACKETS):
            start = peek.skip_spaces(start + 1)
            if peek.get_char(start) != "[":
                break
        char = peek.get_char(start)
        if char == "{":
            return self._is_object(peek, start)
        if self._follows_word:
            # A subscript or a link.
            return False
        if char == "]":
            return self._introduces_json and self._ends_line(peek, start + 1)
        end = peek.skip_quoted(start)
        if end > start:
            return peek.get_char(peek.skip_spaces(end)) in {",", "]"}
        return self._introduces_json and self._is_scalar_before_comma(peek, start)

    def _is_scalar_before_comma(self, peek: Lookahead, position: int) -> bool:
        end = peek.skip_word(position + (peek.get_char(position) == "-"))
        is_scalar = _is_scalar(peek.get_text(position, end))
        return is_scalar and peek.get_char(peek.skip_spaces(end)) == ","

    def _ends_line(self, peek: Lookahead, position: int) -> bool:
        """Return True if only spaces and punctuation are between a position and the end of the line."""
        while peek.get_char(position) in {" ", "\t", ".", ";", ")"}:
            position += 1
        return peek.get_char(position) in _LINE_ENDS

    # -- fences and tags ---------------------------------------------------------

    @under("`~", _STEPS)
    def _read_fence(self, text: str, position: int) -> ProsePlace:
        """Read a run of backticks or tildes: three or more of them begin or end a code fence."""
        end: int = _RUN(text, position).end()
        length = end - position
        may_be_longer = end == len(text) and length < _MOST_FENCE
        if may_be_longer and not self._text_ended:
            return position, SearchResult.MAYBE
        if length < 3:
            self._record_prose(text, position, end)
            return end, None
        if self.fence == text[position]:
            # The end of the open fence.
            self.fence = ""
            self._introduces_json = True
            return end, None
        return self._read_opening_fence(text, position, end)

    def _read_opening_fence(self, text: str, position: int, end: int) -> ProsePlace:
        """Begin a code fence if only a language or the JSON follows on its line; otherwise skip it."""
        language = _LANGUAGE(text, end, end + _MOST_LANGUAGE)
        after: int = language.end()
        may_be_longer = after == len(text) and after < end + _MOST_LANGUAGE
        if may_be_longer and not self._text_ended:
            return position, SearchResult.MAYBE
        is_json = language[1].lower() in _JSON_LANGUAGES
        following = text[after : after + 1]
        ends_line = following in ("", "\n", "\r")
        begins_json = is_json and following in "{["
        if not (ends_line or begins_json):
            self._record_prose(text, position, end)
            return end, None
        self.fence = text[position]
        self._introduces_json = True
        self.found_at = self._base + position
        return after, SearchResult.FENCE if is_json else SearchResult.CODE

    @under("<", _STEPS)
    def _read_tag(self, text: str, position: int) -> ProsePlace:
        """Read a tag that begins or ends reasoning; skip any other tag as prose."""
        tag = _REASONING(text, position)
        if tag is not None:
            self.found_at = self._base + position
            end: int = tag.end()
            slash, name = tag[1], tag[2]
            if slash:
                # After reasoning, a document is expected.
                self._introduces_json = True
                return end, SearchResult.THOUGHT_END
            # The search goes on in the reasoning, and skips it up to this end tag.
            self._end_tag = f"</{name}>"
            return end, None
        if not self._text_ended and _CUT_TAG(text, position):
            return position, SearchResult.MAYBE
        return self._skip_character(text, position)

    def _skip_reasoning(self, text: str, position: int) -> tuple[int, SearchResult]:
        """Skip reasoning up to its end tag; return the position after it, and the result of the search."""
        end_tag = self._end_tag
        end = text.find(end_tag, position)
        if end < 0:
            # The end of the text may be part of the end tag: at most all of it but its last character.
            return max(position, len(text) - len(end_tag) + 1), SearchResult.MAYBE
        self._end_tag = ""
        # After reasoning, a document is expected.
        self._introduces_json = True
        return end + len(end_tag), SearchResult.THOUGHT
