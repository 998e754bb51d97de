"""The law of Markdown blocks, judged by markdown-it-py: blocks rendered one by one are the whole rendered."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt

from tokenstream.stages import MarkdownBlock, MarkdownBlocks


def new_renderer() -> MarkdownIt:
    """Return a parser of CommonMark with GFM's tables, strikethrough and task lists."""
    # The defaults silently drop lists below the tenth level, and quotes below the twentieth.
    options = {"maxNesting": 10_000, "tasklists": True}
    return MarkdownIt("commonmark", options).enable(["table", "strikethrough"])


RENDERER = new_renderer()

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


@dataclass(frozen=True)
class Broken:
    """A document for which the law does not hold."""

    rule: str
    document: str
    expected: object
    actual: object


def lines_of(text: str) -> list[str]:
    """Cut a document after its line endings, as CommonMark defines them."""
    return _LINE.findall(text)


def run(pieces: Iterable[str], stage: MarkdownBlocks | None = None) -> list[MarkdownBlock]:
    stage = stage or MarkdownBlocks()
    given = []
    for piece in pieces:
        given += stage.feed(piece)
    return given + stage.end()


def closed(given: Iterable[MarkdownBlock]) -> list[MarkdownBlock]:
    return [block for block in given if block.closed]


def _render(renderer: MarkdownIt, text: str) -> str:
    try:
        return str(renderer.render(text))
    except IndexError:
        # Quirk (markdown-it-py, 4.3): `> - <?php` and `> ` need a line break behind them.
        return str(renderer.render(f"{text}\n"))


def with_definitions(block: MarkdownBlock) -> str:
    return f"{block.definitions}\n\n{block.text}" if block.definitions else block.text


def pieces_at_random(text: str, seed: object) -> list[str]:
    """Cut a text into pieces of 1 to 20 characters, the same ones for the same seed."""
    chance = random.Random(str(seed))
    pieces, at = [], 0
    while at < len(text):
        size = chance.choice([1, 1, 2, 3, 5, 9, 20])
        pieces.append(text[at : at + size])
        at += size
    return pieces


def fragmentations(text: str) -> Iterator[list[str]]:
    """Cut a text into its characters, not at all, and in three random ways."""
    yield [text]
    yield list(text)
    for number in range(3):
        yield pieces_at_random(text, (number, text))


def broken(text: str, renderer: MarkdownIt = RENDERER, **options: Any) -> Broken | None:
    """Return the violation of the law by a document, or None if it holds, with the exemption E1.

    E1: a reference before its definition. Such a document has to be the same once
    each block is rendered with the definitions of the whole document.
    """
    stage = MarkdownBlocks(**options)
    blocks = closed(run([text], stage))
    cut = [_facts(block) for block in blocks]
    for pieces in fragmentations(text):
        if (other := [_facts(block) for block in closed(run(pieces, MarkdownBlocks(**options)))]) != cut:
            return Broken("the cut depends on the pieces", text, cut, other)
    if [block.id for block in blocks] != list(range(len(blocks))):
        return Broken("ids have gaps", text, None, cut)
    for block in blocks:
        if text[block.start : block.start + len(block.source)] != block.source or block.source != block.text:
            return Broken("a block is no part of the text", text, None, block)
    whole = _render(renderer, text)
    joined = "".join(_render(renderer, with_definitions(block)) for block in blocks)
    if joined == whole:
        return None
    defined = "\n".join(stage.definitions.values())
    later = "".join(renderer.render(f"{defined}\n\n{block.text}") for block in blocks) if defined else ""
    return None if later == whole else Broken("blocks are not the whole", text, whole, joined)


def uses_before_definition(text: str) -> bool:
    """True if a document renders equal only with its later definitions: exemption E1."""
    joined = "".join(RENDERER.render(with_definitions(block)) for block in closed(run([text])))
    return bool(joined != RENDERER.render(text))


def _facts(block: MarkdownBlock) -> tuple[int, str, str, int, str]:
    return block.id, block.kind, block.info, block.start, block.source
