"""The speakable text of the inlines of Markdown, such as emphasis, code and links."""

from __future__ import annotations

import html
import re
import string

from tokenstream.stages._markdown.spans import UNFINISHED, find_tag_end, is_unfinished_entity
from tokenstream.stages._markdown.starts import BLOCK_NAMES

_WAIT = -1
"""Returned in place of a position if more text is needed to decide."""
_MAX_WAIT = 300
"""The most characters to wait for until it is clear what a bracket or an angle bracket begins."""
_MAX_ADDRESS = 2_000
_LINE_END = re.compile(r"\r\n?|\n")
_RUN = re.compile(r"(.)\1*+")
_PLAIN = re.compile(r"[^\\`*_~\[!<&\n\r]++")
_CODE = re.compile(r"[^`\n\r]++")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MAIL = re.compile(r"<[^\s<>:]+@[^\s<>]+>")
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)(?![A-Za-z0-9.+-]*:)")
_EMPTY_COMMENT = re.compile(r"<!---?>")
_TARGET = re.compile(
    r"""[ \t]*+(?:<(?:[^<>\n\\]|\\.)*+>|[^\s<]\S*+)?"""
    r"""(?:[ \t]++(?:"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)))?[ \t]*+"""
)
_PUNCTUATION = frozenset(string.punctuation)
_NO_BRACKET = -1
_BRACKETS = {"[": re.compile(r"\\[^\n\r]|[\[\]\n\r]"), "(": re.compile(r"\\[^\n\r]|[()\n\r]")}


class InlineSpeech:
    """Turns the text of one block into the text to be spoken; it does not matter how it is cut into pieces.

    Waiting is limited: a mark that has not turned out to be Markdown within the limit is text. To speak text
    is to append it to `out`.
    """

    def __init__(self) -> None:
        self._undecided = ""
        """Text that has arrived and is not decided yet."""
        self._last_char = ""
        """The character before the undecided text."""
        self._open_code = 0
        """Number of backticks that opened inline code; 0 outside of inline code."""
        self._in_comment = False

    def feed(self, text: str) -> str:
        """Return the next text to be spoken."""
        self._undecided += text
        return self._read(at_end=False)

    def end(self) -> str:
        """Return the last text to be spoken, at the end of the block."""
        return self._read(at_end=True)

    def speak(self, text: str) -> str:
        return self.feed(text) + self.end()

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
            self._last_char = text[end - 1]
            position = end
        self._undecided = text[position:]
        return "".join(out)

    # Each of the following methods reads the construct that begins at a position, and returns the
    # position after it, or _WAIT while it needs more text. At the end of the block, a mark for which
    # a method waits is text; `at_end` is True for the methods that read it otherwise there.

    def _read_next(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Read one construct, and append its text to `out`; return the position after it, or _WAIT."""
        if self._in_comment:
            return self._read_comment(text, position, at_end=at_end)
        mark = text[position]
        if mark in "\n\r":
            # Code whose closing backticks are missing must not swallow the next lines' marks.
            self._open_code = 0
            out.append(mark)
            return position + 1
        if self._open_code and mark != "`":
            return self._speak_match(_CODE, text, position, out)
        return self._read_mark(text, position, out, at_end=at_end)

    def _read_mark(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Read what a mark begins, or else plain text, and append it to `out`; return its end, or _WAIT."""
        match text[position]:
            case "`" | "*" | "_" | "~":
                return self._read_run(text, position, out, at_end=at_end)
            case "!" if position + 1 == len(text):
                return _WAIT  # an image may follow
            case "[" | "!" if text.startswith(("[", "!["), position):
                return self._read_link(text, position, out, at_end=at_end)
            case "<":
                return self._read_angle(text, position, out)
            case "&":
                return self._read_entity(text, position, out)
            case "\\":
                return self._read_escape(text, position, out)
            case _:
                return self._speak_match(_PLAIN, text, position, out)

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

    @staticmethod
    def _speak_match(pattern: re.Pattern[str], text: str, position: int, out: list[str]) -> int:
        """Append the text that a pattern matches, or else one character, to `out`; return its end."""
        match = pattern.match(text, position)
        stop = match.end() if match else position + 1
        out.append(text[position:stop])
        return stop

    def _read_run(self, text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Skip a run of marks, or append it as text; return the run's end, _WAIT while it may grow."""
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

    @staticmethod
    def _read_link(text: str, position: int, out: list[str], *, at_end: bool) -> int:
        """Speak a link's text, and skip its address or a footnote; return the position after it, or _WAIT."""
        open_at = position + (text[position] == "!")
        close_at = _find_closing(text, open_at, _MAX_WAIT)
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
            address_end = _find_closing(text, close_at + 1, _MAX_ADDRESS)
            if address_end is None:
                return _WAIT
            if _is_address(label, text[close_at + 1 : address_end + 1]):
                link_end = address_end
        if link_end == _NO_BRACKET:
            # Brackets without an address are text.
            out.append(text[position : open_at + 1])
            return open_at + 1
        if not is_footnote:
            out.append(InlineSpeech().speak(label))
        return link_end + 1

    def _read_angle(self, text: str, position: int, out: list[str]) -> int:
        """Read `<`: skip a tag, a comment, or an address in angle brackets; keep words around it apart."""
        if text.startswith("<!--", position) and not _EMPTY_COMMENT.match(text, position):
            self._in_comment = True
            if self._last_char.strip():
                out.append(" ")
            return position + 4
        end = find_tag_end(text, position)
        if end == UNFINISHED:
            return _WAIT
        if end is None:
            out.append("<")
            return position + 1
        spoken = _speak_tag(text[position:end])
        # One blank is enough to keep words apart.
        out.append(spoken if spoken != " " or self._last_char.strip() else "")
        return end

    @staticmethod
    def _read_entity(text: str, position: int, out: list[str]) -> int:
        """Append the character that an entity such as `&amp;` stands for to `out`, or a lone `&` itself."""
        if entity := _ENTITY.match(text, position):
            out.append(html.unescape(entity[0]))
            return entity.end()
        if is_unfinished_entity(text, position):
            return _WAIT
        out.append("&")
        return position + 1

    @staticmethod
    def _read_escape(text: str, position: int, out: list[str]) -> int:
        """Append a punctuation mark without the backslash before it; or a backslash that is only text."""
        if position + 1 == len(text):
            return _WAIT
        following = text[position + 1]
        if following in {"\n", "\r"}:
            # The backslash marks a line break.
            return position + 1
        if following in _PUNCTUATION:
            out.append(following)
            return position + 2
        out.append("\\")
        return position + 1


def _speak_tag(tag: str) -> str:
    """Return what is spoken in place of a tag, a comment, or an address in angle brackets."""
    if _MAIL.fullmatch(tag):
        return tag[1:-1]
    name = _TAG_NAME.match(tag)
    if name is None:
        return "" if tag[1:2].isalpha() else " "
    if name[1].lower() == "br":
        return " "
    return "\n" if name[1].lower() in BLOCK_NAMES else ""


def _is_plain_text(mark: str, count: int, before: str, after: str) -> bool:
    """Return True if marks are text and not emphasis, as in `2 * 3` and in names_like_this."""
    if mark == "~" and count == 1:
        # Text is struck through only by two tildes.
        return True
    stands_alone = not before.strip() and not after.strip()
    if mark == "_" or count == 1:
        # Between two letters or digits, as in a name or a product, these marks are text.
        return stands_alone or (before.isalnum() and after.isalnum())
    return stands_alone


def _is_address(label: str, address: str) -> bool:
    """Return True if brackets after the text of a link are its address, or the label of its definition."""
    if address[:1] == "(":
        return _TARGET.fullmatch(address, 1, len(address) - 1) is not None
    return not (label.isdigit() and address[1:-1].isdigit())


def _find_closing(text: str, open_at: int, max_length: int) -> int | None:
    """Return the position of the closing bracket; _NO_BRACKET if there is none, None if it may follow."""
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
    return _NO_BRACKET if len(text) - open_at >= max_length else None
