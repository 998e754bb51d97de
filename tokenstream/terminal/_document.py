"""Markdown drawn by rich, with nothing left out, and without control characters of the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.markdown import Markdown
from rich.segment import Segment, Segments

from tokenstream._basics.visible import several_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

# The parser that rich creates stops at ten nested lists, so a parser with a higher limit is used.
_PARSER = MarkdownIt("commonmark", {"maxNesting": 60}).enable(["strikethrough", "table"])
_MAX_LEVEL = 57
"""Largest number of levels to draw, since the parser drops deeper ones. A nested list is two levels."""
_MIN_COLUMNS = 4
"""Smallest number of columns for a text inside lists and quotes."""
_INDENTS = {"blockquote_open": 4, "bullet_list_open": 3, "ordered_list_open": 6}
"""Number of columns by which rich indents each kind of block; item numbers may have three digits."""
_LINE_END = re.compile(r"\r\n?|\n")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ADDRESS_ATTRIBUTES = {"href", "src"}
"""Attributes of links and images that rich prints."""


class MarkdownDocument(Markdown):
    """A markdown document, or one block of a document.

    Differences from rich's own `Markdown`:

    - HTML is printed as text; rich drops HTML, so that `Vec<String>` would become `Vec`.
    - An image becomes text at its place; rich puts it before its paragraph or list item.
    - A block that is nested too deeply for rich's parser or for the columns is printed as its
      source; rich drops such a block.

    Args:
        code_theme: The pygments style of code.
        hyperlinks: True to make links hyperlinks of the terminal.
        space_before: True to print an empty line before the document.
    """

    def __init__(self, text: str, *, code_theme: str, hyperlinks: bool, space_before: bool = False) -> None:
        # rich gets no text to parse, because the tokens are changed before rich draws them.
        super().__init__("", code_theme=code_theme, hyperlinks=hyperlinks)
        self.markup = text
        # Quirk (markdown-it-py, 4.3): HTML within a list within a quote fails at the end of a text that has
        # no line break there.
        self.parsed = [*_prepare_tokens(_PARSER.parse(f"{text}\n"))]
        self.empty = not self.parsed
        """True if nothing is printed, for example if the text has only link definitions."""
        last = None if self.empty else self.elements.get(self.parsed[-1].type)
        self.space_after = last is None or last.new_line
        """True if rich puts an empty line after this document."""
        if space_before and self.parsed:
            # rich prints the empty line even after an unknown token, which itself prints nothing.
            self.parsed.insert(0, Token("what comes before", "", 0))

    def rows(self, console: Console, columns: int | None = None) -> list[str]:
        """Return the lines that a console prints for the document, without line ends.

        Colours begin and end in each line. Invisible spaces at the end of a line are removed: if
        a terminal draws a character wider than rich expects, they would wrap to another line.
        """
        width = console.width if columns is None else min(columns, console.width)
        # rich would fail on blocks that are nested too deeply: they are drawn as the lines of their source.
        self.parsed = [*_flatten_deep_blocks(self.parsed, self.markup, width - _MIN_COLUMNS)]
        with console.capture() as captured:
            for line in console.render_lines(self, console.options.update(width=width), pad=False):
                console.print(
                    Segments([*Segment.simplify(_trim_line(line, console)), Segment.line()]),
                    end="",
                    soft_wrap=True,
                )
        # Each line ends with a line feed, so the last item is empty.
        return captured.get().split("\n")[:-1]


def _prepare_tokens(tokens: list[Token]) -> Iterator[Token]:
    """Yield the parser's tokens, with HTML and images as text, and control characters escaped."""
    for token in tokens:
        token.content = several_lines(token.content)
        for name in _ADDRESS_ATTRIBUTES & token.attrs.keys():
            token.attrs[name] = several_lines(str(token.attrs[name]))
        if token.children:
            token.children = [*_drop_repeated_addresses([*_prepare_tokens(token.children)])]
        if token.type == "html_inline":
            is_break = _BREAK.fullmatch(token.content)
            yield Token("hardbreak", "br", 0) if is_break else _make_text_token(token.content)
        elif token.type == "image":
            address = str(token.attrs.get("src", ""))
            # An address that begins with data: contains the image itself, and is not printed.
            place = f" ({address})" if address and not address.startswith("data:") else ""
            yield _make_text_token(f"🌆 {token.content}{place}")
        elif token.type == "html_block":
            children: list[Token] = []
            for line in token.content.rstrip("\n").split("\n"):
                children += [Token("hardbreak", "br", 0), _make_text_token(line)]
            yield Token("paragraph_open", "p", 1)
            yield Token("inline", "", 0, children=children[1:])
            yield Token("paragraph_close", "p", -1)
        else:
            yield token


def _flatten_deep_blocks(tokens: list[Token], text: str, room: int) -> Iterator[Token]:
    """Yield the tokens, but replace each block that is nested too deeply by the lines of its source."""
    lines: list[str] = []
    block: list[Token] = []
    depth = 0
    for token in tokens:
        block.append(token)
        # `nesting` is 1 for a token that opens a container, -1 for one that closes it, else 0.
        depth += token.nesting
        if depth:
            continue
        # `map` is the range of a block's lines in the source.
        if (first := block[0]).map and _is_too_deep(block, room):
            lines = lines or _LINE_END.split(text)
            source = several_lines("\n".join(lines[slice(*first.map)]))
            yield from _prepare_tokens([Token("html_block", "", 0, content=source)])
        else:
            yield from block
        block = []


def _is_too_deep(block: list[Token], room: int) -> bool:
    """Return True if a block is nested deeper than rich can draw, or is indented by more than `room`."""
    indents = [0]
    for token in block:
        if token.level >= _MAX_LEVEL or indents[-1] > max(room, 0):
            return True
        if token.type in _INDENTS:
            indents.append(indents[-1] + _INDENTS[token.type])
        elif token.nesting < 0 and token.type.replace("_close", "_open") in _INDENTS:
            indents.pop()
    return False


def _make_text_token(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _drop_repeated_addresses(tokens: list[Token]) -> Iterator[Token]:
    """Yield a paragraph's tokens, each autolink as mere text, since rich would print its address twice."""
    index = 0
    while index < len(tokens):
        # A link is three tokens: its beginning, its text and its end.
        link, *following = tokens[index : index + 3]
        if link.type == "link_open" and link.info == "auto" and len(following) == 2:
            yield following[0]
            index += 3
        else:
            yield link
            index += 1


def _trim_line(line: list[Segment], console: Console) -> list[Segment]:
    """Return the segments of a line without the spaces at its end, unless their style is visible."""
    segments = [*line]
    while segments:
        last = segments[-1]
        text = last.text.rstrip(" ")
        ends_with_text, style = len(text) == len(last.text), last.style
        is_visible = style is not None and (style.bgcolor or style.reverse or style.underline)
        if ends_with_text or (console.color_system and is_visible):
            break
        segments[-1:] = [Segment(text, last.style)] if text else []
    return segments
