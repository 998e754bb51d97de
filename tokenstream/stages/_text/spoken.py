"""The speakable text of Markdown that is still arriving."""

from __future__ import annotations

import html
import re
import string

_WAIT = -1
"""Returned in place of a position if more text is needed to decide."""
_MAX_WAIT = 300
"""The most characters to wait for until it is clear what a bracket or a line of marks begins."""
_MAX_ADDRESS = 2_000
_MAX_HASHES = 6
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
_NO_BRACKET = -1
_BRACKETS = {"[": re.compile(r"\\[^\n\r]|[\[\]\n\r]"), "(": re.compile(r"\\[^\n\r]|[()\n\r]")}


class MarkdownSpeech:
    """Turns Markdown into the text to be spoken; it does not matter how the Markdown is cut into pieces.

    Waiting is limited: a mark that has not turned out to be Markdown within the limit is text. The methods
    for single constructs take a position in the undecided text, and return the position after the construct
    (`position` if there is none), or _WAIT while they need more text. To speak text is to append it to `out`.
    """

    __slots__ = (
        "_at_line_start",
        "_in_comment",
        "_in_table",
        "_last_char",
        "_open_code",
        "_open_fence",
        "_row_has_text",
        "_skips_line",
        "_undecided",
    )

    def __init__(self) -> None:
        self._undecided = ""
        """Text that has arrived and is not decided yet."""
        self._last_char = ""
        """The character before the undecided text."""
        self._at_line_start = True
        """True at the start of a line, where quotes, bullets and similar marks may appear."""
        self._skips_line = False
        """True if the rest of the line is not spoken."""
        self._open_fence = ""
        """The marks that opened a code block; "" outside of a code block."""
        self._open_code = 0
        """Number of backticks that opened inline code; 0 outside of inline code."""
        self._in_comment = False
        self._in_table = False
        self._row_has_text = False
        """True once the row of a table has any text."""

    def feed(self, text: str) -> str:
        """Return the next text to be spoken."""
        self._undecided += text
        return self._read(at_end=False)

    def end(self) -> str:
        """Return the last text to be spoken, at the end of the input."""
        return self._read(at_end=True)

    def _read(self, *, at_end: bool) -> str:
        """Return the text to be spoken, up to the first undecided mark; at the end, the mark is text."""
        out: list[str] = []
        text, position = self._undecided, 0
        while position < len(text):
            end = self._read_next(text, position, out, at_end=at_end)
            if end == _WAIT:
                if not at_end:
                    break
                out.append(text[position])
                end = position + 1
            if end > position:
                self._last_char = text[end - 1]
            position = end
        self._undecided = text[position:]
        return "".join(out)

    def _read_next(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Read one construct, and append its text to `out`; return the position after it, or _WAIT."""
        if self._in_comment:
            return self._read_comment(text, position, at_end=at_end)
        if self._open_fence:
            return self._read_code(text, position, at_end=at_end)
        if text[position] in "\n\r":
            out.append(text[position])
            # Code whose closing backticks are missing must not swallow the next lines' marks.
            self._at_line_start, self._open_code = True, 0
            self._skips_line = self._in_table = self._row_has_text = False
            return position + 1
        if self._skips_line:
            match = _LINE_END.search(text, position)
            return match.start() if match else len(text)
        if self._at_line_start:
            return self._skip_line_start(text, position, at_end=at_end)
        spoken_count = len(out)
        end = self._read_inline(text, position, out, at_end=at_end)
        if len(out) > spoken_count:
            self._row_has_text = True
        return end

    # Each of the following methods reads the construct that begins at a position, and returns the
    # position after it; the same position if there is no such construct; or _WAIT. `at_end` is True
    # at the end of the input, where nothing is waited for.

    # -- the beginning of a line -------------------------------------------

    def _skip_line_start(self, text: str, position: int, *, at_end: bool) -> int:
        """Skip a mark at the beginning of a line.

        Returns:
            The position after the mark; `position` if there is no mark; _WAIT while more text is needed.
        """
        mark = text[position]
        if mark in " \t>":
            return position + 1
        if mark in "-=*_|:":
            end = self._skip_rule_or_bullet(text, position, at_end=at_end)
        elif mark in "`~":
            end = self._open_code_block(text, position, at_end=at_end)
        elif mark == "[":
            end = self._skip_label(text, position, at_end=at_end)
        elif mark == "#":
            end = self._skip_hashes(text, position, at_end=at_end)
        elif mark == "+":
            end = self._skip_plus(text, position, at_end=at_end)
        else:
            end = position
        if end == position:
            self._at_line_start = False
        return end

    @staticmethod
    def _skip_plus(text: str, position: int, *, at_end: bool) -> int:
        """Skip a `+` before white space, which is a bullet; return its end (`position` if none) or _WAIT."""
        following = text[position + 1 : position + 2]
        if not following and not at_end:
            return _WAIT
        return position + 1 if following.isspace() else position

    def _skip_rule_or_bullet(self, text: str, position: int, *, at_end: bool) -> int:
        """Skip a line of marks, a bullet or a table's edge; return its end (else `position`) or _WAIT."""
        match = _RULE.match(text, position, position + _MAX_WAIT)
        stop = match.end() if match else position
        if stop == len(text):
            return stop if at_end else _WAIT
        if stop < len(text) and text[stop] in "\n\r":
            # The line consists of marks: a rule, an underline, or the line below a table's header.
            return stop
        if text[position] == "|":
            self._in_table = True
            self._at_line_start = False
            return position + 1
        is_bullet = text[position] in "-*" and text[position + 1] in " \t"
        return position + 1 if is_bullet else position

    def _skip_hashes(self, text: str, position: int, *, at_end: bool) -> int:
        """Skip the hashes of a heading: up to six, with white space after them.

        Returns:
            The position after the hashes; `position` if they do not begin a heading; _WAIT for more text.
        """
        match = _RUN.match(text, position, position + _MAX_HASHES + 1)
        stop = match.end() if match else position
        count = stop - position
        if stop == len(text) and count <= _MAX_HASHES:
            return stop if at_end else _WAIT
        return stop if count <= _MAX_HASHES and text[stop].isspace() else position

    def _open_code_block(self, text: str, position: int, *, at_end: bool) -> int:
        """Skip the opening fence of a code block; the rest of the fence's line is skipped afterwards.

        Returns:
            The position after the fence; `position` if there is no fence; _WAIT while more text is needed.
        """
        match = _FENCE.match(text, position, position + _MAX_WAIT)
        if match is None:
            # One or two marks at the end of the text may become a fence.
            may_be_fence = len(text) - position <= 2 and len(set(text[position:])) == 1
            return _WAIT if may_be_fence and not at_end else position
        stop = match.end()
        if stop == len(text):
            # More marks may follow.
            return stop if at_end else _WAIT
        line_end = _LINE_END.search(text, stop, position + _MAX_WAIT)
        rest_of_line = text[stop : line_end.start() if line_end else position + _MAX_WAIT]
        if text[position] == "`" and "`" in rest_of_line:
            # Inline code with three or more backticks.
            return position
        if line_end is None and len(text) - position < _MAX_WAIT and not at_end:
            return _WAIT
        self._open_fence = match[0]
        self._skips_line = True
        return stop

    def _skip_label(self, text: str, position: int, *, at_end: bool) -> int:
        """Skip the checkbox of a task, the label of a footnote, or a link definition.

        Returns:
            The position after it; `position` if there is none of these; _WAIT while more text is needed.
        """
        if box := _BOX.match(text, position):
            return box.end()
        if definition := _DEFINITION.match(text, position):
            # The text of a footnote is spoken; the target of a link is not.
            self._skips_line = definition["note"] is None
            return definition.end()
        # The bracket may become one of these with more text.
        may_be_label = _HALF_BOX.match(text, position) or _HALF_DEFINITION.match(text, position)
        return _WAIT if may_be_label and not at_end else position

    # -- code and comments -------------------------------------------------

    def _read_code(self, text: str, position: int, *, at_end: bool) -> int:
        """Skip a line of a code block, as far as it has arrived.

        Returns:
            The position after the skipped text; _WAIT while the line may still become the closing fence.
        """
        line_end = _LINE_END.search(text, position)
        if line_end is not None and line_end[0] == "\r" and line_end.end() == len(text) and not at_end:
            # An LF may follow, which belongs to the same line ending.
            line_end = None
        line = text[position : line_end.start() if line_end else len(text)].rstrip("\r")
        marks = line.strip(" \t>")
        # At the start of a line: nothing yet, or nothing except the marks of a fence.
        may_be_fence = not self._skips_line and set(marks) <= {self._open_fence[0]}
        if line_end is None:
            if may_be_fence and not at_end and len(line) < _MAX_WAIT:
                return _WAIT
            self._skips_line = True
            # A CR at the end stays undecided: it may be half of a line ending.
            if text[-1] == "\r" and not at_end:
                return len(text) - 1 if len(text) - position > 1 else _WAIT
            return len(text)
        if may_be_fence and len(marks) >= len(self._open_fence) and len(line) < _MAX_WAIT:
            self._open_fence = ""
        self._skips_line = False
        self._at_line_start = True
        return line_end.end()

    def _read_comment(self, text: str, position: int, *, at_end: bool) -> int:
        """Skip an HTML comment as far as it has arrived; return the position after it, or _WAIT."""
        stop = text.find("-->", position)
        if stop >= 0:
            self._in_comment = False
            return stop + 3
        if at_end:
            return len(text)
        # The last two characters may be the first ones of "-->".
        return len(text) - 2 if len(text) - position > 2 else _WAIT

    # -- within a line -----------------------------------------------------

    def _read_inline(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Read a construct within a line, and append its text to `out`; return its end, or _WAIT."""
        if self._open_code and text[position] != "`":
            return self._speak_match(_CODE, text, position, out)
        if self._in_table and text[position] in "| \t":
            return self._read_cell_end(text, position, out, at_end=at_end)
        match text[position]:
            case "`" | "*" | "_" | "~":
                return self._read_run(text, position, out, at_end=at_end)
            case "[":
                return self._read_link(text, position, position, out, at_end=at_end)
            case "!":
                if text[position + 1 : position + 2] == "[":  # an image
                    return self._read_link(text, position, position + 1, out, at_end=at_end)
                return self._speak_char(text, position, out, at_end=at_end)
            case "<":
                return self._read_angle(text, position, out, at_end=at_end)
            case "&":
                return self._read_entity(text, position, out, at_end=at_end)
            case "\\":
                return self._read_escape(text, position, out, at_end=at_end)
            case _:
                return self._speak_match(_PLAIN_CELL if self._in_table else _PLAIN, text, position, out)

    @staticmethod
    def _speak_match(pattern: re.Pattern[str], text: str, position: int, out: list[str]) -> int:
        """Append the text that a pattern matches, or else one character, to `out`; return its end."""
        match = pattern.match(text, position)
        stop = match.end() if match else position + 1
        out.append(text[position:stop])
        return stop

    @staticmethod
    def _speak_char(text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Append a character to `out`; return the position after it, or _WAIT if no text follows yet."""
        if position + 1 == len(text) and not at_end:
            return _WAIT
        out.append(text[position])
        return position + 1

    def _read_run(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Skip a run of marks of emphasis or code; append marks that are text to `out`; return the run's end.

        The result is _WAIT while the run may become longer.
        """
        match = _RUN.match(text, position, position + _MAX_WAIT)
        stop = match.end() if match else position + 1
        if stop == len(text) and not at_end:
            return _WAIT
        count = stop - position
        if text[position] == "`":
            # Code is closed by as many backticks as opened it; others inside it are part of the code.
            is_text = self._open_code not in {0, count}
            if not is_text:
                self._open_code = 0 if self._open_code else count
        else:
            is_text = _is_plain_text(text[position], count, self._last_char, text[stop : stop + 1])
        if is_text:
            out.append(text[position:stop])
        return stop

    def _read_cell_end(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Append a comma to `out` at the end of a table cell, if text precedes it and another cell follows.

        Returns:
            The position after the end of the cell; _WAIT while more text is needed.
        """
        match = _CELL_END.match(text, position, position + _MAX_WAIT)
        stop = match.end() if match else position + 1
        if stop == len(text):
            return stop if at_end else _WAIT
        if match is None or match[1] is None:
            # White space within a cell: the group would contain the bar at the end of the cell.
            if self._row_has_text:
                out.append(text[position:stop])
        elif self._row_has_text and stop < len(text) and text[stop] not in "\n\r":
            out.append(", ")
        return stop

    @staticmethod
    def _read_link(text: str, position: int, open_at: int, out: list[str], *, at_end: bool) -> int:
        """Speak the text of a link or an image, and skip its address; skip the reference of a footnote.

        Args:
            text: The undecided text.
            position: The start of the link, or of the image, which is "!".
            open_at: The position of its opening bracket.
            out: Receives the text to be spoken.
            at_end: True at the end of the input.

        Returns:
            The position after the link; _WAIT while more text is needed.
        """
        close_at = _find_closing(text, open_at, _MAX_WAIT, at_end=at_end)
        if close_at is None:
            return _WAIT
        if close_at == _NO_BRACKET:
            out.append(text[position : open_at + 1])
            return open_at + 1
        if close_at + 1 == len(text) and not at_end:
            # An address may follow.
            return _WAIT
        label = text[open_at + 1 : close_at]
        is_footnote = label.startswith("^")
        link_end = close_at if is_footnote else _NO_BRACKET
        if text[close_at + 1 : close_at + 2] in {"(", "["}:
            address_end = _find_closing(text, close_at + 1, _MAX_ADDRESS, at_end=at_end)
            if address_end is None:
                return _WAIT
            link_end = address_end
        if link_end == _NO_BRACKET:
            # Brackets without an address are text.
            out.append(text[position : open_at + 1])
            return open_at + 1
        if not is_footnote:
            inner = MarkdownSpeech()
            inner._at_line_start = False
            out.append(inner.feed(label) + inner.end())
        return link_end + 1

    def _read_angle(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Read `<`: skip a tag or a comment, or append an address without its angle brackets to `out`.

        Returns:
            The position after what was read; _WAIT while more text is needed.
        """
        following = text[position : position + 4]
        if following == "<!--":
            self._in_comment = True
            return position + 4
        if "<!--".startswith(following) and not at_end:
            return _WAIT
        if not (following[1:2].isalpha() or following[1:2] in {"/", "!", "?"}):
            return self._speak_char(text, position, out, at_end=at_end)
        close_at = text.find(">", position, position + _MAX_WAIT)
        is_closed = close_at >= 0
        line_end = _LINE_END.search(text, position, close_at if is_closed else position + _MAX_WAIT)
        if line_end is not None:
            # A tag that is longer than a line is not recognised.
            return self._speak_char(text, position, out, at_end=at_end)
        if not is_closed:
            if len(text) - position < _MAX_WAIT and not at_end:
                return _WAIT
            return self._speak_char(text, position, out, at_end=at_end)
        if _ADDRESS.fullmatch(text, position + 1, close_at):
            out.append(text[position + 1 : close_at])
        return close_at + 1

    @staticmethod
    def _read_entity(text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Append the character that an entity such as `&amp;` stands for to `out`, or a lone `&` itself.

        Returns:
            The position after it; _WAIT while more text is needed.
        """
        if entity := _ENTITY.match(text, position):
            out.append(html.unescape(entity[0]))
            return entity.end()
        if _HALF_ENTITY.match(text, position) and not at_end:
            return _WAIT
        out.append("&")
        return position + 1

    @staticmethod
    def _read_escape(text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Append a punctuation mark without the backslash before it; or a backslash that is only text.

        Returns:
            The position after what was read; _WAIT while more text is needed.
        """
        if position + 1 == len(text) and not at_end:
            return _WAIT
        following = text[position + 1 : position + 2]
        if following in {"\n", "\r"}:
            # The backslash marks a line break.
            return position + 1
        if following in _PUNCTUATION:
            out.append(following)
            return position + 2
        out.append("\\")
        return position + 1


def _is_plain_text(mark: str, count: int, before: str, after: str) -> bool:
    """Return True if marks are text and not emphasis, as in `2 * 3` and in names_like_this.

    Args:
        mark: The character of the marks.
        count: The number of marks.
        before: The character before the marks; "" at the start of the text.
        after: The character after the marks; "" at the end of the text.
    """
    if mark == "~" and count == 1:
        # Text is struck through only by two tildes.
        return True
    stands_alone = before in {"", " "} and after in {"", " "}
    if mark == "_" or count == 1:
        # Between two letters or digits, as in a name or a product, these marks are text.
        return stands_alone or (before.isalnum() and after.isalnum())
    return stands_alone


def _find_closing(text: str, open_at: int, max_length: int, *, at_end: bool) -> int | None:
    """Return the position of the closing bracket; _NO_BRACKET if there is none, None if it may follow.

    Args:
        text: The undecided text.
        open_at: The position of the opening bracket.
        max_length: The most characters to search.
        at_end: True at the end of the input.
    """
    opening = text[open_at]
    depth = 0
    # Most brackets that stay open have no closing bracket at all: a single search finds that out.
    has_closing = text.find("]" if opening == "[" else ")", open_at, open_at + max_length) >= 0
    pattern = _BRACKETS[opening] if has_closing else _LINE_END
    for match in pattern.finditer(text, open_at, open_at + max_length):
        if match[0][0] in "\n\r":
            return _NO_BRACKET
        if match[0] == opening:
            depth += 1
        elif match[0][0] != "\\":
            depth -= 1
            if not depth:
                return match.start()
    return _NO_BRACKET if at_end or len(text) - open_at >= max_length else None
