"""What a renderer shows of Markdown, in letters and digits: the judge of what is spoken of it."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from tests.support.markdown import new_renderer
from tokenstream.stages import Sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markdown_it.token import Token

_RENDERER = new_renderer()
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?\?>|<!\[CDATA\[.*?\]\]>|<!\w[^>]*>"
    r"|<(script|style|textarea|pre)\b.*?(?:</\1>|\Z)|</?[A-Za-z][^<>]*>",
    re.DOTALL,
)
_NO_WORD = re.compile(r"[\W_]+")


def words(text: str) -> str:
    """Return the letters and digits of a text."""
    return _NO_WORD.sub("", text)


def spoken(pieces: Iterable[str]) -> str:
    """Return what is spoken of the pieces of a text, joined."""
    stage = Sentences(spoken=True)
    sentences = [sentence for piece in pieces for sentence in stage.feed(piece)]
    return "".join(sentences + stage.end())


def seen_words(text: str) -> str:
    """Return the letters and digits that a renderer shows, without code blocks and addresses.

    Among them are the numbers of lists, and the texts in place of images.
    """
    return words("\n".join(_seen(_RENDERER.parse(text))))


def _seen(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "list_item_open":
            yield f"{token.info} "
        elif token.type == "html_block":
            yield html.unescape(_UNSEEN.sub(" ", token.content))
        elif token.type == "inline":
            yield "".join(_seen_inline(token.children or []))


def _seen_inline(tokens: list[Token]) -> Iterator[str]:
    in_address = False
    for token in tokens:
        if token.type == "link_open" and token.markup == "autolink":
            in_address = not str(token.attrs["href"]).startswith("mailto:")
        elif token.type == "link_close":
            in_address = False
        elif token.type in {"text", "code_inline"} and not in_address:
            yield token.content
        elif token.type == "image":
            yield from _seen_inline(token.children or [])
        elif token.type in {"softbreak", "hardbreak", "html_inline"}:
            yield " "
