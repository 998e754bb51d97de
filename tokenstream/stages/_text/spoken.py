"""The speakable text of Markdown that is still arriving."""

from __future__ import annotations

import html
import re
import string

_MOST = 300
"""The most characters to wait for until it is clear what a bracket or a line of marks begins."""
_MOST_ADDRESS = 2_000
_LINE_END = re.compile(r"\r\n?|\n")
_RULE = re.compile(r"[-=*_|: \t]*+")
_FENCE = re.compile(r"(`{3,}|~{3,})")
_RUN = re.compile(r"(.)\1*+")
_BOX = re.compile(r"\[[ xX]\][ \t]")
_HALF_BOX = re.compile(r"\[(?:[ xX]\]?)?\Z")
_DEFINITION = re.compile(r"\[(?P<note>\^)?[^\]\[\n\r]{1,100}\]:")
_HALF_DEFINITION = re.compile(r"\[[^\]\[\n\r]{0,100}\]?\Z")
_PLAIN = re.compile(r"[^\\`*_~\[!<&|\n\r]++|\|")
_PLAIN_CELL = re.compile(r"[^\\`*_~\[!<&|\n\r \t]++")
_CELL_END = re.compile(r"[ \t]*+(\|)?[ \t]*+")
_CODE = re.compile(r"[^`\n\r]++")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_HALF_ENTITY = re.compile(r"&#?[A-Za-z0-9]{0,32}\Z")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*|[^\s<>@]+@[^\s<>@]+")
_PUNCTUATION = frozenset(string.punctuation)
_SIDES = {"[": re.compile(r"\\.|[\[\]\n\r]"), "(": re.compile(r"\\.|[()\n\r]")}


class MarkdownSpeech:
    """Turns Markdown into the text to be spoken; it does not matter how the Markdown is cut into pieces.

    Waiting is limited: a mark that has not turned out to be Markdown within the limit is text.
    """

    __slots__ = ("_begins", "_code", "_comment", "_fence", "_last", "_rest", "_skips", "_table", "_written")

    def __init__(self) -> None:
        self._rest = ""
        """Text that has arrived and is not decided yet."""
        self._last = ""
        """The character before the undecided text."""
        self._begins = True
        """True at the start of a line, where quotes, bullets and similar marks may appear."""
        self._skips = False
        """True if the rest of the line is not spoken."""
        self._fence = ""
        """The marks that opened a code block; "" outside of a code block."""
        self._code = 0
        """Number of backticks that opened inline code; 0 outside of inline code."""
        self._comment = False
        self._table = False
        self._written = False
        """True once the row of a table has any text."""

    def feed(self, text: str) -> str:
        """Return the next text to be spoken."""
        self._rest += text
        return self._read(ended=False)

    def end(self) -> str:
        """Return the last text to be spoken, at the end of the input."""
        return self._read(ended=True)

    def _read(self, *, ended: bool) -> str:
        """Return the text to be spoken, as far as it is decided; at the end, undecided marks are text."""
        out: list[str] = []
        text, at = self._rest, 0
        while at < len(text):
            reached = self._step(text, at, out, ended=ended)
            if reached < 0:
                if not ended:
                    break
                out.append(text[at])
                reached = at + 1
            if reached > at:
                self._last = text[reached - 1]
            at = reached
        self._rest = text[at:]
        return "".join(out)

    def _step(self, text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Read on from a place; return the end of the text that was read, or -1 if more text is needed."""
        if self._comment:
            return self._read_comment(text, at, ended=ended)
        if self._fence:
            return self._read_code(text, at, ended=ended)
        if text[at] in "\n\r":
            out.append(text[at])
            self._begins, self._code, self._skips, self._table, self._written = True, 0, False, False, False
            return at + 1
        if self._skips:
            match = _LINE_END.search(text, at)
            return match.start() if match else len(text)
        if self._begins:
            return self._begin(text, at, ended=ended)
        return self._read_inline(text, at, out, ended=ended)

    # -- the beginning of a line -------------------------------------------

    def _begin(self, text: str, at: int, *, ended: bool) -> int:
        """Skip a mark at the beginning of a line; return the place after it, `at` for none, -1 to wait."""
        sign = text[at]
        if sign in " \t>":
            return at + 1
        if sign in "-=*_|:":
            reached = self._begin_marks(text, at, ended=ended)
        elif sign in "`~":
            reached = self._begin_fence(text, at, ended=ended)
        elif sign == "[":
            reached = self._begin_bracket(text, at, ended=ended)
        elif sign == "#":
            reached = self._begin_heading(text, at, ended=ended)
        elif sign == "+":
            reached = at + 1 if text[at + 1 : at + 2].isspace() else at if at + 1 < len(text) or ended else -1
        else:
            reached = at
        if reached == at:
            self._begins = False
        return reached

    def _begin_marks(self, text: str, at: int, *, ended: bool) -> int:
        """Skip a line of marks, a bullet, or the left edge of a table."""
        match = _RULE.match(text, at, at + _MOST)
        stop = match.end() if match else at
        if stop == len(text) and stop - at < _MOST:
            return stop if ended else -1
        if stop < len(text) and text[stop] in "\n\r":
            return stop
        if text[at] == "|":
            self._table = True
            self._begins = False
            return at + 1
        return at + 1 if text[at] in "-*" and text[at + 1] in " \t" else at

    def _begin_heading(self, text: str, at: int, *, ended: bool) -> int:
        """Skip the hashes of a heading; return the place after them, `at` for none, -1 to wait."""
        match = _RUN.match(text, at, at + 7)
        stop = match.end() if match else at
        if stop == len(text) and stop - at < 7:
            return stop if ended else -1
        return at if stop - at > 6 or not text[stop].isspace() else stop

    def _begin_fence(self, text: str, at: int, *, ended: bool) -> int:
        """Skip the opening fence of a code block."""
        match = _FENCE.match(text, at, at + _MOST)
        if match is None:
            return at if ended or len(text) - at > 2 or len(set(text[at:])) > 1 else -1
        stop = match.end()
        if stop == len(text) and stop - at < _MOST:
            return stop if ended else -1
        line_end = _LINE_END.search(text, stop, at + _MOST)
        about = text[stop : line_end.start() if line_end else at + _MOST]
        if text[at] == "`" and "`" in about:
            return at
        if line_end is None and len(text) - at < _MOST and not ended:
            return -1
        self._fence = match[0]
        self._skips = True
        return stop

    def _begin_bracket(self, text: str, at: int, *, ended: bool) -> int:
        """Skip the checkbox of a task, the label of a footnote, or a link definition."""
        if box := _BOX.match(text, at):
            return box.end()
        if definition := _DEFINITION.match(text, at):
            self._skips = definition["note"] is None
            return definition.end()
        half = _HALF_BOX.match(text, at) or _HALF_DEFINITION.match(text, at)
        return -1 if half and not ended else at

    # -- code and comments -------------------------------------------------

    def _read_code(self, text: str, at: int, *, ended: bool) -> int:
        """Skip a line of a code block, or its beginning if the rest has not arrived."""
        match = _LINE_END.search(text, at)
        if match is not None and match[0] == "\r" and match.end() == len(text) and not ended:
            match = None
        line = text[at : match.start() if match else len(text)].rstrip("\r")
        marks = line.strip(" \t>")
        closes = not self._skips and set(marks) <= {self._fence[0]}
        if match is None:
            if closes and not ended and len(line) < _MOST:
                return -1
            self._skips = True
            return len(text) - (text[-1] == "\r" and not ended and len(text) - at > 1)
        if closes and len(marks) >= len(self._fence):
            self._fence = ""
        self._skips = False
        self._begins = True
        return match.end()

    def _read_comment(self, text: str, at: int, *, ended: bool) -> int:
        """Skip an HTML comment, or its beginning if the rest has not arrived."""
        stop = text.find("-->", at)
        if stop >= 0:
            self._comment = False
            return stop + 3
        if ended:
            return len(text)
        return len(text) - 2 if len(text) - at > 2 else -1

    # -- within a line -----------------------------------------------------

    def _read_inline(self, text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Read one construct within a line; return the place after it, or -1 if more text is needed."""
        if self._code and text[at] != "`":
            return self._take(_CODE, text, at, out)
        if self._table and text[at] in "| \t":
            return self._read_cell_end(text, at, out, ended=ended)
        match text[at]:
            case "`" | "*" | "_" | "~":
                return self._read_run(text, at, out, ended=ended)
            case "[":
                return self._read_link(text, at, at, out, ended=ended)
            case "!":
                if text[at + 1 : at + 2] == "[":
                    return self._read_link(text, at, at + 1, out, ended=ended)
                return self._literal(text, at, out, ended=ended)
            case "<":
                return self._read_angle(text, at, out, ended=ended)
            case "&":
                return self._read_entity(text, at, out, ended=ended)
            case "\\":
                return self._read_escape(text, at, out, ended=ended)
            case _:
                return self._take(_PLAIN_CELL if self._table else _PLAIN, text, at, out)

    def _take(self, pattern: re.Pattern[str], text: str, at: int, out: list[str]) -> int:
        """Speak the text that a pattern matches, or at least one character."""
        match = pattern.match(text, at)
        stop = match.end() if match else at + 1
        out.append(text[at:stop])
        self._written = True
        return stop

    @staticmethod
    def _literal(text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Speak a character unchanged, once the next character has arrived."""
        if at + 1 == len(text) and not ended:
            return -1
        out.append(text[at])
        return at + 1

    def _read_run(self, text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Skip the marks of emphasis and of code; speak marks that are neither of these."""
        match = _RUN.match(text, at, at + _MOST)
        stop = match.end() if match else at + 1
        if stop == len(text) and stop - at < _MOST and not ended:
            return -1
        if text[at] == "`":
            kept = bool(self._code) and self._code != stop - at
            if not kept:
                self._code = 0 if self._code else stop - at
        else:
            kept = _is_text(text[at], stop - at, self._last, text[stop : stop + 1])
        if kept:
            out.append(text[at:stop])
        return stop

    def _read_cell_end(self, text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Speak a comma between two cells of a table that have text."""
        match = _CELL_END.match(text, at, at + _MOST)
        stop = match.end() if match else at + 1
        if stop == len(text) and stop - at < _MOST:
            return stop if ended else -1
        if match is None or match[1] is None:
            out.append(text[at:stop] if self._written else "")
        elif self._written and stop < len(text) and text[stop] not in "\n\r":
            out.append(", ")
        return stop

    def _read_link(self, text: str, at: int, opened: int, out: list[str], *, ended: bool) -> int:
        """Speak the text of a link or an image, and skip its address."""
        close = _find_closing(text, opened, _MOST, ended=ended)
        if close is None or (close >= 0 and close + 1 == len(text) and not ended):
            return -1
        following = text[close + 1 : close + 2] if close >= 0 else ""
        shown = text[opened + 1 : close] if close >= 0 else ""
        stop = close if shown.startswith("^") else -1
        if following and following in "([":
            address = _find_closing(text, close + 1, _MOST_ADDRESS, ended=ended)
            if address is None:
                return -1
            stop = address
        if stop < 0:
            out.append(text[at : opened + 1])
            return opened + 1
        if not shown.startswith("^"):
            inner = MarkdownSpeech()
            inner._begins = False
            out.append(inner.feed(shown) + inner.end())
            self._written = True
        return stop + 1

    def _read_angle(self, text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Skip a tag or a comment; speak an address without its angle brackets."""
        following = text[at : at + 4]
        if following == "<!--":
            self._comment = True
            return at + 4
        if "<!--".startswith(following) and not ended:
            return -1
        if not (following[1:2].isalpha() or following[1:2] in {"/", "!", "?"}):
            return self._literal(text, at, out, ended=ended)
        stop = text.find(">", at, at + _MOST)
        line_end = _LINE_END.search(text, at, stop if stop >= 0 else at + _MOST)
        if line_end is None and stop < 0 and len(text) - at < _MOST and not ended:
            return -1
        if line_end is not None or stop < 0:
            return self._literal(text, at, out, ended=ended)
        if _ADDRESS.fullmatch(text, at + 1, stop):
            out.append(text[at + 1 : stop])
            self._written = True
        return stop + 1

    def _read_entity(self, text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Speak the character that an entity such as `&amp;` stands for."""
        if entity := _ENTITY.match(text, at):
            out.append(html.unescape(entity[0]))
            self._written = True
            return entity.end()
        if _HALF_ENTITY.match(text, at) and not ended:
            return -1
        out.append("&")
        return at + 1

    def _read_escape(self, text: str, at: int, out: list[str], *, ended: bool) -> int:
        """Speak an escaped punctuation character without its backslash."""
        if at + 1 == len(text) and not ended:
            return -1
        following = text[at + 1 : at + 2]
        if following in {"\n", "\r"}:
            return at + 1
        if following in _PUNCTUATION:
            out.append(following)
            self._written = True
            return at + 2
        out.append("\\")
        return at + 1


def _is_text(sign: str, count: int, before: str, after: str) -> bool:
    """Return True if marks are text and not emphasis, as in `2 * 3` and in names_like_this."""
    within = before.isalnum() and after.isalnum()
    if sign == "~" and count == 1:
        return True
    if sign == "_" or count == 1:
        return within or (before in {"", " "} and after in {"", " "})
    return before in {"", " "} and after in {"", " "}


def _find_closing(text: str, opened: int, most: int, *, ended: bool) -> int | None:
    """Return the position of the closing bracket; -1 if there is none, None if that is undecided."""
    opening = text[opened]
    depth = 0
    # Most brackets that stay open have no closing bracket at all: a single search finds that out.
    closes = text.find("]" if opening == "[" else ")", opened, opened + most)
    sides = _SIDES[opening] if closes >= 0 else _LINE_END
    for match in sides.finditer(text, opened, opened + most):
        if match[0][0] in "\n\r":
            return -1
        if match[0] == opening:
            depth += 1
        elif match[0][0] != "\\":
            depth -= 1
            if not depth:
                return match.start()
    return -1 if ended or len(text) - opened >= most else None
