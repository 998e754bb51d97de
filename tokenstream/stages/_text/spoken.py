"""The speakable text of Markdown that is still arriving."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream.stages._markdown.openings import Container, LineKind
from tokenstream.stages._markdown.starts import HTML_ENDS
from tokenstream.stages._markdown.structure import BLANK, UNDECIDED, BlockStructure
from tokenstream.stages._text.spoken_inline import InlineSpeech

if TYPE_CHECKING:
    from tokenstream.stages._markdown.leaf import Leaf

_LINE_END = re.compile(r"\r\n|\r|\n")
_FOOTNOTE = re.compile(r"\[\^[^\]\[]{1,100}\]:[ \t]*")
_DEFINITION = re.compile(r"\[(?:[^\\\[\]]|\\.)++\]:")
_HALF_LABEL = re.compile(r"\[(?:[^\\\[\]]|\\.)*+(?:\\|\](?::[ \t]*)?|)|\[[ xX]\][ \t]*")
_BOX = re.compile(r"\[[ xX]\][ \t]+")
_CELL_END = re.compile(r"(?<!\\)\|")
_MAX_WAIT = 300
"""The most characters of a line to wait for, and to look at again with every piece."""
_LAST_RAW = 5
"""The last of the kinds of HTML blocks, in CommonMark, whose content is never text."""
_CODE = frozenset({LineKind.FENCE, LineKind.CODE})
_SPOKEN = frozenset({LineKind.TEXT, LineKind.HEADING, LineKind.HTML})

_TEXT, _PLAIN, _HEADING, _LABEL, _ROW, _HELD, _SILENT = range(7)
"""The handling of the line that is arriving.

| mode | meaning |
|---|---|
| `_TEXT` | its text is spoken as it arrives, up to a bar |
| `_PLAIN` | so is text that has a bar and is too long for the head of a table |
| `_HEADING` | so is the text of a heading, but for the marks at its end |
| `_LABEL` | more of the line decides if a definition begins |
| `_ROW` | the next line decides if the rest of it, from a bar on, is spoken as cells |
| `_HELD` | the end of the line decides what is spoken: of a table's row, a definition, or raw HTML |
| `_SILENT` | nothing of it is spoken |
"""


class MarkdownSpeech:
    """Turns Markdown into the text to be spoken; it does not matter how the Markdown is cut into pieces.

    The structure of the blocks says what each line is; the content of a block is read by an `InlineSpeech`.
    """

    def __init__(self) -> None:
        self._structure = BlockStructure(tables=True)
        self._inline = InlineSpeech()
        """Reads the text of the open block."""
        self._leaf: Leaf | None = None
        """The open block with text, when the line before was read."""
        self._holds_cr = False
        """True if a CR is held back, because an LF may follow."""
        self._line: list[str] = []
        self._line_size = 0
        self._is_decided = False
        """True once the structure has decided what the line is."""
        self._retry_at = 0
        """The length of the line from which on the structure is asked again."""
        self._mode = _TEXT
        self._is_code = False
        """True if the line is one of a code block, or its fence."""
        self._held_from = 0
        """The offset in the line of the text that is held back."""
        self._blanks = ""
        """Blanks, and in a heading marks, that are held back because the line, or a cell of it, may end."""
        self._has_text = False
        """True once text of the line has been spoken."""
        self._row: tuple[str, str] | None = None
        """The last line from its first bar on, and its ending: the next line decides if it heads a table."""
        self._containers: tuple[Container, ...] = ()
        """The quotes and list items around the line before."""
        self._definitions: list[str] | None = None
        """The lines so far of a paragraph that may consist of definitions; None once its text has begun."""

    def feed(self, text: str) -> str:
        """Return the next text to be spoken."""
        if self._holds_cr and text:
            text, self._holds_cr = "\r" + text, False
        if text.endswith("\r"):
            text, self._holds_cr = text[:-1], True
        out: list[str] = []
        if "\n" not in text and "\r" not in text:
            # Most pieces lie within a line.
            self._take_piece(text, out)
            return "".join(out)
        start = 0
        for match in _LINE_END.finditer(text):
            self._take_piece(text[start : match.start()], out)
            self._end_line(match[0], out)
            start = match.end()
        self._take_piece(text[start:], out)
        return "".join(out)

    def end(self) -> str:
        """Return the last text to be spoken, at the end of the input."""
        out: list[str] = []
        if self._holds_cr or self._line:
            self._end_line("\r" if self._holds_cr else "", out)
        self._holds_cr = False
        self._structure.end()
        self._change_leaf(out)
        return "".join(out)

    # -- lines -------------------------------------------------------------

    def _take_piece(self, piece: str, out: list[str]) -> None:
        if not piece:
            return
        self._line.append(piece)
        self._line_size += len(piece)
        if self._is_decided:
            self._speak_piece(piece, out)
        elif self._line_size >= self._retry_at:
            line = "".join(self._line)
            self._line = [line]
            if self._structure.decide_line(line, complete=False) != UNDECIDED:
                self._begin_line(line, out)
            elif self._line_size > _MAX_WAIT:
                # Looking at a long undecided line with every piece would take quadratic time.
                self._retry_at = self._line_size + self._line_size // 4

    def _end_line(self, ending: str, out: list[str]) -> None:
        """Take the end of a line, and speak what was held back of it."""
        line = "".join(self._line)
        is_blank = False
        if not self._is_decided:
            is_blank = self._structure.decide_line(line, complete=True) == BLANK
            self._begin_line(line, out)
        if not is_blank:
            self._structure.finish_line(line)
        self._speak_line_end(line, ending, out)
        self._line = []
        self._line_size = self._retry_at = 0
        self._is_decided = False

    def _begin_line(self, line: str, out: list[str]) -> None:
        """Begin to speak a line, once it is decided what it is; `line` is the part that has arrived."""
        before, leaf = self._leaf, self._structure.leaf
        if leaf is not before:
            self._change_leaf(out)
        elif self._row is not None:
            self._speak_row(out, is_table=False)
        self._is_decided = True
        self._mode, self._blanks, self._has_text = _SILENT, "", False
        closes_fence = before is not None and before.kind == LineKind.FENCE and bool(line.strip(" \t"))
        self._is_code = closes_fence if leaf is None else leaf.kind in _CODE
        is_raw = leaf is not None and leaf.kind == LineKind.HTML and leaf.size <= _LAST_RAW
        self._speak_numbers(out)
        if is_raw or (leaf is before and leaf is not None and leaf.kind == LineKind.TABLE):
            # The line that makes a table of the one before it has no text.
            self._mode = _HELD
        elif leaf is not None and leaf.kind in _SPOKEN:
            self._begin_text(leaf, line, out)

    def _speak_numbers(self, out: list[str]) -> None:
        before, self._containers = self._containers, self._structure.containers.freeze()
        if self._containers is not before:
            known = set(map(id, before))
            new = (item for item in self._containers if id(item) not in known)
            out += [f"{item.label} " for item in new if item.label[:1].isdigit()]

    def _begin_text(self, leaf: Leaf, line: str, out: list[str]) -> None:
        """Begin to speak a line of a paragraph, a heading, or HTML."""
        start = min(leaf.offsets[-1], len(line))
        self._mode = _TEXT
        if leaf.kind == LineKind.HEADING:
            self._mode = _HEADING
            start = len(line) - len(line[start + leaf.size :].lstrip(" \t"))
        elif self._definitions is not None and leaf.reader is not None:
            if leaf.reader.may_continue(line[start:]):
                self._mode = _HELD
            elif line.startswith("[", start):
                self._mode = _LABEL
        self._held_from = start
        self._speak_piece(line[start:], out)

    def _change_leaf(self, out: list[str]) -> None:
        """Speak the rest of the block that has ended, and go on with the one that is open."""
        before, leaf = self._leaf, self._structure.leaf
        if self._row is not None:
            self._speak_row(out, is_table=leaf is not None and leaf.kind == LineKind.TABLE)
        if before is not None:
            self._speak_broken_definitions(before, out)
        out.append(self._inline.end())
        self._inline = InlineSpeech()
        self._leaf = leaf
        self._definitions = [] if leaf is not None and leaf.reader is not None else None

    # -- the text of a line ------------------------------------------------

    def _speak_piece(self, piece: str, out: list[str]) -> None:
        if self._mode == _LABEL:
            self._decide_label(out, complete=False)
        elif self._mode in {_TEXT, _PLAIN, _HEADING}:
            self._speak_text(piece, out)
        if self._mode == _ROW and self._has_text and self._line_size - self._held_from > _MAX_WAIT:
            self._mode = _PLAIN
            self._speak_text("".join(self._line)[self._held_from :], out)

    def _speak_text(self, piece: str, out: list[str]) -> None:
        """Speak a piece of a text, but for blanks at its end; hold it back from a bar on."""
        bar = -1
        if self._mode == _TEXT and self._leaf is not None and self._leaf.kind == LineKind.TEXT:
            bar = piece.find("|")
        if bar >= 0:
            self._mode = _ROW
            self._held_from = self._line_size - len(piece) + bar
            piece = piece[:bar]
        text = self._blanks + piece
        end = len(text.rstrip(" \t"))
        if self._mode == _HEADING:
            # Marks after a blank, or after nothing, may be those at the end of the heading.
            before_marks = text[:end].rstrip("#")
            if before_marks[-1:] in {" ", "\t"} or (not before_marks and not self._has_text):
                end = len(before_marks.rstrip(" \t"))
        if len(text) - end > _MAX_WAIT:
            end = len(text)
        self._blanks = text[end:]
        self._has_text = self._has_text or end > 0
        out.append(self._inline.feed(text[:end]))

    def _decide_label(self, out: list[str], *, complete: bool) -> None:
        """Decide if a bracket at the start of a line begins a definition, a footnote, or text."""
        content = "".join(self._line)[self._held_from :]
        if not complete and len(content) < _MAX_WAIT and _HALF_LABEL.fullmatch(content):
            return
        if footnote := _FOOTNOTE.match(content):
            content = content[footnote.end() :]
        elif _DEFINITION.match(content):
            self._mode = _HELD
            return
        elif self._structure.containers.items and (box := _BOX.match(content)):
            content = content[box.end() :]
        self._mode = _TEXT
        self._speak_text(content, out)

    def _speak_line_end(self, line: str, ending: str, out: list[str]) -> None:
        """Speak what was held back of a line, and its ending, unless the line is code."""
        leaf = self._leaf
        if self._mode == _LABEL:
            self._decide_label(out, complete=True)
        if self._mode == _HELD and leaf is not None:
            self._speak_held(leaf, line, out)
        elif self._mode == _ROW and self._has_text:
            self._row = line[self._held_from :], ending
            return
        elif self._mode == _ROW:
            # A row with a bar before it, which needs no proof.
            out.append(_speak_cells(line[self._held_from :]))
        elif self._mode in {_TEXT, _PLAIN}:
            out.append(self._inline.feed(self._blanks))
            if self._definitions is not None:
                self._definitions.append("")
        if not self._is_code:
            out.append(self._inline.feed(ending))

    def _speak_held(self, leaf: Leaf, line: str, out: list[str]) -> None:
        """Speak what is text of a line that was held back: a row, a line of raw HTML, or a definition."""
        if leaf.kind == LineKind.TABLE:
            out.append(_speak_cells(line.lstrip(" \t>")))
        elif leaf.kind == LineKind.HTML:
            # The rest of the line, after the end of raw HTML.
            end = HTML_ENDS[leaf.size].search(line, leaf.offsets[-1])
            if end is not None:
                out.append(self._inline.feed(line[end.end() :]))
        else:
            # The line may be one of a definition.
            if self._definitions is not None:
                self._definitions.append(line[self._held_from :])
            if not leaf.defines:
                self._speak_broken_definitions(leaf, out)
                self._definitions = None

    def _speak_row(self, out: list[str], *, is_table: bool) -> None:
        """Speak the end of the last line, from its first bar on, as cells or as text."""
        if self._row is None:
            return
        row, ending = self._row
        self._row = None
        cells = _speak_cells(row) if is_table else ""
        if is_table:
            out.append(f"{self._inline.end()}, {cells}" if cells else self._inline.end())
        else:
            out.append(self._inline.feed(self._blanks + row))
        out.append(self._inline.feed(ending))

    # -- definitions -------------------------------------------------------

    def _speak_broken_definitions(self, leaf: Leaf, out: list[str]) -> None:
        """Speak the lines that were held back as definitions, from the first that turned out to be text."""
        if self._definitions is not None and leaf.reader is not None:
            lines = self._definitions[leaf.reader.text_from :]
            out.append(self._inline.feed("\n".join(filter(None, lines))))


def _speak_cells(row: str) -> str:
    """Return the text to be spoken of the row of a table: its cells, with commas between them."""
    cells = [cell.strip().replace("\\|", "|") for cell in _CELL_END.split(row)]
    return ", ".join(spoken for cell in cells if (spoken := InlineSpeech().speak(cell)))
