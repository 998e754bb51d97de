"""The law of previews: each renders whole, and the visible text of a block only grows.

The judge is markdown-it-py, which is independent of the way previews are made. The
visible text is that of the rendering, without tags and white space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from tests.support.recordings import shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markdown_it.token import Token

_TAG = re.compile(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>|<[^>]*>", re.DOTALL)
_CODE = {"text", "text_special", "code_inline", "code_block", "fence"}
RENDERER = MarkdownIt("commonmark", {"maxNesting": 10_000}).enable(["table", "strikethrough"])


@dataclass(frozen=True)
class Wrong:
    """A preview that breaks the law."""

    rule: str
    preview: str
    seen: str
    other: str
    """The visible text of the finished block, or of the preview before."""


def seen(text: str, definitions: str = "") -> str:
    """Return the visible text of rendered markdown, without white space.

    Args:
        definitions: The link definitions of the text before it.
    """
    return _seen(_parsed(text, inline=False, definitions=definitions))


def seen_inline(text: str) -> str:
    """Return the visible text of inline content, without white space."""
    return _seen(_parsed(text, inline=True, definitions=""))


def _seen(tokens: Iterable[Token]) -> str:
    return "".join("".join(_texts(tokens)).split())


def _texts(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in _CODE:
            yield token.content
        elif token.type == "html_block":
            yield _TAG.sub("", token.content)
        elif token.type == "inline":
            yield from _texts(token.children or [])


def blocks(text: str) -> int:
    """Return the number of top-level blocks that a text renders to."""
    return _blocks(RENDERER.parse(text))


def _blocks(tokens: Iterable[Token]) -> int:
    return sum(token.level == 0 and token.nesting >= 0 for token in tokens)


def wrong_previews(
    previews: Iterable[str], final: str, *, inline: bool = False, definitions: str = ""
) -> list[Wrong]:
    """Return the previews of one block that break the law.

    Args:
        inline: True if the texts are inline content, to which blocks do not apply.
        definitions: The link definitions of the text before the block.
    """
    found = []
    whole = seen_inline(final) if inline else seen(final, definitions)
    before = ""
    for preview in previews:
        tokens = _parsed(preview, inline=inline, definitions=definitions)
        now = _seen(tokens)
        if not inline and _blocks(tokens) > 1:
            found.append(Wrong("more than one block", preview, now, whole))
        elif not whole.startswith(now):
            found.append(Wrong("not the beginning of what is seen at the end", preview, now, whole))
        elif not now.startswith(before):
            found.append(Wrong("something has gone away", preview, now, before))
        before = now
    return found


def _parsed(text: str, *, inline: bool, definitions: str) -> list[Token]:
    if inline:
        return RENDERER.parseInline(text)
    return RENDERER.parse(f"{definitions}\n\n{text}" if definitions else text)


def recorded_answers() -> list[str]:
    texts = {choice.get("text") or "" for recorded in shared() for choice in recorded.expected["choices"]}
    return sorted(texts - {""})


def inline_contents(text: str) -> list[str]:
    """Return the inline content of each paragraph, heading, cell and item of a document."""
    return [token.content for token in RENDERER.parse(text) if token.type == "inline" and token.content]
