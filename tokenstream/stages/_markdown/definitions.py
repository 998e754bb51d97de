"""Link definitions at the start of a paragraph, read line by line, each character once."""

from __future__ import annotations

import re
from typing import NamedTuple

from tokenstream.stages._markdown.openings import skip_blanks

_LABEL = re.compile(r"(?:[^\\\[\]]|\\.)*+")
_ANGLED = re.compile(r"<(?:[^<>\\]|\\.)*+>")
_PLAIN = re.compile(r"(?:[^\x00-\x20\x7f()\\]|\\[^ ])++|[()]|\\")
_TITLES = {
    '"': re.compile(r'(?:[^"\\]|\\.)*+'),
    "'": re.compile(r"(?:[^'\\]|\\.)*+"),
    "(": re.compile(r"(?:[^()\\]|\\.)*+"),
}
_ENDS = {'"': '"', "'": "'", "(": ")"}
# Targets that renderers refuse; they do not treat the line as a definition.
_UNSAFE_TARGET = re.compile(
    r"(?:vbscript|javascript|file|data(?!:image/(?:gif|png|jpeg|webp);)):", re.IGNORECASE
)
# An escaped bracket opens no label. It is consumed: searching for a label's end from each one takes long.
_BRACKETS = re.compile(r"\\.|\[((?:[^\\\[\]]|\\.)++)\](?!\()", re.DOTALL)
_MOST_NESTED = 32


class Definition(NamedTuple):
    """A link definition as it was written, but without the marks of quotes and list items around it."""

    label: str
    text: str


def normalize_label(raw_label: str) -> str:
    """Return a label in its normal form; two labels are the same if their normal forms are."""
    return " ".join(raw_label.split()).casefold()


def find_labels(text: str) -> list[str]:
    """Return the labels in brackets in a text, each once and in order."""
    labels = dict.fromkeys(normalize_label(match[1] or "") for match in _BRACKETS.finditer(text))
    labels.pop("", None)
    return list(labels)


class DefinitionReader:
    """Reads the definitions at the start of a paragraph, line by line.

    | state | meaning |
    |---|---|
    | "fresh" | all lines so far are whole definitions |
    | "after" | the same, but a title for the last definition may still follow |
    | "label", "target", "title" | this part of a definition is open |
    | "text" | no more definitions can follow |
    """

    def __init__(self) -> None:
        self.state = "fresh"
        self.finished: list[Definition] = []
        """Whole definitions that the caller has not taken yet."""
        self.text_from = 0
        """Index of the first line that is text, or is not decided yet."""
        self.in_doubt = False
        """True if parsers disagree about the last line."""
        self._lines: list[str] = []
        self._label = ""
        self._title_mark = ""
        self._title_from = 0
        """Index of the title's first line in the open lines."""
        self._title_on_own_line = False
        """True if the title began on its own line, so that the definition is valid without it."""

    @property
    def only_definitions(self) -> bool:
        """True if all lines so far are whole definitions."""
        return self.state in {"fresh", "after"}

    @property
    def is_open(self) -> bool:
        return self.state in {"label", "target", "title"}

    @property
    def shown_from(self) -> int:
        """Index of the first line after the whole definitions, which render to nothing."""
        # In the state "after", the open lines are a whole definition, which may only lack a title.
        return self.text_from + (len(self._lines) if self.state == "after" else 0)

    def may_continue(self, content: str) -> bool:
        """Return True if the next line may belong to the open definition, or be the title of the last one."""
        # The keys of `_TITLES` are the marks that open a title.
        return self.is_open or (self.state == "after" and content[:1] in _TITLES)

    def read(self, line: str) -> None:
        """Read the content of the next line, without its ending."""
        if self.state == "text":
            return
        line = line.rstrip(" \t")
        self._lines.append(line)
        if self.state == "after" and line[:1] in _TITLES:
            self._title_on_own_line = True
            self._title_from = len(self._lines) - 1
            self._open_title(line, 0)
        elif self.state == "after":
            # No title follows: the definition is whole without this line, which may begin another one.
            self._finish_definition(len(self._lines) - 1)
            self._begin_label(line)
        elif self.state == "fresh":
            self._begin_label(line)
        elif self.state == "label":
            self._read_label(line, 0)
        elif self.state == "target":
            self._read_target(line, 0)
        else:
            self._read_title(line, 0)

    def close(self) -> None:
        """End the paragraph: finish the last definition if it is valid; the other open lines are text."""
        if self.state == "after":
            self._finish_definition(len(self._lines))
        elif self.state == "title" and self._title_on_own_line:
            self._finish_definition(self._title_from)
            self.state = "text"
        elif self.state in {"label", "target", "title"}:
            self.state = "text"

    def _finish_definition(self, count: int) -> None:
        """Finish the open definition, which has the first `count` open lines; the other lines stay open."""
        # With this indentation, a continuation line cannot be read as anything else.
        self.finished.append(Definition(self._label, "\n    ".join(self._lines[:count])))
        self.text_from += count
        self._lines = self._lines[count:]
        self.state = "fresh"

    def _treat_as_text(self) -> None:
        """Treat the open lines as text, because they are not a definition.

        If only the title is broken, and began on its own line, the definition before the title stays valid.
        """
        if self.state == "title" and self._title_on_own_line:
            self._finish_definition(self._title_from)
        self.state = "text"
        self._lines = []

    def _begin_label(self, line: str) -> None:
        """Begin a definition if the line starts with a bracket; otherwise the paragraph's text begins."""
        if line[:1] != "[":
            self.state = "text"
            return
        self._label = ""
        self._title_on_own_line = False
        self.state = "label"
        self._read_label(line, 1)

    def _read_label(self, line: str, position: int) -> None:
        """Read on in the label from a position; if the label ends here, read the target."""
        end = _find_label_end(_LABEL, line, position)
        if end == len(line):
            # The label continues on the next line.
            return
        # A label holds no opening bracket, and a colon follows its closing bracket.
        if line[end] == "[" or line[end + 1 : end + 2] != ":":
            self._treat_as_text()
            return
        # The label may have begun on an earlier line; this line is the last one of the definition so far.
        text = "\n".join(self._lines)
        end_in_text = len(text) - len(line) + end
        self._label = normalize_label(text[1:end_in_text])
        if not self._label:
            self._treat_as_text()
            return
        self.state = "target"
        self._read_target(line, end + 2)

    def _read_target(self, line: str, position: int) -> None:
        """Read the link target from a position in the line; a title may follow, in this line or the next."""
        start = skip_blanks(line, position)
        if start == len(line):
            # The target is on the next line.
            return
        end = _find_target_end(line, start)
        if end < 0:
            self._treat_as_text()
            return
        if _UNSAFE_TARGET.match(line[start:end].lstrip("<")):
            # Only some parsers refuse such a target; for them, the line is text.
            self.in_doubt = True
            self._treat_as_text()
            return
        title_start = skip_blanks(line, end)
        if title_start == len(line):
            self.state = "after"
        elif title_start > end and line[title_start] in _TITLES:
            self._open_title(line, title_start)
        else:
            self._treat_as_text()

    def _open_title(self, line: str, position: int) -> None:
        self._title_mark = line[position]
        self.state = "title"
        self._read_title(line, position + 1)

    def _read_title(self, line: str, position: int) -> None:
        """Read on in the title from a position; finish the definition if the title ends the line."""
        end = _find_label_end(_TITLES[self._title_mark], line, position)
        if end == len(line):
            # The title continues on the next line.
            return
        if line[end] != _ENDS[self._title_mark] or skip_blanks(line, end + 1) != len(line):
            self._treat_as_text()
            return
        # All open lines belong to the definition.
        self._finish_definition(len(self._lines))


def _find_label_end(pattern: re.Pattern[str], line: str, position: int) -> int:
    """Return the end of a label or title in a line; a backslash at the end of the line escapes nothing."""
    match = pattern.match(line, position)
    end = match.end() if match else position
    return end + (line[end : end + 1] == "\\")


def _find_target_end(line: str, position: int) -> int:
    if line[position] == "<":
        match = _ANGLED.match(line, position)
        return match.end() if match else -1
    # Without angle brackets, a target may contain parentheses in pairs.
    start, depth = position, 0
    while (match := _PLAIN.match(line, position)) is not None:
        piece = match[0]
        if piece == "(":
            depth += 1
            if depth > _MOST_NESTED:
                return -1
        elif piece == ")":
            if not depth:
                break
            depth -= 1
        position = match.end()
    return position if position > start and not depth else -1
