"""Search for the JSON document in the prose that a model writes around it."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any

from tokenstream.partial_json._lenient.atoms import LITERALS_IN_ANY_CASE, read_atom
from tokenstream.partial_json._lenient.peek import SPACES_TWICE, Lookahead, LookaheadExceeded, MoreTextNeeded
from tokenstream.partial_json._strict.grammar import under

_MARK: Any = re.compile(r"[{\[<`~]").search
"""Finds the characters at which the search stops."""
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
_LABEL: Any = re.compile(r"""[^\[\]{}"'\r\n]*""").match
_MAX_LABEL = 200
"""Maximum characters of the text of a link."""
_TEMPLATE_MARK: Any = re.compile(r"/?[A-Z][A-Z0-9_]*").fullmatch
"""Matches the name in a mark that templates and models put around JSON: [TOOL_CALLS], [JSON], [/CONTENT]."""
_INTRODUCES = "\n\r:=(>|"
"""Characters after which numbers in brackets are an array; after any other, [2] is a reference."""
_MOST_BRACKETS = 4
"""Maximum nesting of arrays whose first element is looked for."""
_LINE_ENDS = ("", "\n", "\r", "`", "~", "<")

_STEPS: dict[str, Any] = {}
"""Maps each character at which the search stops to the method that reads on from there."""


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


class Prose:
    """The search for a JSON document in prose, code fences and tags.

    A bracket begins a document if one of these follows it: a key with its colon; another
    bracket that begins a document; in an array, a string. Numbers in brackets are an array
    only if there is a comma, and only at the start of a line or after a character such as a
    colon, because prose contains references and lists, too.
    """

    __slots__ = (
        "_base",
        "_end_tag",
        "_follows_word",
        "_introduces_json",
        "_prose_start",
        "_text_ended",
        "fence",
        "found_at",
    )

    def __init__(self) -> None:
        self.fence = ""
        """The character of the open code fence; "" if none is open."""
        self.found_at = 0
        """Offset of the code fence or the reasoning that was found last."""
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
        """Return the position after the prose, and the result of the search.

        Args:
            text: The unread text.
            position: Position at which to continue.
            base: Offset of `text`.
            text_ended: True if no text follows `text`.
        """
        self._base = base
        self._text_ended = text_ended
        while True:
            if self._end_tag:
                return self._skip_reasoning(text, position)
            mark = _MARK(text, position)
            stop: int = len(text) if mark is None else mark.start()
            self._record_prose(text, position, stop)
            if mark is None:
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

    def begins_document(
        self, text: str, position: int, *, text_ended: bool, adjacent: bool = False
    ) -> bool | None:
        """Return True if a bracket begins a document; None if more text is needed.

        Args:
            text: The unread text.
            position: Position of the bracket.
            text_ended: True if no text follows `text`.
            adjacent: True if nothing but white space is between the bracket and the document before it.
        """
        peek = Lookahead(text, position, text_ended=text_ended)
        try:
            if adjacent:
                return not self._is_marker(peek, position)
            return (
                self._is_object(peek, position) if text[position] == "{" else self._is_array(peek, position)
            )
        except MoreTextNeeded:
            return None
        except LookaheadExceeded:
            # A bracket directly after a document begins another one, unless it is a mark, such as `[DONE]`.
            return adjacent

    @under("{[", _STEPS)
    def _read_bracket(self, text: str, position: int) -> tuple[int, SearchResult | None]:
        """Decide if a bracket in the prose begins a document; otherwise skip the bracket as prose.

        Returns:
            The position at which to continue, and the result; None as the result if the search goes on.
        """
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
        start = peek.skip_spaces(position + 1, SPACES_TWICE)
        char = peek.get_char(start)
        if char == "}":
            # `{}` may also be code in the prose: it must be introduced, and be the last thing on its line.
            return self._introduces_json and self._ends_line(peek, start + 1)
        if char == "{":
            # Two opening braces, as in the template of a prompt.
            start = peek.skip_spaces(start + 1)
        if char == "/":
            return peek.get_char(start + 1) in {"/", "*"}
        return peek.is_key(start)

    def _is_marker(self, peek: Lookahead, position: int) -> bool:
        """Return True if a bracket contains a word that is not a JSON value, as in [DONE]."""
        start = peek.skip_spaces(position + 1)
        if peek.get_char(position) == "{":
            # Marks are written in square brackets.
            return False
        # An end mark begins with a slash, as in [/DONE].
        after_slash = start + (peek.get_char(start) == "/")
        word = peek.get_text(start, peek.skip_word(after_slash)).lstrip("/")
        atom = read_atom(word) if word else None
        # A word that is neither a number nor a literal is read as a string without quotes.
        return atom is not None and atom.kind == "string"

    def is_label(self, text: str, position: int, *, text_ended: bool) -> bool | None:
        """Return True if the bracket at a position begins a link or a mark such as `[TOOL_CALLS]`.

        The result is None if later text decides.
        """
        peek = Lookahead(text, position, text_ended=text_ended)
        try:
            return self._is_label(peek, text, position)
        except MoreTextNeeded:
            return None
        except LookaheadExceeded:
            return False

    def _is_label(self, peek: Lookahead, text: str, position: int) -> bool:
        """Return True for `[text](` and for `[TOOL_CALLS] {`; False for an array such as `[true, 1]`.

        Args:
            peek: The text from the bracket on.
            text: The unread text.
            position: The position of the bracket.
        """
        start = peek.skip_spaces(position + 1)
        if not peek.get_char(start).isalpha():
            return False
        end = peek.skip_word(start)
        is_literal = peek.get_text(start, end) in LITERALS_IN_ANY_CASE
        if is_literal and peek.get_char(peek.skip_spaces(end)) in {",", "]"}:
            # An array such as [true, 1].
            return False
        end = _LABEL(text, start, start + _MAX_LABEL).end()
        if end == start + _MAX_LABEL or peek.get_char(end) != "]":
            return False
        if peek.get_char(end + 1) == "(":
            # A link.
            return True
        is_mark = _TEMPLATE_MARK(peek.get_text(start, end)) is not None
        return is_mark and peek.get_char(peek.skip_spaces(end + 1)) in {"[", "{"}

    def _is_array(self, peek: Lookahead, position: int) -> bool:
        """Return True if a bracket begins an array, and not a link, a reference or a list in the prose.

        It begins an array if an object follows the bracket. Other arrays are recognised only if no word
        directly precedes the bracket: with a string before a comma or a closing bracket; and where the
        prose introduces JSON, as with a colon, `[]`, and a number or a literal before a comma.
        """
        # Skip the brackets of arrays in arrays. JSON that was escaped twice has line breaks as `\n`.
        start = position
        for _ in range(_MOST_BRACKETS):
            start = peek.skip_spaces(start + 1, SPACES_TWICE)
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
        is_string = end > start
        if is_string:
            return peek.get_char(peek.skip_spaces(end)) in {",", "]"}
        return self._introduces_json and self._is_scalar_before_comma(peek, start)

    def _is_scalar_before_comma(self, peek: Lookahead, position: int) -> bool:
        """Return True if there is a number or a literal, and then a comma, at a position."""
        end = peek.skip_word(position + (peek.get_char(position) == "-"))
        atom = read_atom(peek.get_text(position, end))
        is_scalar = atom is not None and atom.kind != "string"
        return is_scalar and peek.get_char(peek.skip_spaces(end)) == ","

    def _ends_line(self, peek: Lookahead, position: int) -> bool:
        """Return True if only spaces and punctuation are between a position and the end of the line."""
        while peek.get_char(position) in {" ", "\t", ".", ";", ")"}:
            position += 1
        return peek.get_char(position) in _LINE_ENDS

    # -- fences and tags ---------------------------------------------------------

    @under("`~", _STEPS)
    def _read_fence(self, text: str, position: int) -> tuple[int, SearchResult | None]:
        """Read a run of backticks or tildes: three or more of them begin or end a code fence.

        Returns:
            The position at which to continue, and the result; None as the result if the search goes on.
        """
        run = _RUN(text, position)
        end: int = run.end()
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

    def _read_opening_fence(self, text: str, position: int, end: int) -> tuple[int, SearchResult | None]:
        """Begin a code fence if only a language or the JSON follows on its line; otherwise skip it as prose.

        Args:
            text: The unread text.
            position: Position of the fence.
            end: Position after the backticks or tildes.

        Returns:
            The position at which to continue, and the result; None as the result if the search goes on.
        """
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
    def _read_tag(self, text: str, position: int) -> tuple[int, SearchResult | None]:
        """Read a tag that begins or ends reasoning; skip any other tag as prose.

        Returns:
            The position at which to continue, and the result; None as the result if the search goes on.
        """
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
