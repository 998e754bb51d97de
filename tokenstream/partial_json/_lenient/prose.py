"""Search for the JSON document in the prose that a model writes around it."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any

from tokenstream.partial_json._lenient.atoms import LITERALS_IN_ANY_CASE, read_atom
from tokenstream.partial_json._lenient.peek import SPACES_TWICE, MoreNeeded, Peek, TooFar
from tokenstream.partial_json._strict.grammar import under

_MARK: Any = re.compile(r"[{\[<`~]").search
_RUN: Any = re.compile("`{1,64}|~{1,64}").match
_MOST_FENCE = 64
_LANGUAGE: Any = re.compile(r"[ \t]*([\w.+/-]{0,32})[ \t]*").match
_MOST_LANGUAGE = 64
_JSON_LANGUAGES = frozenset({"", "json", "jsonc", "json5", "jsonl", "application/json"})
_REASONING: Any = re.compile(
    r"<(/?)(think|thinking|thought|reasoning|reflection|analysis|scratchpad)>", re.IGNORECASE
).match
_CUT_TAG: Any = re.compile(r"</?[A-Za-z]{0,10}").fullmatch
_LABEL: Any = re.compile(r"""[^\[\]{}"'\r\n]*""").match
_MOST_LABEL = 200
"""Maximum characters of the text of a link."""
_MARK_NAME: Any = re.compile(r"/?[A-Z][A-Z0-9_]*").fullmatch
"""Matches the name in a mark that templates and models put around JSON: [TOOL_CALLS], [JSON], [/CONTENT]."""
_INTRODUCES = "\n\r:=(>|"
"""Characters after which numbers in brackets are an array; after any other, [2] is a reference."""
_MOST_BRACKETS = 4
_LINE_ENDS = ("", "\n", "\r", "`", "~", "<")

_STEPS: dict[str, Any] = {}
"""Maps each character at which the search stops to the method that reads on from there."""


class Found(Enum):
    """The result of a search; each says which position the search returns with it."""

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
        "_final",
        "_introduced",
        "_text_at",
        "_word_before",
        "at",
        "fence",
    )

    def __init__(self) -> None:
        self.fence = ""
        """The character of the open code fence; "" if none is open."""
        self.at = 0
        """Offset of the code fence or the reasoning that was found last."""
        self._base = 0
        self._final = False
        self._text_at: int | None = None
        # True if the prose before the next bracket may introduce an array of numbers.
        self._introduced = True
        # True if a word directly precedes the next bracket.
        self._word_before = False
        # The tag that ends the reasoning which is being skipped; "" outside of reasoning.
        self._end_tag = ""

    def take_text_at(self) -> int | None:
        """Return the offset of the first visible prose since the last call, or None."""
        at, self._text_at = self._text_at, None
        return at

    def follow_word(self) -> None:
        """Record that a value precedes the prose on the same line, so that it introduces no array."""
        self._introduced = self._word_before = False

    def search(self, text: str, position: int, base: int, *, final: bool) -> tuple[int, Found]:
        """Return the position after the prose, and the result of the search.

        Args:
            text: The unread text.
            position: Position at which to continue.
            base: Offset of `text`.
            final: True if no text follows `text`.
        """
        self._base = base
        self._final = final
        while True:
            if self._end_tag:
                return self._skip_reasoning(text, position)
            mark = _MARK(text, position)
            stop: int = len(text) if mark is None else mark.start()
            self._pass(text, position, stop)
            if mark is None:
                return stop, Found.NOTHING
            position, found = _STEPS[text[stop]](self, text, stop)
            if found is not None:
                return position, found

    def _pass(self, text: str, start: int, stop: int) -> None:
        """Record prose that is skipped, because it decides what the next bracket means."""
        prose = text[start:stop]
        if not prose:
            return
        ink = prose.strip()
        if ink and self._text_at is None:
            self._text_at = self._base + start + prose.index(ink[0])
        on_line = prose.rstrip(" \t")
        if on_line:
            self._introduced = on_line[-1] in _INTRODUCES
        self._word_before = prose[-1].isalnum() or prose[-1] in "_])"

    def _pass_one(self, text: str, position: int) -> tuple[int, None]:
        """Skip one character as prose."""
        self._pass(text, position, position + 1)
        return position + 1, None

    # -- brackets --------------------------------------------------------------

    def begins_document(
        self, text: str, position: int, *, final: bool, adjacent: bool = False
    ) -> bool | None:
        """Return True if a bracket begins a document; None if more text is needed.

        Args:
            text: The unread text.
            position: Position of the bracket.
            final: True if no text follows `text`.
            adjacent: True if the bracket follows a document directly.
        """
        peek = Peek(text, position, final=final)
        try:
            if adjacent:
                return not self._is_marker(peek, position)
            return (
                self._is_object(peek, position) if text[position] == "{" else self._is_array(peek, position)
            )
        except MoreNeeded:
            return None
        except TooFar:
            return adjacent

    @under("{[", _STEPS)
    def _read_bracket(self, text: str, position: int) -> tuple[int, Found | None]:
        """Decide if a bracket in the prose begins a document."""
        begins = self.begins_document(text, position, final=self._final)
        if begins is None:
            return position, Found.MAYBE
        if begins:
            self._introduced = True
            return position, Found.DOCUMENT
        return self._pass_one(text, position)

    def _is_object(self, peek: Peek, position: int) -> bool:
        """Return True if a brace begins an object: a key, a comment, or the closing brace of `{}` follows."""
        inside = peek.skip_spaces(position + 1, SPACES_TWICE)
        char = peek.get_char(inside)
        if char == "}":
            return self._introduced and self._ends_line(peek, inside + 1)
        if char == "{":
            inside = peek.skip_spaces(inside + 1)
        if char == "/":
            return peek.get_char(inside + 1) in {"/", "*"}
        return peek.is_key(inside)

    def _is_marker(self, peek: Peek, position: int) -> bool:
        """Return True if a bracket contains a word that is not a JSON value, as in [DONE]."""
        inside = peek.skip_spaces(position + 1)
        if peek.get_char(position) == "{":
            return False
        token = peek.get_text(inside, peek.skip_word(inside + (peek.get_char(inside) == "/"))).lstrip("/")
        value = read_atom(token) if token else None
        return value is not None and value.kind == "string"

    def is_label(self, text: str, position: int, *, final: bool) -> bool | None:
        """Return True if the brackets at the start are a link or a mark, not an array; None if undecided."""
        peek = Peek(text, position, final=final)
        try:
            return self._is_label(peek, text, position)
        except MoreNeeded:
            return None
        except TooFar:
            return False

    def _is_label(self, peek: Peek, text: str, position: int) -> bool:
        """Return True for `[text](` and for `[TOOL_CALLS] {`; False for an array such as `[true, 1]`."""
        inside = peek.skip_spaces(position + 1)
        if not peek.get_char(inside).isalpha():
            return False
        end = peek.skip_word(inside)
        # An array that begins with a literal, such as [true, 1].
        if peek.get_text(inside, end) in LITERALS_IN_ANY_CASE and peek.get_char(peek.skip_spaces(end)) in {
            ",",
            "]",
        }:
            return False
        end = _LABEL(text, inside, inside + _MOST_LABEL).end()
        if end == inside + _MOST_LABEL or peek.get_char(end) != "]":
            return False
        following = peek.get_char(end + 1)
        if following == "(":
            return True
        is_mark = _MARK_NAME(peek.get_text(inside, end)) is not None
        return is_mark and peek.get_char(peek.skip_spaces(end + 1)) in {"[", "{"}

    def _is_array(self, peek: Peek, position: int) -> bool:
        """Return True if a bracket begins an array; see the class."""
        inside = position
        for _ in range(_MOST_BRACKETS):
            inside = peek.skip_spaces(inside + 1, SPACES_TWICE)
            if peek.get_char(inside) != "[":
                break
        char = peek.get_char(inside)
        if char == "{":
            return self._is_object(peek, inside)
        if self._word_before:
            # A subscript or a link.
            return False
        if char == "]":
            return self._introduced and self._ends_line(peek, inside + 1)
        end = peek.skip_quoted(inside)
        if end > inside:
            return peek.get_char(peek.skip_spaces(end)) in {",", "]"}
        return self._introduced and self._is_scalar(peek, inside)

    def _is_scalar(self, peek: Peek, position: int) -> bool:
        """Return True if there is a number or a literal, and then a comma, at a position."""
        end = peek.skip_word(position + (peek.get_char(position) == "-"))
        token = read_atom(peek.get_text(position, end))
        return token is not None and token.kind != "string" and peek.get_char(peek.skip_spaces(end)) == ","

    def _ends_line(self, peek: Peek, position: int) -> bool:
        """Return True if only spaces and punctuation are between a position and the end of the line."""
        while peek.get_char(position) in {" ", "\t", ".", ";", ")"}:
            position += 1
        return peek.get_char(position) in _LINE_ENDS

    # -- fences and tags ---------------------------------------------------------

    @under("`~", _STEPS)
    def _read_fence(self, text: str, position: int) -> tuple[int, Found | None]:
        """Read a run of backticks or tildes: three or more of them begin or end a code fence."""
        run = _RUN(text, position)
        end: int = run.end()
        length = end - position
        if end == len(text) and length < _MOST_FENCE and not self._final:
            return position, Found.MAYBE
        if length < 3:
            self._pass(text, position, end)
            return end, None
        if self.fence == text[position]:
            self.fence = ""
            self._introduced = True
            return end, None
        return self._read_opening_fence(text, position, end)

    def _read_opening_fence(self, text: str, position: int, end: int) -> tuple[int, Found | None]:
        """Begin a code fence if only a language follows on its line; otherwise skip it as prose."""
        line = _LANGUAGE(text, end, end + _MOST_LANGUAGE)
        after: int = line.end()
        if after == len(text) and after < end + _MOST_LANGUAGE and not self._final:
            return position, Found.MAYBE
        is_json = line[1].lower() in _JSON_LANGUAGES
        following = text[after : after + 1]
        if not (following in ("", "\n", "\r") or (is_json and following in "{[")):
            self._pass(text, position, end)
            return end, None
        self.fence = text[position]
        self._introduced = True
        self.at = self._base + position
        return after, Found.FENCE if is_json else Found.CODE

    @under("<", _STEPS)
    def _read_tag(self, text: str, position: int) -> tuple[int, Found | None]:
        """Read a tag that begins or ends reasoning; skip any other tag as prose."""
        tag = _REASONING(text, position)
        if tag is not None:
            self.at = self._base + position
            end: int = tag.end()
            if tag[1]:
                self._introduced = True
                return end, Found.THOUGHT_END
            self._end_tag = f"</{tag[2]}>"
            return end, None
        if not self._final and _CUT_TAG(text, position):
            return position, Found.MAYBE
        return self._pass_one(text, position)

    def _skip_reasoning(self, text: str, position: int) -> tuple[int, Found]:
        """Skip reasoning up to its end tag."""
        end_tag = self._end_tag
        end = text.find(end_tag, position)
        if end < 0:
            # The end of the text may be part of the end tag.
            return max(position, len(text) - len(end_tag) + 1), Found.MAYBE
        self._end_tag = ""
        self._introduced = True
        return end + len(end_tag), Found.THOUGHT
