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
# What renderers take for no link: to them it defines nothing.
_REFUSED = re.compile(r"(?:vbscript|javascript|file|data(?!:image/(?:gif|png|jpeg|webp);)):", re.IGNORECASE)
_BRACKETS = re.compile(r"\[((?:[^\\\[\]]|\\.)++)\](?!\()", re.DOTALL)
_MOST_NESTED = 32


class Definition(NamedTuple):
    """A link definition, as it is written and without the marks of the containers it stands in."""

    label: str
    text: str


def label_of(written: str) -> str:
    """Return a label as labels are compared."""
    return " ".join(written.split()).casefold()


def labels_in(text: str) -> list[str]:
    """Return all that a text has in brackets, as labels, each once and in order."""
    found = dict.fromkeys(label_of(match[1]) for match in _BRACKETS.finditer(text))
    found.pop("", None)
    return list(found)


class DefinitionReader:
    """Reads the definitions that a paragraph begins with; after each line it knows what stands.

    `state` is the name of what is open: "fresh" (all lines are whole definitions),
    "after" (as fresh, but a title may still follow), "label", "target", "title",
    or "text" (no definition can come any more).
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
        """Definitions that are whole, and not yet taken."""
        self.text_from = 0
        """The line with which the text begins, or with which what is not yet decided begins."""
        self.doubtful = False
        """Parsers do not agree on what was read."""
        self._lines: list[str] = []
        """Lines of the definition that is open."""
        self._label = ""
        self._mark = ""
        self._title_from = 0
        self._own_line = False
        """The title began a line, so that the definition stands without it."""

    @property
    def fresh(self) -> bool:
        """All that was read are whole definitions."""
        return self.state in {"fresh", "after"}

    @property
    def open(self) -> bool:
        """A definition has begun and is not whole."""
        return self.state in {"label", "target", "title"}

    @property
    def shown_from(self) -> int:
        """The line with which the text begins, or what is not yet decided, or the next line."""
        return self.text_from + (len(self._lines) if self.state == "after" else 0)

    def may_continue(self, content: str) -> bool:
        """Whether a line that begins like this may belong to a definition that is read."""
        return self.open or (self.state == "after" and content[:1] in _TITLES)

    def read(self, line: str) -> None:
        """Read the next line, without its ending and what stands before its content."""
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
        """Say that the paragraph has ended."""
        if self.state == "after":
            self._complete(len(self._lines))
        elif self.state == "title" and self._own_line:
            self._complete(self._title_from)
            self.state = "text"
        elif self.state in {"label", "target", "title"}:
            self.state = "text"

    def _complete(self, count: int) -> None:
        # Indented like this, no line of it can be anything else.
        self.done.append(Definition(self._label, "\n    ".join(self._lines[:count])))
        self.text_from += count
        self._lines = self._lines[count:]
        self.state = "fresh"

    def _fail(self) -> None:
        if self.state == "title" and self._own_line:
            self._complete(self._title_from)
        self.state = "text"
        self._lines = []

    def _begin_label(self, line: str) -> None:
        if line[:1] != "[":
            self.state = "text"
            return
        self._label = ""
        self._own_line = False
        self.state = "label"
        self._read_label(line, 1)

    def _read_label(self, line: str, at: int) -> None:
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
        self._label = label_of(written[1 : len(written) - len(line) + end])
        if not self._label:
            self._fail()
            return
        self.state = "target"
        self._read_target(line, end + 2)

    def _read_target(self, line: str, at: int) -> None:
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
    """Return where the target of a link ends; -1 if there is none."""
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
