"""Calls that a model writes into its text: found as it arrives, parted from the text around, made events."""

from __future__ import annotations

import re
from copy import copy
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.json import is_one_value
from tokenstream._basics.request_facts import offered_of
from tokenstream._basics.text_log import TextLog
from tokenstream._message_parts import set_dialect, set_repairs
from tokenstream.events import PartDone, TextDelta, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.message import ToolCall
from tokenstream.partial_json._repairs import Repair
from tokenstream.stages._calls.dialects import BARE, choose_dialects
from tokenstream.stages._calls.reading import MarkupCalls
from tokenstream.stages._calls.steps import CallBegun, CallEnded, Written
from tokenstream.stages._text import SoundStage
from tokenstream.stages._text.scanning import MOST_BLANK, CodeMarks, TextSearch, end_of_space

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.events import Event
    from tokenstream.stages._calls.dialects import Dialect
    from tokenstream.stages._calls.steps import Piece
    from tokenstream.stages._text.tags import TagScanner

_BLANK_LINE = re.compile(r"\n\s*\n|^\s*\n")
_BLOCK = 1024
"""The most characters that are read at once, because the text behind each opening is copied."""
_search_quote = re.compile(r"""^ {0,3}>|(?:[\u201c\u2018\xab\u201e]|(?:^|[\s(\[{<=:])["'`]+)\Z""").search
"""Finds the beginning of a quotation in a line; a straight mark behind a word ends one."""
_match_indent = re.compile(r"\t| {4}").match
_KEPT = 4
"""The number of characters at either end of a line that tell if what follows is quoted."""


class Openings(NamedTuple):
    """The openings of several dialects."""

    rows: dict[str, list[Dialect]]
    """The dialects that an opening may be of."""
    bare: str
    """The openings that count only at the start of a text."""
    marks: TextSearch
    """Searches for all others."""


@cache
def openings_of(dialects: tuple[Dialect, ...]) -> Openings:
    """Return the openings of several dialects; they are made once."""
    rows: dict[str, list[Dialect]] = {}
    for dialect in dialects:
        for opening in dialect.openings:
            rows.setdefault(opening, []).append(dialect)
    return Openings(rows, "".join(rows.keys() & BARE), TextSearch(rows.keys() - BARE))


class CallScanner:
    """Splits a text into the text outside of calls, and what happens to the calls.

    An opening counts unless it is in code. If the tools are not known, nor does one that is quoted: behind a
    mark that opens a quotation, with all that follows in its paragraph, in a line of a quotation, or in an
    indented block. White space behind a call is dropped, as it is between the start of the text and a call.

    Args:
        dialects: The dialects to read.
        tools: The tools of the request; None, or none of them, if they are not known.
        reasoning: Reads the same text, and is inside of a tag where no opening counts; None for no tags.
    """

    __slots__ = (
        "_at_start",
        "_code",
        "_drops_space",
        "_failed_at",
        "_held",
        "_is_quoted",
        "_line",
        "_openings",
        "_readings",
        "_reasoning",
        "_tools",
        "_was_blank",
        "firsts",
        "found",
    )

    def __init__(
        self, dialects: tuple[Dialect, ...], tools: OfferedTools | None, reasoning: TagScanner | None = None
    ) -> None:
        self._reasoning = reasoning
        self._openings = openings_of(dialects)
        self.firsts = self._openings.marks.firsts
        """Characters of which a text with an opening has one."""
        self._tools = tools
        self._code = CodeMarks()
        self._held = ""
        """The end of the text so far, if it is not decided."""
        self._readings: list[MarkupCalls] = []
        """The readings of the calls behind an opening, each in another dialect, until one has begun."""
        self._failed_at = 0
        """The position in the held-back text before which no call begins, in any dialect."""
        self._is_quoted = False
        """True behind an opening that was quoted, up to the end of the paragraph."""
        self._at_start = True
        """True while only white space has arrived."""
        self._drops_space = False
        """True behind a call: white space is dropped."""
        self._line = ""
        """The first characters of the line, and the last ones."""
        self._was_blank = True
        """True if the line before is blank, or there is none."""
        self.found = False
        """True once a call has begun."""

    @property
    def held(self) -> str:
        """The end of the text so far that may be the beginning of a call."""
        return self._held

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without an opening, and with nothing undecided."""
        return not (
            self._held
            or self._readings
            or self._at_start
            or self._drops_space
            or (text != "" and self._openings.marks.begins_in(text))
        )

    def feed(self, text: str) -> list[Piece]:
        """Return the decided pieces of the text, and what has happened to calls."""
        out: list[Piece] = []
        for start in range(0, len(text), _BLOCK):
            rest = text[start : start + _BLOCK]
            while rest:
                rest = self._read_calls(rest, out) if self._readings else self._read_text(rest, out)
        return out if len(out) == 1 else _join(out)

    def end(self) -> list[Piece]:
        """Return the pieces that were held back, at the end of the text."""
        out: list[Piece] = []
        for reading in self._readings:
            reading.end()
        # Nothing in what is left may be a call, because its own reading has needed more text.
        rest = self._settle(out) if self._readings else self._held
        self._held = ""
        if self._drops_space:
            rest = rest.lstrip()
        if rest:
            out.append(rest)
        return out

    # -- outside of calls ------------------------------------------------------

    def _read_text(self, piece: str, out: list[Piece]) -> str:
        """Read up to the next opening that counts; return the text behind its calls, "" if there is none."""
        text, self._held = self._held + piece, ""
        blank = end_of_space(text, 0) if self._drops_space or self._at_start else 0
        if self._drops_space:
            if blank == len(text):
                return ""
            self._drops_space = False
            return self._search(text[blank:], 0, out)
        if blank > MOST_BLANK:
            self._at_start = False
            blank = 0
        if self._at_start:
            if blank == len(text):
                self._held = text
                return ""
            if text[blank] in self._openings.bare:
                return self._open(text, blank, text[blank], out)
        return self._search(text, blank, out)

    def _search(self, text: str, blank: int, out: list[Piece]) -> str:
        """Read up to the next opening that counts, after `blank` spaces; return the text behind its calls."""
        marks, noted, position = self._openings.marks, blank, blank
        while True:
            found = marks.pattern.search(text, position)
            end = marks.find_unfinished(text, position) if found is None else found.start()
            self.skim(text[noted:end])
            if end == len(text) or self._counts(text[end], is_whole=found is not None):
                break
            # An opening, or the beginning of one, that is code or quoted.
            self.skim(text[end])
            noted = position = end + 1
        is_first = self._at_start and end == blank
        self._at_start = is_first and end < len(text)
        start = 0 if is_first else end
        if start:
            out.append(text[:start])
        if found is None:
            self._held = text[start:]
            return ""
        return self._open(text[start:], end - start, found[0], out)

    def _counts(self, first: str, *, is_whole: bool) -> bool:
        """Return True if an opening that begins with `first` counts here: it is neither code nor quoted."""
        line = self._line
        if self._reasoning is not None and self._reasoning.inside:
            return False
        # Code must not be asked between backticks, so a fence is looked for only at the start of its line.
        if (first == "`" and line.strip()) or self._code.is_code():
            return False
        if not is_whole or self._tools:
            # Quotations are decided for whole openings, at any cut; a known name is a call in them, too.
            return True
        is_quoted = (
            self._is_quoted
            or _search_quote(line) is not None
            or (self._was_blank and _match_indent(line) is not None)
        )
        # Text behind a quoted opening belongs to the quotation, too.
        self._is_quoted = is_quoted
        return not is_quoted

    def skim(self, text: str) -> None:
        """Read text that is outside of calls, such as a piece that the caller returns unchanged."""
        if text:
            self._code.feed(text)
            self._note_line(text)
            if self._reasoning is not None:
                self._reasoning.feed(text)

    def _note_line(self, text: str) -> None:
        """Keep how the line begins and ends, which decides if an opening counts."""
        before, newline, line = text.rpartition("\n")
        if newline:
            self._was_blank = not (self._line + before).rpartition("\n")[2].strip()
            # A paragraph ends with a blank line, and a quotation that was left open ends with it.
            self._is_quoted = self._is_quoted and _BLANK_LINE.search(self._line + text) is None
        else:
            line = self._line + text
        self._line = line[:_KEPT] + line[-_KEPT:] if len(line) > 2 * _KEPT else line

    # -- calls -------------------------------------------------------------------

    def _open(self, text: str, position: int, mark: str, out: list[Piece]) -> str:
        """Begin to read the calls of an opening; return the text behind them, "" if they go on."""
        self._failed_at = position + 1
        for row in self._openings.rows[mark]:
            # An opening that is the head of the first call is read with it.
            is_head = mark in BARE or row.before.startswith(mark)
            start = position if is_head else position + len(mark)
            self._readings.append(MarkupCalls(row, self._tools, start))
        return self._read_calls(text, out)

    def _read_calls(self, piece: str, out: list[Piece]) -> str:
        """Read a piece of the calls of an opening; return the text behind them, "" if they go on."""
        if not self._readings[0].begun:
            # It is not certain yet that these are calls.
            self._held += piece
        for reading in self._readings:
            reading.feed(piece)
        return self._settle(out)

    def _settle(self, out: list[Piece]) -> str:
        """Take what the readings have found; return the text behind the calls, "" if they go on."""
        begun = next((reading for reading in self._readings if reading.begun), None)
        if begun is not None:
            self._readings, self._held = [begun], ""
            self.found = True
            out += begun.out
            begun.out.clear()
            return self._leave(begun.rest) if begun.over else ""
        self._failed_at = max([self._failed_at, *[each.at for each in self._readings if each.failed]])
        self._readings = [each for each in self._readings if not each.failed]
        if self._readings:
            return ""
        text, self._held = self._held, ""
        released = text[: self._failed_at]
        self._at_start = False
        self.skim(released)
        out.append(released)
        return text[self._failed_at :]

    def _leave(self, rest: str) -> str:
        """End the reading of calls; return the text behind them, which begins outside of code."""
        self._readings = []
        self._at_start = False
        self._drops_space = self._was_blank = True
        self._code, self._line = CodeMarks(), ""
        return rest


def find_first_call(
    text: str, dialects: tuple[Dialect, ...], tools: OfferedTools | None, *, is_all: bool = False
) -> str | None:
    """Return the dialect of the first call in a text; None without one, or, for `is_all`, with other text."""
    scanner = CallScanner(dialects, tools)
    pieces = [*scanner.feed(text), *scanner.end()]
    if is_all and any(isinstance(each, str) or getattr(each, "how", "closed") != "closed" for each in pieces):
        return None
    return next((piece.dialect for piece in pieces if isinstance(piece, CallBegun)), None)


def _join(pieces: list[Piece]) -> list[Piece]:
    """Return pieces with neighbours of the same kind joined."""
    joined: list[Piece] = []
    for kind, run in groupby(pieces, type):
        if kind is str:
            joined.append("".join([str(piece) for piece in run]))
        elif kind is Written:
            joined.append(Written("".join([piece.text for piece in run if isinstance(piece, Written)])))
        else:
            joined += run
    return joined


class TextCall:
    """A call in a text that has begun: makes its events.

    Args:
        id: The call's id.
        begun: The tool's name, and the dialect.
        choice: The index of the choice.
        part: The index of the call in the message.
    """

    __slots__ = ("_arguments", "choice", "dialect", "id", "name", "part")

    def __init__(self, id: str, begun: CallBegun, choice: int, part: int) -> None:
        self.id = id
        self.name = begun.name
        self.dialect = begun.dialect
        self.choice = choice
        self.part = part
        self._arguments = TextLog()

    def place(self, events: Iterable[AnyEvent], part: int) -> list[AnyEvent]:
        """Take an index; return the call's events that were held back, with this index."""
        self.part = part
        placed = [*map(copy, events)]
        for event in placed:
            event.part = part
        return placed

    def start(self, raw: Any = None) -> AnyEvent:  # noqa: ANN401 - a payload
        """Return the event of the call's start."""
        return ToolCallStart(self.id, self.name, choice=self.choice, part=self.part, raw=raw)

    def add(self, fragment: str, raw: Any = None) -> Event:  # noqa: ANN401 - a payload
        """Add a fragment to the arguments; return its event."""
        self._arguments.append(fragment)
        return ToolCallDelta(self.id, fragment, choice=self.choice, part=self.part, raw=raw)

    def finish(self, ended: CallEnded, raw: Any = None) -> Event:  # noqa: ANN401 - a payload
        """Return the event of the call's end: it is handed out if its arguments are JSON."""
        text = self._arguments.join()
        is_whole = ended.how != "broken" and is_one_value(text)
        call = ToolCall(id=self.id, name=self.name, arguments_text=text, complete=is_whole)
        set_dialect(call, self.dialect)
        if ended.repairs:
            set_repairs(call, tuple([Repair(name, len(text)) for name in ended.repairs]))
        if is_whole:
            return ToolCallDone(call, choice=self.choice, part=self.part, raw=raw)
        return PartDone(call, choice=self.choice, part=self.part, raw=raw)


class ToolTags(SoundStage):
    r"""Turns the calls that a model has written into a text into the events of tool calls.

    Servers whose parser is off, or is one for another model, leave the markup of calls in the text. A call
    begins once its name is known, and is handed out once its markup is closed and its arguments are JSON.
    Markup in code is text, and so is a call of a tool that is not known. If no tools are known, so is markup
    in a quotation.

    Args:
        dialects: Names of the dialects to read, such as "hermes"; without any, all but those that need names.
        tools: Names of the tools, or the tools as in the JSON of a request, whose schemas then decide the
            types of parameters; without any, every name counts.

    Raises:
        MisuseError: A name is not one of a dialect.

    Example:
        >>> tags = ToolTags("hermes")
        >>> [type(event).__name__ for event in tags.feed('Hm. <tool_call>{"name": "now", "argum')]
        ['TextDelta', 'ToolCallStart']
        >>> [type(event).__name__ for event in tags.feed('ents": {}}</tool_call>')]
        ['ToolCallDelta', 'ToolCallDone']
    """

    __slots__ = ("_call", "_calls_seen", "_in_text", "_next_part", "_scanner")

    def __init__(self, *dialects: str, tools: Iterable[str | dict[str, Any]] = ()) -> None:
        self._scanner = CallScanner(choose_dialects(dialects or True), offered_of(tools))
        self._call: TextCall | None = None
        """The call that is open; None if there is none."""
        self._calls_seen = self._next_part = 0
        self._in_text = False
        """True if the last part is a text."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[Event]:
        """Return the events of the next piece of the text, as far as it is decided.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        return [event for piece in self._scanner.feed(item) for event in self._read(piece)]

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the events of the text that was held back; a call that was cut off has no end.

        Args:
            now: Unused; every stage has this parameter.
        """
        return [event for piece in self._scanner.end() for event in self._read(piece)]

    def _read(self, piece: Piece) -> list[Event]:
        """Return the events of a piece."""
        if isinstance(piece, str):
            self._next_part += not self._in_text
            self._in_text = True
            return [TextDelta(piece, part=self._next_part - 1)]
        if isinstance(piece, CallBegun):
            self._in_text = False
            self._call = TextCall(f"call_{self._calls_seen}", piece, 0, self._next_part)
            self._calls_seen += 1
            self._next_part += 1
            return [self._call.start()]
        call = self._call
        if call is None or (isinstance(piece, CallEnded) and piece.how == "cut"):
            return []
        return [call.add(piece.text) if isinstance(piece, Written) else call.finish(piece)]
