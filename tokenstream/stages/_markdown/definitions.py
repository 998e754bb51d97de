"""Link definitions at the start of a paragraph, read line by line, each character once."""

from __future__ import annotations

import re
from typing import NamedTuple

_LABEL = re.compile(r"(?:[^\\\[\]]|\\.)*+")
_BLANKS = re.compile(r"[ \t]*")
_ANGLED = re.compile(r"<(?:[^<>\\]|\\.)*+>")
_PLAIN = re.compile(r"(?:[^\x00-\x20\x7f()\\]|\\[^ ])++|[()]|\\")
_TITLES = {
    '"': re.compile(r'(?:[^"\\]|\\.)*+'),
    "'": re.compile(r"(?:[^'\\]|\\.)*+"),
    "(": re.compile(r"(?:[^()\\]|\\.)*+"),
}
_ENDS = {'"': '"', "'": "'", "(": ")"}
# Targets that renderers refuse; they do not treat the line as a definition.
_REFUSED = re.compile(r"(?:vbscript|javascript|file|data(?!:image/(?:gif|png|jpeg|webp);)):", re.IGNORECASE)
_BRACKETS = re.compile(r"\[((?:[^\\\[\]]|\\.)++)\](?!\()", re.DOTALL)
_MOST_NESTED = 32


class Definition(NamedTuple):
    """A link definition in its original wording, but without the marks of its containers."""

    label: str
    text: str


def normalize_label(written: str) -> str:
    """Return a label in its normal form; two labels are the same if their normal forms are."""
    return " ".join(written.split()).casefold()


def find_labels(text: str) -> list[str]:
    """Return the labels in brackets in a text, each once and in order."""
    found = dict.fromkeys(normalize_label(match[1]) for match in _BRACKETS.finditer(text))
    found.pop("", None)
    return list(found)


class DefinitionReader:
    """Reads the definitions at the start of a paragraph, line by line.

    | state | meaning |
    |---|---|
    | "fresh" | all lines so far are whole definitions |
    | "after" | the same, but a title for the last definition may still follow |
    | "label", "target", "title" | this part of a definition is open |
    | "text" | no more definitions can follow |
    """

    __slots__ = (
        "_label",
        "_lines",
        "_mark",
        "_own_line",
        "_title_from",
        "done",
        "doubtful",
        "state",
        "text_from",
    )

    def __init__(self) -> None:
        self.state = "fresh"
        self.done: list[Definition] = []
        """Whole definitions that the caller has not taken yet."""
        self.text_from = 0
        """The first line that is text or undecided."""
        self.doubtful = False
        """True if parsers disagree about the last line."""
        self._lines: list[str] = []
        """Lines of the open definition."""
        self._label = ""
        self._mark = ""
        self._title_from = 0
        self._own_line = False
        """True if the title began on its own line, so that the definition is valid without it."""

    @property
    def fresh(self) -> bool:
        """True if all lines so far are whole definitions."""
        return self.state in {"fresh", "after"}

    @property
    def open(self) -> bool:
        """True while a definition is not whole."""
        return self.state in {"label", "target", "title"}

    @property
    def shown_from(self) -> int:
        """The first line that is text or undecided; the next line if all lines are definitions."""
        return self.text_from + (len(self._lines) if self.state == "after" else 0)

    def may_continue(self, content: str) -> bool:
        """Return True if a line with this start may belong to the open definition, or to the last one."""
        return self.open or (self.state == "after" and content[:1] in _TITLES)

    def read(self, line: str) -> None:
        """Read the content of the next line, without its ending."""
        if self.state == "text":
            return
        line = line.rstrip(" \t")
        self._lines.append(line)
        if self.state == "after" and line[:1] in _TITLES:
            self._own_line = True
            self._title_from = len(self._lines) - 1
            self._open_title(line, 0)
        elif self.state in {"fresh", "after"}:
            if self.state == "after":
                self._lines.pop()
                self._complete(len(self._lines))
                self._lines.append(line)
            self._begin_label(line)
        elif self.state == "label":
            self._read_label(line, 0)
        elif self.state == "target":
            self._read_target(line, 0)
        else:
            self._read_title(line, 0)

    def close(self) -> None:
        """Signal the end of the paragraph."""
        if self.state == "after":
            self._complete(len(self._lines))
        elif self.state == "title" and self._own_line:
            self._complete(self._title_from)
            self.state = "text"
        elif self.state in {"label", "target", "title"}:
            self.state = "text"

    def _complete(self, count: int) -> None:
        """Finish the definition in the first `count` of its lines; the other lines remain open."""
        # With this indentation, a continuation line cannot be read as anything else.
        self.done.append(Definition(self._label, "\n    ".join(self._lines[:count])))
        self.text_from += count
        self._lines = self._lines[count:]
        self.state = "fresh"

    def _fail(self) -> None:
        """Treat the open lines as text; a definition before a broken title on its own line stays valid."""
        if self.state == "title" and self._own_line:
            self._complete(self._title_from)
        self.state = "text"
        self._lines = []

    def _begin_label(self, line: str) -> None:
        """Begin a definition if the line starts with a bracket; otherwise the paragraph's text begins."""
        if line[:1] != "[":
            self.state = "text"
            return
        self._label = ""
        self._own_line = False
        self.state = "label"
        self._read_label(line, 1)

    def _read_label(self, line: str, at: int) -> None:
        """Read on in the label from a position; if the label ends here, read the target."""
        match = _LABEL.match(line, at)
        end = match.end() if match else at
        if line[end : end + 1] == "\\":
            end += 1
        if end == len(line):
            return
        if line[end] == "[" or line[end + 1 : end + 2] != ":":
            self._fail()
            return
        written = "\n".join(self._lines)
        self._label = normalize_label(written[1 : len(written) - len(line) + end])
        if not self._label:
            self._fail()
            return
        self.state = "target"
        self._read_target(line, end + 2)

    def _read_target(self, line: str, at: int) -> None:
        """Read the link target from a position; if the target ends here, a title may follow."""
        at = _skip(line, at)
        if at == len(line):
            return
        end = _target_end(line, at)
        if end < 0 or _REFUSED.match(line[at:end].lstrip("<")):
            self.doubtful = end >= 0
            self._fail()
            return
        at = _skip(line, end)
        if at == len(line):
            self.state = "after"
        elif at > end and line[at] in _TITLES:
            self._open_title(line, at)
        else:
            self._fail()

    def _open_title(self, line: str, at: int) -> None:
        self._mark = line[at]
        self.state = "title"
        self._read_title(line, at + 1)

    def _read_title(self, line: str, at: int) -> None:
        """Read on in the title from a position; complete the definition if the title ends the line."""
        match = _TITLES[self._mark].match(line, at)
        end = match.end() if match else at
        if line[end : end + 1] == "\\":
            end += 1
        if end == len(line):
            return
        if line[end] != _ENDS[self._mark] or _skip(line, end + 1) != len(line):
            self._fail()
            return
        self._complete(len(self._lines))


def _skip(line: str, at: int) -> int:
    match = _BLANKS.match(line, at)
    return match.end() if match else at


def _target_end(line: str, at: int) -> int:
    """Return the end of a link target; -1 if there is none."""
    if line[at] == "<":
        match = _ANGLED.match(line, at)
        return match.end() if match else -1
    start, level = at, 0
    while (match := _PLAIN.match(line, at)) is not None:
        piece = match[0]
        if piece == "(":
            level += 1
            if level > _MOST_NESTED:
                return -1
        elif piece == ")":
            if not level:
                break
            level -= 1
        at = match.end()
    return at if at > start and not level else -1
