"""Calls that a model writes into its text: found as it arrives, and parted from the text around."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tokenstream._basics.text_log import TextLog
from tokenstream.stages._calls.dialects import BARE, DANGLING, FENCES, HARMONY, UNMARKED, UNMARKED_CALLS
from tokenstream.stages._calls.reading import MarkupCalls
from tokenstream.stages._calls.steps import ArgumentsPiece, CallEnded, CallPiece, Piece
from tokenstream.stages._calls.values import is_whole
from tokenstream.stages._text.scanning import MOST_BLANK, CodeMarks, Passage, TextSearch, end_of_space

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.stages._calls.dialects import Dialect
    from tokenstream.stages._text.tags import TagScanner

_BLANK_LINE = re.compile(r"\n\s*\n|^\s*\n")
_BLOCK = 1024
"""The most characters that are read at once, because the text after each opening is copied."""
_search_quote = re.compile(r"""^ {0,3}>|(?:[\u201c\u2018\xab\u201e]|(?:^|[\s(\[{<=:])["'`]+)\Z""").search
"""Finds the beginning of a quotation in a line; a straight mark after a word ends one."""
_match_indent = re.compile(r"\t| {4}").match
_STRAYS = TextSearch(("</function>", "</function_invocation>", "</tool_call>", "<|im_end|>", "<turn|>"))
"""Ends that models and servers leave after a call."""
_LONGEST_THOUGHT = 4096
"""The most characters in the arguments of a call in the reasoning: one without an end is a thought."""
_KEPT = 4
"""The number of characters at either end of a line that tell if what follows is quoted."""


@cache
def openings_of(dialects: tuple[Dialect, ...]) -> tuple[dict[str, list[Dialect]], TextSearch]:
    """Return the dialects by their openings, and a search for openings; both are made once."""
    rows: dict[str, list[Dialect]] = {}
    for dialect in dialects:
        for opening in dialect.openings:
            rows.setdefault(opening, []).append(dialect)
    return rows, TextSearch(rows.keys() - BARE)


@dataclass(slots=True, eq=False)
class CallScanner:
    """Splits a text into the text outside of calls, and what happens to the calls.

    An opening counts unless it is in code or reasoning. If the tools are not known, nor does one that is
    quoted: after a mark that opens a quotation, with all that follows in its paragraph, in a line of a
    quotation, or in an indented block. White space after a call is dropped, as it is between the start of
    the text and a call.
    """

    is_reasoning: ClassVar[bool] = False
    dialects: tuple[Dialect, ...]
    tools: OfferedTools | None
    """The tools of the request; None, or none of them, if they are not known."""
    tags: TagScanner | None = None
    """Parts the text outside of calls at the tags of reasoning; None for no tags."""
    tells: bool = False
    """True to read calls of any name, but in quotations those of `tools` alone."""
    rows: dict[str, list[Dialect]] = field(init=False)
    marks: TextSearch = field(init=False)
    """Searches for the openings that count not only at the start of a text."""
    held: str = ""
    """The end of the text so far, if it is not decided: it may be the beginning of a call."""
    readings: list[MarkupCalls] = field(default_factory=list["MarkupCalls"])
    """The readings of the calls after an opening, each in another dialect, until one has begun."""
    failed_at: int = 0
    """The position in the held-back text before which no call begins, in any dialect."""
    code: CodeMarks = field(default_factory=CodeMarks)
    is_quoted: bool = False
    """True after an opening that was quoted, up to the end of the paragraph."""
    at_start: bool = field(init=False)
    """True while only white space has arrived, which a call would drop."""
    drops_space: bool = False
    """True after a call: white space is dropped."""
    line: str = ""
    """The first characters of the line, and the last ones."""
    was_blank: bool = True
    found: bool = False

    def __post_init__(self) -> None:
        (self.rows, self.marks), self.at_start = openings_of(self.dialects), bool(self.dialects)

    def note_thoughts(self, row: Dialect | None) -> None:
        """Read the calls of gpt-oss after reasoning without its marks, if those with marks are read."""
        if row is UNMARKED and any(each.name == HARMONY for each in self.dialects):
            self.rows, self.marks = openings_of((*self.dialects, UNMARKED_CALLS))

    @property
    def dangles(self) -> bool:
        """True if all that is held back is an opening, which is markup if a call of the API follows."""
        return self.held.strip() in DANGLING

    def drop_opening(self) -> None:
        """Leave out an opening that is held back, because a call of the API follows."""
        if self.dangles:
            self.held, self.readings, self.found = "", [], True

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without an opening, and with nothing undecided."""
        if self.tags is not None and not self.tags.passes(text):
            return False
        undecided = self.held or self.readings or self.at_start or self.drops_space
        return not (undecided or (self.marks.starts(text) and self.marks.begins_in(text)))

    def skim(self, text: str) -> None:
        """Read a piece that the caller returns unchanged (`passes` was True)."""
        if self.tags is not None:
            self.tags.skim(text)
        if self.tags is None or not self.tags.inside:
            self._note(text)

    def feed(self, text: str) -> list[Piece]:
        """Return the decided pieces of the text, and what has happened to calls."""
        out: list[Piece] = []
        for start in range(0, len(text), _BLOCK):
            rest = text[start : start + _BLOCK]
            while rest:
                rest = self._read_calls(rest, out) if self.readings else self._read_text(rest, out)
        return out if len(out) == 1 else _join(out)

    def end(self) -> list[Piece]:
        """Return the pieces that were held back, at the end of the text."""
        out: list[Piece] = []
        for reading in self.readings:
            reading.end()
        # Nothing in what is left may be a call, because its own reading has needed more text.
        rest = self._settle(self.held, out) if self.readings else self.held
        self.held = ""
        if self.drops_space:
            self._take(rest, rest := rest.lstrip(), [], out)
        self._give(rest, out)
        out += [] if self.tags is None else self.tags.end()
        return _join(out)

    def _read_text(self, piece: str, out: list[Piece]) -> str:
        """Read up to the next opening that counts; return the text after its calls, "" if there is none."""
        text, self.held = self.held + piece, ""
        blank = end_of_space(text, 0) if self.drops_space or self.at_start else 0
        if self.drops_space:
            while (stray := _STRAYS.pattern.match(text, blank)) is not None:
                blank = end_of_space(text, stray.end())
            self._take(text, text[blank:], [], out)
            if _STRAYS.may_begin(text, blank):
                self.held = text[blank:]
                return ""
            self.drops_space = blank == len(text)
            return "" if self.drops_space else self._search(text[blank:], 0, out)
        self.at_start = self.at_start and blank <= MOST_BLANK
        if self.at_start and blank == len(text):
            self.held = text
            return ""
        if self.at_start and text[blank] in BARE and text[blank] in self.rows:
            return self._open(text, blank, text[blank], out)
        return self._search(text, blank * self.at_start, out)

    def _search(self, text: str, blank: int, out: list[Piece]) -> str:
        """Read up to the next opening that counts, after `blank` spaces; return the text after its calls."""
        given, position = 0, blank
        while True:
            end, found = self.marks.find(text, position)
            if not (self.at_start and end == blank):
                self.at_start = False
                self._give(text[given:end], out)
                given = end
            if end == len(text) or self._counts(
                text[end:] if found is None else found[0], is_whole=found is not None
            ):
                break
            # An opening, or the beginning of one, that is code or quoted.
            self.at_start = False
            self._give(text[given : end + 1], out)
            given = position = end + 1
        text = text[given:]
        if found is None:
            self.held = text
            return ""
        return self._open(text, end - given, found[0], out)

    def _counts(self, mark: str, *, is_whole: bool) -> bool:
        """Return True if an opening, or the beginning of one, counts here: it is neither code nor quoted."""
        line = self.line
        if self.tags is not None and self.tags.covers(mark):
            return False
        # Code must not be asked between backticks, so a fence is looked for only at the start of its line.
        if (mark[0] == "`" and line.strip()) or (mark in FENCES and not self.at_start) or self.code.is_code():
            return False
        if not is_whole or (self.tools and not self.tells):
            # Quotations are decided for whole openings, at any cut; a known name is a call in them, too.
            return True
        # Text after a quoted opening belongs to the quotation, too.
        is_indented = self.was_blank and _match_indent(line) is not None
        self.is_quoted = self.is_quoted or is_indented or _search_quote(line) is not None
        return not self.is_quoted or bool(self.tools)

    def _give(self, text: str, out: list[Piece]) -> None:
        if not text:
            return
        pieces = [Passage(self.is_reasoning, text)] if self.tags is None else self.tags.feed(text)
        for piece in pieces:
            if isinstance(piece, Passage) and piece.inside is self.is_reasoning:
                self._note(piece.text)
        out += pieces

    def _note(self, text: str) -> None:
        """Keep how the line begins and ends, which decides if an opening counts."""
        self.code.feed(text)
        before, newline, line = text.rpartition("\n")
        if newline:
            self.was_blank = not (self.line + before).rpartition("\n")[2].strip()
            # A paragraph ends with a blank line, and a quotation that was left open ends with it.
            self.is_quoted = self.is_quoted and _BLANK_LINE.search(self.line + text) is None
        else:
            line = self.line + text
        self.line = line[:_KEPT] + line[-_KEPT:] if len(line) > 2 * _KEPT else line

    def _open(self, text: str, position: int, mark: str, out: list[Piece]) -> str:
        """Begin to read the calls of an opening; return the text after them, "" if they go on."""
        self.failed_at = position + 1
        tools = None if self.tells and not self.is_quoted else self.tools
        for row in self.rows[mark]:
            # An opening that is the head of the first call is read with it.
            is_head = mark in BARE or row.before.startswith(mark)
            start = position if is_head else position + len(mark)
            self.readings.append(MarkupCalls(row, tools, start))
        return self._read_calls(text, out)

    def _read_calls(self, piece: str, out: list[Piece]) -> str:
        for reading in self.readings:
            reading.feed(piece)
        return self._settle(self.held + piece, out)

    def _settle(self, text: str, out: list[Piece]) -> str:
        """Take what the readings have found in a text; return the text after the calls, "" if they go on."""
        begun = next((reading for reading in self.readings if reading.begun), None)
        if begun is not None:
            self.held, self.readings, self.found = "", [begun], True
            rest = self._leave(begun.rest) if begun.over else ""
            self._take(text, rest, begun.out, out)
            begun.out.clear()
            return rest
        self.failed_at = max([self.failed_at, *[each.at for each in self.readings if each.failed]])
        self.readings = [each for each in self.readings if not each.failed]
        self.held = text if self.readings else ""
        if self.readings:
            return ""
        # It is not a call in any dialect.
        self.at_start = False
        self._give(text[: self.failed_at], out)
        return text[self.failed_at :]

    def _take(self, text: str, rest: str, pieces: list[CallPiece], out: list[Piece]) -> None:
        """Add what has happened to calls in a text, or nothing for white space; `rest` is after it."""
        # No tag begins before a call.
        out += [*([] if self.tags is None else self.tags.end()), *pieces]

    def _leave(self, rest: str) -> str:
        """End the reading of calls; return the text after them, which begins outside of code."""
        self.readings, self.at_start, self.drops_space, self.was_blank = [], False, True, True
        self.code, self.line = CodeMarks(), ""
        return rest


class ThoughtScanner(CallScanner):
    """Holds back the calls at the end of a model's reasoning: they are calls if nothing else follows.

    After more characters than `limit`, or `_LONGEST_THOUGHT` in the arguments of a call, it holds none back,
    and no call is looked for.
    """

    is_reasoning = True

    def __init__(self, dialects: tuple[Dialect, ...], tools: OfferedTools, limit: int) -> None:
        super().__init__(dialects, tools)
        self._limit, self._size = limit, 0
        self._kept: list[str] = []
        """The text of the calls that are held back."""
        self.calls: list[CallPiece] = []
        self._arguments = TextLog()
        self._is_broken = False
        """True if more is missing of a call than the end of its markup."""

    @override
    def _give(self, text: str, out: list[Piece]) -> None:
        out += self.release() if text else []
        super()._give(text, out)

    @override
    def _take(self, text: str, rest: str, pieces: list[CallPiece], out: list[Piece]) -> None:
        self._kept.append(text)
        self._size += len(text) - len(rest)
        while rest:  # it may have begun in an earlier piece
            last = self._kept.pop()
            self._kept += [last[: -len(rest)]] if len(last) > len(rest) else []
            rest = rest[: max(0, len(rest) - len(last))]
        self.calls += pieces
        is_long = self._size > self._limit
        for piece in pieces:
            if isinstance(piece, ArgumentsPiece):
                self._arguments.append(piece.text)
                is_long = is_long or self._arguments.length > _LONGEST_THOUGHT
            elif isinstance(piece, CallEnded):
                is_sound = piece.how in {"closed", "open"} and is_whole(self._arguments.join())
                self._is_broken, self._arguments = self._is_broken or not is_sound, TextLog()
        if is_long:
            out += self.release()
            (self.rows, self.marks), self.readings = openings_of(()), []

    @override
    def end(self) -> list[Piece]:
        """Return what is decided at the end of the reasoning, where whole calls may still be held back."""
        out = super().end()
        out += self.release() if self._is_broken or not self.calls else []
        self._leave("")
        self.at_start, self.drops_space = True, False
        return out

    def release(self) -> list[Passage]:
        """Return the text of the calls that were held back, and forget them."""
        text, self._size, self._is_broken = "".join(self._kept), 0, False
        self._kept.clear()
        self.calls.clear()
        return [Passage(self.is_reasoning, text)] if text else []


def _join(pieces: list[Piece]) -> list[Piece]:
    """Return pieces with texts that follow one another joined, and pieces of arguments."""
    joined: list[Piece] = []
    for _, run in groupby(pieces, lambda each: (type(each), getattr(each, "inside", None))):
        first, *others = run
        if others and isinstance(first, Passage | ArgumentsPiece):
            text = "".join([first.text, *[getattr(piece, "text", "") for piece in others]])
            first, others = first._replace(text=text), []
        joined += [first, *others]
    return joined
