"""Markdown as rich draws it, with nothing left out and nothing that a terminal would obey."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it.token import Token
from rich.markdown import Markdown
from rich.segment import Segment, Segments

from tokenstream._visible import several_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

__all__ = ["Document"]

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_SHOWN = {"href", "src"}
"""Attributes that rich prints."""


class Document(Markdown):
    """A document, or one block of it.

    rich leaves HTML out, and so `Vec<String>` loses half of its name; and it puts an image
    before the paragraph or the item that it stands in. Here both are text, in their places.

    Args:
        text: Markdown.
        code_theme: The pygments style of its code.
        hyperlinks: Whether links are the terminal's own.
        spaced: Whether something stands before it from which it is kept apart.
    """

    def __init__(self, text: str, *, code_theme: str, hyperlinks: bool, spaced: bool = False) -> None:
        super().__init__(text, code_theme=code_theme, hyperlinks=hyperlinks)
        self.parsed = [*_made_fit(self.parsed)]
        self.empty = not self.parsed
        """There is nothing to print, as where a text has definitions alone."""
        last = None if self.empty else self.elements.get(self.parsed[-1].type)
        self.spaced = last is None or last.new_line
        """rich leaves a line free between this document and what follows."""
        if spaced and self.parsed:
            # It does so in front of what it knows by no name, too, and prints nothing of that.
            self.parsed.insert(0, Token("what stands before", "", 0))

    def rows(self, console: Console) -> list[str]:
        """Return the lines that a console shows, without their ends.

        Each has its own colours. Spaces at the end that nobody sees are left out: a terminal
        that takes a letter for wider than rich does would put them on a line of their own.
        """
        with console.capture() as captured:
            for line in console.render_lines(self, pad=False):
                console.print(Segments([*_trimmed(line, console), Segment.line()]), end="", soft_wrap=True)
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
