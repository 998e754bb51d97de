"""Markdown as rich draws it, with nothing left out and nothing that a terminal would obey."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.markdown import Markdown
from rich.segment import Segment, Segments

from tokenstream._visible import several_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

__all__ = ["Document"]

# rich's own gives up at ten lists within each other.
_PARSER = MarkdownIt("commonmark", {"maxNesting": 60}).enable(["strikethrough", "table"])
_DEEPEST = 57
"""Levels that are drawn, since the parser leaves out what is deeper; a list within another is two."""
_LEAST = 4
"""Columns that are left to a text within lists and quotes."""
_INDENTS = {"blockquote_open": 4, "bullet_list_open": 3, "ordered_list_open": 6}
"""Columns that rich takes, of numbers of three digits."""
_LINE_END = re.compile(r"\r\n?|\n")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_SHOWN = {"href", "src"}
"""Attributes that rich prints."""


class Document(Markdown):
    """A document, or one block of it.

    rich leaves HTML out, and so `Vec<String>` loses half of its name; and it puts an image
    before the paragraph or the item that it stands in. Here both are text, in their places.
    It also leaves out what stands so deep that its parser gives up, or that no column is
    left for it: such a block is shown as it was written.

    Args:
        text: Markdown.
        code_theme: The pygments style of its code.
        hyperlinks: Whether links are the terminal's own.
        spaced: Whether something stands before it from which it is kept apart.
    """

    def __init__(self, text: str, *, code_theme: str, hyperlinks: bool, spaced: bool = False) -> None:
        super().__init__("", code_theme=code_theme, hyperlinks=hyperlinks)
        self.markup = text
        self.parsed = [*_made_fit(_PARSER.parse(text))]
        self.empty = not self.parsed
        """There is nothing to print, as where a text has definitions alone."""
        last = None if self.empty else self.elements.get(self.parsed[-1].type)
        self.spaced = last is None or last.new_line
        """rich leaves a line free between this document and what follows."""
        if spaced and self.parsed:
            # It does so in front of what it knows by no name, too, and prints nothing of that.
            self.parsed.insert(0, Token("what stands before", "", 0))

    def rows(self, console: Console, columns: int | None = None) -> list[str]:
        """Return the lines that a console shows in so many columns, without their ends.

        Each has its own colours. Spaces at the end that nobody sees are left out: a terminal
        that takes a letter for wider than rich does would put them on a line of their own.
        """
        width = console.width if columns is None else min(columns, console.width)
        self.parsed = [*_shallow(self.parsed, self.markup, width - _LEAST)]
        with console.capture() as captured:
            for line in console.render_lines(self, console.options.update(width=width), pad=False):
                console.print(
                    Segments([*Segment.simplify(_trimmed(line, console)), Segment.line()]),
                    end="",
                    soft_wrap=True,
                )
        return captured.get().split("\n")[:-1]


def _made_fit(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        token.content = several_lines(token.content)
        for name in _SHOWN & token.attrs.keys():
            token.attrs[name] = several_lines(str(token.attrs[name]))
        if token.children:
            token.children = [*_without_doubles([*_made_fit(token.children)])]
        if token.type == "html_inline":
            yield Token("hardbreak", "br", 0) if _BREAK.fullmatch(token.content) else _text(token.content)
        elif token.type == "image":
            yield _text(_image(token.content, str(token.attrs.get("src", ""))))
        elif token.type == "html_block":
            yield Token("paragraph_open", "p", 1)
            yield Token("inline", "", 0, children=[*_lines(token.content)])
            yield Token("paragraph_close", "p", -1)
        else:
            yield token


def _image(title: str, address: str) -> str:
    # The image itself may stand in its address.
    return f"🌆 {title} ({address})" if address and not address.startswith("data:") else f"🌆 {title}"


def _shallow(tokens: list[Token], text: str, room: int) -> Iterator[Token]:
    """Give the tokens, in place of each block that needs more columns than `room` its lines."""
    lines: list[str] = []
    block: list[Token] = []
    depth = 0
    for token in tokens:
        block.append(token)
        depth += token.nesting
        if depth:
            continue
        if (first := block[0]).map and _too_deep(block, room):
            lines = lines or _LINE_END.split(text)
            source = several_lines("\n".join(lines[slice(*first.map)]))
            yield from _made_fit([Token("html_block", "", 0, content=source)])
        else:
            yield from block
        block = []


def _too_deep(block: list[Token], room: int) -> bool:
    indents = [0]
    for token in block:
        if token.level >= _DEEPEST or indents[-1] > max(room, 0):
            return True
        if token.type in _INDENTS:
            indents.append(indents[-1] + _INDENTS[token.type])
        elif token.nesting < 0 and token.type.replace("_close", "_open") in _INDENTS:
            indents.pop()
    return False


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _lines(source: str) -> Iterator[Token]:
    first, *rest = source.rstrip("\n").split("\n")
    yield _text(first)
    for line in rest:
        yield Token("hardbreak", "br", 0)
        yield _text(line)


def _without_doubles(tokens: list[Token]) -> Iterator[Token]:
    """Give the tokens of a line; an address that stands for itself is printed once."""
    at = 0
    while at < len(tokens):
        link, *shown = tokens[at : at + 3]
        if link.type == "link_open" and link.info == "auto" and len(shown) == 2:
            yield shown[0]
            at += 3
        else:
            yield link
            at += 1


def _trimmed(line: list[Segment], console: Console) -> list[Segment]:
    kept = [*line]
    while kept:
        last = kept[-1]
        text = last.text.rstrip(" ")
        if len(text) == len(last.text) or (console.color_system and _seen(last)):
            break
        kept[-1:] = [Segment(text, last.style)] if text else []
    return kept


def _seen(segment: Segment) -> bool:
    style = segment.style
    return style is not None and bool(style.bgcolor or style.reverse or style.underline)
